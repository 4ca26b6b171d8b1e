/* SPDX-License-Identifier: ISC */

/*
 * What sshbuf.c takes from misc.c: it sets SIGSEGV to its default before it
 * raises it over a corrupted buffer.
 */

#include "includes.h"

#include <signal.h>
#include <stdio.h>

#include "misc.h"

sshsig_t
ssh_signal(int signum, sshsig_t handler)
{
	return signal(signum, handler);
}
