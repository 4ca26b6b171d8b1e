/* SPDX-License-Identifier: ISC */

/*
 * Tests of the Darwin model: that what macOS refuses is refused, and that what
 * it does is done. "model-test list" prints a line a test, function, faults
 * and name with tabs between; "model-test FUNCTION" runs one, under
 * LD_PRELOAD, with DARWIN_MODEL_FAULT as listed and DARWIN_MODEL_LOG set, as
 * root in a network namespace of its own where feth0 and feth5000 are a veth
 * pair, up and quiet. Exit status 0 is a pass; otherwise the reason is on
 * standard error. See regress/tests/model.sh.
 *
 * Whether something does not arrive is told by what is sent after it, not by
 * a clock.
 */

#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <linux/if_packet.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../darwin.h"

/* As a compiler on macOS, 64 bits, prints them. */
_Static_assert(D_BIOCGBLEN == 0x40044266, "BIOCGBLEN");
_Static_assert(D_BIOCSBLEN == 0xc0044266, "BIOCSBLEN");
_Static_assert(D_BIOCSETF == 0x80104267, "BIOCSETF");
_Static_assert(D_BIOCFLUSH == 0x20004268, "BIOCFLUSH");
_Static_assert(D_BIOCPROMISC == 0x20004269, "BIOCPROMISC");
_Static_assert(D_BIOCGDLT == 0x4004426a, "BIOCGDLT");
_Static_assert(D_BIOCGETIF == 0x4020426b, "BIOCGETIF");
_Static_assert(D_BIOCSETIF == 0x8020426c, "BIOCSETIF");
_Static_assert(D_BIOCSRTIMEOUT == 0x8010426d, "BIOCSRTIMEOUT");
_Static_assert(D_BIOCGRTIMEOUT == 0x4010426e, "BIOCGRTIMEOUT");
_Static_assert(D_BIOCGSTATS == 0x4008426f, "BIOCGSTATS");
_Static_assert(D_BIOCIMMEDIATE == 0x80044270, "BIOCIMMEDIATE");
_Static_assert(D_BIOCVERSION == 0x40044271, "BIOCVERSION");
_Static_assert(D_BIOCGHDRCMPLT == 0x40044274, "BIOCGHDRCMPLT");
_Static_assert(D_BIOCSHDRCMPLT == 0x80044275, "BIOCSHDRCMPLT");
_Static_assert(D_BIOCGSEESENT == 0x40044276, "BIOCGSEESENT");
_Static_assert(D_BIOCSSEESENT == 0x80044277, "BIOCSSEESENT");
_Static_assert(D_SIOCSIFFLAGS == 0x80206910, "SIOCSIFFLAGS");
_Static_assert(D_SIOCGIFFLAGS == 0xc0206911, "SIOCGIFFLAGS");
_Static_assert(D_SIOCGIFMTU == 0xc0206933, "SIOCGIFMTU");
_Static_assert(D_SIOCIFCREATE == 0xc0206978, "SIOCIFCREATE");
_Static_assert(D_SIOCIFDESTROY == 0x80206979, "SIOCIFDESTROY");
_Static_assert(D_SIOCSDRVSPEC == 0x8028697b, "SIOCSDRVSPEC");
_Static_assert(D_SIOCGDRVSPEC == 0xc028697b, "SIOCGDRVSPEC");

/* Something that should happen at once has gone wrong after this long. */
#define PATIENCE_MS	30000

static const char *self;

static __attribute__((format(printf, 1, 2))) _Noreturn void
fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static int64_t
succeed(int64_t r, const char *what, int line)
{
	if (r == -1)
		fail("line %d: %s: %s", line, what, strerrorname_np(errno));
	return r;
}

static void
refuse(int64_t r, int want, const char *what, int line)
{
	if (r != -1)
		fail("line %d: %s: %lld, not -1 %s", line, what, (long long)r,
		    strerrorname_np(want));
	if (errno != want)
		fail("line %d: %s: %s, not %s", line, what,
		    strerrorname_np(errno), strerrorname_np(want));
}

static void
equal(int64_t a, int64_t b, const char *what, int line)
{
	if (a != b)
		fail("line %d: %s is %lld, not %lld", line, what,
		    (long long)a, (long long)b);
}

#define OK(call)	succeed((call), #call, __LINE__)
#define REFUSED(call, e) refuse((call), (e), #call, __LINE__)
#define EQ(a, b)	equal((a), (b), #a, __LINE__)
#define TRUE(cond) do {							\
	if (!(cond))							\
		fail("line %d: not so: %s", __LINE__, #cond);		\
} while (0)

/* --- bpf ---------------------------------------------------------------- */

static int
open_bpf(unsigned int minor, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/bpf%u", minor);
	return open(path, flags);
}

static int
bpf_u(int fd, unsigned long request, uint32_t *u)
{
	return ioctl(fd, request, u);
}

static uint32_t
bpf_get(int fd, unsigned long request)
{
	uint32_t u = 0xdeadbeef;

	OK(bpf_u(fd, request, &u));
	return u;
}

static void
bpf_set(int fd, unsigned long request, uint32_t u)
{
	OK(bpf_u(fd, request, &u));
}

static int
bpf_setif(int fd, const char *name)
{
	struct d_ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.name, name, strlen(name));
	return ioctl(fd, D_BIOCSETIF, &ifr);
}

/* As ssh sets it up: immediate, only what comes in, not blocking. */
static int
attached(uint32_t bufsize)
{
	int fd = (int)OK(open_bpf(0, O_RDWR | O_NONBLOCK));

	bpf_set(fd, D_BIOCSBLEN, bufsize);
	bpf_set(fd, D_BIOCIMMEDIATE, 1);
	bpf_set(fd, D_BIOCSSEESENT, 0);
	OK(bpf_setif(fd, "feth5000"));
	return fd;
}

/* A socket of Linux's own, to send and receive on a feth with. */
static int
raw(const char *ifname)
{
	struct sockaddr_ll sll = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(ifname),
	};
	int fd = (int)OK(socket(AF_PACKET, SOCK_RAW, 0)), ignore = 1;

	TRUE(sll.sll_ifindex != 0);
	OK(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &ignore,
	    sizeof(ignore)));
	OK(bind(fd, (struct sockaddr *)&sll, sizeof(sll)));
	return fd;
}

/* A frame to nobody here, of an experimental type, that says which it is. */
static size_t
frame(uint8_t *buf, size_t len, uint8_t which)
{
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = (uint8_t)(i * 7 + which);
	memcpy(buf, "\x02\x00\x00\x00\x00\x99\x02\x00\x00\x00\x00\x01\x88\xb5",
	    len < 14 ? len : 14);
	return len;
}

static void
send_frame(int fd, size_t len, uint8_t which)
{
	uint8_t buf[17000];

	frame(buf, len, which);
	EQ(OK(write(fd, buf, len)), (int64_t)len);
}

static void
nap(int *left)
{
	struct timespec ms = { 0, 1000000 };

	if ((*left)-- <= 0)
		fail("waited in vain");
	nanosleep(&ms, NULL);
}

/*
 * Linux drops what is sent through an interface that came up a moment ago,
 * until it has seen to the carrier and put a queue in place.
 */
static void
settle(void)
{
	EQ(OK(system("for i in feth0 feth5000; do "
	    "until ip -o link show $i | grep -q 'qdisc noqueue .*state UP'; "
	    "do sleep 0.01; done; done")), 0);
}

/* Until so many packets have come since SETIF or FLUSH. */
static void
await_packets(int fd, uint32_t count)
{
	struct d_bpf_stat stat;
	int left = PATIENCE_MS;

	for (;;) {
		OK(ioctl(fd, D_BIOCGSTATS, &stat));
		if (stat.bs_recv >= count)
			return;
		nap(&left);
	}
}

static short
await_poll(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	EQ(OK(poll(&pfd, 1, PATIENCE_MS)), 1);
	return pfd.revents;
}

struct record {
	struct d_bpf_hdr	hdr;
	const uint8_t		*data;
	size_t			offset;
};

/* Take a read apart; everything must be as bpf(4) says. */
static unsigned int
walk(const uint8_t *buf, size_t len, struct record *rec, unsigned int max)
{
	unsigned int n = 0;
	size_t off = 0, end = 0;

	while (off < len) {
		TRUE(n < max);
		TRUE(off + 18 <= len);
		memcpy(&rec[n].hdr, buf + off, 18);
		EQ(rec[n].hdr.bh_hdrlen, 18);
		end = off + 18 + rec[n].hdr.bh_caplen;
		TRUE(end <= len);
		rec[n].data = buf + off + 18;
		rec[n].offset = off;
		n++;
		off = (end + 3) & ~(size_t)3;
	}
	EQ((int64_t)end, (int64_t)len);		/* the last is not padded */
	return n;
}

static bool
is_frame(const struct record *rec, size_t len, uint8_t which)
{
	uint8_t buf[17000];

	frame(buf, len, which);
	return rec->hdr.bh_caplen == len && rec->hdr.bh_datalen == len &&
	    memcmp(rec->data, buf, len) == 0;
}

static uint8_t buffer[0x80000 + 1];
static struct record recs[4096];

static unsigned int
read_records(int fd, size_t bufsize)
{
	ssize_t n;

	await_poll(fd);
	n = OK(read(fd, buffer, bufsize));
	return walk(buffer, (size_t)n, recs, 4096);
}

static void
bpf_nodes_at_boot(void)
{
	REFUSED(open_bpf(4, O_RDWR), ENOENT);
	OK(open_bpf(2, O_RDWR));
	REFUSED(open_bpf(4, O_RDWR), ENOENT);
}

static void
bpf_new_node(void)
{
	OK(open_bpf(3, O_RDWR));
	REFUSED(open_bpf(5, O_RDWR), ENOENT);
	OK(open_bpf(4, O_RDWR));
	OK(open_bpf(5, O_RDWR));
}

static void
bpf_node_stays(void)
{
	OK(close((int)OK(open_bpf(3, O_RDWR))));
	OK(open_bpf(4, O_RDWR));
}

static int
wait_status(pid_t pid)
{
	int status;

	OK(waitpid(pid, &status, 0));
	return status;
}

static void
in_child(void (*f)(void))
{
	pid_t pid = (pid_t)OK(fork());
	int status;

	if (pid == 0) {
		f();
		exit(0);
	}
	status = wait_status(pid);
	TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
open_4(void)
{
	OK(open_bpf(4, O_RDWR));
}

static void
bpf_node_for_others(void)
{
	pid_t pid = (pid_t)OK(fork());
	int status;

	/* so that this process' own memory of nodes is out of it */
	if (pid == 0) {
		OK(open_bpf(3, O_RDWR));
		OK(execl(self, self, "sub", "open_4", NULL));
	}
	status = wait_status(pid);
	TRUE(!WIFEXITED(status) || WEXITSTATUS(status) != 0);

	OK(open_bpf(3, O_RDWR));
	if ((pid = (pid_t)OK(fork())) == 0)
		OK(execl(self, self, "sub", "open_4", NULL));
	status = wait_status(pid);
	TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
bpf_last_node(void)
{
	unsigned int i;

	for (i = 0; i < 256; i++)
		OK(close((int)OK(open_bpf(i, O_RDWR))));
	REFUSED(open_bpf(256, O_RDWR), ENOENT);
}

static void
bpf_no_such_name(void)
{
	REFUSED(open("/dev/bpf", O_RDWR), ENOENT);
	REFUSED(open("/dev/bpf00", O_RDWR), ENOENT);
	REFUSED(open("/dev/bpf1x", O_RDWR), ENOENT);
	REFUSED(open("/dev/bpf4294967296", O_RDWR), ENOENT);
}

static void
bpf_busy_same(void)
{
	int fd = (int)OK(open_bpf(1, O_RDWR));

	REFUSED(open_bpf(1, O_RDWR), EBUSY);
	OK(close(fd));
	OK(open_bpf(1, O_RDWR));
}

static void
busy_0(void)
{
	REFUSED(open_bpf(0, O_RDWR), EBUSY);
}

static void
open_0(void)
{
	OK(open_bpf(0, O_RDWR));
}

static void
bpf_busy_other(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));

	in_child(busy_0);
	OK(close(fd));
	in_child(open_0);
}

static void
bpf_freed_by_kill(void)
{
	int p[2];
	pid_t pid;
	char c;

	OK(pipe(p));
	if ((pid = (pid_t)OK(fork())) == 0) {
		OK(open_bpf(0, O_RDWR));
		OK(write(p[1], "x", 1));
		for (;;)
			pause();
	}
	EQ(OK(read(p[0], &c, 1)), 1);
	REFUSED(open_bpf(0, O_RDWR), EBUSY);
	OK(kill(pid, SIGKILL));
	wait_status(pid);
	OK(open_bpf(0, O_RDWR));
}

/*
 * macOS goes by the effective user, and so must the model: Linux's
 * capabilities, which these keep, do not help.
 */
static void
not_root(void)
{
	OK(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP));
	OK(seteuid(65534));
}

static void
bpf_not_root(void)
{
	not_root();
	REFUSED(open_bpf(0, O_RDWR), EACCES);
}

static void
bpf_wronly(void)
{
	int fd = (int)OK(open_bpf(0, O_WRONLY | O_NONBLOCK));

	OK(bpf_setif(fd, "feth5000"));
	REFUSED(read(fd, buffer, 4096), EBADF);
}

static void
bpf_rdonly(void)
{
	int fd = (int)OK(open_bpf(0, O_RDONLY));

	OK(bpf_setif(fd, "feth5000"));
	REFUSED(write(fd, buffer, 60), EBADF);
}

static void
bpf_open_flags(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));

	EQ(OK(fcntl(fd, F_GETFD)), 0);
	EQ(OK(fcntl(fd, F_GETFL)) & O_NONBLOCK, 0);
	fd = (int)OK(open_bpf(1, O_RDWR | O_CLOEXEC | O_NONBLOCK));
	EQ(OK(fcntl(fd, F_GETFD)), FD_CLOEXEC);
	EQ(OK(fcntl(fd, F_GETFL)) & O_NONBLOCK, O_NONBLOCK);
}

static void
bpf_buflen(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));
	uint32_t u;

	EQ(bpf_get(fd, D_BIOCGBLEN), 4096);
	u = 16384;
	OK(bpf_u(fd, D_BIOCSBLEN, &u));
	EQ(u, 16384);
	EQ(bpf_get(fd, D_BIOCGBLEN), 16384);
}

static void
bpf_buflen_cap(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));
	uint32_t u = 524289;

	OK(bpf_u(fd, D_BIOCSBLEN, &u));
	EQ(u, 524288);
	EQ(bpf_get(fd, D_BIOCGBLEN), 524288);
	u = UINT32_MAX;
	OK(bpf_u(fd, D_BIOCSBLEN, &u));
	EQ(u, 524288);
}

static void
bpf_buflen_min(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));
	uint32_t u = 31;

	OK(bpf_u(fd, D_BIOCSBLEN, &u));
	EQ(u, 32);
	EQ(bpf_get(fd, D_BIOCGBLEN), 32);
}

static void
bpf_buflen_attached(void)
{
	int fd = attached(8192);
	uint32_t u = 16384;

	REFUSED(bpf_u(fd, D_BIOCSBLEN, &u), EINVAL);
	EQ(bpf_get(fd, D_BIOCGBLEN), 8192);
}

static void
bpf_promisc_early(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));

	REFUSED(ioctl(fd, D_BIOCPROMISC, NULL), EINVAL);
	OK(bpf_setif(fd, "feth5000"));
	OK(ioctl(fd, D_BIOCPROMISC, NULL));
	OK(ioctl(fd, D_BIOCPROMISC, NULL));
}

static void
bpf_dlt(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));
	uint32_t u;

	REFUSED(bpf_u(fd, D_BIOCGDLT, &u), EINVAL);
	OK(bpf_setif(fd, "feth5000"));
	EQ(bpf_get(fd, D_BIOCGDLT), 1);
}

static void
bpf_getif(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));
	struct d_ifreq ifr;

	REFUSED(ioctl(fd, D_BIOCGETIF, &ifr), EINVAL);
	OK(bpf_setif(fd, "feth5000"));
	OK(ioctl(fd, D_BIOCGETIF, &ifr));
	TRUE(strcmp(ifr.name, "feth5000") == 0);
}

static void
bpf_setif_unknown(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));

	REFUSED(bpf_setif(fd, "feth7"), ENXIO);
	REFUSED(bpf_setif(fd, "feth"), ENXIO);
	REFUSED(bpf_setif(fd, "feth00"), ENXIO);
	REFUSED(bpf_setif(fd, ""), ENXIO);
}

static void
bpf_setif_moves(void)
{
	int fd = attached(4096), a = raw("feth0"), b = raw("feth5000");

	send_frame(a, 60, 1);
	await_packets(fd, 1);
	OK(bpf_setif(fd, "feth0"));
	send_frame(a, 60, 2);		/* comes in at the other end */
	send_frame(b, 60, 3);
	EQ(read_records(fd, 4096), 1);
	TRUE(is_frame(&recs[0], 60, 3));
}

static void
bpf_early_settings(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));

	bpf_set(fd, D_BIOCIMMEDIATE, 1);
	EQ(bpf_get(fd, D_BIOCGHDRCMPLT), 0);
	bpf_set(fd, D_BIOCSHDRCMPLT, 5);
	EQ(bpf_get(fd, D_BIOCGHDRCMPLT), 1);
	EQ(bpf_get(fd, D_BIOCGSEESENT), 1);
	bpf_set(fd, D_BIOCSSEESENT, 0);
	EQ(bpf_get(fd, D_BIOCGSEESENT), 0);
}

static void
bpf_version(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));
	struct d_bpf_version v;

	OK(ioctl(fd, D_BIOCVERSION, &v));
	EQ(v.bv_major, 1);
	EQ(v.bv_minor, 1);
}

static void
bpf_timeouts(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));
	struct d_timeval tv = { 0, 1000000, 0 };

	REFUSED(ioctl(fd, D_BIOCSRTIMEOUT, &tv), EINVAL);
	tv.tv_usec = -1;
	REFUSED(ioctl(fd, D_BIOCSRTIMEOUT, &tv), EINVAL);
	tv = (struct d_timeval){ 2, 345000, 0 };
	OK(ioctl(fd, D_BIOCSRTIMEOUT, &tv));
	OK(ioctl(fd, D_BIOCGRTIMEOUT, &tv));
	EQ(tv.tv_sec, 2);
	EQ(tv.tv_usec, 340000);		/* in ticks */
}

static void
bpf_unknown_ioctl(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));

	REFUSED(ioctl(fd, D_IOR('B', 99, uint32_t), buffer), EINVAL);
	REFUSED(ioctl(fd, 0x8933 /* Linux's SIOCGIFINDEX */, buffer), EINVAL);
}

static void
bpf_no_argument(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));

	REFUSED(ioctl(fd, D_BIOCSBLEN, NULL), EFAULT);
}

static void
bpf_is_no_socket(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR)), v = 1;
	socklen_t len = sizeof(v);
	struct d_sockaddr_ndrv sa = { 18, 27, "feth5000" };

	REFUSED(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), ENOTSOCK);
	REFUSED(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), ENOTSOCK);
	REFUSED(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &v, len), ENOTSOCK);
	REFUSED(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &v, &len), ENOTSOCK);
}

static void
bpf_fionbio(void)
{
	int fd = attached(4096), on = 0;

	OK(ioctl(fd, D_FIONBIO, &on));
	EQ(OK(fcntl(fd, F_GETFL)) & O_NONBLOCK, 0);
	on = 1;
	OK(ioctl(fd, FIONBIO, &on));
	REFUSED(read(fd, buffer, 4096), EWOULDBLOCK);
}

static void
bpf_read_length(void)
{
	int fd = attached(4096);

	send_frame(raw("feth0"), 60, 1);
	await_packets(fd, 1);
	REFUSED(read(fd, buffer, 4095), EINVAL);
	REFUSED(read(fd, buffer, 4097), EINVAL);
	REFUSED(read(fd, buffer, 16384), EINVAL);
	EQ(read_records(fd, 4096), 1);
}

static void
bpf_read_unattached(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));

	REFUSED(read(fd, buffer, 4096), ENXIO);
}

static void
bpf_read_empty(void)
{
	int fd = attached(4096);

	REFUSED(read(fd, buffer, 4096), EWOULDBLOCK);
}

static void
bpf_read_many(void)
{
	int fd = attached(16384), a = raw("feth0");
	unsigned int i;

	for (i = 0; i < 100; i++)
		send_frame(a, 60, (uint8_t)i);
	await_packets(fd, 100);
	EQ(read_records(fd, 16384), 100);
	for (i = 0; i < 100; i++)
		TRUE(is_frame(&recs[i], 60, (uint8_t)i));
	REFUSED(read(fd, buffer, 16384), EWOULDBLOCK);
}

static void
bpf_read_not_immediate(void)
{
	int fd = attached(4096), a = raw("feth0");

	bpf_set(fd, D_BIOCIMMEDIATE, 0);
	send_frame(a, 60, 1);
	await_packets(fd, 1);
	EQ(read_records(fd, 4096), 1);
}

static void
bpf_header(void)
{
	int fd = attached(4096);
	time_t now = time(NULL);
	uint16_t hdrlen;

	send_frame(raw("feth0"), 77, 9);
	await_poll(fd);
	EQ(OK(read(fd, buffer, 4096)), 18 + 77);
	memcpy(&hdrlen, buffer + 16, 2);
	EQ(hdrlen, 18);
	EQ(walk(buffer, 18 + 77, recs, 1), 1);
	TRUE(is_frame(&recs[0], 77, 9));
	TRUE(recs[0].hdr.bh_tv_sec >= now - 1 &&
	    recs[0].hdr.bh_tv_sec < now + 3600);
	TRUE(recs[0].hdr.bh_tv_usec >= 0 && recs[0].hdr.bh_tv_usec < 1000000);
}

static void
bpf_alignment(void)
{
	int fd = attached(4096), a = raw("feth0");

	send_frame(a, 61, 1);		/* 79 bytes, 1 of padding */
	send_frame(a, 64, 2);		/* 82 bytes, 2 of padding */
	send_frame(a, 63, 3);		/* 81 bytes, none: the last */
	await_packets(fd, 3);
	EQ(OK(read(fd, buffer, 4096)), 80 + 84 + 81);
	EQ(walk(buffer, 80 + 84 + 81, recs, 3), 3);
	EQ((int64_t)recs[1].offset, 80);
	EQ((int64_t)recs[2].offset, 164);
	TRUE(is_frame(&recs[0], 61, 1) && is_frame(&recs[1], 64, 2) &&
	    is_frame(&recs[2], 63, 3));
}

static void
bpf_padding(void)
{
	int fd = attached(4096), a = raw("feth0");

	send_frame(a, 61, 1);
	send_frame(a, 60, 2);
	await_packets(fd, 2);
	OK(read(fd, buffer, 4096));
	TRUE(buffer[79] != 0);
}

static void
bpf_next_read(void)
{
	int fd = attached(4096), a = raw("feth0");

	/* 1018 bytes each, 1020 but the last: four fit, a fifth does not */
	send_frame(a, 1000, 1);
	send_frame(a, 1000, 2);
	send_frame(a, 1000, 3);
	send_frame(a, 1000, 4);
	send_frame(a, 1000, 5);
	await_packets(fd, 5);
	EQ(read_records(fd, 4096), 4);
	TRUE(is_frame(&recs[3], 1000, 4));
	TRUE(await_poll(fd) & POLLIN);
	EQ(read_records(fd, 4096), 1);
	TRUE(is_frame(&recs[0], 1000, 5));
}

static void
bpf_exact_fit(void)
{
	int fd = attached(200), a = raw("feth0");

	/* 100 + 100 and 100 + 101, if nothing pads the last */
	send_frame(a, 82, 1);
	send_frame(a, 82, 2);
	send_frame(a, 82, 3);
	await_packets(fd, 3);
	EQ(read_records(fd, 200), 2);
	send_frame(a, 83, 4);
	await_packets(fd, 4);
	EQ(read_records(fd, 200), 1);
	EQ(read_records(fd, 200), 1);
	TRUE(is_frame(&recs[0], 83, 4));
}

static void
bpf_cut(void)
{
	int fd = attached(64), a = raw("feth0");
	uint8_t want[100];

	send_frame(a, 100, 1);
	send_frame(a, 60, 2);
	await_packets(fd, 2);
	EQ(OK(read(fd, buffer, 64)), 64);
	EQ(walk(buffer, 64, recs, 1), 1);
	EQ(recs[0].hdr.bh_caplen, 64 - 18);
	EQ(recs[0].hdr.bh_datalen, 100);
	frame(want, 100, 1);
	TRUE(memcmp(recs[0].data, want, 64 - 18) == 0);
	EQ(OK(read(fd, buffer, 64)), 64);
	EQ(walk(buffer, 64, recs, 1), 1);
	EQ(recs[0].hdr.bh_datalen, 60);
}

static void
bpf_big_frames(void)
{
	int fd, a = raw("feth0");

	OK(system("ip link set feth0 mtu 16370 && "
	    "ip link set feth5000 mtu 16370"));
	fd = attached(0x80000);
	send_frame(a, 16384, 1);
	send_frame(a, 16384, 2);
	await_packets(fd, 2);
	EQ(read_records(fd, 0x80000), 2);
	TRUE(is_frame(&recs[0], 16384, 1) && is_frame(&recs[1], 16384, 2));
}

static void
bpf_big_buffer(void)
{
	int fd = attached(0x80000), a = raw("feth0");
	unsigned int i;

	for (i = 0; i < 340; i++)
		send_frame(a, 1514, (uint8_t)i);
	await_packets(fd, 340);
	EQ(read_records(fd, 0x80000), 340);
	for (i = 0; i < 340; i++)
		TRUE(is_frame(&recs[i], 1514, (uint8_t)i));
}

static void
bpf_any_destination(void)
{
	int fd = attached(4096);

	/* frame() addresses nobody here; BIOCPROMISC is not set */
	send_frame(raw("feth0"), 60, 1);
	EQ(read_records(fd, 4096), 1);
}

static void
bpf_vlan(void)
{
	int fd = attached(4096), a = raw("feth0");
	uint8_t f[80];

	frame(f, 80, 1);
	memcpy(f + 12, "\x81\x00\x60\x2a\x88\xb5", 6);
	EQ(OK(write(a, f, 80)), 80);
	memcpy(f + 12, "\x88\xa8\x60\x2b\x88\xb5", 6);
	EQ(OK(write(a, f, 80)), 80);
	await_packets(fd, 2);
	EQ(read_records(fd, 4096), 2);
	EQ(recs[0].hdr.bh_caplen, 80);
	EQ(recs[0].hdr.bh_datalen, 80);
	TRUE(memcmp(recs[1].data, f, 80) == 0);
	memcpy(f + 12, "\x81\x00\x60\x2a\x88\xb5", 6);
	TRUE(memcmp(recs[0].data, f, 80) == 0);
}

static void
bpf_vlan_cut(void)
{
	int fd = attached(32), a = raw("feth0");
	uint8_t f[80];

	frame(f, 80, 1);
	memcpy(f + 12, "\x81\x00\x60\x2a\x88\xb5", 6);
	EQ(OK(write(a, f, 80)), 80);
	await_poll(fd);
	memset(buffer, 0x77, 64);
	EQ(OK(read(fd, buffer, 32)), 32);
	EQ(walk(buffer, 32, recs, 1), 1);
	EQ(recs[0].hdr.bh_datalen, 80);
	TRUE(memcmp(buffer + 32, "wwww", 4) == 0);
	TRUE(memcmp(recs[0].data, f, 14) == 0);
}

static void
bpf_vlan_next_read(void)
{
	int fd = attached(200), a = raw("feth0");
	uint8_t f[84];

	send_frame(a, 82, 1);		/* 100 bytes; 102 do not fit */
	frame(f, 84, 2);
	memcpy(f + 12, "\x81\x00\x60\x2a\x88\xb5", 6);
	EQ(OK(write(a, f, 84)), 84);
	await_packets(fd, 2);
	EQ(read_records(fd, 200), 1);
	EQ(read_records(fd, 200), 1);
	EQ(recs[0].hdr.bh_caplen, 84);
	TRUE(memcmp(recs[0].data, f, 84) == 0);
}

static int
ndrv(const char *ifname)
{
	struct d_sockaddr_ndrv sa = { 18, 27, "" };
	int fd = (int)OK(socket(D_AF_NDRV, SOCK_RAW, 0));

	memcpy(sa.snd_name, ifname, strlen(ifname));
	OK(bind(fd, (struct sockaddr *)&sa, sizeof(sa)));
	OK(connect(fd, (struct sockaddr *)&sa, sizeof(sa)));
	return fd;
}

static void
bpf_seesent(void)
{
	int fd = attached(4096), n = ndrv("feth5000"), a = raw("feth0");

	bpf_set(fd, D_BIOCSSEESENT, 1);
	send_frame(n, 60, 1);
	send_frame(a, 60, 2);
	await_packets(fd, 2);
	EQ(read_records(fd, 4096), 2);
	TRUE(is_frame(&recs[0], 60, 1) && is_frame(&recs[1], 60, 2));
}

static void
bpf_seesent_default(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR | O_NONBLOCK));

	OK(bpf_setif(fd, "feth5000"));
	send_frame(ndrv("feth5000"), 60, 1);
	EQ(read_records(fd, 4096), 1);
}

static void
bpf_not_seesent(void)
{
	int fd = attached(4096), n = ndrv("feth5000"), a = raw("feth0");

	send_frame(n, 60, 1);
	send_frame(a, 60, 2);
	EQ(read_records(fd, 4096), 1);
	TRUE(is_frame(&recs[0], 60, 2));
}

static void
bpf_flush(void)
{
	int fd = attached(4096), a = raw("feth0");
	struct d_bpf_stat stat;

	send_frame(a, 60, 1);
	await_packets(fd, 1);
	OK(ioctl(fd, D_BIOCFLUSH, NULL));
	OK(ioctl(fd, D_BIOCGSTATS, &stat));
	EQ(stat.bs_recv, 0);
	send_frame(a, 60, 2);
	EQ(read_records(fd, 4096), 1);
	TRUE(is_frame(&recs[0], 60, 2));
}

static void
bpf_drops(void)
{
	int fd = attached(16384), a = raw("feth0");
	struct d_bpf_stat stat;
	unsigned int i, kept = 0;
	ssize_t n;

	for (i = 0; i < 2000; i++)
		send_frame(a, 1514, (uint8_t)i);
	await_packets(fd, 2000);
	OK(ioctl(fd, D_BIOCGSTATS, &stat));
	EQ(stat.bs_recv, 2000);
	while ((n = read(fd, buffer, 16384)) != -1)
		kept += walk(buffer, (size_t)n, recs, 4096);
	/* the kernel's two buffers hold 20 */
	TRUE(kept >= 20 && kept <= 200);
	EQ(stat.bs_drop, 2000 - kept);
}

static void
bpf_read_waits(void)
{
	int fd = attached(4096), a = raw("feth0"), i;
	pid_t pid;

	OK(fcntl(fd, F_SETFL, 0));
	for (i = 0; i < 20; i++) {
		if ((pid = (pid_t)OK(fork())) == 0) {
			send_frame(a, 60, 1);
			_exit(0);
		}
		EQ(OK(read(fd, buffer, 4096)), 18 + 60);
		wait_status(pid);
	}
}

static void
bpf_read_fills(void)
{
	int fd = attached(4096), a = raw("feth0"), i;
	pid_t pid;

	OK(fcntl(fd, F_SETFL, 0));
	bpf_set(fd, D_BIOCIMMEDIATE, 0);
	if ((pid = (pid_t)OK(fork())) == 0) {
		for (i = 0; i < 5; i++) {
			send_frame(a, 1000, (uint8_t)i);
			usleep(10000);
		}
		_exit(0);
	}
	EQ(read_records(fd, 4096), 4);
	wait_status(pid);
}

static void
bpf_read_times_out(void)
{
	int fd = attached(4096);
	struct d_timeval tv = { 0, 20000, 0 };

	OK(fcntl(fd, F_SETFL, 0));
	OK(ioctl(fd, D_BIOCSRTIMEOUT, &tv));
	EQ(OK(read(fd, buffer, 4096)), 0);
	bpf_set(fd, D_BIOCIMMEDIATE, 0);
	send_frame(raw("feth0"), 60, 1);
	await_packets(fd, 1);
	EQ(OK(read(fd, buffer, 4096)), 18 + 60);
}

static void
on_signal(int sig)
{
	(void)sig;
}

static void
bpf_read_interrupted(void)
{
	int fd = attached(4096);
	struct sigaction sa = { .sa_handler = on_signal };
	struct itimerval it = { { 0, 10000 }, { 0, 10000 } };

	OK(fcntl(fd, F_SETFL, 0));
	OK(sigaction(SIGALRM, &sa, NULL));
	OK(setitimer(ITIMER_REAL, &it, NULL));
	REFUSED(read(fd, buffer, 4096), EINTR);
	it = (struct itimerval){ 0 };
	OK(setitimer(ITIMER_REAL, &it, NULL));
	bpf_set(fd, D_BIOCIMMEDIATE, 0);
	send_frame(raw("feth0"), 60, 1);
	await_packets(fd, 1);
	it = (struct itimerval){ { 0, 10000 }, { 0, 10000 } };
	OK(setitimer(ITIMER_REAL, &it, NULL));
	EQ(OK(read(fd, buffer, 4096)), 18 + 60);
}

static void
bpf_gone(void)
{
	int fd = attached(4096);
	uint32_t u = 8192;

	send_frame(raw("feth0"), 60, 1);
	await_packets(fd, 1);
	OK(system("ip link del feth0"));
	EQ(read_records(fd, 4096), 1);
	REFUSED(read(fd, buffer, 4096), ENXIO);
	REFUSED(read(fd, buffer, 4096), ENXIO);
	REFUSED(bpf_u(fd, D_BIOCGDLT, &u), EINVAL);
	OK(bpf_u(fd, D_BIOCSBLEN, &u));
}

static void
bpf_gone_wakes(void)
{
	int fd = attached(4096);
	pid_t pid;

	if ((pid = (pid_t)OK(fork())) == 0)
		exit(system("ip link del feth0"));
	await_poll(fd);
	REFUSED(read(fd, buffer, 4096), ENXIO);
	wait_status(pid);
}

static void
bpf_gone_wakes_reader(void)
{
	int fd = attached(4096);
	pid_t pid;

	OK(fcntl(fd, F_SETFL, 0));
	if ((pid = (pid_t)OK(fork())) == 0)
		exit(system("ip link del feth0"));
	REFUSED(read(fd, buffer, 4096), ENXIO);
	wait_status(pid);
}

static void
bpf_gone_same_name(void)
{
	int fd = attached(4096);

	OK(system("ip link del feth0 && ip link add feth0 type veth "
	    "peer name feth5000 && ip link set feth0 up && "
	    "ip link set feth5000 up"));
	settle();
	REFUSED(read(fd, buffer, 4096), ENXIO);
	OK(bpf_setif(fd, "feth5000"));
	send_frame(raw("feth0"), 60, 1);
	EQ(read_records(fd, 4096), 1);
}

static void
bpf_down_and_up(void)
{
	int fd = attached(4096);

	OK(system("ip link set feth5000 down"));
	REFUSED(read(fd, buffer, 4096), EWOULDBLOCK);
	OK(system("ip link set feth5000 up"));
	REFUSED(read(fd, buffer, 4096), EWOULDBLOCK);
	settle();
	send_frame(raw("feth0"), 60, 1);
	EQ(read_records(fd, 4096), 1);
}

static void
bpf_attached_down(void)
{
	int fd;

	OK(system("ip link set feth5000 down"));
	fd = attached(4096);
	REFUSED(read(fd, buffer, 4096), EWOULDBLOCK);
	OK(system("ip link set feth5000 up"));
	settle();
	send_frame(raw("feth0"), 60, 1);
	EQ(read_records(fd, 4096), 1);
}

/* --- real frames --------------------------------------------------------- */

static int
udp_to_10_9_9_2(void)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET, .sin_port = htons(7),
		.sin_addr.s_addr = htonl(0x0a090902),
	};
	int fd;

	OK(system("ip addr add 10.9.9.1/24 dev feth0 && ip neigh add 10.9.9.2 "
	    "lladdr 02:00:00:00:00:99 nud permanent dev feth0"));
	fd = (int)OK(socket(AF_INET, SOCK_DGRAM, 0));
	OK(connect(fd, (struct sockaddr *)&sin, sizeof(sin)));
	return fd;
}

static uint32_t
sum16(const uint8_t *p, size_t len, uint32_t sum)
{
	size_t i;

	for (i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void
check_udp(const struct record *rec, size_t payload)
{
	EQ(rec->hdr.bh_datalen, (int64_t)(14 + 20 + 8 + payload));
	EQ(rec->hdr.bh_caplen, rec->hdr.bh_datalen);
	EQ(sum16(rec->data + 14, 20, 0), 0xffff);
	/* addresses, protocol and length, then header and payload */
	EQ(sum16(rec->data + 34, 8 + payload, sum16(rec->data + 26, 8,
	    17 + 8 + (uint32_t)payload)), 0xffff);
}

static void
real_checksums(void)
{
	int fd = attached(4096), s = udp_to_10_9_9_2();

	EQ(OK(write(s, "twelve bytes", 12)), 12);
	EQ(read_records(fd, 4096), 1);
	check_udp(&recs[0], 12);
}

static void
real_sizes(void)
{
	int fd = attached(16384), s = udp_to_10_9_9_2(), gso = 1000, i;
	uint8_t data[5000];

	memset(data, 'x', sizeof(data));
	OK(setsockopt(s, IPPROTO_UDP, UDP_SEGMENT, &gso, sizeof(gso)));
	EQ(OK(write(s, data, 5000)), 5000);
	await_packets(fd, 5);
	EQ(read_records(fd, 16384), 5);
	for (i = 0; i < 5; i++)
		check_udp(&recs[i], 1000);
}

static void
real_frames_sent(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR | O_NONBLOCK)), s;

	OK(bpf_setif(fd, "feth0"));
	s = udp_to_10_9_9_2();
	EQ(OK(write(s, "twelve bytes", 12)), 12);
	EQ(read_records(fd, 4096), 1);
	check_udp(&recs[0], 12);
}

static void
real_frames_for_ndrv(void)
{
	struct record rec;
	int a = raw("feth5000"), s;
	ssize_t n;

	ndrv("feth5000");
	s = udp_to_10_9_9_2();
	EQ(OK(write(s, "twelve bytes", 12)), 12);
	await_poll(a);
	n = OK(read(a, buffer, sizeof(buffer)));
	rec.hdr.bh_caplen = rec.hdr.bh_datalen = (uint32_t)n;
	rec.data = buffer;
	check_udp(&rec, 12);
}

/* --- AF_NDRV -------------------------------------------------------------- */

static int
ndrv_call(int (*call)(int, const struct sockaddr *, socklen_t), int fd,
    const char *name, socklen_t len)
{
	struct d_sockaddr_ndrv sa;

	memset(&sa, 0, sizeof(sa));
	sa.snd_len = 18;
	sa.snd_family = 27;
	memcpy(sa.snd_name, name, strlen(name));
	return call(fd, (struct sockaddr *)&sa, len);
}

static int
do_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	return bind(fd, sa, len);
}

static int
do_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	return connect(fd, sa, len);
}

static int
new_ndrv(void)
{
	return (int)OK(socket(D_AF_NDRV, SOCK_RAW, 0));
}

static void
ndrv_type(void)
{
	REFUSED(socket(D_AF_NDRV, SOCK_DGRAM, 0), EPROTONOSUPPORT);
	REFUSED(socket(D_AF_NDRV, SOCK_RAW | SOCK_CLOEXEC, 0),
	    EPROTONOSUPPORT);
	REFUSED(socket(D_AF_NDRV, SOCK_RAW | SOCK_NONBLOCK, 0),
	    EPROTONOSUPPORT);
	EQ(OK(fcntl(new_ndrv(), F_GETFD)), 0);
}

static void
ndrv_not_root(void)
{
	not_root();
	REFUSED(socket(D_AF_NDRV, SOCK_RAW, 0), EPERM);
}

static void
ndrv_bind_unknown(void)
{
	REFUSED(ndrv_call(do_bind, new_ndrv(), "feth7", 18), EADDRNOTAVAIL);
	REFUSED(ndrv_call(do_bind, new_ndrv(), "lo", 18), EADDRNOTAVAIL);
}

static void
ndrv_bind_empty(void)
{
	REFUSED(ndrv_call(do_bind, new_ndrv(), "", 18), EINVAL);
}

static void
ndrv_bind_short(void)
{
	int fd = new_ndrv();

	REFUSED(ndrv_call(do_bind, fd, "feth5000", 1), EINVAL);
	REFUSED(ndrv_call(do_bind, fd, "feth5000", 256), ENAMETOOLONG);
	/* 2 + "feth" */
	REFUSED(ndrv_call(do_bind, fd, "feth5000", 6), EADDRNOTAVAIL);
}

static void
ndrv_bind_twice(void)
{
	int fd = new_ndrv();

	OK(ndrv_call(do_bind, fd, "feth5000", 18));
	REFUSED(ndrv_call(do_bind, fd, "feth5000", 18), EINVAL);
}

static void
ndrv_bind_after_failure(void)
{
	int fd = new_ndrv();

	REFUSED(ndrv_call(do_bind, fd, "feth7", 18), EADDRNOTAVAIL);
	REFUSED(ndrv_call(do_bind, fd, "feth5000", 18), EINVAL);
}

static void
ndrv_connect_short(void)
{
	int fd = new_ndrv();

	REFUSED(ndrv_call(do_connect, fd, "feth5000", 17), EINVAL);
	OK(ndrv_call(do_connect, fd, "feth5000", 18));
}

static void
ndrv_connect_twice(void)
{
	int fd = ndrv("feth5000");

	OK(signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -1 : 0);
	EQ(OK(write(fd, buffer, 60)), 60);
	OK(ndrv_call(do_connect, fd, "feth5000", 18));
	REFUSED(write(fd, buffer, 60), EPIPE);
}

static void
ndrv_write_unconnected(void)
{
	int fd = new_ndrv();

	OK(ndrv_call(do_bind, fd, "feth5000", 18));
	REFUSED(write(fd, buffer, 60), EDESTADDRREQ);
}

static void
ndrv_write_unbound(void)
{
	int fd = new_ndrv();

	OK(ndrv_call(do_connect, fd, "feth5000", 18));
	REFUSED(write(fd, buffer, 60), EINVAL);
}

static void
receive_frame(int fd, size_t len, uint8_t which)
{
	uint8_t got[17000], want[17000];

	await_poll(fd);
	EQ(OK(read(fd, got, sizeof(got))), (int64_t)len);
	frame(want, len, which);
	TRUE(memcmp(got, want, len) == 0);
}

static void
ndrv_write_arrives(void)
{
	int a = raw("feth0"), n = ndrv("feth5000");

	send_frame(n, 60, 1);
	send_frame(n, 1514, 2);
	receive_frame(a, 60, 1);
	receive_frame(a, 1514, 2);
}

static void
ndrv_sndbuf_default(void)
{
	int n = ndrv("feth5000"), v = 0;
	socklen_t len = sizeof(v);

	OK(getsockopt(n, SOL_SOCKET, SO_SNDBUF, &v, &len));
	EQ(v, 8192);
	EQ(len, 4);
}

static void
ndrv_sndbuf_set(void)
{
	int n = ndrv("feth5000"), v = 20000;
	socklen_t len = sizeof(v);

	OK(setsockopt(n, SOL_SOCKET, SO_SNDBUF, &v, len));
	v = 0;
	OK(getsockopt(n, SOL_SOCKET, SO_SNDBUF, &v, &len));
	EQ(v, 20000);		/* Linux would say 40000 */
}

static void
ndrv_sndbuf_limits(void)
{
	int n = ndrv("feth5000"), v = 0;

	REFUSED(setsockopt(n, SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)), EINVAL);
	v = 7456541;
	REFUSED(setsockopt(n, SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)), ENOBUFS);
	v = 7456540;
	OK(setsockopt(n, SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)));
	REFUSED(setsockopt(n, SOL_SOCKET, SO_SNDBUF, &v, 3), EINVAL);
}

static void
jumbo(void)
{
	OK(system("ip link set feth0 mtu 16370 && "
	    "ip link set feth5000 mtu 16370"));
}

static void
ndrv_emsgsize(void)
{
	int a = raw("feth0"), n = ndrv("feth5000");

	jumbo();
	REFUSED(write(n, buffer, 8193), EMSGSIZE);
	send_frame(n, 8192, 1);
	receive_frame(a, 8192, 1);
}

static void
ndrv_jumbo(void)
{
	int a = raw("feth0"), n = ndrv("feth5000"), v = 16384;

	jumbo();
	OK(setsockopt(n, SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)));
	send_frame(n, 16384, 1);
	receive_frame(a, 16384, 1);
	REFUSED(write(n, buffer, 16385), EMSGSIZE);
}

static void
ndrv_jam(void)
{
	int a = raw("feth0"), b = raw("feth5000"), n = ndrv("feth5000");
	int v = 32768;

	jumbo();
	OK(setsockopt(n, SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)));
	send_frame(n, 60, 1);
	EQ(OK(write(n, buffer, 16385)), 16385);
	send_frame(n, 60, 2);
	send_frame(b, 60, 3);
	receive_frame(a, 60, 1);
	receive_frame(a, 60, 3);
}

/* Does the log have a line with all of these? */
static bool
logged(const char *one, const char *two)
{
	FILE *f = fopen(getenv("DARWIN_MODEL_LOG"), "r");
	char line[2048];
	bool found = false;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		found |= strstr(line, one) != NULL &&
		    strstr(line, two) != NULL;
	if (f != NULL)
		fclose(f);
	return found;
}

static void
ndrv_runts(void)
{
	int a = raw("feth0"), n = ndrv("feth5000");

	EQ(OK(write(n, buffer, 5)), 5);
	EQ(OK(write(n, buffer, 0)), 0);
	send_frame(n, 14, 1);
	receive_frame(a, 14, 1);
	OK(close(n));
	TRUE(logged("totals ", " writes=3 "));
	TRUE(logged("totals ", " runts=2 "));
}

static void
ndrv_oversize(void)
{
	int a = raw("feth0"), n = ndrv("feth5000");

	EQ(OK(write(n, buffer, 1600)), 1600);
	send_frame(n, 60, 1);
	receive_frame(a, 60, 1);
	OK(close(n));
	TRUE(logged("totals ", " oversize=1 "));
}

static void
ndrv_enetdown(void)
{
	int n = ndrv("feth5000"), a = raw("feth0");

	OK(system("ip link set feth5000 down"));
	REFUSED(write(n, buffer, 60), ENETDOWN);
	REFUSED(write(n, buffer, 60), ENETDOWN);
	OK(system("ip link set feth5000 up"));
	settle();
	send_frame(n, 60, 1);
	receive_frame(a, 60, 1);
}

static volatile sig_atomic_t sigpipes;

static void
on_sigpipe(int sig)
{
	(void)sig;
	sigpipes++;
}

static void
ndrv_gone(void)
{
	int n = ndrv("feth5000");
	struct sigaction sa = { .sa_handler = on_sigpipe };

	OK(sigaction(SIGPIPE, &sa, NULL));
	OK(system("ip link del feth0"));
	REFUSED(write(n, buffer, 60), EPIPE);
	EQ(sigpipes, 1);
	REFUSED(write(n, buffer, 60), EPIPE);
	EQ(sigpipes, 2);
	EQ(OK(read(n, buffer, 60)), 0);
}

static void
ndrv_gone_same_name(void)
{
	int n = ndrv("feth5000");

	OK(signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -1 : 0);
	OK(system("ip link del feth0 && ip link add feth0 type veth "
	    "peer name feth5000 && ip link set feth0 up && "
	    "ip link set feth5000 up"));
	settle();
	REFUSED(write(n, buffer, 60), EPIPE);
}

static void
ndrv_gone_kills(void)
{
	int n = ndrv("feth5000"), status;
	pid_t pid;

	OK(system("ip link del feth0"));
	if ((pid = (pid_t)OK(fork())) == 0) {
		_exit(write(n, buffer, 60) == -1 ? 1 : 0);
	}
	status = wait_status(pid);
	TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

static void
ndrv_hears_nothing(void)
{
	int fd = attached(4096), n = ndrv("feth5000");

	OK(fcntl(n, F_SETFL, O_NONBLOCK));
	send_frame(raw("feth0"), 60, 1);
	await_packets(fd, 1);
	REFUSED(read(n, buffer, 4096), EAGAIN);
}

/* --- feth ----------------------------------------------------------------- */

static int
if_ioctl(int fd, unsigned long request, const char *name, struct d_ifreq *ifr)
{
	memset(ifr->name, 0, sizeof(ifr->name));
	memcpy(ifr->name, name, strlen(name));
	return ioctl(fd, request, ifr);
}

static void
feth_flags(void)
{
	static const int domains[] = { AF_INET, AF_INET6, AF_UNIX };
	struct d_ifreq ifr = { 0 };
	size_t i;
	int fd;

	for (i = 0; i < 3; i++) {
		if ((fd = socket(domains[i], SOCK_DGRAM, 0)) == -1 &&
		    errno == EAFNOSUPPORT)
			continue;	/* a kernel without IPv6 */
		OK(fd);
		OK(if_ioctl(fd, D_SIOCGIFFLAGS, "feth0", &ifr));
		/* UP, BROADCAST, RUNNING, SIMPLEX, MULTICAST */
		EQ((uint16_t)ifr.flags, 0x8843);
		ifr.flags &= ~D_IFF_UP;
		OK(if_ioctl(fd, D_SIOCSIFFLAGS, "feth0", &ifr));
		OK(if_ioctl(fd, D_SIOCGIFFLAGS, "feth0", &ifr));
		EQ((uint16_t)ifr.flags, 0x8802);
		OK(if_ioctl(fd, D_SIOCGIFFLAGS, "feth5000", &ifr));
		EQ((uint16_t)ifr.flags, 0x8843);
		ifr.flags = D_IFF_UP;
		OK(if_ioctl(fd, D_SIOCSIFFLAGS, "feth0", &ifr));
		OK(if_ioctl(fd, D_SIOCGIFFLAGS, "feth0", &ifr));
		EQ((uint16_t)ifr.flags, 0x8843);
		OK(close(fd));
	}
}

static void
feth_flags_not_root(void)
{
	struct d_ifreq ifr = { .flags = D_IFF_UP };
	int fd = (int)OK(socket(AF_INET, SOCK_DGRAM, 0));

	not_root();
	REFUSED(if_ioctl(fd, D_SIOCSIFFLAGS, "feth0", &ifr), EPERM);
	OK(if_ioctl(fd, D_SIOCGIFFLAGS, "feth0", &ifr));
}

static void
feth_mtu(void)
{
	struct d_ifreq ifr = { 0 };
	int fd = (int)OK(socket(AF_INET, SOCK_DGRAM, 0));

	OK(if_ioctl(fd, D_SIOCGIFMTU, "feth0", &ifr));
	EQ(ifr.mtu, 1500);
	OK(system("ip link set feth0 mtu 2048"));
	OK(if_ioctl(fd, D_SIOCGIFMTU, "feth0", &ifr));
	EQ(ifr.mtu, 2048);
}

static void
feth_unknown(void)
{
	struct d_ifreq ifr = { 0 };
	int fd = (int)OK(socket(AF_INET, SOCK_DGRAM, 0));

	REFUSED(if_ioctl(fd, D_SIOCGIFFLAGS, "feth7", &ifr), ENXIO);
	REFUSED(if_ioctl(fd, D_SIOCSIFFLAGS, "feth7", &ifr), ENXIO);
	REFUSED(if_ioctl(fd, D_SIOCGIFMTU, "feth7", &ifr), ENXIO);
	REFUSED(if_ioctl(fd, D_SIOCGIFFLAGS, "lo", &ifr), ENXIO);
	OK(system("ip link add feth00 type veth peer name fethx"));
	REFUSED(if_ioctl(fd, D_SIOCGIFFLAGS, "feth00", &ifr), ENXIO);
	REFUSED(if_ioctl(fd, D_SIOCGIFFLAGS, "fethx", &ifr), ENXIO);
}

static int
get_peer(const char *name, uint64_t cmd, uint64_t len,
    struct d_if_fake_request *iffr)
{
	struct d_ifdrv ifd;
	int fd = (int)OK(socket(AF_INET, SOCK_DGRAM, 0)), r, e;

	memset(&ifd, 0, sizeof(ifd));
	memcpy(ifd.ifd_name, name, strlen(name));
	ifd.ifd_cmd = cmd;
	ifd.ifd_len = len;
	ifd.ifd_data = iffr;
	r = ioctl(fd, D_SIOCGDRVSPEC, &ifd);
	e = errno;
	OK(close(fd));
	errno = e;
	return r;
}

static void
feth_peer(void)
{
	struct d_if_fake_request r;

	memset(&r, 0xff, sizeof(r));
	OK(get_peer("feth0", 1, sizeof(r), &r));
	TRUE(strcmp(r.iffr_peer_name, "feth5000") == 0);
	EQ((int64_t)r.iffr_reserved[0], 0);
	OK(get_peer("feth5000", 1, sizeof(r) + 1, &r));
	TRUE(strcmp(r.iffr_peer_name, "feth0") == 0);
}

static void
feth_peer_refused(void)
{
	struct d_if_fake_request r = { 0 };

	REFUSED(get_peer("feth0", 1, sizeof(r) - 1, &r), EINVAL);
	REFUSED(get_peer("feth0", 2, sizeof(r), &r), EOPNOTSUPP);
	REFUSED(get_peer("feth7", 1, sizeof(r), &r), ENXIO);
}

static void
feth_no_peer(void)
{
	struct d_if_fake_request r;

	memset(&r, 0xff, sizeof(r));
	OK(system("ip link add feth3 type veth peer name other"));
	OK(get_peer("feth3", 1, sizeof(r), &r));
	TRUE(r.iffr_peer_name[0] == '\0');
}

static void
feth_peer_elsewhere(void)
{
	struct d_if_fake_request r;
	char command[128];
	unsigned int index = if_nametoindex("feth5000");
	int p[2], q[2];
	pid_t pid;
	char c;

	OK(pipe(p));
	OK(pipe(q));
	if ((pid = (pid_t)OK(fork())) == 0) {
		OK(unshare(CLONE_NEWNET));
		OK(write(p[1], "x", 1));
		EQ(OK(read(q[0], &c, 1)), 1);
		exit(0);
	}
	EQ(OK(read(p[0], &c, 1)), 1);
	snprintf(command, sizeof(command),
	    "ip link set feth5000 netns %d", (int)pid);
	EQ(OK(system(command)), 0);
	/* its number there may well be another's here */
	snprintf(command, sizeof(command),
	    "ip link add feth9 index %u type veth peer name feth8", index);
	EQ(OK(system(command)), 0);
	memset(&r, 0xff, sizeof(r));
	OK(get_peer("feth0", 1, sizeof(r), &r));
	OK(write(q[1], "x", 1));
	wait_status(pid);
	TRUE(r.iffr_peer_name[0] == '\0');
}

static void
feth_not_yet(void)
{
	struct d_ifreq ifr = { 0 };
	int fd = (int)OK(socket(AF_INET, SOCK_DGRAM, 0));

	REFUSED(if_ioctl(fd, D_SIOCIFCREATE, "feth", &ifr), EOPNOTSUPP);
	REFUSED(if_ioctl(fd, D_SIOCIFDESTROY, "feth0", &ifr), EOPNOTSUPP);
	TRUE(logged("SIOCIFCREATE", "EOPNOTSUPP"));
	EQ((int64_t)(if_nametoindex("feth0") != 0), 1);
}

static void
feth_on_ndrv(void)
{
	struct d_ifreq ifr = { 0 };

	OK(if_ioctl(ndrv("feth5000"), D_SIOCGIFFLAGS, "feth0", &ifr));
	EQ((uint16_t)ifr.flags, 0x8843);
}

/* --- faults ---------------------------------------------------------------- */

static void
fault_bpf_busy(void)
{
	REFUSED(open_bpf(0, O_RDWR), EBUSY);
	REFUSED(open_bpf(1, O_RDWR), EBUSY);
	REFUSED(open_bpf(5, O_RDWR), EBUSY);
	REFUSED(open_bpf(7, O_RDWR), ENOENT);
	OK(open_bpf(6, O_RDWR));
	OK(open_bpf(7, O_RDWR));
}

static void
fault_bpf_none(void)
{
	REFUSED(open_bpf(0, O_RDWR), ENOENT);
	REFUSED(open_bpf(3, O_RDWR), ENOENT);
}

static void
fault_bpf_eacces(void)
{
	REFUSED(open_bpf(0, O_RDWR), EACCES);
	REFUSED(open_bpf(9, O_RDWR), ENOENT);
}

static void
fault_bpf_max(void)
{
	OK(open_bpf(0, O_RDWR));
	OK(open_bpf(1, O_RDWR));
	REFUSED(open_bpf(2, O_RDWR), ENOENT);
}

static void
fault_bpf_maxbuf(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));
	uint32_t u = 16384;

	OK(bpf_u(fd, D_BIOCSBLEN, &u));
	EQ(u, 1000);
	EQ(bpf_get(fd, D_BIOCGBLEN), 1000);
}

static void
fault_ndrv_eperm(void)
{
	REFUSED(socket(D_AF_NDRV, SOCK_RAW, 0), EPERM);
}

static void
fault_no_feth(void)
{
	struct d_if_fake_request r;
	struct d_ifreq ifr = { 0 };
	int fd = (int)OK(socket(AF_INET, SOCK_DGRAM, 0));

	REFUSED(if_ioctl(fd, D_SIOCGIFFLAGS, "feth0", &ifr), ENXIO);
	REFUSED(get_peer("feth0", 1, sizeof(r), &r), ENXIO);
	REFUSED(bpf_setif((int)OK(open_bpf(0, O_RDWR)), "feth5000"), ENXIO);
	REFUSED(ndrv_call(do_bind, new_ndrv(), "feth5000", 18),
	    EADDRNOTAVAIL);
}

static void
fault_write_enobufs(void)
{
	int a = raw("feth0"), n = ndrv("feth5000");

	send_frame(n, 60, 1);
	send_frame(n, 60, 2);
	REFUSED(write(n, buffer, 60), ENOBUFS);
	send_frame(n, 60, 4);
	send_frame(n, 60, 5);
	REFUSED(write(n, buffer, 60), ENOBUFS);
	receive_frame(a, 60, 1);
	receive_frame(a, 60, 2);
	receive_frame(a, 60, 4);
	receive_frame(a, 60, 5);
}

static void
fault_truncate(void)
{
	int fd = attached(4096), a = raw("feth0");
	uint8_t want[100];

	send_frame(a, 100, 1);
	send_frame(a, 100, 2);
	send_frame(a, 100, 3);
	await_packets(fd, 3);
	EQ(read_records(fd, 4096), 3);
	TRUE(is_frame(&recs[0], 100, 1) && is_frame(&recs[2], 100, 3));
	EQ(recs[1].hdr.bh_caplen, 50);
	EQ(recs[1].hdr.bh_datalen, 100);
	frame(want, 100, 2);
	TRUE(memcmp(recs[1].data, want, 50) == 0);
	OK(close(fd));
	TRUE(logged("totals ", " cut=1 "));
}

static void
fault_runt(void)
{
	int fd = attached(4096), a = raw("feth0");

	send_frame(a, 100, 1);
	send_frame(a, 100, 2);
	send_frame(a, 100, 3);
	await_packets(fd, 3);
	EQ(read_records(fd, 4096), 3);
	TRUE(is_frame(&recs[0], 100, 1) && is_frame(&recs[2], 100, 3));
	EQ(recs[1].hdr.bh_caplen, 5);
	EQ(recs[1].hdr.bh_datalen, 5);
}

static void
fault_garbage(void)
{
	int fd = attached(4096), a = raw("feth0"), i;
	struct d_bpf_hdr h[2];

	send_frame(a, 60, 1);
	EQ(read_records(fd, 4096), 1);
	TRUE(is_frame(&recs[0], 60, 1));
	send_frame(a, 61, 2);
	send_frame(a, 60, 3);
	await_packets(fd, 3);
	EQ(OK(read(fd, buffer, 4096)), 80 + 78);
	for (i = 0; i < 2; i++) {
		memcpy(&h[i], buffer + i * 80, 18);
		TRUE(h[i].bh_hdrlen != 18 && h[i].bh_caplen != 61u - i);
	}
	TRUE(memcmp(&h[0], &h[1], 18) != 0);
	send_frame(a, 60, 4);
	EQ(read_records(fd, 4096), 1);
	TRUE(is_frame(&recs[0], 60, 4));
}

static void
fault_zero_read(void)
{
	int fd = attached(4096), a = raw("feth0");

	send_frame(a, 60, 1);
	EQ(read_records(fd, 4096), 1);
	REFUSED(read(fd, buffer, 4096), EWOULDBLOCK);
	send_frame(a, 60, 2);
	await_packets(fd, 2);
	EQ(OK(read(fd, buffer, 4096)), 0);
	EQ(read_records(fd, 4096), 1);
	TRUE(is_frame(&recs[0], 60, 2));
}

static void
fault_destroy(void)
{
	int fd = attached(16384), a = raw("feth0"), n = ndrv("feth5000"), i;

	OK(signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -1 : 0);
	send_frame(a, 60, 0);
	EQ(read_records(fd, 16384), 1);
	send_frame(n, 60, 1);
	for (i = 1; i < 8; i++)
		send_frame(a, 60, (uint8_t)i);
	await_packets(fd, 8);
	EQ(read_records(fd, 16384), 4);
	TRUE(is_frame(&recs[3], 60, 4));
	REFUSED(read(fd, buffer, 16384), ENXIO);
	REFUSED(write(n, buffer, 60), EPIPE);
	EQ(if_nametoindex("feth5000"), 0);
}

static void
fault_fail(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));
	uint32_t u = 8192;

	REFUSED(bpf_u(fd, D_BIOCSBLEN, &u), EIO);
	EQ(bpf_get(fd, D_BIOCGBLEN), 4096);
	OK(bpf_u(fd, D_BIOCSBLEN, &u));
}

/* Nothing but a modelled call is counted. */
static void
fault_fail_counts(void)
{
	int fd, p[2];
	char c;

	OK(pipe(p));
	OK(write(p[1], "x", 1));
	OK(read(p[0], &c, 1));
	OK(close((int)OK(socket(AF_INET, SOCK_DGRAM, 0))));
	fd = (int)OK(open_bpf(0, O_RDWR));
	REFUSED(bpf_setif(fd, "feth5000"), EIO);
}

static void
fault_fail_each(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR)), n = new_ndrv();

	REFUSED(close(fd), EIO);
	REFUSED(fcntl(fd, F_GETFD), EBADF);
	OK(open_bpf(0, O_RDWR));
	OK(close(n));
}

static void
dies_of(const char *faults)
{
	pid_t pid = (pid_t)OK(fork());
	int status, null;

	if (pid == 0) {
		OK(setenv("DARWIN_MODEL_FAULT", faults, 1));
		null = (int)OK(open("/dev/null", O_RDWR));
		OK(dup2(null, STDERR_FILENO));
		OK(execl(self, self, "sub", "nothing", NULL));
	}
	status = wait_status(pid);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
		fail("\"%s\" is accepted", faults);
}

static void
fault_strict(void)
{
	dies_of("bpf-buzy=1");
	dies_of("bpf-none,no-such");
	dies_of("bpf-busy");
	dies_of("bpf-busy=");
	dies_of("bpf-busy=x");
	dies_of("bpf-busy=1x");
	dies_of("bpf-busy=-1");
	dies_of("bpf-none=1");
	dies_of("truncate=0");
	dies_of("truncate=-1");
	dies_of("truncate= 1");
	dies_of("fail=1");
	dies_of("fail=1:");
	dies_of("fail=1:EWHAT");
	dies_of("fail=0:EIO");
	dies_of("bpf-none,");
	dies_of("bpf-none ");
}

static void
fault_several(void)
{
	REFUSED(open_bpf(0, O_RDWR), EBUSY);
	OK(open_bpf(1, O_RDWR));
	REFUSED(socket(D_AF_NDRV, SOCK_RAW, 0), EPERM);
}

/* --- what is not ours -------------------------------------------------------- */

static void
other_descriptors(void)
{
	char path[] = "/tmp/model-test.XXXXXX", c[8];
	int fd, p[2], v = 0;
	socklen_t len = sizeof(v);
	struct stat st;

	attached(4096);
	ndrv("feth5000");
	fd = (int)OK(mkstemp(path));
	OK(close(fd));
	OK(unlink(path));
	OK(umask(0) == 0777 ? -1 : 0);
	fd = (int)OK(open(path, O_RDWR | O_CREAT | O_EXCL, 0641));
	OK(fstat(fd, &st));
	OK(unlink(path));
	EQ(st.st_mode & 0777, 0641);
	EQ(OK(write(fd, "abcdef", 6)), 6);
	OK(lseek(fd, 0, SEEK_SET));
	EQ(OK(read(fd, c, 8)), 6);
	EQ(OK(read(fd, c, 8)), 0);
	REFUSED(ioctl(fd, D_BIOCGBLEN, c), ENOTTY);
	REFUSED(ioctl(fd, D_SIOCGIFFLAGS, c), ENOTTY);
	REFUSED(bind(fd, NULL, 0), ENOTSOCK);
	OK(close(fd));
	REFUSED(close(fd), EBADF);
	REFUSED(read(fd, c, 1), EBADF);
	REFUSED(write(-1, c, 1), EBADF);
	REFUSED(open("/nonexistent/file", O_RDONLY), ENOENT);
	OK(pipe(p));
	EQ(OK(write(p[1], "x", 1)), 1);
	OK(ioctl(p[0], FIONREAD, &v));
	EQ(v, 1);
	REFUSED(getsockopt(p[0], SOL_SOCKET, SO_TYPE, &v, &len), ENOTSOCK);
	fd = (int)OK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	OK(getsockopt(fd, SOL_SOCKET, SO_TYPE, &v, &len));
	EQ(v, SOCK_STREAM);
}

/* sshd-auth's lot: read and write, and no other system call. */
static void
other_calls_unseen(void)
{
	int p[2], status;
	pid_t pid;
	char c;

	OK(pipe(p));
	attached(4096);
	if ((pid = (pid_t)OK(fork())) == 0) {
		OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
		if (write(p[1], "x", 1) != 1 || read(p[0], &c, 1) != 1)
			syscall(SYS_exit, 1);
		syscall(SYS_exit, 0);
	}
	status = wait_status(pid);
	TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
closed_behind_our_back(void)
{
	int fd = attached(4096), n = ndrv("feth5000"), p[2];
	char c;

	EQ(n, fd + 1);
	closefrom(fd);
	OK(pipe(p));
	EQ(p[0], fd);
	EQ(p[1], n);
	EQ(OK(write(p[1], "x", 1)), 1);
	EQ(OK(read(p[0], &c, 1)), 1);
	EQ(c, 'x');
	OK(close(p[0]));
	OK(close(p[1]));
	OK(open_bpf(0, O_RDWR));
}

/* Also if only the visible descriptor was closed and not what holds on. */
static void
closed_one_of_two(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR));

	OK((int)syscall(SYS_close, fd));
	OK(open_bpf(0, O_RDWR));
}

static void
closed_and_new_socket(void)
{
	int fd = (int)OK(open_bpf(0, O_RDWR)), v = 0;
	socklen_t len = sizeof(v);

	OK((int)syscall(SYS_close, fd));
	EQ(OK(socket(AF_INET, SOCK_DGRAM, 0)), fd);
	OK(getsockopt(fd, SOL_SOCKET, SO_TYPE, &v, &len));
	EQ(v, SOCK_DGRAM);
}

static int
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	TRUE(d != NULL);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void
no_leaks(void)
{
	int before = count_fds(), fd, n;

	fd = attached(4096);
	REFUSED(open_bpf(0, O_RDWR), EBUSY);
	REFUSED(open_bpf(9, O_RDWR), ENOENT);
	REFUSED(bpf_setif(fd, "feth7"), ENXIO);
	n = ndrv("feth5000");
	send_frame(n, 60, 1);
	feth_peer();
	OK(close(n));
	OK(close(fd));
	EQ(count_fds(), before);
}

static void
child_closes(void)
{
	int fd = attached(4096), n = ndrv("feth5000");
	int status;
	pid_t pid;
	char tag[32];

	if ((pid = (pid_t)OK(fork())) == 0) {
		OK(close(fd));
		OK(close(n));
		REFUSED(open_bpf(0, O_RDWR), EBUSY);
		exit(0);
	}
	status = wait_status(pid);
	TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* nor has it totals to log */
	snprintf(tag, sizeof(tag), "pid=%d totals", (int)pid);
	TRUE(!logged(tag, ""));
	send_frame(n, 60, 1);
	send_frame(raw("feth0"), 60, 2);
	EQ(read_records(fd, 4096), 1);
	TRUE(is_frame(&recs[0], 60, 2));
}

/* ssh -f: the parent goes, the child carries on. */
static void
child_carries_on(void)
{
	int fd = attached(4096), n = ndrv("feth5000"), a = raw("feth0");
	int status;
	pid_t pid;

	if ((pid = (pid_t)OK(fork())) == 0) {
		send_frame(a, 60, 2);
		EQ(read_records(fd, 4096), 1);
		send_frame(n, 60, 3);
		receive_frame(a, 60, 3);
		exit(0);
	}
	OK((int)syscall(SYS_close, fd));
	OK((int)syscall(SYS_close, n));
	status = wait_status(pid);
	TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int thread_fd;

static void *
blocked_reader(void *arg)
{
	(void)arg;
	EQ(OK(read(thread_fd, buffer, 4096)), 18 + 60);
	return NULL;
}

static void
other_threads(void)
{
	int a = raw("feth0");
	pthread_t t;

	thread_fd = attached(4096);
	OK(fcntl(thread_fd, F_SETFL, 0));
	EQ(pthread_create(&t, NULL, blocked_reader, NULL), 0);
	usleep(20000);
	OK(close(ndrv("feth5000")));
	OK(close((int)OK(open_bpf(1, O_RDWR))));
	send_frame(a, 60, 1);
	EQ(pthread_join(t, NULL), 0);
}

static void
fortified(void)
{
	extern int __open_2(const char *, int);
	extern int __open64_2(const char *, int);
	extern ssize_t __read_chk(int, void *, size_t, size_t);
	int fd = (int)OK(__open_2("/dev/bpf0", O_RDWR | O_NONBLOCK));

	OK(bpf_setif(fd, "feth5000"));
	send_frame(raw("feth0"), 60, 1);
	await_poll(fd);
	EQ(OK(__read_chk(fd, buffer, 4096, sizeof(buffer))), 18 + 60);
	OK(__open64_2("/dev/bpf1", O_RDWR));
	OK(open64("/dev/bpf2", O_RDWR));
	REFUSED(__open_2("/dev/bpf0", O_RDWR), EBUSY);
}

/* --- the log ------------------------------------------------------------------ */

static void
log_calls(void)
{
	int fd = attached(4096), n = ndrv("feth5000"), v = 9000;

	REFUSED(open_bpf(0, O_RDWR), EBUSY);
	OK(setsockopt(n, SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)));
	feth_peer();
	OK(close(fd));
	TRUE(logged("open(/dev/bpf0, 0x802)", " = "));
	TRUE(logged("open(/dev/bpf0, 0x2)", " = -1 EBUSY"));
	TRUE(logged("BIOCSBLEN 0xc0044266, in=00100000 out=00100000)",
	    " = 0"));
	TRUE(logged("BIOCSETIF 0x8020426c, in=6665746835303030", " = 0"));
	TRUE(logged("socket(AF_NDRV, 0x3, 0)", " = "));
	TRUE(logged("bind(", "121b66657468353030300000000000000000, 18) = 0"));
	TRUE(logged("connect(", ", 18) = 0"));
	TRUE(logged("setsockopt(", "SO_SNDBUF 7, 28230000) = 0"));
	TRUE(logged("SIOCGDRVSPEC 0xc028697b", " = 0"));
	TRUE(logged("close(", " = 0"));
	TRUE(!logged("read(", "") && !logged("write(", ""));
}

static void
log_totals(void)
{
	int fd = attached(4096), n = ndrv("feth5000"), a = raw("feth0");
	char pid[32];

	send_frame(a, 60, 1);
	EQ(read_records(fd, 4096), 1);
	send_frame(a, 60, 2);
	send_frame(a, 62, 3);
	await_packets(fd, 3);
	EQ(read_records(fd, 4096), 2);
	send_frame(n, 60, 4);
	REFUSED(write(n, buffer, 9000), EMSGSIZE);
	OK(close(fd));
	OK(close(n));
	snprintf(pid, sizeof(pid), "pid=%d totals ", (int)getpid());
	TRUE(logged(pid, " bpf0 if=feth5000 reads=2 packets=3 max_packets=2 "
	    "bytes=238 cut=0 drops=0"));
	TRUE(logged(pid, " ndrv if=feth5000 writes=2 bytes=60 errors=1 "
	    "runts=0 oversize=0 jammed=0"));
	TRUE(logged("write(", " = -1 EMSGSIZE"));
	/* and no more than that */
	TRUE(!logged("read(", "") && !logged("write(", " = 60"));
}

static void
log_totals_at_exit(void)
{
	pid_t pid;
	char tag[64];

	if ((pid = (pid_t)OK(fork())) == 0) {
		attached(4096);
		_exit(0);
	}
	wait_status(pid);
	snprintf(tag, sizeof(tag), "pid=%d totals-at-exit ", (int)pid);
	TRUE(logged(tag, " bpf0 if=feth5000 reads=0 "));
	if ((pid = (pid_t)OK(fork())) == 0) {
		ndrv("feth5000");
		exit(0);
	}
	wait_status(pid);
	snprintf(tag, sizeof(tag), "pid=%d totals-at-exit ", (int)pid);
	TRUE(logged(tag, " ndrv if=feth5000 writes=0 "));
}

static void
log_each_read(void)
{
	int fd = attached(4096), n = ndrv("feth5000");

	if (getenv("DARWIN_MODEL_LOG_IO") == NULL) {
		OK(setenv("DARWIN_MODEL_LOG_IO", "1", 1));
		OK(close(fd));
		OK(close(n));
		OK(execl(self, self, "log_each_read", NULL));
	}
	send_frame(raw("feth0"), 60, 1);
	EQ(read_records(fd, 4096), 1);
	send_frame(n, 60, 2);
	TRUE(logged("read(", " bpf, 4096, packets=1) = 78"));
	TRUE(logged("write(", " ndrv, 60) = 60"));
}

/* --- all of them ---------------------------------------------------------------- */

static const struct test {
	const char	*function;
	void		(*run)(void);
	const char	*faults;
	const char	*name;
} tests[] = {
#define T(f, faults, name) { #f, f, faults, name }
	T(bpf_nodes_at_boot, "", "bpf: four nodes at boot, ENOENT beyond"),
	T(bpf_new_node, "", "bpf: opening the last node makes the next"),
	T(bpf_node_stays, "", "bpf: a node once made stays"),
	T(bpf_node_for_others, "", "bpf: a new node is there for others, as long as the last is held"),
	T(bpf_last_node, "", "bpf: bpf255 is the last node"),
	T(bpf_no_such_name, "", "bpf: ENOENT for names that are no node's"),
	T(bpf_busy_same, "", "bpf: EBUSY for a minor that this process holds"),
	T(bpf_busy_other, "", "bpf: EBUSY for a minor that another process holds"),
	T(bpf_freed_by_kill, "", "bpf: a minor is free when its holder is killed"),
	T(bpf_not_root, "", "bpf: EACCES for whoever is not root"),
	T(bpf_wronly, "", "bpf: EBADF for read of what is open for writing only"),
	T(bpf_rdonly, "", "bpf: EBADF for write to what is open for reading only"),
	T(bpf_open_flags, "", "bpf: open takes O_CLOEXEC and O_NONBLOCK, and neither by itself"),
	T(bpf_buflen, "", "bpf: BIOCSBLEN sets and returns, 4096 by default"),
	T(bpf_buflen_cap, "", "bpf: BIOCSBLEN lowers to 512 KiB"),
	T(bpf_buflen_min, "", "bpf: BIOCSBLEN raises to 32"),
	T(bpf_buflen_attached, "", "bpf: EINVAL for BIOCSBLEN with an interface"),
	T(bpf_promisc_early, "", "bpf: EINVAL for BIOCPROMISC without an interface"),
	T(bpf_dlt, "", "bpf: BIOCGDLT is Ethernet, EINVAL without an interface"),
	T(bpf_getif, "", "bpf: BIOCGETIF names the interface, EINVAL without"),
	T(bpf_setif_unknown, "", "bpf: ENXIO for BIOCSETIF to an unknown interface"),
	T(bpf_setif_moves, "", "bpf: a second BIOCSETIF moves, and forgets what was captured"),
	T(bpf_early_settings, "", "bpf: IMMEDIATE, SEESENT and HDRCMPLT before BIOCSETIF"),
	T(bpf_version, "", "bpf: BIOCVERSION is 1.1"),
	T(bpf_timeouts, "", "bpf: BIOCSRTIMEOUT in ticks, EINVAL for no timeval"),
	T(bpf_unknown_ioctl, "", "bpf: EINVAL for an unknown ioctl"),
	T(bpf_no_argument, "", "bpf: EFAULT for an ioctl without its argument"),
	T(bpf_is_no_socket, "", "bpf: ENOTSOCK for socket calls"),
	T(bpf_fionbio, "", "bpf: FIONBIO"),
	T(bpf_read_length, "", "bpf: EINVAL for a read of anything but the buffer's length"),
	T(bpf_read_unattached, "", "bpf: ENXIO for a read without an interface"),
	T(bpf_read_empty, "", "bpf: EWOULDBLOCK when there is nothing"),
	T(bpf_read_many, "", "bpf: a read carries all packets there are, in order"),
	T(bpf_read_not_immediate, "", "bpf: a non-blocking read gets what there is without BIOCIMMEDIATE too"),
	T(bpf_header, "", "bpf: bh_hdrlen is 18, 32-bit timestamp, caplen and datalen"),
	T(bpf_alignment, "", "bpf: records are aligned to 4, the last is not padded"),
	T(bpf_padding, "", "bpf: padding between records is not zero"),
	T(bpf_next_read, "", "bpf: a packet that does not fit waits for the next read, and for poll"),
	T(bpf_exact_fit, "", "bpf: a packet that just fits is not put off"),
	T(bpf_cut, "", "bpf: a packet larger than the buffer is cut"),
	T(bpf_big_frames, "", "bpf: frames of 16384 bytes are whole in a large buffer"),
	T(bpf_big_buffer, "", "bpf: a large buffer holds what fits"),
	T(bpf_any_destination, "", "bpf: frames to any destination, without BIOCPROMISC"),
	T(bpf_vlan, "", "bpf: VLAN tags stay in the frame"),
	T(bpf_vlan_cut, "", "bpf: a frame cut within its VLAN tag"),
	T(bpf_vlan_next_read, "", "bpf: a tagged packet that does not fit waits for the next read"),
	T(bpf_seesent, "", "bpf: BIOCSSEESENT 1 sees what AF_NDRV writes"),
	T(bpf_seesent_default, "", "bpf: what AF_NDRV writes is seen by default"),
	T(bpf_not_seesent, "", "bpf: BIOCSSEESENT 0 does not see what AF_NDRV writes"),
	T(bpf_flush, "", "bpf: BIOCFLUSH forgets packets and counts"),
	T(bpf_drops, "", "bpf: what does not fit its buffers is dropped and counted"),
	T(bpf_read_waits, "", "bpf: a blocking immediate read waits for one packet"),
	T(bpf_read_fills, "", "bpf: a blocking read waits for a full buffer"),
	T(bpf_read_times_out, "", "bpf: BIOCSRTIMEOUT ends a read, with 0 if there is nothing"),
	T(bpf_read_interrupted, "", "bpf: a signal ends a read, with EINTR if there is nothing"),
	T(bpf_gone, "", "bpf: the interface gone, what was captured is read, then ENXIO"),
	T(bpf_gone_wakes, "", "bpf: the interface going wakes poll"),
	T(bpf_gone_wakes_reader, "", "bpf: the interface going wakes a blocked read"),
	T(bpf_gone_same_name, "", "bpf: an interface of the same name is not the same"),
	T(bpf_down_and_up, "", "bpf: down and up again is no error"),
	T(bpf_attached_down, "", "bpf: BIOCSETIF to an interface that is down, then up"),
	T(real_checksums, "", "bpf: frames have their checksums"),
	T(real_sizes, "", "bpf: frames are no larger than the MTU"),
	T(real_frames_sent, "", "bpf: frames seen on their way out have their checksums"),
	T(real_frames_for_ndrv, "", "AF_NDRV: bind switches offloads off, at both ends"),
	T(ndrv_type, "", "AF_NDRV: EPROTONOSUPPORT for any type but SOCK_RAW, flags included"),
	T(ndrv_not_root, "", "AF_NDRV: EPERM for whoever is not root"),
	T(ndrv_bind_unknown, "", "AF_NDRV: EADDRNOTAVAIL for bind to an unknown interface"),
	T(ndrv_bind_empty, "", "AF_NDRV: EINVAL for bind to no name"),
	T(ndrv_bind_short, "", "AF_NDRV: bind goes by the length it is given"),
	T(ndrv_bind_twice, "", "AF_NDRV: EINVAL for a second bind"),
	T(ndrv_bind_after_failure, "", "AF_NDRV: EINVAL for bind after one that failed"),
	T(ndrv_connect_short, "", "AF_NDRV: EINVAL for connect to a short address"),
	T(ndrv_connect_twice, "", "AF_NDRV: a second connect ends all writing"),
	T(ndrv_write_unconnected, "", "AF_NDRV: EDESTADDRREQ for write without connect"),
	T(ndrv_write_unbound, "", "AF_NDRV: EINVAL for write without bind"),
	T(ndrv_write_arrives, "", "AF_NDRV: a written frame arrives as it is"),
	T(ndrv_sndbuf_default, "", "AF_NDRV: SO_SNDBUF is 8192 by default"),
	T(ndrv_sndbuf_set, "", "AF_NDRV: SO_SNDBUF is what it was set to"),
	T(ndrv_sndbuf_limits, "", "AF_NDRV: EINVAL and ENOBUFS for SO_SNDBUF out of range"),
	T(ndrv_emsgsize, "", "AF_NDRV: EMSGSIZE for a frame larger than SO_SNDBUF"),
	T(ndrv_jumbo, "", "AF_NDRV: frames of 16384 bytes with a larger SO_SNDBUF"),
	T(ndrv_jam, "", "AF_NDRV: a frame of more than 16384 bytes jams feth"),
	T(ndrv_runts, "", "AF_NDRV: a frame without a whole header is taken, and counted"),
	T(ndrv_oversize, "", "AF_NDRV: a frame larger than the MTU is taken, and counted"),
	T(ndrv_enetdown, "", "AF_NDRV: ENETDOWN while the interface is down"),
	T(ndrv_gone, "", "AF_NDRV: EPIPE, SIGPIPE and end of file once the interface is gone"),
	T(ndrv_gone_same_name, "", "AF_NDRV: an interface of the same name is not the same"),
	T(ndrv_gone_kills, "", "AF_NDRV: SIGPIPE kills whoever does not handle it"),
	T(ndrv_hears_nothing, "", "AF_NDRV: nothing to read"),
	T(feth_flags, "", "feth: SIOCGIFFLAGS and SIOCSIFFLAGS on any socket, with Darwin's flags"),
	T(feth_flags_not_root, "", "feth: EPERM for SIOCSIFFLAGS of whoever is not root"),
	T(feth_mtu, "", "feth: SIOCGIFMTU"),
	T(feth_unknown, "", "feth: ENXIO for an unknown interface"),
	T(feth_peer, "", "feth: SIOCGDRVSPEC names the peer"),
	T(feth_peer_refused, "", "feth: SIOCGDRVSPEC's refusals"),
	T(feth_no_peer, "", "feth: no peer, an empty name"),
	T(feth_peer_elsewhere, "", "feth: a peer in another namespace is no peer"),
	T(feth_not_yet, "", "feth: what the model lacks is refused and logged"),
	T(feth_on_ndrv, "", "feth: interface ioctls on an AF_NDRV socket"),
	T(fault_bpf_busy, "bpf-busy=6", "fault bpf-busy"),
	T(fault_bpf_none, "bpf-none", "fault bpf-none"),
	T(fault_bpf_eacces, "bpf-eacces", "fault bpf-eacces"),
	T(fault_bpf_max, "bpf-max=1", "fault bpf-max"),
	T(fault_bpf_maxbuf, "bpf-maxbuf=1000", "fault bpf-maxbuf"),
	T(fault_ndrv_eperm, "ndrv-eperm", "fault ndrv-eperm"),
	T(fault_no_feth, "no-feth", "fault no-feth"),
	T(fault_write_enobufs, "write-enobufs=3", "fault write-enobufs"),
	T(fault_truncate, "truncate=2", "fault truncate"),
	T(fault_runt, "runt=2", "fault runt"),
	T(fault_garbage, "garbage=2", "fault garbage"),
	T(fault_zero_read, "zero-read=2", "fault zero-read"),
	T(fault_destroy, "destroy=5", "fault destroy"),
	T(fault_fail, "fail=2:EIO", "fault fail, the call has no effect"),
	T(fault_fail_counts, "fail=2:EIO", "fault fail counts modelled calls only"),
	T(fault_fail_each, "fail=3:EIO", "fault fail of close, which closes nonetheless"),
	T(fault_several, "bpf-busy=1,ndrv-eperm", "faults together"),
	T(fault_strict, "", "a fault that is none ends the process"),
	T(other_descriptors, "", "files, pipes and sockets are as ever"),
	T(other_calls_unseen, "", "no system call is added to others' reads and writes"),
	T(closed_behind_our_back, "", "a number closed by closefrom and used again is not ours"),
	T(closed_one_of_two, "", "a minor is free if its descriptor alone was closed unseen"),
	T(closed_and_new_socket, "", "a socket with a bpf descriptor's old number is a socket"),
	T(no_leaks, "", "no descriptor is left over"),
	T(child_closes, "", "a child closing its copies takes nothing away"),
	T(child_carries_on, "", "a child carries on with what its parent opened"),
	T(other_threads, "", "a blocked read does not hold up other threads"),
	T(fortified, "", "open64 and what _FORTIFY_SOURCE makes of open and read"),
	T(log_calls, "", "log: a line a call"),
	T(log_totals, "", "log: totals when a descriptor closes"),
	T(log_totals_at_exit, "", "log: totals when a process ends without closing"),
	T(log_each_read, "", "log: reads and writes with DARWIN_MODEL_LOG_IO=1"),
#undef T
};

int
main(int argc, char **argv)
{
	size_t i;

	self = "/proc/self/exe";
	if (argc == 2 && strcmp(argv[1], "list") == 0) {
		for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
			printf("%s\t%s\t%s\n", tests[i].function,
			    tests[i].faults, tests[i].name);
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "sub") == 0) {
		if (strcmp(argv[2], "open_4") == 0)
			open_4();
		return 0;
	}
	for (i = 0; argc == 2 && i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (strcmp(argv[1], tests[i].function) == 0) {
			settle();
			tests[i].run();
			return 0;
		}
	}
	fprintf(stderr, "usage: model-test list | FUNCTION\n");
	return 2;
}
