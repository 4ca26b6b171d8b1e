/* SPDX-License-Identifier: ISC */

/*
 * For the cross-build only: what getrrsetbyname.c needs of macOS's header, which
 * the compiler does not bring. The message's header is RFC 1035's.
 */

#ifndef _ARPA_NAMESER_H_
#define _ARPA_NAMESER_H_

#include <sys/types.h>

#define MAXDNAME	1025
#define HFIXEDSZ	12

typedef struct {
	unsigned	id :16;
	/* Both of macOS's machines are little-endian. */
	unsigned	rd :1, tc :1, aa :1, opcode :4, qr :1;
	unsigned	rcode :4, cd :1, ad :1, unused :1, ra :1;
	unsigned	qdcount :16;
	unsigned	ancount :16;
	unsigned	nscount :16;
	unsigned	arcount :16;
} HEADER;

#endif
