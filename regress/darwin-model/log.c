/* SPDX-License-Identifier: ISC */

/*
 * The log: DARWIN_MODEL_LOG names a file that gets a line for every modelled
 * call, each with one write(2), so that processes can share it. Reads and
 * writes are counted instead and logged as totals when the descriptor closes;
 * DARWIN_MODEL_LOG_IO=1 logs them one by one.
 *
 * The file is opened anew for each line: the programs above close whatever
 * descriptors they do not know.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

#define LINE_MAX_LEN	1024

bool log_io;
static char path[4096];

void
log_init(void)
{
	const char *env = getenv("DARWIN_MODEL_LOG");

	if (env != NULL && *env != '\0') {
		if (strlen(env) >= sizeof(path))
			model_die("DARWIN_MODEL_LOG: name too long");
		strcpy(path, env);
	}
	if ((env = getenv("DARWIN_MODEL_LOG_IO")) != NULL)
		log_io = strcmp(env, "1") == 0;
}

bool
log_on(void)
{
	return path[0] != '\0';
}

static void
put(char *line, size_t len)
{
	int fd;

	line[len++] = '\n';
	fd = real.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd == -1)
		return;
	if (real.write(fd, line, len) == -1) {
		/* nowhere to say so */
	}
	real.close(fd);
}

static size_t
format(char *line, const char *fmt, va_list ap)
{
	int n, m;

	n = snprintf(line, LINE_MAX_LEN, "pid=%d ", (int)getpid());
	m = vsnprintf(line + n, LINE_MAX_LEN - n, fmt, ap);
	if (m < 0)
		m = 0;
	return n + m < LINE_MAX_LEN ? n + m : LINE_MAX_LEN - 1;
}

void
log_line(const char *fmt, ...)
{
	char line[LINE_MAX_LEN + 1];
	va_list ap;
	size_t len;
	int saved = errno;

	if (log_on()) {
		va_start(ap, fmt);
		len = format(line, fmt, ap);
		va_end(ap);
		put(line, len);
	}
	errno = saved;
}

void
log_call(ssize_t result, const char *fmt, ...)
{
	char line[LINE_MAX_LEN + 64];
	va_list ap;
	size_t len;
	const char *name;
	int saved = errno;

	if (log_on()) {
		va_start(ap, fmt);
		len = format(line, fmt, ap);
		va_end(ap);
		if (result < 0) {
			name = strerrorname_np((int)-result);
			len += snprintf(line + len, 60, " = -1 %s",
			    name != NULL ? name : "?");
		} else
			len += snprintf(line + len, 60, " = %zd", result);
		put(line, len);
	}
	errno = saved;
}

const char *
log_hex(char *out, size_t outlen, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t i;

	out[0] = '\0';
	for (i = 0; i < len && 2 * i + 3 <= outlen; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
	return out;
}
