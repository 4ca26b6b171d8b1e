/* SPDX-License-Identifier: ISC */

/*
 * For the cross-build only: macOS's pseudo-terminals, whose header the compiler
 * does not bring.
 */

#ifndef _UTIL_H_
#define _UTIL_H_

struct termios;
struct winsize;

int	openpty(int *, int *, char *, struct termios *, struct winsize *);
int	login_tty(int);

#endif
