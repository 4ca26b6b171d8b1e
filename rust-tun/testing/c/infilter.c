/* SPDX-License-Identifier: ISC */

/*
 * An infilter as one would write it in C: sshbuf_put_string() for each frame.
 * The bench measures rust-tun's against it.
 */

#include "includes.h"

#include <stdio.h>
#include <string.h>

#include "sshbuf.h"
#include "infilter.h"

#define HDRLEN_MIN	18
#define ETHER_HDR_LEN	14

void
c_infilter(struct sshbuf *input, const void *buf, size_t len)
{
	const u_char *p = buf;
	uint32_t caplen, datalen;
	uint16_t hdrlen;
	size_t next;

	while (len >= HDRLEN_MIN) {
		memcpy(&caplen, p + 8, sizeof(caplen));
		memcpy(&datalen, p + 12, sizeof(datalen));
		memcpy(&hdrlen, p + 16, sizeof(hdrlen));
		if (hdrlen < HDRLEN_MIN || hdrlen > len ||
		    caplen > len - hdrlen || caplen > datalen)
			return;
		if (caplen == datalen && caplen >= ETHER_HDR_LEN &&
		    sshbuf_put_string(input, p + hdrlen, caplen) != 0)
			return;
		next = ((size_t)hdrlen + caplen + 3) & ~(size_t)3;
		if (next > len)
			return;
		p += next;
		len -= next;
	}
}
