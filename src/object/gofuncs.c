/* SPDX-License-Identifier: Apache-2.0 */
#include "object/gofuncs.h"

#include <errno.h>

#define FUNCTAB_WINDOW (32u << 10)
#define RECORDS_WINDOW (16u << 10)
#define NAMES_WINDOW   (16u << 10)
#define PCTAB_WINDOW   (4u << 10)
#define VARINT_MAX     5 /* bytes of 32 bits */

int gofuncs_init(struct gofuncs *g, const struct gopclntab *t)
{
	int fd = t->elf->fd;
	uint64_t size = t->off + t->size;
	*g = (struct gofuncs){ .table = *t };
	int r = filewin_init(&g->functab, fd, size, FUNCTAB_WINDOW);
	if (r == 0)
		r = filewin_init(&g->records, fd, size, RECORDS_WINDOW);
	if (r == 0)
		r = filewin_init(&g->names, fd, size, NAMES_WINDOW);
	if (r == 0)
		r = filewin_init(&g->pctab, fd, size, PCTAB_WINDOW);
	if (r < 0)
		gofuncs_done(g);
	return r;
}

void gofuncs_done(struct gofuncs *g)
{
	filewin_done(&g->functab);
	filewin_done(&g->records);
	filewin_done(&g->names);
	filewin_done(&g->pctab);
}

/* -EBADMSG: what was asked of `w` lies outside the table. */
static int window_error(const struct filewin *w)
{
	return w->error ? w->error : -EBADMSG;
}

/* Where function `i` lies, and the offset of its record. Behind the last entry
 * of functab there is the end of its function. */
static int read_bounds(struct gofuncs *g, uint32_t i, struct gofunc *ret, uint64_t *ret_record)
{
	const struct gopclntab *t = &g->table;
	uint32_t field = t->layout >= GO_1_18 ? 4 : 8;
	uint64_t start = 0, next = 0, record = 0;
	const uint8_t *p = filewin_at(&g->functab, t->functab + (uint64_t)i * 2 * field, 3 * field);
	if (!p)
		return window_error(&g->functab);
	memcpy(&start, p, field);
	memcpy(&record, p + field, field);
	memcpy(&next, p + (size_t)2 * field, field);
	uint64_t size = t->end - t->text;
	if (start > next || next > size || start < t->start - t->text)
		return -EBADMSG;
	ret->start = t->text + start;
	ret->end = t->text + next;
	*ret_record = record;
	return 0;
}

/* A record: { entry, name, args, deferreturn, pcsp, pcfile, pcln, n_pcdata,
 * unit, [line since 1.20], id, flags }; until 1.15 the last three differ. */
static int read_record(struct gofuncs *g, uint64_t record, struct gofunc *ret)
{
	static const uint32_t flags[] = { [GO_1_2] = 0, [GO_1_16] = 41, [GO_1_18] = 37, [GO_1_20] = 41 };
	const struct gopclntab *t = &g->table;
	uint32_t name = t->layout >= GO_1_18 ? 4 : 8, pcsp = name + 12;
	uint32_t size = t->layout == GO_1_2 ? pcsp + 4 : flags[t->layout] + 1;
	const uint8_t *p = record < t->size ? filewin_at(&g->records, t->records + record, size) : NULL;
	if (!p)
		return window_error(&g->records);
	memcpy(&ret->name, p + name, sizeof(ret->name));
	memcpy(&ret->pcsp, p + pcsp, sizeof(ret->pcsp));
	ret->flags = t->layout == GO_1_2 ? 0 : p[flags[t->layout]];
	return 0;
}

int gofuncs_at(struct gofuncs *g, uint32_t i, struct gofunc *ret)
{
	struct gofunc f = { 0 };
	uint64_t record;
	int r = read_bounds(g, i, &f, &record);
	if (r == 0)
		r = f.start < f.end ? read_record(g, record, &f) : -ENOENT;
	if (r == 0)
		*ret = f;
	return r;
}

struct slice gofuncs_name(struct gofuncs *g, const struct gofunc *f)
{
	const struct gopclntab *t = &g->table;
	uint64_t off = t->names + f->name, end = t->off + t->size;
	if (off >= end)
		return slice_of(NULL, 0);
	uint32_t n = end - off < SYMBOL_NAME_MAX ? (uint32_t)(end - off) : SYMBOL_NAME_MAX;
	const char *name = filewin_at(&g->names, off, n);
	return slice_of(name, name ? strnlen(name, n) : 0);
}

static int read_varint(struct gofuncs *g, uint64_t *off, uint32_t *ret)
{
	uint32_t v = 0;
	for (uint32_t i = 0; i < VARINT_MAX; i++) {
		const uint8_t *p = filewin_at(&g->pctab, *off, 1);
		if (!p)
			return window_error(&g->pctab);
		++*off;
		v |= (uint32_t)(*p & 0x7f) << (7 * i);
		if (!(*p & 0x80)) {
			*ret = v;
			return 0;
		}
	}
	return -EBADMSG;
}

/* pcsp: { zigzag change of the value, change of pc in quanta } ..., 0. The
 * value starts at -1; each holds up to the pc that follows it. */
int gofuncs_stack(struct gofuncs *g, const struct gofunc *f, struct gofunc_sink sink)
{
	const struct gopclntab *t = &g->table;
	uint64_t off = t->pctab + f->pcsp, pc = f->start;
	uint32_t delta = UINT32_MAX;
	int r = 0;
	while (f->pcsp && r == 0 && pc < f->end) {
		uint32_t change, quanta;
		r = read_varint(g, &off, &change);
		if (r < 0 || (change == 0 && pc > f->start))
			return r;
		r = read_varint(g, &off, &quanta);
		if (r < 0 || quanta == 0)
			return r < 0 ? r : -EBADMSG;
		delta += change & 1 ? ~(change >> 1) : change >> 1;
		uint64_t end = pc + (uint64_t)quanta * t->quantum;
		r = sink.put(sink.arg, pc, end < f->end ? end : f->end, (int32_t)delta);
		pc = end;
	}
	return r;
}

/* ---- look-up ------------------------------------------------------------- */

static int put_nameless(struct symrange_sink sink, uint64_t start, uint64_t end)
{
	return sink.put(sink.arg, &(struct symrange){ .start = start, .end = end });
}

static int put_named(struct gofuncs *g, struct gofunc *f, uint64_t record, struct symrange_sink sink)
{
	struct symrange range = { .start = f->start, .end = f->end };
	int r = read_record(g, record, f);
	if (r == 0)
		range.name = gofuncs_name(g, f);
	if (g->names.error)
		r = g->names.error;
	return r < 0 ? r : sink.put(sink.arg, &range);
}

/* The addresses from *next on that lie in functions. */
static int look_up_functions(struct gofuncs *g, const uint64_t *addrs, uint32_t n, uint32_t *next,
			     struct symrange_sink sink)
{
	for (uint32_t i = 0; i < g->table.n_funcs && *next < n && addrs[*next] < g->table.end; i++) {
		struct gofunc f = { 0 };
		uint64_t record;
		int r = read_bounds(g, i, &f, &record);
		/* Not in it: in one that comes out of order, or before the first. */
		if (r == 0 && addrs[*next] < f.start)
			r = -EBADMSG;
		if (r == 0 && addrs[*next] < f.end)
			r = put_named(g, &f, record, sink);
		if (r < 0)
			return r;
		while (*next < n && addrs[*next] < f.end)
			++*next;
	}
	return 0;
}

static int look_up(struct gofuncs *g, const uint64_t *addrs, uint32_t n, struct symrange_sink sink)
{
	uint32_t next = 0;
	int r = 0;
	if (addrs[0] < g->table.start)
		r = put_nameless(sink, 0, g->table.start);
	while (next < n && addrs[next] < g->table.start)
		next++;
	if (r == 0)
		r = look_up_functions(g, addrs, n, &next, sink);
	if (r == 0 && next < n && addrs[next] != SYMRANGE_NO_ADDRESS)
		r = put_nameless(sink, g->table.end, SYMRANGE_NO_ADDRESS);
	return r;
}

int gofuncs_lookup(const struct gopclntab *t, const uint64_t *addrs, uint32_t n, struct symrange_sink sink,
		   struct error *err)
{
	if (n == 0)
		return 0;
	if (n > GOFUNCS_MAX_BATCH)
		return error_set(err, -E2BIG, "%u addresses in one batch; at most %d", n, GOFUNCS_MAX_BATCH);
	_cleanup_(gofuncs_done)
	struct gofuncs g;
	int r = gofuncs_init(&g, t);
	if (r < 0)
		return error_set(err, r, "no memory to read Go's function table");
	r = look_up(&g, addrs, n, sink);
	if (r == -EBADMSG)
		return error_set(err, r, "Go's function table is damaged");
	if (g.functab.error || g.records.error || g.names.error)
		return error_set(err, r, "cannot read Go's function table: %s", strerror(-r));
	return r;
}
