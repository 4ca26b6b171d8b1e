/* SPDX-License-Identifier: ISC */

/*
 * For the cross-build only: macOS's sandbox_init(3), whose header the compiler
 * does not bring, so that sandbox-darwin.c is built.
 */

#ifndef _SANDBOX_H_
#define _SANDBOX_H_

#include <stdint.h>

#define SANDBOX_NAMED	0x0001

extern const char kSBXProfilePureComputation[];

int	sandbox_init(const char *, uint64_t, char **);

#endif
