/* SPDX-License-Identifier: Apache-2.0 */
#include "format/slab.h"

#include "base/jsonw.h"
#include "base/saturate.h"
#include "base/utf8.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "columns are written as they lie in memory");

#define MAGIC	    "wickslab"
#define VERSION	    1
#define HEAD_SIZE   32
#define MAX_COLUMNS 64
#define NAME_SIZE   16
#define MAX_DEPTH   65535

struct row {
	char name[NAME_SIZE];
	uint32_t elem_size, n;
	uint64_t offset;
};
_Static_assert(sizeof(struct row) == 32, "a row of the column table is 32 bytes");

enum column {
	NODE_FUNC,
	NODE_DEPTH,
	NODE_SELF,
	NODE_PRUNED,
	FUNC_NAME,
	FUNC_FILE,
	FUNC_MODULE,
	FUNC_KIND,
	STR_OFFSET,
	STR_BYTES,
	META,
	N_COLUMNS, /* those above every slab has */
	/* Those that only some have. */
	NODE_FOUND = N_COLUMNS,
	FUNC_LINE,
	N_READ_COLUMNS,
	NODE_BASE = N_READ_COLUMNS, /* those of a comparison */
	NODE_LOW,
	NODE_HIGH,
	NODE_VERDICT,
	N_ALL_COLUMNS,
};

static const struct {
	const char *name;
	uint32_t elem_size;
} columns[N_ALL_COLUMNS] = {
	[NODE_FUNC] = { "node.func", 4 },
	[NODE_DEPTH] = { "node.depth", 2 },
	[NODE_SELF] = { "node.self", 8 },
	[NODE_PRUNED] = { "node.pruned", 4 },
	[FUNC_NAME] = { "func.name", 4 },
	[FUNC_FILE] = { "func.file", 4 },
	[FUNC_MODULE] = { "func.module", 4 },
	[FUNC_KIND] = { "func.kind", 1 },
	[STR_OFFSET] = { "str.offset", 4 },
	[STR_BYTES] = { "str.bytes", 1 },
	[META] = { "meta", 1 },
	[NODE_FOUND] = { "node.found", 1 },
	[FUNC_LINE] = { "func.line", 4 },
	[NODE_BASE] = { "node.base", 8 },
	[NODE_LOW] = { "node.low", 8 },
	[NODE_HIGH] = { "node.high", 8 },
	[NODE_VERDICT] = { "node.verdict", 1 },
};

/* --- out --- */

struct slab_writer {
	const struct calltree *t;
	const struct diff *diff;
	bool has_found, has_lines;
	double threshold; /* subtrees whose shares are not above it are folded; < 0: none is */
	uint32_t n_nodes, n_pruned;
	uint32_t *func_row;	  /* by tree function; 0 = not used, else row + 1 */
	uint32_t *str_row;	  /* by string of the tree; 0 = not used (or "") */
	VEC(uint32_t) funcs;	  /* tree function of each row */
	VEC(uint32_t) str_offset; /* n = strings + 1 */
	struct buf str_bytes, meta;
};

static void slab_writer_done(struct slab_writer *w)
{
	free(w->func_row);
	free(w->str_row);
	vec_done(NULL, &w->funcs);
	vec_done(NULL, &w->str_offset);
	buf_done(&w->str_bytes);
	buf_done(&w->meta);
}

/* A node as the slab shows it: below MAX_DEPTH a subtree is one pruned node, and
 * so is a run of neighbours that are small. */
struct shown {
	uint32_t func, pruned, next;
	int64_t self;
	uint8_t found;
};

/* The larger of a node's shares of the sides. */
static double share_of(const struct diff *d, uint32_t i)
{
	const struct diff_item *item = &d->item[DIFF_NODE_TOTAL][i];
	double share = 0;
	for (int s = 0; s < 2; s++)
		if (d->side[s].whole > 0)
			share = fmax(share, (double)item->value[s] / (double)d->side[s].whole);
	return share;
}

static bool is_folded(const struct slab_writer *w, uint32_t i)
{
	return i > 0 && w->threshold >= 0 && share_of(w->diff, i) <= w->threshold;
}

static uint32_t end_of_run(const struct slab_writer *w, uint32_t i)
{
	uint32_t next = w->t->end[i];
	while (is_folded(w, i) && next < w->t->end[w->t->parent[i]] && is_folded(w, next))
		next = w->t->end[next];
	return next;
}

static struct shown show_node(const struct slab_writer *w, uint32_t i)
{
	const struct calltree *t = w->t;
	bool cut = is_folded(w, i) || (t->depth[i] >= MAX_DEPTH && t->end[i] > i + 1);
	if (!cut)
		return (struct shown){ t->func[i], t->pruned[i], i + 1, t->self[i], t->found[i] };
	struct shown s = { TREE_FUNC_PRUNED, 0, end_of_run(w, i), 0, 0 };
	for (uint32_t k = i; k < s.next; k = t->end[k])
		s.self = i64_add_saturating(s.self, t->total[k]);
	for (uint32_t k = i; k < s.next; k++)
		s.pruned += t->pruned[k] ? t->pruned[k] : 1;
	return s;
}

static uint32_t count_shown(const struct slab_writer *w)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < w->t->n; n++)
		i = is_folded(w, i) ? end_of_run(w, i) : i + 1;
	return n;
}

/* The smallest threshold that fits, near enough. A node's share is never above
 * its parent's, so what is shown hangs together. */
static void fold(struct slab_writer *w, uint32_t max_nodes)
{
	double low = 0, high = 1;
	if (!max_nodes || w->t->n <= max_nodes)
		return;
	for (int i = 0; i < 24; i++) {
		w->threshold = (low + high) / 2;
		if (count_shown(w) <= max_nodes)
			high = w->threshold;
		else
			low = w->threshold;
	}
	w->threshold = high;
}

static int end_string(struct slab_writer *w)
{
	if (w->str_bytes.failed)
		return -ENOMEM;
	if (w->str_bytes.n > UINT32_MAX)
		return -E2BIG;
	int r = vec_reserve(NULL, &w->str_offset, 1);
	if (r == 0)
		w->str_offset.data[w->str_offset.n++] = (uint32_t)w->str_bytes.n;
	return r;
}

static int add_string(struct slab_writer *w, struct str_id id)
{
	struct slice s = strtab_get(&w->t->names, id);
	if (s.size == 0 || w->str_row[id.v])
		return 0;
	w->str_row[id.v] = w->str_offset.n - 1;
	for (size_t i = 0; i < s.size;) {
		size_t n = utf8_sequence(s.data + i, s.size - i);
		buf_add(&w->str_bytes, n ? (const void *)(s.data + i) : "\xef\xbf\xbd", n ? n : 3);
		i += n ? n : 1;
	}
	return end_string(w);
}

static int add_func(struct slab_writer *w, uint32_t func)
{
	if (w->func_row[func])
		return 0;
	const struct tree_func *f = &w->t->funcs[func];
	int r = vec_reserve(NULL, &w->funcs, 1);
	if (r == 0)
		r = add_string(w, f->name);
	if (r == 0)
		r = add_string(w, f->file);
	if (r == 0)
		r = add_string(w, f->module);
	if (r < 0)
		return r;
	w->funcs.data[w->funcs.n++] = func;
	w->func_row[func] = w->funcs.n;
	return 0;
}

/* Only functions and strings that a node uses are written. */
static int collect(struct slab_writer *w)
{
	const struct calltree *t = w->t;
	w->func_row = calloc((size_t)t->n_funcs + 1, sizeof(uint32_t));
	w->str_row = calloc((size_t)strtab_count(&t->names) + 1, sizeof(uint32_t));
	if (!w->func_row || !w->str_row)
		return -ENOMEM;
	w->str_bytes = buf_of(SIZE_MAX / 2);
	int r = end_string(w); /* start of string 0 */
	if (r == 0)
		r = end_string(w); /* and its end: it is empty */
	for (uint32_t i = 0; r == 0 && i < t->n; w->n_nodes++) {
		struct shown s = show_node(w, i);
		w->n_pruned += s.pruned;
		if (s.func != TREE_FUNC_PRUNED)
			r = add_func(w, s.func);
		i = s.next;
	}
	return r;
}

static int write_meta(struct slab_writer *w, const struct slab_meta *meta)
{
	w->meta = buf_of(SIZE_MAX / 2);
	struct jsonw json = { .out = &w->meta };
	jsonw_object(&json, NULL);
	jsonw_str(&json, "type", meta->type);
	jsonw_str(&json, "unit", meta->unit);
	jsonw_i64(&json, "total", w->t->total[0]);
	jsonw_u64(&json, "nodes", w->n_nodes);
	jsonw_u64(&json, "pruned_nodes", w->n_pruned);
	if (meta->extra.size) {
		buf_add_byte(&w->meta, ',');
		buf_add(&w->meta, meta->extra.data, meta->extra.size);
	}
	jsonw_end(&json, '}');
	return w->meta.failed ? -ENOMEM : w->meta.n > UINT32_MAX ? -E2BIG : 0;
}

static uint64_t align8(uint64_t offset)
{
	return (offset + 7) & ~(uint64_t)7;
}

static bool has_column(const struct slab_writer *w, uint32_t c)
{
	switch (c) {
	case NODE_FOUND:
		return w->has_found;
	case FUNC_LINE:
		return w->has_lines;
	default:
		return c < N_COLUMNS || w->diff;
	}
}

static uint32_t count_columns(const struct slab_writer *w)
{
	uint32_t n = 0;
	for (uint32_t c = 0; c < N_ALL_COLUMNS; c++)
		n += has_column(w, c);
	return n;
}

/* Where each column goes, by enum column; returns the size of the whole. */
static uint64_t place_columns(const struct slab_writer *w, struct row *rows)
{
	const uint32_t n[N_ALL_COLUMNS] = {
		[NODE_FUNC] = w->n_nodes,	[NODE_DEPTH] = w->n_nodes,
		[NODE_SELF] = w->n_nodes,	[NODE_PRUNED] = w->n_nodes,
		[FUNC_NAME] = w->funcs.n,	[FUNC_FILE] = w->funcs.n,
		[FUNC_MODULE] = w->funcs.n,	[FUNC_KIND] = w->funcs.n,
		[STR_OFFSET] = w->str_offset.n, [STR_BYTES] = (uint32_t)w->str_bytes.n,
		[META] = (uint32_t)w->meta.n,	[NODE_BASE] = w->n_nodes,
		[NODE_LOW] = w->n_nodes,	[NODE_HIGH] = w->n_nodes,
		[NODE_VERDICT] = w->n_nodes,	[NODE_FOUND] = w->n_nodes,
		[FUNC_LINE] = w->funcs.n,
	};
	uint64_t offset = HEAD_SIZE + count_columns(w) * sizeof(struct row);
	for (uint32_t c = 0; c < N_ALL_COLUMNS; c++) {
		if (!has_column(w, c))
			continue;
		rows[c] = (struct row){ .elem_size = columns[c].elem_size, .n = n[c], .offset = offset };
		memcpy(rows[c].name, columns[c].name, strlen(columns[c].name));
		offset = align8(offset + (uint64_t)columns[c].elem_size * n[c]);
	}
	return offset;
}

static void write_table(const struct slab_writer *w, const struct row *rows, uint8_t *base)
{
	uint8_t *at = base + HEAD_SIZE;
	for (uint32_t c = 0; c < N_ALL_COLUMNS; c++)
		if (has_column(w, c)) {
			memcpy(at, &rows[c], sizeof(*rows));
			at += sizeof(*rows);
		}
}

static void write_nodes(const struct slab_writer *w, const struct row *rows, uint8_t *base)
{
	const struct calltree *t = w->t;
	uint32_t *func = (uint32_t *)(void *)(base + rows[NODE_FUNC].offset);
	uint16_t *depth = (uint16_t *)(void *)(base + rows[NODE_DEPTH].offset);
	double *self = (double *)(void *)(base + rows[NODE_SELF].offset);
	uint32_t *pruned = (uint32_t *)(void *)(base + rows[NODE_PRUNED].offset);
	uint32_t n = 0;
	for (uint32_t i = 0; i < t->n; n++) {
		struct shown s = show_node(w, i);
		func[n] = s.func == TREE_FUNC_PRUNED ? TREE_FUNC_PRUNED : w->func_row[s.func] - 1;
		depth[n] = (uint16_t)t->depth[i];
		self[n] = (double)s.self;
		pruned[n] = s.pruned;
		i = s.next;
	}
}

static void write_found(const struct slab_writer *w, const struct row *rows, uint8_t *base)
{
	uint8_t *found = base + rows[NODE_FOUND].offset;
	for (uint32_t i = 0; i < w->t->n;) {
		struct shown s = show_node(w, i);
		*found++ = s.found;
		i = s.next;
	}
}

/* What the other side has, and what the samples say of each node's total. */
static void write_diff(const struct slab_writer *w, const struct row *rows, uint8_t *base)
{
	const struct calltree *t = w->t;
	double *self = (double *)(void *)(base + rows[NODE_BASE].offset);
	double *low = (double *)(void *)(base + rows[NODE_LOW].offset);
	double *high = (double *)(void *)(base + rows[NODE_HIGH].offset);
	uint8_t *verdict = base + rows[NODE_VERDICT].offset;
	uint32_t n = 0;
	for (uint32_t i = 0; i < t->n; n++) {
		struct shown s = show_node(w, i);
		bool is_cut = s.func == TREE_FUNC_PRUNED;
		struct diff_result r = diff_result(w->diff, DIFF_NODE_TOTAL, i, 0);
		self[n] = (double)w->diff->item[is_cut ? DIFF_NODE_TOTAL : DIFF_NODE_SELF][i].value[DIFF_A];
		/* Of several together nothing was tested. */
		bool is_tested = r.has_interval && !(is_cut && s.next > t->end[i]);
		for (uint32_t k = t->end[i]; is_cut && k < s.next; k = t->end[k])
			self[n] += (double)w->diff->item[DIFF_NODE_TOTAL][k].value[DIFF_A];
		low[n] = is_tested ? r.interval.low : 0;
		high[n] = is_tested ? r.interval.high : 0;
		verdict[n] = !is_tested ? 0 : r.is_significant ? 2 : 1;
		i = s.next;
	}
}

static void write_funcs(const struct slab_writer *w, const struct row *rows, uint8_t *base)
{
	uint32_t *name = (uint32_t *)(void *)(base + rows[FUNC_NAME].offset);
	uint32_t *file = (uint32_t *)(void *)(base + rows[FUNC_FILE].offset);
	uint32_t *module = (uint32_t *)(void *)(base + rows[FUNC_MODULE].offset);
	uint8_t *kind = base + rows[FUNC_KIND].offset;
	uint32_t *line = w->has_lines ? (uint32_t *)(void *)(base + rows[FUNC_LINE].offset) : NULL;
	for (uint32_t i = 0; i < w->funcs.n; i++) {
		const struct tree_func *f = &w->t->funcs[w->funcs.data[i]];
		if (line)
			line[i] = f->line;
		name[i] = w->str_row[f->name.v];
		file[i] = w->str_row[f->file.v];
		module[i] = w->str_row[f->module.v];
		kind[i] = (uint8_t)(f->kind | (f->named ? 0 : 0x80));
	}
}

int slab_encode(const struct calltree *t, const struct slab_meta *meta, struct buf *out)
{
	_cleanup_(slab_writer_done)
	struct slab_writer w = {
		.t = t,
		.diff = meta->diff,
		.has_found = calltree_has_found(t),
		.has_lines = meta->lines,
		.threshold = -1,
	};
	if (w.diff)
		fold(&w, meta->max_nodes);
	int r = collect(&w);
	if (r == 0)
		r = write_meta(&w, meta);
	if (r < 0)
		return r;
	struct row rows[N_ALL_COLUMNS];
	uint64_t size = place_columns(&w, rows);
	/* Laid out apart when what is in `out` already would misalign it. */
	_cleanup_(free_ptr)
	uint8_t *apart = out->n % 8 ? calloc(1, size) : NULL;
	uint8_t *base = out->n % 8 ? apart : buf_room(out, size);
	if (!base)
		return out->failed ? -E2BIG : -ENOMEM;
	memset(base, 0, size);
	const uint32_t head[2] = { VERSION, count_columns(&w) };
	memcpy(base, MAGIC, 8);
	memcpy(base + 8, head, sizeof(head));
	memcpy(base + 16, &size, sizeof(size));
	write_table(&w, rows, base);
	write_nodes(&w, rows, base);
	if (w.has_found)
		write_found(&w, rows, base);
	if (w.diff)
		write_diff(&w, rows, base);
	write_funcs(&w, rows, base);
	memcpy(base + rows[STR_OFFSET].offset, w.str_offset.data, (size_t)w.str_offset.n * sizeof(uint32_t));
	if (w.str_bytes.n)
		memcpy(base + rows[STR_BYTES].offset, w.str_bytes.data, w.str_bytes.n);
	memcpy(base + rows[META].offset, w.meta.data, w.meta.n);
	if (apart)
		buf_add(out, apart, size);
	else
		out->n += size;
	return out->failed ? -E2BIG : 0;
}

/* --- in --- */

static int read_row(struct slice bytes, uint32_t i, const void *column[N_READ_COLUMNS], uint32_t n[N_READ_COLUMNS],
		    struct error *err)
{
	struct row row;
	size_t at = HEAD_SIZE + i * sizeof(row);
	memcpy(&row, bytes.data + at, sizeof(row));
	uint64_t size = (uint64_t)row.elem_size * row.n;
	if (row.offset % 8 || row.offset > bytes.size || size > bytes.size - row.offset)
		return error_set(err, -EBADMSG, "at byte %zu: column %u lies outside of the file", at, i);
	for (uint32_t c = 0; c < N_READ_COLUMNS; c++) {
		if (strncmp(row.name, columns[c].name, NAME_SIZE) != 0)
			continue;
		if (row.elem_size != columns[c].elem_size)
			return error_set(err, -EBADMSG, "at byte %zu: column %s has elements of %u bytes", at,
					 columns[c].name, row.elem_size);
		if (column[c])
			return error_set(err, -EBADMSG, "at byte %zu: column %s is there twice", at, columns[c].name);
		column[c] = bytes.data + row.offset;
		n[c] = row.n;
	}
	return 0;
}

static int read_head(struct slice bytes, uint32_t *ret_n_columns, struct error *err)
{
	uint32_t head[2];
	uint64_t size;
	if ((uintptr_t)bytes.data % 8)
		return error_set(err, -EINVAL, "the slab is not aligned to 8 bytes");
	if (!slice_has_prefix(bytes, MAGIC))
		return error_set(err, -EBADMSG, "at byte 0: not a slab");
	if (bytes.size < HEAD_SIZE)
		return error_set(err, -ENODATA, "the slab ends inside its head");
	memcpy(head, bytes.data + 8, sizeof(head));
	memcpy(&size, bytes.data + 16, sizeof(size));
	if (head[0] != VERSION)
		return error_set(err, -EPROTONOSUPPORT, "at byte 8: slab version %u; this reader knows %d", head[0],
				 VERSION);
	if (bytes.size < size)
		return error_set(err, -ENODATA, "the slab ends after %zu of %llu bytes", bytes.size,
				 (unsigned long long)size);
	if (head[1] > MAX_COLUMNS)
		return error_set(err, -E2BIG, "at byte 12: %u columns; at most %d are read", head[1], MAX_COLUMNS);
	if ((bytes.size - HEAD_SIZE) / sizeof(struct row) < head[1])
		return error_set(err, -EBADMSG, "at byte 12: %u columns do not fit into the file", head[1]);
	*ret_n_columns = head[1];
	return 0;
}

static int check_strings(const struct slab *s, uint32_t n_bytes, struct error *err)
{
	if (s->str_offset[0] != 0 || s->n_strings == 0 || s->str_offset[1] != 0)
		return error_set(err, -EBADMSG, "str.offset: string 0 is not empty");
	for (uint32_t i = 0; i < s->n_strings; i++)
		if (s->str_offset[i] > s->str_offset[i + 1] || s->str_offset[i + 1] > n_bytes)
			return error_set(err, -EBADMSG, "str.offset: string %u lies outside of str.bytes", i);
	for (uint32_t i = 0; i < s->n_funcs; i++)
		if (s->name[i] >= s->n_strings || s->file[i] >= s->n_strings || s->module[i] >= s->n_strings)
			return error_set(err, -EBADMSG, "function %u: a string that does not exist", i);
	return 0;
}

static int check_nodes(const struct slab *s, struct error *err)
{
	for (uint32_t i = 0; i < s->n_nodes; i++) {
		if (s->func[i] != TREE_FUNC_PRUNED && s->func[i] >= s->n_funcs)
			return error_set(err, -EBADMSG, "node %u: function %u does not exist", i, s->func[i]);
		bool fits = i == 0 ? s->depth[i] == 0 : s->depth[i] > 0 && s->depth[i] <= s->depth[i - 1] + 1;
		if (!fits)
			return error_set(err, -EBADMSG, "node %u: depth %u", i, s->depth[i]);
		if (!isfinite(s->self[i]))
			return error_set(err, -EBADMSG, "node %u: its value is not a number", i);
	}
	return 0;
}

/* The column that must be as long. */
static uint32_t column_like(uint32_t c)
{
	return c <= NODE_PRUNED || c == NODE_FOUND ? NODE_FUNC : c <= FUNC_KIND || c == FUNC_LINE ? FUNC_NAME : c;
}

int slab_open(struct slice bytes, struct slab *ret, struct error *err)
{
	const void *column[N_READ_COLUMNS] = { NULL };
	uint32_t n[N_READ_COLUMNS] = { 0 }, n_columns = 0;
	int r = read_head(bytes, &n_columns, err);
	for (uint32_t i = 0; r == 0 && i < n_columns; i++)
		r = read_row(bytes, i, column, n, err);
	if (r < 0)
		return r;
	for (uint32_t c = 0; c < N_READ_COLUMNS; c++) {
		if (!column[c] && c < N_COLUMNS)
			return error_set(err, -EBADMSG, "column %s is missing", columns[c].name);
		uint32_t like = column_like(c);
		if (column[c] && n[c] != n[like])
			return error_set(err, -EBADMSG, "columns %s and %s differ in length", columns[c].name,
					 columns[like].name);
	}
	if (n[NODE_FUNC] == 0 || n[STR_OFFSET] < 2)
		return error_set(err, -EBADMSG, "a slab has at least one node and one string");
	struct slab s = {
		.n_nodes = n[NODE_FUNC],
		.func = column[NODE_FUNC],
		.depth = column[NODE_DEPTH],
		.self = column[NODE_SELF],
		.pruned = column[NODE_PRUNED],
		.found = column[NODE_FOUND],
		.n_funcs = n[FUNC_NAME],
		.name = column[FUNC_NAME],
		.file = column[FUNC_FILE],
		.module = column[FUNC_MODULE],
		.kind = column[FUNC_KIND],
		.line = column[FUNC_LINE],
		.n_strings = n[STR_OFFSET] - 1,
		.str_offset = column[STR_OFFSET],
		.str_bytes = column[STR_BYTES],
		.meta = slice_of(column[META], n[META]),
	};
	r = check_strings(&s, n[STR_BYTES], err);
	if (r == 0)
		r = check_nodes(&s, err);
	if (r == 0)
		*ret = s;
	return r;
}

struct slice slab_string(const struct slab *s, uint32_t index)
{
	assert(index < s->n_strings);
	return slice_of(s->str_bytes + s->str_offset[index], s->str_offset[index + 1] - s->str_offset[index]);
}
