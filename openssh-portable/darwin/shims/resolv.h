/* SPDX-License-Identifier: ISC */

/*
 * For the cross-build only: what getrrsetbyname.c needs of macOS's header, which
 * the compiler does not bring. The functions are libSystem's; macOS's own header
 * leads to newer ones of the same signatures in libresolv.
 */

#ifndef _RESOLV_H_
#define _RESOLV_H_

#include <sys/types.h>

#define RES_INIT	0x00000001
#define RES_DEBUG	0x00000002

#pragma pack(4)
/* The beginning of it: libSystem has the whole. */
struct __res_state {
	int		retrans;
	int		retry;
	unsigned long	options;
};
#pragma pack()

extern struct __res_state _res;

int	res_init(void);
int	res_query(const char *, int, int, unsigned char *, int);
int	dn_expand(const unsigned char *, const unsigned char *,
	    const unsigned char *, char *, int);

#endif
