/* SPDX-License-Identifier: ISC */

/*
 * The model's edge: the libc functions that it stands in front of, when
 * loaded with LD_PRELOAD (ld.so(8)). What is not about a modelled descriptor
 * goes straight to libc, with no lock taken and no further system call, so
 * that signal handlers and seccomp(2) filters do not notice.
 *
 * libc's calls within itself do not pass here, closefrom(3) among them; hence
 * the care in slot.c.
 */

#undef _FORTIFY_SOURCE	/* makes inline functions of what is defined here */

#include <sys/ioctl.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

#define EXPORT	__attribute__((visibility("default")))

struct real real;

static void
resolve(void *pointer, const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);

	if (f == NULL)
		model_die("no %s in libc", name);
	memcpy(pointer, &f, sizeof(f));
}

/*
 * Before main and, where another library's constructor gets here first, at
 * its first call.
 */
static __attribute__((constructor)) void
real_init(void)
{
	if (real._exit != NULL)
		return;
	resolve(&real.open, "open");
	resolve(&real.open64, "open64");
	resolve(&real.open_2, "__open_2");
	resolve(&real.open64_2, "__open64_2");
	resolve(&real.ioctl, "ioctl");
	resolve(&real.read, "read");
	resolve(&real.read_chk, "__read_chk");
	resolve(&real.write, "write");
	resolve(&real.socket, "socket");
	resolve(&real.bind, "bind");
	resolve(&real.connect, "connect");
	resolve(&real.setsockopt, "setsockopt");
	resolve(&real.getsockopt, "getsockopt");
	resolve(&real.close, "close");
	log_init();
	fault_init();
	resolve(&real._exit, "_exit");
}

static void
need_real(void)
{
	if (__builtin_expect(real._exit == NULL, 0))
		real_init();
}

static ssize_t
result(ssize_t r)
{
	if (r < 0) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

/* The modelled descriptor fd, with the lock held; or NULL, without. */
static struct slot *
enter(int fd)
{
	struct slot *s;

	if (__builtin_expect(!slot_may_be(fd), 1))
		return NULL;
	slot_lock();
	if ((s = slot_find(fd)) == NULL)
		slot_unlock();
	return s;
}

static int
open_bpf(unsigned int minor, int flags)
{
	int r;

	slot_lock();
	if ((r = -call_begin()) == 0)
		r = d_bpf_open(minor, flags);
	log_call(r, "open(/dev/bpf%u, 0x%x)", minor, flags);
	slot_unlock();
	return (int)result(r);
}

#define MODE(flags, ap, mode) do {					\
	if (((flags) & O_CREAT) || ((flags) & O_TMPFILE) == O_TMPFILE) {\
		va_start(ap, flags);					\
		mode = va_arg(ap, mode_t);				\
		va_end(ap);						\
	}								\
} while (0)

EXPORT int
open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode = 0;
	int minor;

	need_real();
	if ((minor = bpf_minor_of(path)) >= 0)
		return open_bpf((unsigned int)minor, flags);
	MODE(flags, ap, mode);
	return real.open(path, flags, mode);
}

EXPORT int
open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode = 0;
	int minor;

	need_real();
	if ((minor = bpf_minor_of(path)) >= 0)
		return open_bpf((unsigned int)minor, flags);
	MODE(flags, ap, mode);
	return real.open64(path, flags, mode);
}

/* What _FORTIFY_SOURCE makes of open without a mode. */
EXPORT int
__open_2(const char *path, int flags)
{
	int minor;

	need_real();
	if ((minor = bpf_minor_of(path)) >= 0)
		return open_bpf((unsigned int)minor, flags);
	return real.open_2(path, flags);
}

EXPORT int
__open64_2(const char *path, int flags)
{
	int minor;

	need_real();
	if ((minor = bpf_minor_of(path)) >= 0)
		return open_bpf((unsigned int)minor, flags);
	return real.open64_2(path, flags);
}

/* The argument's bytes, which the number tells the size of. */
static const char *
arg_hex(char *out, size_t outlen, uint32_t request, uint32_t direction,
    const void *arg)
{
	out[0] = '\0';
	if (log_on() && (request & direction) && arg != NULL)
		log_hex(out, outlen, arg, D_IOC_SIZE(request));
	return out;
}

static bool
is_socket(int fd)
{
	int type, saved = errno;
	socklen_t len = sizeof(type);
	bool r;

	r = real.getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
	errno = saved;
	return r;
}

EXPORT int
ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	struct slot *s;
	uint32_t number = (uint32_t)request;
	char in[256], out[256];
	const char *name;
	int r;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);

	need_real();
	s = enter(fd);
	if (s != NULL && s->kind == KIND_BPF) {
		name = bpf_request_name(number);
		/* an unknown number says nothing about its argument */
		if (strcmp(name, "unknown") == 0) {
			if ((r = -call_begin()) == 0)
				r = d_bpf_ioctl(s, number, arg);
			log_call(r, "ioctl(%d bpf%u, unknown 0x%x)", fd,
			    s->bpf.minor, number);
		} else {
			arg_hex(in, sizeof(in), number, D_IOC_IN, arg);
			if ((r = -call_begin()) == 0)
				r = d_bpf_ioctl(s, number, arg);
			arg_hex(out, sizeof(out), number,
			    r == 0 ? D_IOC_OUT : 0, arg);
			log_call(r, "ioctl(%d bpf%u, %s 0x%x, in=%s out=%s)",
			    fd, s->bpf.minor, name, number, in, out);
		}
		slot_unlock();
		return (int)result(r);
	}
	if (!feth_is_request(number) || (s == NULL && !is_socket(fd))) {
		if (s != NULL)
			slot_unlock();
		return real.ioctl(fd, request, arg);
	}
	if (s == NULL)
		slot_lock();
	arg_hex(in, sizeof(in), number, D_IOC_IN, arg);
	if ((r = -call_begin()) == 0)
		r = d_feth_ioctl(fd, number, arg);
	arg_hex(out, sizeof(out), number, r == 0 ? D_IOC_OUT : 0, arg);
	log_call(r, "ioctl(%d, %s 0x%x, in=%s out=%s)", fd,
	    feth_request_name(number), number, in, out);
	slot_unlock();
	return (int)result(r);
}

/* Reads and writes: a line each only if asked for, but each new error. */
static bool
io_to_log(struct slot *s, ssize_t r)
{
	if (r < 0 && r != -EAGAIN && s->logged_errno != (int)r) {
		s->logged_errno = (int)r;
		return true;
	}
	return log_io;
}

static ssize_t
read_slot(struct slot *s, int fd, void *buf, size_t len)
{
	unsigned int packets = 0;
	bool is_bpf = s->kind == KIND_BPF;
	ssize_t r;

	s->used_here = true;
	if ((r = -call_begin()) == 0)
		r = is_bpf ? d_bpf_read(s, buf, len, &packets) :
		    d_ndrv_read(s, buf, len);
	if (io_to_log(s, r)) {
		if (is_bpf)
			log_call(r, "read(%d bpf, %zu, packets=%u)", fd, len,
			    packets);
		else
			log_call(r, "read(%d ndrv, %zu)", fd, len);
	}
	slot_unlock();
	return result(r);
}

EXPORT ssize_t
read(int fd, void *buf, size_t len)
{
	struct slot *s;

	need_real();
	if ((s = enter(fd)) == NULL)
		return real.read(fd, buf, len);
	return read_slot(s, fd, buf, len);
}

/* What _FORTIFY_SOURCE makes of read. */
EXPORT ssize_t __read_chk(int, void *, size_t, size_t);

EXPORT ssize_t
__read_chk(int fd, void *buf, size_t len, size_t buflen)
{
	struct slot *s;

	need_real();
	if (len > buflen || (s = enter(fd)) == NULL)
		return real.read_chk(fd, buf, len, buflen);
	return read_slot(s, fd, buf, len);
}

EXPORT ssize_t
write(int fd, const void *buf, size_t len)
{
	struct slot *s;
	ssize_t r;

	need_real();
	if ((s = enter(fd)) == NULL)
		return real.write(fd, buf, len);
	s->used_here = true;
	if ((r = -call_begin()) == 0)
		r = s->kind == KIND_BPF ? d_bpf_write(s) :
		    d_ndrv_write(s, buf, len);
	if (io_to_log(s, r))
		log_call(r, "write(%d %s, %zu)", fd,
		    s->kind == KIND_BPF ? "bpf" : "ndrv", len);
	slot_unlock();
	return result(r);
}

EXPORT int
socket(int domain, int type, int protocol)
{
	int r;

	need_real();
	if (domain != D_AF_NDRV)
		return real.socket(domain, type, protocol);
	slot_lock();
	if ((r = -call_begin()) == 0)
		r = d_ndrv_socket(type, protocol);
	log_call(r, "socket(AF_NDRV, 0x%x, %d)", type, protocol);
	slot_unlock();
	return (int)result(r);
}

static int
with_address(int fd, struct slot *s, const char *call,
    int (*f)(struct slot *, const void *, socklen_t), const void *addr,
    socklen_t len)
{
	char hex[128] = "";
	int r;

	if (log_on() && addr != NULL && s->kind == KIND_NDRV)
		log_hex(hex, sizeof(hex), addr, len < 64 ? len : 64);
	if ((r = -call_begin()) == 0)
		r = s->kind == KIND_NDRV ? f(s, addr, len) : -ENOTSOCK;
	log_call(r, "%s(%d, %s, %u)", call, fd, hex, len);
	slot_unlock();
	return (int)result(r);
}

EXPORT int
bind(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
	struct slot *s;

	need_real();
	if ((s = enter(fd)) == NULL)
		return real.bind(fd, addr.__sockaddr__, len);
	return with_address(fd, s, "bind", d_ndrv_bind, addr.__sockaddr__,
	    len);
}

EXPORT int
connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
	struct slot *s;

	need_real();
	if ((s = enter(fd)) == NULL)
		return real.connect(fd, addr.__sockaddr__, len);
	return with_address(fd, s, "connect", d_ndrv_connect,
	    addr.__sockaddr__, len);
}

EXPORT int
setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	struct slot *s;
	char hex[64] = "";
	int r;

	need_real();
	if ((s = enter(fd)) == NULL)
		return real.setsockopt(fd, level, name, val, len);
	if (log_on() && val != NULL)
		log_hex(hex, sizeof(hex), val, len < 16 ? len : 16);
	if ((r = -call_begin()) == 0)
		r = s->kind == KIND_NDRV ?
		    d_ndrv_setsockopt(s, level, name, val, len) : -ENOTSOCK;
	log_call(r, "setsockopt(%d, %d, %s%d, %s)", fd, level,
	    level == SOL_SOCKET && name == SO_SNDBUF ? "SO_SNDBUF " : "",
	    name, hex);
	slot_unlock();
	return (int)result(r);
}

EXPORT int
getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	struct slot *s;
	int r;

	need_real();
	if ((s = enter(fd)) == NULL)
		return real.getsockopt(fd, level, name, val, len);
	if ((r = -call_begin()) == 0)
		r = s->kind == KIND_NDRV ?
		    d_ndrv_getsockopt(s, level, name, val, len) : -ENOTSOCK;
	log_call(r, "getsockopt(%d, %d, %d)", fd, level, name);
	slot_unlock();
	return (int)result(r);
}

EXPORT int
close(int fd)
{
	struct slot *s;
	int r, fault;

	need_real();
	if ((s = enter(fd)) == NULL)
		return real.close(fd);
	fault = call_begin();
	if (s->kind == KIND_BPF)
		bpf_log_totals(s, "totals");
	else
		ndrv_log_totals(s, "totals");
	/* a close that fails has closed nonetheless */
	slot_forget(s);
	r = real.close(fd) == -1 ? -errno : -fault;
	log_call(r, "close(%d)", fd);
	slot_unlock();
	return (int)result(r);
}

/* So that the log has the totals of those who end without closing. */
static void
log_at_exit(void)
{
	/* whoever holds the lock may be the very thread that exits */
	if (log_on() && slot_trylock()) {
		slot_log_all("totals-at-exit");
		slot_unlock();
	}
}

static __attribute__((destructor)) void
model_fini(void)
{
	log_at_exit();
}

EXPORT void
_exit(int status)
{
	need_real();
	log_at_exit();
	real._exit(status);
	__builtin_unreachable();
}
