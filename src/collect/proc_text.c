/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/proc_text.h"

#include <errno.h>
#include <fcntl.h>

#define LINE_MAX_SIZE 8192 /* a path of 4096 bytes, some of them escaped */

/* Takes a number in `base` (10 or 16) off the front of s; false: no digit, or
 * more than 64 bits. */
static bool take_number(struct slice *s, unsigned base, uint64_t *ret)
{
	uint64_t v = 0;
	size_t n = 0;
	for (; n < s->size; n++) {
		uint8_t c = s->data[n];
		unsigned digit;
		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (base == 16 && c >= 'a' && c <= 'f')
			digit = 10u + c - 'a';
		else
			break;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit, &v))
			return false;
	}
	if (n == 0)
		return false;
	*s = slice_of(s->data + n, s->size - n);
	*ret = v;
	return true;
}

static bool take_byte(struct slice *s, char byte)
{
	if (s->size == 0 || s->data[0] != (uint8_t)byte)
		return false;
	*s = slice_of(s->data + 1, s->size - 1);
	return true;
}

bool proc_map_parse(struct slice line, struct proc_map *ret)
{
	struct proc_map m = { 0 };
	struct slice s = line;
	uint64_t major, minor;
	if (!take_number(&s, 16, &m.start) || !take_byte(&s, '-') || !take_number(&s, 16, &m.end) ||
	    !take_byte(&s, ' ') || m.start >= m.end)
		return false;
	if (s.size < 5 || s.data[4] != ' ')
		return false;
	m.executable = s.data[2] == 'x';
	s = slice_of(s.data + 5, s.size - 5);
	if (!take_number(&s, 16, &m.offset) || !take_byte(&s, ' ') || !take_number(&s, 16, &major) ||
	    !take_byte(&s, ':') || !take_number(&s, 16, &minor) || !take_byte(&s, ' ') ||
	    !take_number(&s, 10, &m.inode) || major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	m.dev_major = (uint32_t)major;
	m.dev_minor = (uint32_t)minor;
	if (s.size && !take_byte(&s, ' '))
		return false;
	while (take_byte(&s, ' '))
		;
	m.path = s;
	*ret = m;
	return true;
}

/* Hands every whole line of text[0..n) on; *ret_used bytes are done with. */
static int put_lines(const char *text, size_t n, struct proc_map_sink sink, size_t *ret_used)
{
	const char *newline;
	size_t used = 0;
	while ((newline = memchr(text + used, '\n', n - used))) {
		size_t end = (size_t)(newline - text);
		struct proc_map m;
		if (proc_map_parse(slice_of(text + used, end - used), &m)) {
			int r = sink.put(sink.arg, &m);
			if (r < 0)
				return r;
		}
		used = end + 1;
	}
	*ret_used = used;
	return 0;
}

int proc_maps_walk(int fd, struct proc_map_sink sink)
{
	char text[LINE_MAX_SIZE];
	size_t n = 0, total = 0;
	bool skipping = false; /* the rest of a line that is too long */
	for (;;) {
		ssize_t got = read(fd, text + n, sizeof(text) - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : 0;
		total += (size_t)got;
		if (total > PROC_MAPS_MAX_SIZE)
			return -E2BIG;
		n += (size_t)got;
		size_t from = 0;
		if (skipping) {
			const char *newline = memchr(text, '\n', n);
			if (!newline) {
				n = 0;
				continue;
			}
			from = (size_t)(newline - text) + 1;
			skipping = false;
		}
		size_t used = 0;
		int r = put_lines(text + from, n - from, sink, &used);
		if (r < 0)
			return r;
		used += from;
		n -= used;
		memmove(text, text + used, n);
		if (n == sizeof(text)) {
			skipping = true;
			n = 0;
		}
	}
}

int proc_file_read(pid_t pid, const char *name, size_t max, struct buf *out)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	_cleanup_(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	size_t left = max;
	while (left > 0) {
		size_t want = left < 4096 ? left : 4096;
		uint8_t *room = buf_room(out, want);
		if (!room)
			return -ENOBUFS;
		ssize_t got = read(fd, room, want);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : 0;
		out->n += (size_t)got;
		left -= (size_t)got;
	}
	return 0;
}

bool proc_stat_field(struct slice stat, unsigned field, uint64_t *ret)
{
	size_t i = stat.size;
	while (i > 0 && stat.data[i - 1] != ')')
		i--;
	if (i == 0)
		return false;
	struct slice s = slice_of(stat.data + i, stat.size - i);
	/* Those from 3 on follow, each after a space. */
	for (unsigned at = 3; at <= field; at++) {
		if (!take_byte(&s, ' '))
			return false;
		if (at == field)
			return take_number(&s, 10, ret);
		while (s.size && s.data[0] != ' ')
			s = slice_of(s.data + 1, s.size - 1);
	}
	return false;
}

bool proc_environ_find(struct slice environment, const char *name, struct slice *ret)
{
	size_t name_size = strlen(name);
	for (size_t from = 0; from < environment.size;) {
		const uint8_t *entry = environment.data + from;
		const uint8_t *zero = memchr(entry, 0, environment.size - from);
		size_t size = zero ? (size_t)(zero - entry) : environment.size - from;
		if (size > name_size + 1 && memcmp(entry, name, name_size) == 0 && entry[name_size] == '=') {
			*ret = slice_of(entry + name_size + 1, size - name_size - 1);
			return true;
		}
		from += size + 1;
	}
	return false;
}
