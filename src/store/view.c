/* SPDX-License-Identifier: Apache-2.0 */
#include "store/view.h"

#include "store/store_state.h"

#include <assert.h>
#include <errno.h>

struct view {
	struct store *store;
	struct stored_head *head[2]; /* head[1] may be NULL */
	uint32_t n_heads;
	struct block **blocks;
	uint32_t n_blocks;
};

int view_take(struct store *s, struct view **ret)
{
	struct view *v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->store = s;
	(void)pthread_mutex_lock(&s->parts_lock);
	int r = blockset_list(s->blocks, &v->blocks, &v->n_blocks);
	if (r == 0) {
		v->head[v->n_heads++] = s->active;
		s->active->n_refs++;
		if (s->sealed) {
			v->head[v->n_heads++] = s->sealed;
			s->sealed->n_refs++;
		}
	}
	(void)pthread_mutex_unlock(&s->parts_lock);
	if (r < 0)
		free(v);
	else
		*ret = v;
	return r;
}

void view_free(struct view **view)
{
	struct view *v = *view;
	if (!v)
		return;
	(void)pthread_mutex_lock(&v->store->parts_lock);
	for (uint32_t i = 0; i < v->n_heads; i++)
		stored_head_unref(v->head[i]);
	(void)pthread_mutex_unlock(&v->store->parts_lock);
	blockset_release(v->store->blocks, v->blocks, v->n_blocks);
	free(v);
	*view = NULL;
}

uint32_t view_n_parts(const struct view *v)
{
	return v->n_heads + v->n_blocks;
}

static bool block_may_have(const struct block *b, int64_t from_ms, int64_t to_ms)
{
	/* An instant at its end counts as 1 ms. */
	return b->from_ms < to_ms && b->to_ms + 1 > from_ms;
}

bool view_may_have(const struct view *v, uint32_t i, int64_t from_ms, int64_t to_ms)
{
	return i < v->n_heads || block_may_have(v->blocks[i - v->n_heads], from_ms, to_ms);
}

uint64_t view_part_id(const struct view *v, uint32_t i)
{
	return i < v->n_heads ? 0 : block_seed(&v->blocks[i - v->n_heads]->id) | 1;
}

static int types_of_part(const struct part *p, int (*see)(void *arg, struct slice type), void *arg)
{
	int r = 0;
	uint32_t last = UINT32_MAX;
	for (uint32_t i = 0; r == 0 && i < p->series.n; i++) {
		if (p->series.data[i].type.v != last)
			r = see(arg, part_string(p, p->series.data[i].type));
		last = p->series.data[i].type.v;
	}
	return r;
}

int view_types(struct view *v, int64_t from_ms, int64_t to_ms, int (*see)(void *arg, struct slice type), void *arg)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < v->n_heads; i++) {
		const struct part *p;
		r = view_open(v, i, &p, NULL);
		if (r == 0)
			r = types_of_part(p, see, arg);
		view_close(v, i);
	}
	for (uint32_t i = 0; r == 0 && i < v->n_blocks; i++) {
		const struct block *b = v->blocks[i];
		if (!block_may_have(b, from_ms, to_ms))
			continue;
		for (uint32_t at = 0; r == 0 && at < b->types_size; at += (uint32_t)strlen(b->types + at) + 1)
			r = see(arg, slice_str(b->types + at));
	}
	return r;
}

int view_open(struct view *v, uint32_t i, const struct part **ret, struct error *err)
{
	assert(i < view_n_parts(v));
	if (i >= v->n_heads)
		return blockset_load(v->store->blocks, v->blocks[i - v->n_heads], ret, err);
	(void)pthread_rwlock_rdlock(&v->head[i]->lock);
	*ret = &v->head[i]->head.part;
	return 0;
}

void view_close(struct view *v, uint32_t i)
{
	if (i >= v->n_heads)
		blockset_unload(v->store->blocks, v->blocks[i - v->n_heads]);
	else
		(void)pthread_rwlock_unlock(&v->head[i]->lock);
}

uint64_t view_n_nodes(const struct view *v, int64_t from_ms, int64_t to_ms)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < v->n_heads; i++) {
		(void)pthread_rwlock_rdlock(&v->head[i]->lock);
		n += dict_n_nodes(&v->head[i]->head.part.names.dict);
		(void)pthread_rwlock_unlock(&v->head[i]->lock);
	}
	for (uint32_t i = 0; i < v->n_blocks; i++)
		n += block_may_have(v->blocks[i], from_ms, to_ms) ? v->blocks[i]->n_nodes : 0;
	return n;
}

uint32_t view_n_blocks(const struct view *v, int64_t from_ms, int64_t to_ms)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < v->n_blocks; i++)
		n += block_may_have(v->blocks[i], from_ms, to_ms);
	return n;
}
