/* SPDX-License-Identifier: ISC */

/*
 * The table of modelled descriptors, by number. Descriptors are closed behind
 * the model's back (closefrom(3), close_range(2), a fork that closes its
 * copies) and their numbers are used again, so a slot is believed only while
 * the socket behind the number still has the cookie that it was made with.
 * A descriptor made with dup(2) is not known here: nothing modelled is dup'ed
 * by the programs above.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "model.h"

#define MAX_FD		65536
#define MAX_SLOTS	64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot slots[MAX_SLOTS];
static _Atomic(struct slot *) table[MAX_FD];

void
slot_lock(void)
{
	pthread_mutex_lock(&lock);
}

bool
slot_trylock(void)
{
	return pthread_mutex_trylock(&lock) == 0;
}

void
slot_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

static void
after_fork_in_child(void)
{
	size_t i;

	for (i = 0; i < MAX_SLOTS; i++)
		slots[i].used_here = false;
	slot_unlock();
}

static __attribute__((constructor)) void
slot_init(void)
{
	pthread_atfork(slot_lock, slot_unlock, after_fork_in_child);
}

bool
slot_may_be(int fd)
{
	return fd >= 0 && fd < MAX_FD &&
	    atomic_load_explicit(&table[fd], memory_order_acquire) != NULL;
}

static bool
cookie_of(int fd, uint64_t *cookie)
{
	socklen_t len = sizeof(*cookie);

	return real.getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &len) == 0;
}

static bool
believable(const struct slot *s)
{
	uint64_t cookie;

	return cookie_of(s->fd, &cookie) && cookie == s->cookie;
}

void
slot_forget(struct slot *s)
{
	if (s->kind == KIND_BPF)
		bpf_release(s);
	atomic_store_explicit(&table[s->fd], NULL, memory_order_release);
	s->kind = KIND_FREE;
}

struct slot *
slot_find(int fd)
{
	struct slot *s;
	int saved = errno;

	if (!slot_may_be(fd))
		return NULL;
	s = table[fd];
	if (!believable(s)) {
		log_line("fd %d is no longer the %s it was", fd,
		    s->kind == KIND_BPF ? "bpf" : "ndrv");
		slot_forget(s);
		s = NULL;
	}
	errno = saved;
	return s;
}

/* Let go of what descriptors closed behind our back still hold. */
void
slot_reap(void)
{
	size_t i;

	for (i = 0; i < MAX_SLOTS; i++) {
		if (slots[i].kind != KIND_FREE)
			slot_find(slots[i].fd);
	}
}

struct slot *
slot_new(int fd, enum kind kind)
{
	struct slot *s = NULL;
	size_t i;

	slot_reap();
	for (i = 0; i < MAX_SLOTS && s == NULL; i++) {
		if (slots[i].kind == KIND_FREE)
			s = &slots[i];
	}
	if (s == NULL || fd >= MAX_FD)
		model_die("more descriptors than the model keeps");
	memset(s, 0, sizeof(*s));
	s->fd = fd;
	s->used_here = true;
	if (!cookie_of(fd, &s->cookie))
		model_die("SO_COOKIE: %s", strerrordesc_np(errno));
	s->kind = kind;
	atomic_store_explicit(&table[fd], s, memory_order_release);
	return s;
}

void
slot_log_all(const char *event)
{
	size_t i;

	for (i = 0; i < MAX_SLOTS; i++) {
		if (slots[i].kind == KIND_BPF)
			bpf_log_totals(&slots[i], event);
		else if (slots[i].kind == KIND_NDRV)
			ndrv_log_totals(&slots[i], event);
	}
}
