/* SPDX-License-Identifier: ISC */

/*
 * A library for LD_PRELOAD under ssh or sshd on Linux: every Nth read(2) from
 * /dev/net/tun (N is in SHORT_READS) gives only the first bytes of the packet,
 * 1 to 13 in turn. So the peer is sent datagrams that are no Ethernet frames.
 */

#define _GNU_SOURCE
#include <sys/types.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int tun_fd = -1;

static int
open_and_note(const char *name, const char *path, int flags, mode_t mode)
{
	int (*next)(const char *, int, ...);
	int fd;

	*(void **)&next = dlsym(RTLD_NEXT, name);
	fd = next(path, flags, mode);
	if (fd != -1 && strcmp(path, "/dev/net/tun") == 0)
		tun_fd = fd;
	return fd;
}

int
open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	return open_and_note("open", path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	return open_and_note("open64", path, flags, mode);
}

ssize_t
read(int fd, void *buf, size_t len)
{
	static ssize_t (*next)(int, void *, size_t);
	static unsigned long reads, every, cut;
	const char *s;
	ssize_t got;

	if (next == NULL)
		*(void **)&next = dlsym(RTLD_NEXT, "read");
	got = next(fd, buf, len);
	if (fd != tun_fd || got <= 0)
		return got;
	if (every == 0 && ((s = getenv("SHORT_READS")) == NULL ||
	    (every = strtoul(s, NULL, 10)) == 0))
		abort();	/* preloaded without being told what to do */
	if (++reads % every != 0)
		return got;
	return 1 + cut++ % 13;
}

ssize_t	__read_chk(int, void *, size_t, size_t);

ssize_t
__read_chk(int fd, void *buf, size_t len, size_t room)
{
	if (len > room)
		abort();
	return read(fd, buf, len);
}
