/* SPDX-License-Identifier: Apache-2.0 */
#include "object/kallsyms_build.h"

#include "base/file.h"
#include "object/kallsyms.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#define READ_SIZE	(32u << 10)
#define WRITE_SIZE	(32u << 10)
#define RUN_RECORDS	16384u
#define MAX_RUNS	(KALLSYMS_MAX_SYMBOLS / RUN_RECORDS)
#define MERGE_RECORDS	64u /* buffered per run */
#define MAX_MODULE_NAME 64  /* the kernel's own limit is 56 */

static_assert(sizeof(struct kallsyms_record) == 16, "the file holds 16 bytes per symbol");
static_assert(SYMBOL_NAME_MAX < 1 << 13 && KALLSYMS_MAX_MODULES < 1 << 13, "bit fields of struct kallsyms_record");

/* Sequential output through one buffer; the first failure sticks. */
struct output {
	int fd;
	uint64_t off;
	uint32_t n;
	int error;
	uint8_t *data; /* WRITE_SIZE */
};

static void output_flush(struct output *o)
{
	if (o->n && !o->error)
		o->error = fd_write_all(o->fd, o->data, o->n);
	o->n = 0;
}

static void output_add(struct output *o, const void *data, size_t size)
{
	if (size > WRITE_SIZE - o->n)
		output_flush(o);
	memcpy(o->data + o->n, data, size);
	o->n += (uint32_t)size;
	o->off += size;
}

struct builder {
	struct kallsyms_index *x;
	struct error *err;
	const char *path;
	struct output out; /* the index file */
	int runs_fd;
	struct kallsyms_record *run; /* RUN_RECORDS, mapped: given back whole */
	uint32_t n_run;
	uint32_t n_total; /* records in runs */
	bool hidden;	  /* addresses are 0 */
	char *text;	  /* READ_SIZE */
};

#define RUN_SIZE (RUN_RECORDS * sizeof(struct kallsyms_record))

static void builder_done(struct builder *b)
{
	if (b->run)
		(void)munmap(b->run, RUN_SIZE);
	close_fd(&b->runs_fd);
	free(b->out.data);
	free(b->text);
}

static int order(const void *va, const void *vb)
{
	const struct kallsyms_record *a = va, *b = vb;
	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return a->name_off < b->name_off ? -1 : a->name_off > b->name_off;
}

static int flush_run(struct builder *b)
{
	bool sorted = true;
	for (uint32_t i = 1; i < b->n_run && sorted; i++)
		sorted = order(&b->run[i - 1], &b->run[i]) < 0;
	if (!sorted)
		qsort(b->run, b->n_run, sizeof(*b->run), order);
	int r = fd_write_all(b->runs_fd, b->run, b->n_run * sizeof(*b->run));
	b->n_total += b->n_run;
	b->n_run = 0;
	return r;
}

/* One line cut into its parts. */
struct line {
	uint64_t addr;
	char type;
	struct slice name, module; /* module without its brackets */
};

static bool parse_addr(const char **s, const char *end, uint64_t *ret)
{
	uint64_t v = 0;
	const char *p = *s;
	for (; p < end && *p != ' '; p++) {
		unsigned digit = (unsigned)(*p - '0');
		if (digit > 9) {
			digit = (unsigned)((*p | 32) - 'a');
			if (digit > 5)
				return false;
			digit += 10;
		}
		v = v << 4 | digit;
	}
	if (p == *s || p - *s > 16)
		return false;
	*s = p;
	*ret = v;
	return true;
}

/* "ffffffffc0211000 t name\t[module]" */
static bool parse_line(const char *s, const char *end, struct line *ret)
{
	if (!parse_addr(&s, end, &ret->addr) || end - s < 4 || s[0] != ' ' || s[2] != ' ')
		return false;
	ret->type = s[1];
	s += 3;
	const char *tab = memchr(s, '\t', (size_t)(end - s));
	const char *name_end = tab ? tab : end;
	ret->name = slice_of(s, (size_t)(name_end - s));
	ret->module = slice_of(NULL, 0);
	if (tab) {
		if (end - tab < 4 || tab[1] != '[' || end[-1] != ']')
			return false;
		ret->module = slice_of(tab + 2, (size_t)(end - tab - 3));
	}
	return ret->name.size > 0 && ret->module.size <= MAX_MODULE_NAME;
}

/* Global before local before weak, then the fewest underscores: "schedule"
 * before "__schedule" at the same address, "_stext" behind both. Last comes
 * the name that code running before the kernel is mapped uses: "__pi_" and
 * the real one. */
static uint32_t symbol_rank(const struct line *l)
{
	uint32_t binding = l->type == 'T' ? 0 : l->type == 't' ? 1 : 2;
	if (slice_has_prefix(l->name, "__pi_"))
		return binding << 3 | 7;
	uint32_t n = 0;
	while (n < 6 && n < l->name.size && l->name.data[n] == '_')
		n++;
	return binding << 3 | n;
}

static int add_symbol(struct builder *b, const struct line *l)
{
	if (b->n_total + b->n_run == KALLSYMS_MAX_SYMBOLS)
		return error_set(b->err, -E2BIG, "%s: more than %u code symbols", b->path, KALLSYMS_MAX_SYMBOLS);
	struct str_id module;
	int r = strtab_intern(&b->x->modules, l->module, &module);
	if (r < 0 || module.v > KALLSYMS_MAX_MODULES)
		return error_set(b->err, -E2BIG, "%s: more than %d modules", b->path, KALLSYMS_MAX_MODULES);
	size_t name_size = l->name.size < SYMBOL_NAME_MAX ? l->name.size : SYMBOL_NAME_MAX;
	if (b->out.off > UINT32_MAX - SYMBOL_NAME_MAX)
		return error_set(b->err, -E2BIG, "%s: more than 4 GiB of names", b->path);
	b->run[b->n_run++] = (struct kallsyms_record){
		.addr = l->addr,
		.name_off = (uint32_t)b->out.off,
		.name_size = name_size & 0x1fff,
		.module = module.v & 0x1fff,
		.rank = symbol_rank(l) & 0x3f,
	};
	output_add(&b->out, l->name.data, name_size);
	r = b->n_run == RUN_RECORDS ? flush_run(b) : 0;
	return r < 0 ? error_set(b->err, r, "cannot write kernel symbols: %s", strerror(-r)) : 0;
}

static int add_line(struct builder *b, const char *s, const char *end)
{
	struct line l;
	if (!parse_line(s, end, &l)) {
		b->x->n_bad_lines++;
		return 0;
	}
	if (l.type != 't' && l.type != 'T' && l.type != 'w' && l.type != 'W')
		return 0;
	if (l.addr)
		return add_symbol(b, &l);
	b->hidden = true;
	return 0;
}

/* Feeds the complete lines of b->text[0..n) and returns how many bytes they
 * took. */
static int add_lines(struct builder *b, uint32_t n, uint32_t *ret_used)
{
	const char *s = b->text, *end = b->text + n, *newline;
	while (s < end && (newline = memchr(s, '\n', (size_t)(end - s)))) {
		int r = add_line(b, s, newline);
		if (r < 0)
			return r;
		s = newline + 1;
	}
	*ret_used = (uint32_t)(s - b->text);
	return 0;
}

static int read_text(struct builder *b)
{
	_cleanup_(close_fd)
	int fd = open(b->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(b->err, -errno, "%s: %s", b->path, strerror(errno));
	uint32_t n = 0;
	for (;;) {
		ssize_t got = read(fd, b->text + n, READ_SIZE - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set(b->err, -errno, "%s: %s", b->path, strerror(errno));
		if (got == 0)
			break;
		n += (uint32_t)got;
		uint32_t used = 0;
		int r = add_lines(b, n, &used);
		if (r < 0)
			return r;
		if (used == 0 && n == READ_SIZE) { /* no line is that long */
			b->x->n_bad_lines++;
			used = n;
		}
		n -= used;
		memmove(b->text, b->text + used, n);
	}
	return n ? add_line(b, b->text, b->text + n) : 0;
}

/* One sorted run while merging. */
struct source {
	uint64_t next, end;		/* records of the runs file not yet buffered */
	struct kallsyms_record *buffer; /* MERGE_RECORDS */
	uint32_t i, n;
};

/* 1: `s` has a record in front; 0: it is used up; negative errno. */
static int source_fill(const struct builder *b, struct source *s)
{
	if (s->i < s->n)
		return 1;
	uint64_t left = s->end - s->next;
	s->i = s->n = 0;
	if (left == 0)
		return 0;
	uint32_t n = left < MERGE_RECORDS ? (uint32_t)left : MERGE_RECORDS;
	size_t size = n * sizeof(*s->buffer);
	ssize_t got = pread(b->runs_fd, s->buffer, size, (off_t)(s->next * sizeof(*s->buffer)));
	if (got != (ssize_t)size)
		return got < 0 ? -errno : -ENODATA;
	s->n = n;
	s->next += n;
	return 1;
}

/* Drops sources that are used up. A plain scan picks the next record: there
 * are some ten runs, and nearly always the first of them is the one. */
static int merge_next(const struct builder *b, struct source *sources, uint32_t *n, struct kallsyms_record *ret)
{
	uint32_t best = 0;
	for (uint32_t i = 0; i < *n;) {
		int r = source_fill(b, &sources[i]);
		if (r < 0)
			return r;
		if (r == 0) {
			memmove(&sources[i], &sources[i + 1], (*n - i - 1) * sizeof(*sources));
			--*n;
			continue;
		}
		if (order(&sources[i].buffer[sources[i].i], &sources[best].buffer[sources[best].i]) < 0)
			best = i;
		i++;
	}
	if (*n == 0)
		return 0;
	*ret = sources[best].buffer[sources[best].i++];
	return 1;
}

static void emit(struct builder *b, const struct kallsyms_record *rec)
{
	struct kallsyms_index *x = b->x;
	x->checksum = (x->checksum ^ rec->addr ^ rec->name_size) * 0x9e3779b97f4a7c15;
	x->n++;
	output_add(&b->out, rec, sizeof(*rec));
}

static int merge_runs(struct builder *b)
{
	uint32_t n = (b->n_total + RUN_RECORDS - 1) / RUN_RECORDS;
	struct source sources[MAX_RUNS];
	_cleanup_(free_ptr)
	struct kallsyms_record *buffers = calloc((size_t)n * MERGE_RECORDS, sizeof(*buffers));
	if (!buffers)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t end = (uint64_t)(i + 1) * RUN_RECORDS;
		sources[i] = (struct source){
			.next = (uint64_t)i * RUN_RECORDS,
			.end = end < b->n_total ? end : b->n_total,
			.buffer = buffers + (size_t)i * MERGE_RECORDS,
		};
	}
	static const uint8_t pad[16];
	output_add(&b->out, pad, -b->out.off & 15);
	b->x->records_off = b->out.off;
	struct kallsyms_record rec;
	uint64_t last = 0; /* no record is at 0 */
	int r;
	while ((r = merge_next(b, sources, &n, &rec)) > 0) {
		if (rec.addr != last)
			emit(b, &rec);
		last = rec.addr;
	}
	output_flush(&b->out);
	return r < 0 ? r : b->out.error;
}

static int builder_init(struct builder *b, const char *temp_dir)
{
	void *run = mmap(NULL, RUN_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	b->run = run == MAP_FAILED ? NULL : run;
	b->text = malloc(READ_SIZE);
	b->out.data = malloc(WRITE_SIZE);
	if (!b->run || !b->text || !b->out.data)
		return error_set(b->err, -ENOMEM, "no memory to sort kernel symbols");
	b->out.fd = b->x->fd = file_temp(temp_dir);
	b->runs_fd = file_temp(temp_dir);
	if (b->out.fd < 0 || b->runs_fd < 0)
		return error_set(b->err, b->out.fd < 0 ? b->out.fd : b->runs_fd,
				 "cannot create a temporary file for kernel symbols: %s",
				 strerror(b->out.fd < 0 ? -b->out.fd : -b->runs_fd));
	return 0;
}

static int build(struct builder *b, const char *temp_dir)
{
	int r = builder_init(b, temp_dir);
	if (r == 0)
		r = strtab_init(&b->x->modules, NULL);
	if (r < 0)
		return r;
	r = read_text(b);
	if (r < 0)
		return r;
	if (b->n_total + b->n_run == 0)
		return b->hidden ? error_set(b->err, -EACCES,
					     "%s: the kernel hides its addresses; run as root (CAP_SYSLOG) or set "
					     "kernel.kptr_restrict=0",
					     b->path)
				 : error_set(b->err, -ENODATA, "%s: no code symbols", b->path);
	if (b->n_run)
		r = flush_run(b);
	if (r == 0)
		r = merge_runs(b);
	return r < 0 ? error_set(b->err, r, "cannot write kernel symbols: %s", strerror(-r)) : 0;
}

struct kallsyms_index kallsyms_index_empty(void)
{
	return (struct kallsyms_index){ .fd = -1 };
}

void kallsyms_index_done(struct kallsyms_index *x)
{
	close_fd(&x->fd);
	strtab_done(&x->modules);
	*x = kallsyms_index_empty();
}

int kallsyms_build(const char *path, const char *temp_dir, struct kallsyms_index *ret, struct error *err)
{
	_cleanup_(kallsyms_index_done)
	struct kallsyms_index x = kallsyms_index_empty();
	_cleanup_(builder_done)
	struct builder b = { .x = &x, .err = err, .path = path, .runs_fd = -1 };
	int r = build(&b, temp_dir);
	if (r < 0)
		return r;
	*ret = x;
	x = kallsyms_index_empty();
	return 0;
}
