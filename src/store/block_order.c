/* SPDX-License-Identifier: Apache-2.0 */
#include "store/block_order.h"

#include <errno.h>

static int numbering_init(struct block_order *o, struct numbering *t, uint32_t n_rows)
{
	size_t size = ((size_t)n_rows + 1) * 2 * sizeof(uint32_t);
	if (!membudget_charge(o->budget, size))
		return -ENOBUFS;
	o->charged += size;
	t->new_id = calloc((size_t)n_rows + 1, sizeof(uint32_t));
	t->old_id = calloc((size_t)n_rows + 1, sizeof(uint32_t));
	return t->new_id && t->old_id ? 0 : -ENOMEM;
}

static void numbering_done(struct numbering *t)
{
	free(t->new_id);
	free(t->old_id);
}

static uint32_t number(struct numbering *t, uint32_t old)
{
	if (old && !t->new_id[old]) {
		t->new_id[old] = ++t->n;
		t->old_id[t->n] = old;
	}
	return t->new_id[old];
}

uint32_t block_order_word(struct block_order *o, struct str_id id)
{
	return id.v ? o->string.n + number(&o->word, id.v) : 0;
}

/* Parents of wanted nodes are wanted. */
static void mark_parents(const struct dict *d, uint8_t *nodes)
{
	for (uint32_t i = dict_n_nodes(d) - 1; i > 0; i--)
		if (nodes[i])
			nodes[d->node_parent.data[i].v] = 1;
}

/* Preorder; children in order of their old numbers. `first` and `next` are lists of children. */
static void walk(struct block_order *o, const struct dict *d, const uint32_t *first, const uint32_t *next)
{
	uint32_t node = 0;
	for (;;) {
		if (first[node]) {
			node = first[node];
		} else {
			while (node && !next[node])
				node = d->node_parent.data[node].v;
			if (!node)
				return;
			node = next[node];
		}
		(void)number(&o->node, node);
	}
}

static int number_nodes(struct block_order *o, const struct dict *d, uint8_t *nodes)
{
	uint32_t n = dict_n_nodes(d);
	size_t size = (size_t)n * 2 * sizeof(uint32_t);
	if (!membudget_charge(o->budget, size))
		return -ENOBUFS;
	_cleanup_(free_ptr)
	uint32_t *first = calloc((size_t)n * 2, sizeof(*first));
	if (first) {
		uint32_t *next = first + n;
		if (nodes)
			mark_parents(d, nodes);
		for (uint32_t i = n - 1; i > 0; i--) {
			uint32_t parent = d->node_parent.data[i].v;
			if (nodes && !nodes[i])
				continue;
			next[i] = first[parent];
			first[parent] = i;
		}
		walk(o, d, first, next);
	}
	membudget_release(o->budget, size);
	return first ? 0 : -ENOMEM;
}

static void number_rest(struct block_order *o, const struct profile *p, const uint8_t *label_sets)
{
	const struct dict *d = &p->dict;
	for (uint32_t i = 1; i <= o->node.n; i++)
		(void)number(&o->frame, d->node_frame.data[o->node.old_id[i]].v);
	for (uint32_t i = 1; i <= o->frame.n; i++) {
		const struct frame *f = &d->frames.data[o->frame.old_id[i]];
		(void)number(&o->function, f->function.v);
		(void)number(&o->mapping, f->mapping.v);
	}
	for (uint32_t i = 1; i <= o->function.n; i++) {
		const struct function *f = &d->functions.data[o->function.old_id[i]];
		(void)number(&o->string, f->name.v);
		(void)number(&o->string, f->system_name.v);
		(void)number(&o->string, f->file.v);
	}
	for (uint32_t i = 1; i <= o->mapping.n; i++) {
		const struct mapping *m = &d->mappings.data[o->mapping.old_id[i]];
		(void)number(&o->string, m->path.v);
		(void)number(&o->string, m->build_id.v);
	}
	for (uint32_t i = 1; i < p->labels_off.n - 1; i++) {
		uint32_t n;
		const struct label *labels = profile_label_set(p, (struct labels_id){ i }, &n);
		if (label_sets && !label_sets[i])
			continue;
		(void)number(&o->label_set, i);
		for (uint32_t k = 0; k < n; k++) {
			(void)number(&o->string, labels[k].key.v);
			(void)number(&o->string, labels[k].str.v);
			(void)number(&o->string, labels[k].unit.v);
		}
	}
}

int block_order_init(struct block_order *o, const struct profile *names, const struct strtab *words, uint8_t *nodes,
		     const uint8_t *label_sets, struct membudget *budget)
{
	const struct dict *d = &names->dict;
	*o = (struct block_order){ .budget = budget };
	int r = numbering_init(o, &o->node, dict_n_nodes(d));
	if (r == 0)
		r = numbering_init(o, &o->frame, d->frames.n);
	if (r == 0)
		r = numbering_init(o, &o->function, d->functions.n);
	if (r == 0)
		r = numbering_init(o, &o->mapping, d->mappings.n);
	if (r == 0)
		r = numbering_init(o, &o->label_set, names->labels_off.n);
	if (r == 0)
		r = numbering_init(o, &o->string, strtab_count(&d->strings));
	if (r == 0)
		r = numbering_init(o, &o->word, strtab_count(words));
	if (r == 0)
		r = number_nodes(o, d, nodes);
	if (r == 0)
		number_rest(o, names, label_sets);
	return r;
}

void block_order_done(struct block_order *o)
{
	numbering_done(&o->node);
	numbering_done(&o->frame);
	numbering_done(&o->function);
	numbering_done(&o->mapping);
	numbering_done(&o->label_set);
	numbering_done(&o->string);
	numbering_done(&o->word);
	membudget_release(o->budget, o->charged);
}
