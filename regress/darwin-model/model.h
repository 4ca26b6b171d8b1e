/* SPDX-License-Identifier: ISC */

/*
 * What the model's files share: the table of modelled descriptors, the faults
 * to order, the log, and the libc functions behind the interposed ones.
 *
 * Functions named d_* are a Darwin system call each. They return what the
 * call returns, or a negated errno, and are called with the model's lock held.
 */

#ifndef MODEL_H
#define MODEL_H

#include <sys/types.h>
#include <sys/socket.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "darwin.h"

enum kind { KIND_FREE, KIND_BPF, KIND_NDRV };

struct bpf {
	unsigned int	minor;
	int		hold;		/* holds the minor; see bpf.c */
	int		access;		/* O_ACCMODE of open */
	uint32_t	bufsize;
	bool		immediate;
	bool		hdrcmplt;
	bool		seesent;
	bool		destroyed;	/* the fault has done its work */
	uint64_t	timeout;	/* BIOCSRTIMEOUT, microseconds */
	uint8_t		*scratch;	/* frames as Linux gives them */
	uint32_t	random;		/* garbage to order */
	uint64_t	recv, drop;	/* BIOCGSTATS */
	uint64_t	captured;	/* packets, ever */
	uint64_t	data_reads;	/* reads that had data */
	uint64_t	reads, packets, bytes, max_packets, cut;
};

struct ndrv {
	bool		has_laddr;	/* bind has been tried */
	bool		connected;
	bool		cantsend;	/* SS_CANTSENDMORE */
	bool		jammed;		/* see ndrv.c */
	int		sndbuf;
	uint64_t	writes, bytes, errors, runts, oversize;
};

struct slot {
	enum kind	kind;
	int		fd;
	uint64_t	cookie;		/* of the socket behind fd */
	int		ifindex;	/* 0: no interface */
	char		ifname[D_IFNAMSIZ];
	bool		used_here;	/* by this process, not before a fork */
	int		logged_errno;	/* of the last failed read or write */
	union {
		struct bpf	bpf;
		struct ndrv	ndrv;
	};
};

/* slot.c */
extern void	 slot_lock(void);
extern bool	 slot_trylock(void);
extern void	 slot_unlock(void);
extern bool	 slot_may_be(int fd);		/* cheap, without the lock */
extern struct slot *slot_find(int fd);
extern struct slot *slot_new(int fd, enum kind kind);
extern void	 slot_forget(struct slot *s);
extern void	 slot_reap(void);
extern void	 slot_log_all(const char *event);

/* fault.c */
struct faults {
	bool		bpf_none, bpf_eacces, ndrv_eperm, no_feth;
	unsigned int	bpf_busy;		/* minors below are held */
	int		bpf_max;		/* -1: the kernel's limit */
	uint32_t	bpf_maxbuf;
	uint64_t	write_enobufs, truncate, runt, garbage, zero_read;
	uint64_t	destroy;
	uint64_t	fail;			/* number of a call; 0: none */
	int		fail_errno;
};
extern struct faults faults;
extern void	 fault_init(void);
extern __attribute__((format(printf, 1, 2))) _Noreturn
void		 model_die(const char *fmt, ...);

/*
 * Every modelled call begins here: it is counted, and may be told to fail.
 * Returns 0 or an errno.
 */
extern int	 call_begin(void);

/* log.c */
extern void	 log_init(void);
extern bool	 log_io;
extern bool	 log_on(void);
extern __attribute__((format(printf, 1, 2)))
void		 log_line(const char *fmt, ...);
/* Append " = result" or " = -1 ERRNO" and write the line. */
extern __attribute__((format(printf, 2, 3)))
void		 log_call(ssize_t result, const char *fmt, ...);
extern const char *log_hex(char *out, size_t outlen, const void *data,
    size_t len);

/* link.c: what Linux knows about interfaces. fd is any socket. */
extern int	 link_index(int fd, const char *name);	/* 0: none */
extern bool	 link_exists(int fd, int ifindex);
extern int	 link_flags(int fd, const char *name, int *flags);
extern int	 link_set_up(int fd, const char *name, bool up);
extern int	 link_mtu(int fd, const char *name, int *mtu);
extern int	 link_peer(int ifindex, char name[D_IFNAMSIZ]);
extern void	 link_offload_off(int fd, const char *name);
extern int	 link_delete(int ifindex);

/* feth.c */
extern int	 feth_lookup(int fd, const char *name);	/* 0: none */
extern bool	 feth_is_request(uint32_t request);
extern const char *feth_request_name(uint32_t request);
extern int	 d_feth_ioctl(int fd, uint32_t request, void *arg);

/* bpf.c */
extern int	 bpf_minor_of(const char *path);	/* -1: none */
extern int	 d_bpf_open(unsigned int minor, int flags);
extern int	 d_bpf_ioctl(struct slot *s, uint32_t request, void *arg);
extern const char *bpf_request_name(uint32_t request);
extern ssize_t	 d_bpf_read(struct slot *s, void *buf, size_t len,
    unsigned int *packets);
extern ssize_t	 d_bpf_write(struct slot *s);
extern void	 bpf_log_totals(struct slot *s, const char *event);
extern void	 bpf_release(struct slot *s);

/* ndrv.c */
extern int	 d_ndrv_socket(int type, int protocol);
extern int	 d_ndrv_bind(struct slot *s, const void *addr, socklen_t len);
extern int	 d_ndrv_connect(struct slot *s, const void *addr,
    socklen_t len);
extern int	 d_ndrv_setsockopt(struct slot *s, int level, int name,
    const void *val, socklen_t len);
extern int	 d_ndrv_getsockopt(struct slot *s, int level, int name,
    void *val, socklen_t *len);
extern ssize_t	 d_ndrv_write(struct slot *s, const void *buf, size_t len);
extern ssize_t	 d_ndrv_read(struct slot *s, void *buf, size_t len);
extern void	 ndrv_log_totals(struct slot *s, const char *event);

/* interpose.c: libc's own */
struct real {
	int	(*open)(const char *, int, ...);
	int	(*open64)(const char *, int, ...);
	int	(*open_2)(const char *, int);
	int	(*open64_2)(const char *, int);
	int	(*ioctl)(int, unsigned long, ...);
	ssize_t	(*read)(int, void *, size_t);
	ssize_t	(*read_chk)(int, void *, size_t, size_t);
	ssize_t	(*write)(int, const void *, size_t);
	int	(*socket)(int, int, int);
	int	(*bind)(int, const struct sockaddr *, socklen_t);
	int	(*connect)(int, const struct sockaddr *, socklen_t);
	int	(*setsockopt)(int, int, int, const void *, socklen_t);
	int	(*getsockopt)(int, int, int, void *, socklen_t *);
	int	(*close)(int);
	void	(*_exit)(int);
};
extern struct real real;

#endif /* MODEL_H */
