/* SPDX-License-Identifier: Apache-2.0 */
#include "store/block_tables.h"

#include "store/column.h"

#include <endian.h>
#include <errno.h>

int block_words_init(struct block_words *w, struct part *p)
{
	struct strtab *strings = &p->names.dict.strings;
	int r = 0;
	for (int k = 0; r == 0 && k < N_LOSSES; k++)
		r = strtab_intern_str(strings, loss_name((enum loss)k), &w->loss[k]);
	for (int k = 0; r == 0 && k < N_SERIES_LABELS; k++)
		r = strtab_intern_str(strings, series_label_name((enum series_label)k), &w->label[k]);
	for (uint32_t i = 1; r == 0 && i < p->sources.n; i++) {
		r = strtab_intern_str(strings, p->sources.data[i].name, &w->source[i][0]);
		if (r == 0)
			r = strtab_intern_str(strings, p->sources.data[i].unwind, &w->source[i][1]);
	}
	return r;
}

/* A table's columns on their way. */
struct writing {
	const struct block_tables *t;
	struct block_writer *w;
	struct columns c;
	struct buf bytes;
};

static void end_section(struct writing *g, enum block_section kind, uint32_t n_rows, unsigned n_columns)
{
	g->bytes.n = 0;
	columns_write(&g->c, n_columns, &g->bytes);
	g->w->out.failed = g->w->out.failed || g->bytes.failed;
	block_writer_section(g->w, kind, n_rows, slice_of(g->bytes.data, g->bytes.n));
	columns_reset(&g->c);
}

/* A string of names, of the directory. */
static void put_string(struct writing *g, unsigned column, struct str_id id)
{
	columns_u(&g->c, column, g->t->order->string.new_id[id.v]);
}

static void put_word(struct writing *g, unsigned column, struct str_id id)
{
	columns_u(&g->c, column, block_order_word(g->t->order, id));
}

/* ---- the dictionary ---- */

static void put_text(struct writing *g, struct slice text)
{
	columns_u(&g->c, 0, text.size);
	buf_add(&g->c.column[1], text.data, text.size);
}

static void write_strings(struct writing *g)
{
	const struct numbering *strings = &g->t->order->string, *words = &g->t->order->word;
	for (uint32_t i = 1; i <= strings->n; i++)
		put_text(g, strtab_get(&g->t->names->dict.strings, (struct str_id){ strings->old_id[i] }));
	for (uint32_t i = 1; i <= words->n; i++)
		put_text(g, part_string(g->t->directory, (struct str_id){ words->old_id[i] }));
	end_section(g, SECTION_STRINGS, strings->n + words->n, 2);
}

static void write_nodes(struct writing *g)
{
	const struct dict *d = &g->t->names->dict;
	const struct block_order *o = g->t->order;
	uint32_t next = 1, last = 0;
	for (uint32_t i = 1; i <= o->node.n; i++) {
		uint32_t node = o->node.old_id[i], up = 0;
		for (; last != d->node_parent.data[node].v; last = d->node_parent.data[last].v)
			up++;
		columns_u(&g->c, 0, up);
		columns_r(&g->c, 1, o->frame.new_id[d->node_frame.data[node].v], &next);
		last = node;
	}
	end_section(g, SECTION_NODES, o->node.n, 2);
}

static void write_frames(struct writing *g)
{
	const struct block_order *o = g->t->order;
	uint32_t next_function = 1, next_mapping = 1;
	for (uint32_t i = 1; i <= o->frame.n; i++) {
		const struct frame *f = &g->t->names->dict.frames.data[o->frame.old_id[i]];
		columns_r(&g->c, 0, o->function.new_id[f->function.v], &next_function);
		columns_r(&g->c, 1, o->mapping.new_id[f->mapping.v], &next_mapping);
		columns_d(&g->c, 2, f->address);
		columns_u(&g->c, 3, f->line);
		columns_u(&g->c, 4, f->kind);
		columns_u(&g->c, 5, f->found);
		columns_u(&g->c, 6, f->flags);
		columns_u(&g->c, 7, f->column);
	}
	end_section(g, SECTION_FRAMES, o->frame.n, 8);
}

static void write_mappings(struct writing *g)
{
	const struct numbering *n = &g->t->order->mapping;
	for (uint32_t i = 1; i <= n->n; i++) {
		const struct mapping *m = &g->t->names->dict.mappings.data[n->old_id[i]];
		columns_u(&g->c, 0, m->start);
		columns_u(&g->c, 1, m->limit);
		columns_u(&g->c, 2, m->offset);
		put_string(g, 3, m->path);
		put_string(g, 4, m->build_id);
		columns_u(&g->c, 5, m->flags);
	}
	end_section(g, SECTION_MAPPINGS, n->n, 6);
}

static void write_functions(struct writing *g)
{
	const struct numbering *n = &g->t->order->function;
	for (uint32_t i = 1; i <= n->n; i++) {
		const struct function *f = &g->t->names->dict.functions.data[n->old_id[i]];
		put_string(g, 0, f->name);
		put_string(g, 1, f->system_name);
		put_string(g, 2, f->file);
		columns_u(&g->c, 3, f->start_line);
	}
	end_section(g, SECTION_FUNCTIONS, n->n, 4);
}

static void write_label_sets(struct writing *g)
{
	const struct numbering *sets = &g->t->order->label_set;
	for (uint32_t i = 1; i <= sets->n; i++) {
		uint32_t n;
		const struct label *label = profile_label_set(g->t->names, (struct labels_id){ sets->old_id[i] }, &n);
		columns_u(&g->c, 0, n);
		for (; n > 0; n--, label++) {
			put_string(g, 1, label->key);
			columns_u(&g->c, 2, label->is_num);
			put_string(g, 3, label->str);
			put_string(g, 4, label->unit);
			columns_d(&g->c, 5, (uint64_t)label->num);
		}
	}
	end_section(g, SECTION_LABEL_SETS, sets->n, 6);
}

/* ---- what was measured ---- */

static void write_hosts(struct writing *g)
{
	const struct part *p = g->t->directory;
	for (uint32_t i = 0; i < p->hosts.n; i++) {
		const struct host *host = &p->hosts.data[i];
		put_word(g, 0, host->name);
		columns_u(&g->c, 1, host->windows.n);
		for (uint32_t k = 0; k < host->windows.n; k++) {
			const struct window *w = &host->windows.data[k];
			columns_d(&g->c, 2, (uint64_t)w->from_ms);
			columns_u(&g->c, 3, w->duration_ms);
			columns_u(&g->c, 4, w->n_cpus);
			columns_u(&g->c, 5, w->source);
			columns_u(&g->c, 6, w->losses);
			columns_u(&g->c, 7, w->n_samples);
		}
	}
	end_section(g, SECTION_HOSTS, p->hosts.n, 8);
}

static void write_sources(struct writing *g)
{
	uint32_t n = g->t->directory->sources.n - 1;
	for (uint32_t i = 1; i <= n; i++) {
		put_word(g, 0, g->t->words->source[i][0]);
		put_word(g, 1, g->t->words->source[i][1]);
	}
	end_section(g, SECTION_SOURCES, n, 2);
}

_Static_assert(1 + N_LOSSES <= COLUMNS_MAX, "a column for each reason");

static void write_losses(struct writing *g)
{
	uint32_t n = g->t->directory->losses.n - 1;
	for (unsigned k = 0; k < N_LOSSES; k++) {
		put_word(g, 0, g->t->words->loss[k]);
		for (uint32_t i = 1; i <= n; i++)
			columns_u(&g->c, 1 + k, g->t->directory->losses.data[i].n[k]);
	}
	end_section(g, SECTION_LOSSES, n, 1 + N_LOSSES);
}

/* ---- series and pages ---- */

static const struct series *series_at(const struct block_tables *t, uint32_t i)
{
	return &t->directory->series.data[t->series_order[i]];
}

_Static_assert(1 + N_SERIES_LABELS + 3 + N_RESOLUTIONS <= COLUMNS_MAX, "a column for each label");

static void write_series(struct writing *g)
{
	uint32_t n = g->t->pages->series.n;
	const unsigned type = 1 + N_SERIES_LABELS;
	for (unsigned k = 0; k < N_SERIES_LABELS; k++)
		put_word(g, 0, g->t->words->label[k]);
	for (uint32_t i = 0; i < n; i++) {
		const struct series *s = series_at(g->t, i);
		const struct series_pages *p = &g->t->pages->series.data[i];
		for (unsigned k = 0; k < N_SERIES_LABELS; k++)
			put_word(g, 1 + k, s->label[k]);
		put_word(g, type, s->type);
		columns_u(&g->c, type + 1, s->host);
		columns_d(&g->c, type + 2, (uint64_t)s->last_ms);
		for (unsigned k = 0; k < N_RESOLUTIONS; k++)
			columns_u(&g->c, type + 3 + k, p->first[k + 1] - p->first[k]);
	}
	end_section(g, SECTION_SERIES, n, type + 3 + N_RESOLUTIONS);
}

static void write_pages(struct writing *g)
{
	uint32_t n = g->t->pages->pages.n;
	for (uint32_t i = 0; i < n; i++) {
		const struct page *p = &g->t->pages->pages.data[i];
		columns_d(&g->c, 0, p->off);
		columns_u(&g->c, 1, p->n_chunks);
		columns_d(&g->c, 2, (uint64_t)p->from_ms);
		columns_u(&g->c, 3, (uint64_t)(p->to_ms - p->from_ms));
		for (unsigned k = 0; k < N_PIECES; k++) {
			uint64_t hash = htole64(p->hash[k]);
			columns_u(&g->c, 4 + 2 * k, p->stored[k]);
			columns_u(&g->c, 5 + 2 * k, p->size[k]);
			buf_add(&g->c.column[4 + 2 * N_PIECES], &hash, sizeof(hash));
		}
	}
	end_section(g, SECTION_PAGES, n, 4 + 2 * N_PIECES + 1);
}

/* ---- postings ---- */

struct posting {
	struct slice value;
	uint32_t string, series;
};

static int compare_posting(const void *a, const void *b)
{
	const struct posting *x = a, *y = b;
	size_t n = x->value.size < y->value.size ? x->value.size : y->value.size;
	int c = n ? memcmp(x->value.data, y->value.data, n) : 0;
	if (c || x->value.size != y->value.size)
		return c ? c : x->value.size < y->value.size ? -1 : 1;
	return x->series < y->series ? -1 : x->series > y->series;
}

static void add_postings(struct columns *c, const struct posting *p, uint32_t n)
{
	uint64_t n_values = 0;
	for (uint32_t i = 0; i < n; n_values++) {
		uint32_t end = i + 1;
		while (end < n && p[end].string == p[i].string)
			end++;
		columns_u(c, 1, p[i].string);
		columns_u(c, 2, end - i);
		for (; i < end; i++)
			columns_d(c, 3, p[i].series);
	}
	columns_u(c, 0, n_values);
}

/* Label k of series i; the type behind the last label. */
static struct str_id label_at(const struct block_tables *t, uint32_t i, int k)
{
	return k < N_SERIES_LABELS ? series_at(t, i)->label[k] : series_at(t, i)->type;
}

static int write_postings(struct writing *g)
{
	const struct block_tables *t = g->t;
	uint32_t n = t->pages->series.n;
	size_t size = ((size_t)n + 1) * sizeof(struct posting);
	if (!membudget_charge(t->budget, size))
		return -ENOBUFS;
	_cleanup_(free_ptr)
	struct posting *p = malloc(size);
	for (int k = 0; p && k <= N_SERIES_LABELS; k++) {
		for (uint32_t i = 0; i < n; i++) {
			struct str_id value = label_at(t, i, k);
			p[i] = (struct posting){ part_string(t->directory, value), block_order_word(t->order, value),
						 i };
		}
		qsort(p, n, sizeof(*p), compare_posting);
		add_postings(&g->c, p, n);
	}
	end_section(g, SECTION_POSTINGS, N_SERIES_LABELS + 1, 4);
	membudget_release(t->budget, size);
	return p ? 0 : -ENOMEM;
}

int block_tables_write(const struct block_tables *t, struct block_writer *w)
{
	struct writing g = { .t = t, .w = w, .bytes = buf_of(UINT32_MAX) };
	columns_init(&g.c);
	write_nodes(&g);
	write_frames(&g);
	write_mappings(&g);
	write_functions(&g);
	write_label_sets(&g);
	write_hosts(&g);
	write_sources(&g);
	write_losses(&g);
	write_series(&g);
	write_pages(&g);
	int r = write_postings(&g);
	/* Last: the others number the strings they use. */
	write_strings(&g);
	columns_done(&g.c);
	buf_done(&g.bytes);
	return r;
}
