/* SPDX-License-Identifier: Apache-2.0 */
#include "object/perfmap.h"

#include "object/filewin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define WINDOW_SIZE (64u << 10)
#define MAX_LINE    (WINDOW_SIZE / 2) /* longer lines are bad lines */

/* What is known of one address after the lines read so far. */
struct slot {
	uint64_t start, end; /* where this answer holds */
	uint64_t name_off;   /* in the file; 0 = no line covers it (a name never stands at 0) */
	uint32_t name_size;
	uint32_t pad;
};

struct line {
	uint64_t start, end;
	uint64_t name_off;
	uint32_t name_size;
};

struct pass {
	const uint64_t *addrs;
	struct slot *slots;
	uint32_t n;
	struct filewin file;
	struct perfmap_stats stats;
};

static void pass_done(struct pass *p)
{
	free(p->slots);
	filewin_done(&p->file);
}

/* Index of the first address >= v. */
static uint32_t lower_bound(const struct pass *p, uint64_t v)
{
	uint32_t lo = 0, hi = p->n;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (p->addrs[mid] < v)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The line names what it covers and ends the older answers around it at its
 * edges. Answers that reach past a neighbouring address are the same as that
 * address's, so both loops end at the first that does not touch the line. */
static void apply_line(struct pass *p, const struct line *l)
{
	uint32_t first = lower_bound(p, l->start), limit = first;
	while (limit < p->n && p->addrs[limit] < l->end) {
		p->slots[limit++] = (struct slot){
			.start = l->start, .end = l->end, .name_off = l->name_off, .name_size = l->name_size
		};
	}
	for (uint32_t i = first; i > 0 && p->slots[i - 1].end > l->start; i--)
		p->slots[i - 1].end = l->start;
	for (uint32_t i = limit; i < p->n && p->slots[i].start < l->end; i++)
		p->slots[i].start = l->end;
}

/* A hexadecimal number with or without 0x, ended by a space. */
static const uint8_t *parse_hex(const uint8_t *s, const uint8_t *end, uint64_t *ret)
{
	if (end - s > 2 && s[0] == '0' && (s[1] | 32) == 'x')
		s += 2;
	const uint8_t *first = s;
	uint64_t v = 0;
	for (; s < end; s++) {
		uint8_t c = *s | 32;
		uint8_t digit = (uint8_t)(*s - '0');
		if (c >= 'a' && c <= 'f')
			digit = (uint8_t)(c - 'a' + 10);
		else if (digit > 9)
			break;
		v = v << 4 | digit;
	}
	if (s == first || s - first > 16 || s == end || *s != ' ')
		return NULL;
	*ret = v;
	while (s < end && *s == ' ')
		s++;
	return s;
}

/* One line without its end, found at file offset `off`. */
static bool parse_line(const uint8_t *text, uint32_t size, uint64_t off, struct line *ret)
{
	const uint8_t *end = text + size;
	while (end > text && (end[-1] == '\r' || end[-1] == ' '))
		end--;
	const uint8_t *s = parse_hex(text, end, &ret->start);
	if (s)
		s = parse_hex(s, end, &ret->end);
	if (!s || s == end || ret->end == 0 || __builtin_add_overflow(ret->start, ret->end, &ret->end))
		return false;
	size_t name_size = (size_t)(end - s);
	ret->name_off = off + (uint64_t)(s - text);
	ret->name_size = name_size < SYMBOL_NAME_MAX ? (uint32_t)name_size : SYMBOL_NAME_MAX;
	return true;
}

/* Applies the complete lines among `size` bytes at `off`; returns the bytes
 * they take. */
static uint32_t read_lines(struct pass *p, const uint8_t *text, uint32_t size, uint64_t off)
{
	uint32_t pos = 0;
	const uint8_t *newline;
	while (pos < size && (newline = memchr(text + pos, '\n', size - pos))) {
		uint32_t length = (uint32_t)(newline - text) - pos;
		struct line l;
		p->stats.n_lines++;
		if (parse_line(text + pos, length, off + pos, &l))
			apply_line(p, &l);
		else
			p->stats.n_bad_lines++;
		pos += length + 1;
	}
	return pos;
}

/* Passes over a line longer than MAX_LINE; returns the offset behind it. */
static uint64_t skip_line(struct pass *p, uint64_t off)
{
	p->stats.n_lines++;
	p->stats.n_bad_lines++;
	while (off < p->file.size) {
		uint64_t left = p->file.size - off;
		uint32_t n = left < WINDOW_SIZE ? (uint32_t)left : WINDOW_SIZE;
		const uint8_t *text = filewin_at(&p->file, off, n);
		const uint8_t *newline = text ? memchr(text, '\n', n) : NULL;
		if (newline)
			return off + (uint64_t)(newline - text) + 1;
		if (!text)
			break;
		off += n;
	}
	return p->file.size;
}

static void read_file(struct pass *p)
{
	uint64_t off = 0;
	while (off < p->file.size) {
		uint64_t left = p->file.size - off;
		uint32_t n = left < WINDOW_SIZE ? (uint32_t)left : WINDOW_SIZE;
		const uint8_t *text = filewin_at(&p->file, off, n);
		if (!text)
			return;
		uint32_t used = read_lines(p, text, n, off);
		if (n - used > MAX_LINE)
			off = skip_line(p, off + used);
		else if (used == 0)
			return; /* the last line has no end yet */
		else
			off += used;
	}
}

static int answer(struct pass *p, struct symrange_sink sink)
{
	uint64_t done = 0;
	for (uint32_t i = 0; i < p->n; i++) {
		const struct slot *s = &p->slots[i];
		if (p->addrs[i] < done || p->addrs[i] == SYMRANGE_NO_ADDRESS)
			continue;
		struct symrange range = { .start = s->start, .end = s->end };
		const void *name = s->name_off ? filewin_at(&p->file, s->name_off, s->name_size) : NULL;
		/* A file rewritten meanwhile must not give half of two names. */
		if (name && !memchr(name, '\n', s->name_size))
			range.name = slice_of(name, s->name_size);
		int r = sink.put(sink.arg, &range);
		if (r < 0)
			return r;
		done = s->end;
	}
	return 0;
}

static int pass_init(struct pass *p, int fd, const uint64_t *addrs, uint32_t n)
{
	struct stat st;
	*p = (struct pass){ .addrs = addrs, .n = n, .slots = calloc(n, sizeof(*p->slots)) };
	if (!p->slots)
		return -ENOMEM;
	if (fstat(fd, &st) < 0)
		return -errno;
	uint64_t size = (uint64_t)st.st_size;
	if (size > PERFMAP_MAX_SIZE) {
		p->stats.n_bytes_unread = size - PERFMAP_MAX_SIZE;
		size = PERFMAP_MAX_SIZE;
	}
	for (uint32_t i = 0; i < n; i++)
		p->slots[i].end = UINT64_MAX;
	return filewin_init(&p->file, fd, size, WINDOW_SIZE);
}

int perfmap_lookup(int fd, const uint64_t *addrs, uint32_t n, struct symrange_sink sink,
		   struct perfmap_stats *ret_stats, struct error *err)
{
	if (n > PERFMAP_MAX_BATCH)
		return error_set(err, -E2BIG, "%u addresses in one batch; at most %d", n, PERFMAP_MAX_BATCH);
	if (n == 0) {
		if (ret_stats)
			*ret_stats = (struct perfmap_stats){ 0 };
		return 0;
	}
	_cleanup_(pass_done)
	struct pass p;
	int r = pass_init(&p, fd, addrs, n);
	if (r < 0)
		return error_set(err, r, "cannot read the perf map: %s", strerror(-r));
	read_file(&p);
	/* Truncated by its owner while being read: what was seen counts. */
	if (p.file.error == -ENODATA)
		p.file.error = 0;
	if (p.file.error)
		return error_set(err, p.file.error, "cannot read the perf map: %s", strerror(-p.file.error));
	r = answer(&p, sink);
	if (r == 0 && ret_stats)
		*ret_stats = p.stats;
	return r;
}

/* Owner and pid in the innermost pid namespace, from /proc/PID/status. */
static int read_status(pid_t pid, uid_t *ret_uid, pid_t *ret_inner)
{
	char path[64], line[512];
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	_cleanup_(close_file)
	FILE *f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	unsigned uid = 0;
	bool has_uid = false;
	*ret_inner = pid; /* kernels without pid namespaces have no NSpid */
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Uid: %*u %u", &uid) == 1)
			has_uid = true;
		const char *last = strncmp(line, "NSpid:", 6) == 0 ? strrchr(line, '\t') : NULL;
		if (last && atoi(last) > 0)
			*ret_inner = atoi(last);
	}
	*ret_uid = uid;
	return has_uid ? 0 : -ESRCH;
}

/* openat2: a link to the outside, "..", or /proc magic inside the target's
 * root must not lead the agent out of it. */
static int open_in_root(pid_t pid, const char *path)
{
	char root[64];
	(void)snprintf(root, sizeof(root), "/proc/%d/root", (int)pid);
	_cleanup_(close_fd)
	int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return -errno;
	struct open_how how = {
		.flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

int perfmap_open(pid_t pid, int *ret_fd, uint64_t *ret_size, struct error *err)
{
	uid_t uid = 0;
	pid_t inner = pid;
	int r = read_status(pid, &uid, &inner);
	if (r < 0)
		return error_set(err, r, "process %d: %s", (int)pid, strerror(-r));
	char path[64];
	(void)snprintf(path, sizeof(path), "tmp/perf-%d.map", (int)inner);
	_cleanup_(close_fd)
	int fd = open_in_root(pid, path);
	if (fd == -ENOENT)
		return fd;
	if (fd < 0)
		return error_set(err, fd == -ELOOP ? -EPERM : fd, "process %d: /%s: %s", (int)pid, path,
				 fd == -ELOOP ? "is a symbolic link" : strerror(-fd));
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_set(err, -errno, "process %d: /%s: %s", (int)pid, path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EPERM, "process %d: /%s: not a regular file", (int)pid, path);
	if (st.st_uid != uid && st.st_uid != 0)
		return error_set(err, -EPERM, "process %d: /%s: owned by uid %u, neither the process's %u nor root",
				 (int)pid, path, (unsigned)st.st_uid, (unsigned)uid);
	*ret_size = (uint64_t)st.st_size;
	*ret_fd = take_fd(fd);
	return 0;
}
