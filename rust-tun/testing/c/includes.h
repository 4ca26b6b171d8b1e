/* SPDX-License-Identifier: ISC */

/*
 * Stands in for the includes.h of a configured OpenSSH tree, with no more than
 * sshbuf needs.
 */

#ifndef INCLUDES_H
#define INCLUDES_H

#include <sys/types.h>

#include <limits.h>
#include <stdint.h>
#include <strings.h>

#define HAVE_STDINT_H	1

#define __bounded__(x, y, z)
#define VA_COPY(dest, src)	va_copy(dest, src)
#define __predict_false(exp)	__builtin_expect(((exp) != 0), 0)

void	 explicit_bzero(void *, size_t);
void	 freezero(void *, size_t);
void	*recallocarray(void *, size_t, size_t, size_t);

#endif /* INCLUDES_H */
