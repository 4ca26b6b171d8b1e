/* SPDX-License-Identifier: ISC */

/*
 * A C program that opens a tunnel through rust_tun.h, for
 * regress/tests/core.sh. Usage: core-client unit [frame-length ...]
 *
 * Prints "ok", the primary's name and the length of a read; or the errno's
 * name and the sentence. With frame lengths it also sends a frame of each
 * length through the tunnel, both ways. A line "wrong: ..." is for whatever
 * is not as rust_tun.h says.
 */

#include <sys/socket.h>

#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rust_tun.h"

#define MAXFD		1024
#define ETHERTYPE_TEST	0x88b5		/* IEEE: for local experiments */

/* The core refers to them; a tunnel that is only opened has no use for them. */
int
sshbuf_reserve(struct sshbuf *buf, size_t len, unsigned char **dpp)
{
	(void)buf;
	(void)len;
	(void)dpp;
	abort();
}

int
sshbuf_consume_end(struct sshbuf *buf, size_t len)
{
	(void)buf;
	(void)len;
	abort();
}

static void
find_open(char open[MAXFD])
{
	int fd;

	for (fd = 0; fd < MAXFD; fd++)
		open[fd] = fcntl(fd, F_GETFD) != -1;
}

static void
compare_open(const char before[MAXFD], const char *when)
{
	char now[MAXFD];
	int fd;

	find_open(now);
	for (fd = 0; fd < MAXFD; fd++) {
		if (before[fd] != now[fd])
			printf("wrong: descriptor %d is %s %s\n", fd,
			    now[fd] ? "open" : "closed", when);
	}
}

static void
check_descriptor(const char *what, int fd)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags == -1)
		printf("wrong: %s is not open\n", what);
	else if ((flags & FD_CLOEXEC) == 0)
		printf("wrong: %s stays open on exec\n", what);
}

/* From a host that is not there to another, so that nobody answers. */
static void
make_frame(unsigned char *frame, size_t len, unsigned char from)
{
	struct ether_header eh = {
		.ether_dhost = { 2, 0, 0, 0, 0, 1 },
		.ether_shost = { 2, 0, 0, 0, 0, from },
		.ether_type = htons(ETHERTYPE_TEST),
	};
	size_t i;

	memcpy(frame, &eh, sizeof(eh));
	for (i = sizeof(eh); i < len; i++)
		frame[i] = (unsigned char)(i * 7 + from);
}

static int
primary_socket(const char *ifname)
{
	struct sockaddr_ll sll = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(ifname),
	};
	int s;

	if ((s = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))) == -1 ||
	    bind(s, (struct sockaddr *)&sll, sizeof(sll)) == -1) {
		perror("packet socket on the primary");
		exit(1);
	}
	return s;
}

/* Does a bpf read of n bytes have this frame? */
static int
has_frame(const unsigned char *buf, ssize_t n, const unsigned char *frame,
    size_t len)
{
	uint32_t caplen;
	uint16_t hdrlen;
	ssize_t at;

	for (at = 0; at + 18 <= n;
	    at += (hdrlen + (ssize_t)caplen + 3) & ~(ssize_t)3) {
		memcpy(&caplen, buf + at + 8, sizeof(caplen));
		memcpy(&hdrlen, buf + at + 16, sizeof(hdrlen));
		if (caplen == len && memcmp(buf + at + hdrlen, frame, len) == 0)
			return 1;
	}
	return 0;
}

static int
readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 20) == 1;
}

/*
 * Send a frame of this length each way. Linux loses what is sent before an
 * interface that was just brought up is ready, so send again until it arrives.
 */
static void
exchange(const struct rust_tun *tun, size_t len)
{
	unsigned char *ours = malloc(len), *theirs = malloc(len);
	unsigned char *got = malloc(len + 1), *buf = malloc(tun->rbuf_len);
	int done, echo, s = primary_socket(tun->ifname);
	ssize_t n;

	make_frame(ours, len, 2);
	make_frame(theirs, len, 3);
	for (done = 0; !done;) {
		if (write(tun->wfd, ours, len) != (ssize_t)len) {
			printf("wrong: write of %zu bytes to wfd: %s\n", len,
			    strerror(errno));
			exit(1);
		}
		while (!done && readable(s))
			done = recv(s, got, len + 1, 0) == (ssize_t)len &&
			    memcmp(got, ours, len) == 0;
	}
	for (done = echo = 0; !done;) {
		if (send(s, theirs, len, 0) != (ssize_t)len) {
			perror("send on the primary");
			exit(1);
		}
		while (!done && readable(tun->rfd)) {
			n = read(tun->rfd, buf, tun->rbuf_len);
			if (n == -1) {
				printf("wrong: read of %u bytes from rfd: %s\n",
				    tun->rbuf_len, strerror(errno));
				exit(1);
			}
			echo |= has_frame(buf, n, ours, len);
			done = has_frame(buf, n, theirs, len);
		}
	}
	if (echo)
		printf("wrong: what was written to wfd comes back from rfd\n");
	close(s);
	free(ours);
	free(theirs);
	free(got);
	free(buf);
}

int
main(int argc, char **argv)
{
	char before[MAXFD], errmsg[RUST_TUN_ERRMSG_LEN];
	struct rust_tun tun = { .rfd = -1, .wfd = -1 };
	int i;

	if (argc < 2) {
		fprintf(stderr, "usage: core-client unit [frame-length ...]\n");
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(60);	/* whoever waits for what never comes ends */
	find_open(before);
	memset(errmsg, 'x', sizeof(errmsg));
	if (rust_tun_open_feth(atoi(argv[1]), &tun, errmsg,
	    sizeof(errmsg)) == -1) {
		printf("%s %.*s\n", strerrorname_np(errno),
		    (int)sizeof(errmsg), errmsg);
		if (strnlen(errmsg, sizeof(errmsg)) > sizeof(errmsg) - 2)
			printf("wrong: the sentence fills its room\n");
		compare_open(before, "after a failed open");
		return 0;
	}
	printf("ok %s %u\n", tun.ifname, tun.rbuf_len);
	check_descriptor("rfd", tun.rfd);
	check_descriptor("wfd", tun.wfd);
	for (i = 2; i < argc; i++)
		exchange(&tun, (size_t)atoi(argv[i]));
	close(tun.rfd);
	close(tun.wfd);
	compare_open(before, "after the tunnel was closed");
	return 0;
}
