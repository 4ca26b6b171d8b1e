/* SPDX-License-Identifier: ISC */

#include <stddef.h>

struct sshbuf;

/* Append every whole frame of one bpf read to input, each as a string. */
void	c_infilter(struct sshbuf *input, const void *buf, size_t len);
