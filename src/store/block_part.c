/* SPDX-License-Identifier: Apache-2.0 */
#include "store/block_part.h"

#include "store/column.h"

#include <endian.h>
#include <errno.h>

/* A section being read: its columns, one after the other. */
struct reading {
	struct block_part *b;
	enum block_section kind;
	uint32_t n; /* rows */
	struct block_bytes bytes;
	struct slice rest;
	struct error *err;
};

static void reading_done(struct reading *r)
{
	block_bytes_free(&r->bytes);
}

static int damaged(const struct reading *r)
{
	return error_set(r->err, -EBADMSG, "section %d makes no sense", r->kind);
}

static int reading_init(struct reading *r, struct block_part *b, enum block_section kind, struct error *err)
{
	*r = (struct reading){ .b = b, .kind = kind, .n = b->pages.file.section[kind].n, .err = err };
	int e = block_file_section(&b->pages.file, kind, b->budget, &r->bytes, err);
	r->rest = block_bytes_slice(&r->bytes);
	/* A row takes a byte at least: what is not there needs no memory. */
	if (e == 0 && r->n > r->rest.size)
		e = damaged(r);
	return e;
}

static int columns(struct reading *r, struct column *column, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (columns_next(&r->rest, &column[i]) < 0)
			return damaged(r);
	return 0;
}

static int check(const struct reading *r, const struct column *column, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!column_is_over(&column[i]))
			return damaged(r);
	return 0;
}

static uint32_t n_strings(const struct block_part *b)
{
	return strtab_count(&b->part.names.dict.strings) - 1;
}

static struct str_id get_string(const struct block_part *b, struct column *c)
{
	return (struct str_id){ column_u32(c, n_strings(b)) };
}

/* ---- the dictionary ---- */

static int put_string(struct strtab *t, struct membudget *budget, const uint8_t *data, size_t size)
{
	if (size > VEC_MAX)
		return -EBADMSG;
	int r = vec_reserve(budget, &t->bytes, (uint32_t)size + 1);
	if (r == 0)
		r = vec_reserve(budget, &t->offset, 1);
	if (r < 0)
		return r;
	if (size)
		memcpy(t->bytes.data + t->bytes.n, data, size);
	t->bytes.n += (uint32_t)size;
	t->bytes.data[t->bytes.n++] = 0;
	t->offset.data[t->offset.n++] = t->bytes.n;
	return 0;
}

static int load_strings(struct reading *r)
{
	struct strtab *t = &r->b->part.names.dict.strings;
	struct column c[2];
	int e = columns(r, c, 2);
	if (e == 0)
		e = vec_reserve(r->b->budget, &t->offset, r->n);
	for (uint32_t i = 0; e == 0 && i < r->n; i++) {
		uint64_t size = column_u(&c[0]);
		if (size > (size_t)(c[1].end - c[1].p))
			return damaged(r);
		e = put_string(t, r->b->budget, c[1].p, size);
		c[1].p += size;
	}
	return e == 0 ? check(r, c, 2) : e;
}

/* The parent of node i: `up` levels above the node before it. */
static bool parent_of(const struct dict *d, uint32_t i, uint64_t up, struct node_id *ret)
{
	uint32_t parent = i - 1;
	for (; up > 0 && parent; up--)
		parent = d->node_parent.data[parent].v;
	ret->v = parent;
	return up == 0;
}

static int load_nodes(struct reading *r)
{
	struct dict *d = &r->b->part.names.dict;
	uint32_t n_frames = r->b->pages.file.section[SECTION_FRAMES].n, next = 1;
	struct column c[2];
	int e = columns(r, c, 2);
	if (e == 0)
		e = vec_reserve(r->b->budget, &d->node_parent, r->n);
	if (e == 0)
		e = vec_reserve(r->b->budget, &d->node_frame, r->n);
	for (uint32_t i = 1; e == 0 && i <= r->n; i++) {
		struct node_id parent;
		if (!parent_of(d, i, column_u(&c[0]), &parent))
			return damaged(r);
		d->node_parent.data[d->node_parent.n++] = parent;
		d->node_frame.data[d->node_frame.n++] = (struct frame_id){ column_r(&c[1], &next, n_frames) };
	}
	return e == 0 ? check(r, c, 2) : e;
}

/* One of a later version is none that we know. */
static uint8_t get_found(struct column *c)
{
	uint32_t found = column_u32(c, UINT8_MAX);
	return found < N_FRAME_FOUNDS ? (uint8_t)found : 0;
}

static int load_frames(struct reading *r)
{
	struct dict *d = &r->b->part.names.dict;
	const struct block_row *section = r->b->pages.file.section;
	uint32_t next_function = 1, next_mapping = 1;
	struct column c[8];
	int e = columns(r, c, 8);
	if (e == 0)
		e = vec_reserve(r->b->budget, &d->frames, r->n);
	for (uint32_t i = 0; e == 0 && i < r->n; i++)
		d->frames.data[d->frames.n++] = (struct frame){
			.function = { column_r(&c[0], &next_function, section[SECTION_FUNCTIONS].n) },
			.mapping = { column_r(&c[1], &next_mapping, section[SECTION_MAPPINGS].n) },
			.address = column_d(&c[2]),
			.line = column_u32(&c[3], UINT32_MAX),
			.kind = (uint8_t)column_u32(&c[4], UINT8_MAX),
			.found = get_found(&c[5]),
			.flags = (uint8_t)column_u32(&c[6], UINT8_MAX),
			.column = column_u32(&c[7], UINT32_MAX),
		};
	return e == 0 ? check(r, c, 8) : e;
}

static int load_mappings(struct reading *r)
{
	struct dict *d = &r->b->part.names.dict;
	struct column c[6];
	int e = columns(r, c, 6);
	if (e == 0)
		e = vec_reserve(r->b->budget, &d->mappings, r->n);
	for (uint32_t i = 0; e == 0 && i < r->n; i++)
		d->mappings.data[d->mappings.n++] = (struct mapping){
			.start = column_u(&c[0]),
			.limit = column_u(&c[1]),
			.offset = column_u(&c[2]),
			.path = get_string(r->b, &c[3]),
			.build_id = get_string(r->b, &c[4]),
			.flags = column_u32(&c[5], UINT32_MAX),
		};
	return e == 0 ? check(r, c, 6) : e;
}

static int load_functions(struct reading *r)
{
	struct dict *d = &r->b->part.names.dict;
	uint32_t n = n_strings(r->b);
	struct column c[4];
	int e = columns(r, c, 4);
	if (e == 0)
		e = vec_reserve(r->b->budget, &d->functions, r->n);
	for (uint32_t i = 0; e == 0 && i < r->n; i++)
		d->functions.data[d->functions.n++] = (struct function){
			.name = { column_u32(&c[0], n) },
			.system_name = { column_u32(&c[1], n) },
			.file = { column_u32(&c[2], n) },
			.start_line = column_u32(&c[3], UINT32_MAX),
		};
	return e == 0 ? check(r, c, 4) : e;
}

static int load_label_sets(struct reading *r)
{
	struct profile *p = &r->b->part.names;
	struct column c[6];
	int e = columns(r, c, 6);
	if (e == 0)
		e = vec_reserve(r->b->budget, &p->labels_off, r->n);
	for (uint32_t i = 0; e == 0 && i < r->n; i++) {
		uint32_t n = column_u32(&c[0], LABELS_MAX);
		e = vec_reserve(r->b->budget, &p->label, n);
		for (uint32_t l = 0; e == 0 && l < n; l++) {
			struct label label = { .key = get_string(r->b, &c[1]), .is_num = column_u32(&c[2], 1) };
			label.str = get_string(r->b, &c[3]);
			label.unit = get_string(r->b, &c[4]);
			label.num = (int64_t)column_d(&c[5]);
			p->label.data[p->label.n++] = label;
		}
		p->labels_off.data[p->labels_off.n++] = p->label.n;
	}
	return e == 0 ? check(r, c, 6) : e;
}

/* ---- hosts and what was measured on them ---- */

static int load_windows(struct reading *r, struct host *host, uint32_t n, struct column *c)
{
	struct part *p = &r->b->part;
	if (n > (size_t)(c[3].end - c[3].p))
		return damaged(r);
	int e = vec_reserve(r->b->budget, &host->windows, n);
	for (uint32_t i = 0; e == 0 && i < n; i++)
		host->windows.data[host->windows.n++] = (struct window){
			.from_ms = column_time(&c[2]),
			.duration_ms = column_u32(&c[3], UINT32_MAX),
			.n_cpus = column_u32(&c[4], UINT32_MAX),
			.source = column_u32(&c[5], p->sources.n - 1),
			.losses = column_u32(&c[6], p->losses.n - 1),
			.n_samples = column_u(&c[7]),
		};
	return e;
}

static int load_hosts(struct reading *r)
{
	struct part *p = &r->b->part;
	struct column c[8];
	int e = columns(r, c, 8);
	if (e == 0)
		e = vec_reserve(r->b->budget, &p->hosts, r->n);
	for (uint32_t i = 0; e == 0 && i < r->n; i++) {
		struct host *host = &p->hosts.data[p->hosts.n++];
		*host = (struct host){ .name = get_string(r->b, &c[0]) };
		e = load_windows(r, host, column_u32(&c[1], UINT32_MAX), c);
	}
	return e == 0 ? check(r, c, 8) : e;
}

static void copy_word(const struct block_part *b, struct column *c, char out[static 32])
{
	struct slice word = part_string(&b->part, get_string(b, c));
	(void)snprintf(out, 32, "%.*s", SLICE_FMT(word));
}

static int load_sources(struct reading *r)
{
	struct part *p = &r->b->part;
	struct column c[2];
	int e = columns(r, c, 2);
	if (e == 0 && r->n >= PART_MAX_SOURCES)
		e = damaged(r);
	for (uint32_t i = 0; e == 0 && i < r->n; i++) {
		struct source *s = &p->sources.data[p->sources.n++];
		copy_word(r->b, &c[0], s->name);
		copy_word(r->b, &c[1], s->unwind);
	}
	return e == 0 ? check(r, c, 2) : e;
}

/* Reasons are told by name: those that we do not know are left out. */
static int load_losses(struct reading *r)
{
	struct part *p = &r->b->part;
	struct column names, c;
	int e = columns(r, &names, 1);
	if (e == 0)
		e = vec_reserve(r->b->budget, &p->losses, r->n);
	if (e < 0)
		return e;
	memset(p->losses.data + 1, 0, r->n * sizeof(struct losses));
	p->losses.n += r->n;
	while (names.p < names.end) {
		struct slice name = part_string(p, get_string(r->b, &names));
		int loss = 0;
		while (loss < N_LOSSES && !slice_eq(name, slice_str(loss_name((enum loss)loss))))
			loss++;
		e = columns(r, &c, 1);
		for (uint32_t i = 1; e == 0 && i <= r->n; i++) {
			uint64_t v = column_u(&c);
			if (loss < N_LOSSES)
				p->losses.data[i].n[loss] = v;
		}
		if (e == 0)
			e = check(r, &c, 1);
		if (e < 0)
			return e;
	}
	return check(r, &names, 1);
}

/* ---- series and pages ---- */

#define MAX_LABEL_COLUMNS 64

/* label[k] = place among our labels of the block's label k; N_SERIES_LABELS: not one of them. */
static int label_places(struct reading *r, int *label, unsigned *ret_n)
{
	struct column names;
	int e = columns(r, &names, 1);
	for (*ret_n = 0; e == 0 && names.p < names.end; ++*ret_n) {
		if (*ret_n == MAX_LABEL_COLUMNS)
			return damaged(r);
		struct slice name = part_string(&r->b->part, get_string(r->b, &names));
		int at = 0;
		while (at < N_SERIES_LABELS && !slice_eq(name, slice_str(series_label_name((enum series_label)at))))
			at++;
		label[*ret_n] = at;
	}
	return e == 0 ? check(r, &names, 1) : e;
}

static int load_series(struct reading *r)
{
	struct block_part *b = r->b;
	struct part *p = &b->part;
	int label[MAX_LABEL_COLUMNS];
	unsigned n_labels;
	struct column values[MAX_LABEL_COLUMNS], c[3 + N_RESOLUTIONS];
	int e = label_places(r, label, &n_labels);
	if (e == 0)
		e = columns(r, values, n_labels);
	if (e == 0)
		e = columns(r, c, ARRAY_SIZE(c));
	if (e == 0)
		e = vec_reserve(b->budget, &p->series, r->n);
	if (e == 0)
		e = vec_reserve(b->budget, &b->pages.series, r->n);
	uint64_t page = 0;
	for (uint32_t i = 0; e == 0 && i < r->n; i++) {
		struct series row = { .type = get_string(b, &c[0]) };
		struct series_pages pages;
		for (unsigned k = 0; k < n_labels; k++) {
			struct str_id value = get_string(b, &values[k]);
			if (label[k] < N_SERIES_LABELS)
				row.label[label[k]] = value;
		}
		row.host = column_u32(&c[1], UINT32_MAX);
		row.last_ms = column_time(&c[2]);
		if (row.host >= p->hosts.n)
			return damaged(r);
		for (int k = 0; k < N_RESOLUTIONS; k++) {
			pages.first[k] = (uint32_t)page;
			page += column_u32(&c[3 + k], VEC_MAX);
			if (page > b->pages.pages.n)
				return damaged(r);
		}
		pages.first[N_RESOLUTIONS] = (uint32_t)page;
		p->series.data[p->series.n++] = row;
		b->pages.series.data[b->pages.series.n++] = pages;
	}
	if (e == 0)
		e = check(r, values, n_labels);
	return e == 0 ? check(r, c, ARRAY_SIZE(c)) : e;
}

static uint64_t get_hash(struct column *c)
{
	uint64_t v;
	if (c->end - c->p < (ptrdiff_t)sizeof(v)) {
		c->bad = true;
		return 0;
	}
	memcpy(&v, c->p, sizeof(v));
	c->p += sizeof(v);
	return le64toh(v);
}

static int load_pages(struct reading *r)
{
	struct block_pages *b = &r->b->pages;
	struct column c[4 + 2 * N_PIECES + 1];
	int e = columns(r, c, ARRAY_SIZE(c));
	if (e == 0)
		e = vec_reserve(r->b->budget, &b->pages, r->n);
	for (uint32_t i = 0; e == 0 && i < r->n; i++) {
		struct page page = { .off = column_d(&c[0]), .n_chunks = column_u32(&c[1], UINT32_MAX) };
		page.from_ms = column_time(&c[2]);
		uint64_t span = column_u(&c[3]);
		if (span > COLUMN_TIME_MAX)
			return damaged(r);
		page.to_ms = page.from_ms + (int64_t)span;
		uint64_t size = 0;
		for (int k = 0; k < N_PIECES; k++) {
			page.stored[k] = column_u32(&c[4 + 2 * k], UINT32_MAX);
			page.size[k] = column_u32(&c[5 + 2 * k], BLOCK_MAX_PIECE);
			page.hash[k] = get_hash(&c[4 + 2 * N_PIECES]);
			size += page.stored[k];
			if (!block_file_fits(&b->file, page.stored[k], page.size[k]))
				return damaged(r);
		}
		if (page.off > b->file.meta.size || size > b->file.meta.size - page.off)
			return damaged(r);
		b->pages.data[b->pages.n++] = page;
	}
	return e == 0 ? check(r, c, ARRAY_SIZE(c)) : e;
}

/* ---- all of it ---- */

static int load(struct block_part *b, enum block_section kind, int (*parse)(struct reading *r), struct error *err)
{
	_cleanup_(reading_done)
	struct reading r;
	int e = reading_init(&r, b, kind, err);
	return e == 0 && (r.n || r.rest.size) ? parse(&r) : e;
}

static int load_all(struct block_part *b, struct error *err)
{
	/* Each needs those before it. */
	static const struct {
		enum block_section kind;
		int (*parse)(struct reading *r);
	} sections[] = {
		{ SECTION_STRINGS, load_strings },   { SECTION_FUNCTIONS, load_functions },
		{ SECTION_MAPPINGS, load_mappings }, { SECTION_FRAMES, load_frames },
		{ SECTION_NODES, load_nodes },	     { SECTION_LABEL_SETS, load_label_sets },
		{ SECTION_SOURCES, load_sources },   { SECTION_LOSSES, load_losses },
		{ SECTION_HOSTS, load_hosts },	     { SECTION_PAGES, load_pages },
		{ SECTION_SERIES, load_series },
	};
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		int r = load(b, sections[i].kind, sections[i].parse, err);
		if (r < 0)
			return r;
	}
	const struct block_meta *m = &b->pages.file.meta;
	b->part.n_profiles = m->n_profiles;
	b->part.oldest_ms = m->from_ms;
	b->part.newest_ms = m->to_ms;
	return 0;
}

int block_part_load(struct block_part *b, int dir, const char *name, const struct keyring *keys,
		    struct membudget *budget, struct error *err)
{
	*b = (struct block_part){ .budget = budget };
	int r = block_file_open(&b->pages.file, dir, name, keys, err);
	if (r < 0)
		return r;
	r = part_init(&b->part, budget);
	if (r == 0)
		r = load_all(b, err);
	if (r < 0) {
		if (r == -ENOBUFS || r == -ENOMEM)
			(void)error_set(err, r, "no memory to read it");
		error_prefix(err, "%s", name);
		block_part_done(b);
		return r;
	}
	b->part.pages = &b->pages;
	return 0;
}

void block_part_done(struct block_part *b)
{
	vec_done(b->budget, &b->pages.pages);
	vec_done(b->budget, &b->pages.series);
	block_file_close(&b->pages.file);
	part_done(&b->part);
}

#define KEY_ROW_SIZE 24

int block_read_keys(const struct block_file *f, int (*add)(void *arg, const struct key_row *row), void *arg,
		    struct membudget *budget, struct error *err)
{
	_cleanup_(block_bytes_free)
	struct block_bytes bytes = { 0 };
	int r = block_file_section(f, SECTION_KEYS, budget, &bytes, err);
	if (r == 0 && bytes.size % KEY_ROW_SIZE)
		r = error_set(err, -EBADMSG, "section %d makes no sense", SECTION_KEYS);
	for (size_t at = 0; r == 0 && at < bytes.size; at += KEY_ROW_SIZE) {
		uint64_t v[3];
		memcpy(v, bytes.data + at, sizeof(v));
		struct key_row row = { { le64toh(v[0]), le64toh(v[1]) }, (int64_t)le64toh(v[2]) };
		r = add(arg, &row);
	}
	return r;
}
