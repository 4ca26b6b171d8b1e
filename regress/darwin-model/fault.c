/* SPDX-License-Identifier: ISC */

/*
 * Faults to order: DARWIN_MODEL_FAULT is a comma-separated list of names and
 * name=value. The kernel's behaviour with none of them set is modelled
 * elsewhere; these bring about what a test cannot wait for.
 *
 *	bpf-busy=N	minors 0 to N-1 are held by others (EBUSY)
 *	bpf-none	there is no bpf device (ENOENT)
 *	bpf-eacces	no right to open a bpf device (EACCES)
 *	bpf-max=N	N is the last minor there is; ENOENT beyond
 *	bpf-maxbuf=N	BIOCSBLEN caps at N bytes
 *	ndrv-eperm	socket(AF_NDRV) is refused (EPERM)
 *	no-feth		no interface is found
 *	write-enobufs=N	every Nth write to AF_NDRV gets ENOBUFS
 *	truncate=N	every Nth captured packet is cut to half its length
 *	runt=N		every Nth captured packet is shown as 5 bytes long
 *	garbage=N	every Nth bpf read has random bytes for headers
 *	zero-read=N	every Nth bpf read returns 0 and leaves the data
 *	destroy=N	after N captured packets the interface is destroyed
 *	fail=N:ERRNAME	the process' Nth modelled call fails
 */

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

struct faults faults = {
	.bpf_max = -1,
	.bpf_maxbuf = D_BPF_MAXBUFSIZE,
};

static _Atomic uint64_t calls;

/* A typo must not make a test pass for nothing: no way on from here. */
void
model_die(const char *fmt, ...)
{
	va_list ap;

	fputs("darwin-model: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

static uint64_t
number(const char *word, const char *value, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long n;

	if (value[0] < '0' || value[0] > '9')
		model_die("DARWIN_MODEL_FAULT: \"%s\": no number", word);
	errno = 0;
	n = strtoull(value, &end, 10);
	if (*end != '\0' || errno != 0 || n < min || n > max)
		model_die("DARWIN_MODEL_FAULT: \"%s\": want a number from %llu "
		    "to %llu", word, (unsigned long long)min,
		    (unsigned long long)max);
	return n;
}

static int
errno_by_name(const char *word, const char *name)
{
	const char *known;
	int e;

	for (e = 1; e < 256; e++) {
		known = strerrorname_np(e);
		if (known != NULL && strcmp(known, name) == 0)
			return e;
	}
	model_die("DARWIN_MODEL_FAULT: \"%s\": unknown errno", word);
}

static void
parse(const char *word)
{
	char name[64], *value, *colon;

	if (strlen(word) >= sizeof(name))
		model_die("DARWIN_MODEL_FAULT: \"%s\": unknown fault", word);
	strcpy(name, word);
	if ((value = strchr(name, '=')) != NULL)
		*value++ = '\0';

	if (value == NULL) {
		if (strcmp(name, "bpf-none") == 0)
			faults.bpf_none = true;
		else if (strcmp(name, "bpf-eacces") == 0)
			faults.bpf_eacces = true;
		else if (strcmp(name, "ndrv-eperm") == 0)
			faults.ndrv_eperm = true;
		else if (strcmp(name, "no-feth") == 0)
			faults.no_feth = true;
		else
			model_die("DARWIN_MODEL_FAULT: \"%s\": unknown fault",
			    word);
		return;
	}
	if (strcmp(name, "bpf-busy") == 0)
		faults.bpf_busy = number(word, value, 1, D_BPF_MAX_DEVICES);
	else if (strcmp(name, "bpf-max") == 0)
		faults.bpf_max = number(word, value, 0, D_BPF_MAX_DEVICES - 1);
	else if (strcmp(name, "bpf-maxbuf") == 0)
		faults.bpf_maxbuf = number(word, value, D_BPF_MINBUFSIZE,
		    UINT32_MAX);
	else if (strcmp(name, "write-enobufs") == 0)
		faults.write_enobufs = number(word, value, 1, UINT64_MAX);
	else if (strcmp(name, "truncate") == 0)
		faults.truncate = number(word, value, 1, UINT64_MAX);
	else if (strcmp(name, "runt") == 0)
		faults.runt = number(word, value, 1, UINT64_MAX);
	else if (strcmp(name, "garbage") == 0)
		faults.garbage = number(word, value, 1, UINT64_MAX);
	else if (strcmp(name, "zero-read") == 0)
		faults.zero_read = number(word, value, 1, UINT64_MAX);
	else if (strcmp(name, "destroy") == 0)
		faults.destroy = number(word, value, 1, UINT64_MAX);
	else if (strcmp(name, "fail") == 0) {
		if ((colon = strchr(value, ':')) == NULL)
			model_die("DARWIN_MODEL_FAULT: \"%s\": want "
			    "fail=N:ERRNAME", word);
		*colon = '\0';
		faults.fail = number(word, value, 1, UINT64_MAX);
		faults.fail_errno = errno_by_name(word, colon + 1);
	} else
		model_die("DARWIN_MODEL_FAULT: \"%s\": unknown fault", word);
}

void
fault_init(void)
{
	const char *env = getenv("DARWIN_MODEL_FAULT");
	char *list, *rest, *word;

	if (env == NULL || *env == '\0')
		return;
	if ((list = rest = strdup(env)) == NULL)
		model_die("out of memory");
	while ((word = strsep(&rest, ",")) != NULL)
		parse(word);
	free(list);
}

int
call_begin(void)
{
	uint64_t n = atomic_fetch_add(&calls, 1) + 1;

	return faults.fail != 0 && n == faults.fail ? faults.fail_errno : 0;
}
