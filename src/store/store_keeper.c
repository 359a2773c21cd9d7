/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "store/block_build.h"
#include "store/compaction.h"
#include "store/store_state.h"

#include <errno.h>

#define ROUND_NS    (10 * INT64_C(1000000000))
#define RETRY_NS    INT64_C(1000000000)
#define FLUSH_LEVEL 1 /* of zstd */
#define MAX_FLUSHED 64
#define DAY_MS	    INT64_C(86400000)
#define NODE_MEMORY 60 /* bytes that a node of the blocks that become one takes, with all that it refers to */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* ---- writing the sealed head ---- */

/* Which steps of `width_ms` profiles of the head start in, ascending; more than `max` are max + 1. */
static uint32_t head_steps(const struct head *h, int64_t width_ms, int64_t *steps, uint32_t max)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < h->series.n; i++) {
		for (uint32_t c = 0; c < h->series.data[i].chunks.n; c++) {
			int64_t step = floor_div(h->series.data[i].chunks.data[c].chunk.from_ms, width_ms);
			uint32_t at = n;
			while (at > 0 && steps[at - 1] > step)
				at--;
			if (at > 0 && steps[at - 1] == step)
				continue;
			if (n == max)
				return max + 1;
			memmove(steps + at + 1, steps + at, (n - at) * sizeof(*steps));
			steps[at] = step;
			n++;
		}
	}
	return n;
}

struct flush {
	struct store *store;
	const struct head *head;
	int64_t width_ms, steps[MAX_FLUSHED];
	uint32_t n_steps;
	struct block_meta *metas;
	uint32_t n_written;
	struct build_report report;
};

/* Writes one file, whose name `meta->id` says. */
static int write_file(struct store *s, const struct part *const *parts, uint32_t n_parts, struct build_options *o,
		      struct block_meta *meta, struct build_report *ret, struct error *err)
{
	int r = block_id_random(&meta->id);
	if (r < 0)
		return error_set(err, r, "no random numbers");
	meta->key_seed = blockset_key_seed(s->blocks);
	_cleanup_(close_fd)
	int fd = blockset_create(s->blocks, &meta->id, err);
	if (fd < 0)
		return fd;
	r = block_build(parts, n_parts, o, fd, meta, ret, err);
	if (r < 0)
		blockset_discard(s->blocks, &meta->id);
	return r;
}

static int write_step(struct flush *f, uint32_t i, struct error *err)
{
	const struct part *part = &f->head->part;
	struct membudget budget = membudget_of(f->store->options.build_memory);
	bool is_last = i + 1 == f->n_steps;
	struct build_options o = {
		.from_ms = f->steps[i] * f->width_ms,
		.to_ms = (f->steps[i] + 1) * f->width_ms,
		.is_all = f->n_steps == 1,
		.finest = RES_RAW,
		.coarsest = RES_RAW,
		.zstd_level = FLUSH_LEVEL,
		.seal_with = store_writer_key(f->store),
		.keys = f->head->keys.data,
		.n_keys = is_last ? f->head->keys.n : 0,
		.budget = &budget,
	};
	struct block_meta *meta = &f->metas[i];
	*meta = (struct block_meta){
		.last_seq = f->head->last_seq,
		.arrived_from_ms = f->head->arrived_from_ms,
		.arrived_to_ms = f->head->arrived_to_ms,
	};
	int r = write_file(f->store, &part, 1, &o, meta, &f->report, err);
	f->n_written += r == 0;
	return r;
}

static int write_steps(struct flush *f, struct error *err)
{
	f->width_ms = DAY_MS;
	while ((f->n_steps = head_steps(f->head, f->width_ms, f->steps, MAX_FLUSHED)) > MAX_FLUSHED)
		f->width_ms *= 32;
	f->metas = calloc((size_t)f->n_steps + 1, sizeof(*f->metas));
	int r = f->metas ? 0 : error_set(err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; r == 0 && i < f->n_steps; i++)
		r = write_step(f, i, err);
	return r;
}

/* The blocks stand in for the head from one moment to the next. */
static void take_over(struct store *s, struct blockset_pending *pending)
{
	(void)pthread_mutex_lock(&s->parts_lock);
	blockset_swap(s->blocks, pending);
	if (s->sealed) {
		stored_head_unref(s->sealed);
		s->sealed = NULL;
	}
	s->flush_failed = false;
	(void)pthread_cond_broadcast(&s->sealed_changed);
	(void)pthread_mutex_unlock(&s->parts_lock);
}

static void note_flush(struct store *s, int result, uint64_t last_seq, int64_t took_ns)
{
	(void)pthread_mutex_lock(&s->queue_lock);
	s->keeping.n_flushes += result == 0;
	s->keeping.n_flush_failures += result < 0;
	s->keeping.flush_ns += (uint64_t)took_ns;
	if (result == 0)
		s->drop_seq = last_seq;
	if (s->has_writer)
		(void)pthread_cond_signal(&s->wake);
	(void)pthread_mutex_unlock(&s->queue_lock);
}

static void note_failure(struct store *s, const struct error *why)
{
	(void)pthread_mutex_lock(&s->parts_lock);
	s->flush_failed = true;
	s->flush_err = *why;
	(void)pthread_cond_broadcast(&s->sealed_changed);
	(void)pthread_mutex_unlock(&s->parts_lock);
}

int keeper_flush(struct store *s, struct error *err)
{
	struct error why = { "" };
	struct flush f = { .store = s, .head = &s->sealed->head };
	struct blockset_pending pending;
	int64_t start = clock_mono_ns();
	/* From take_over() on, s->sealed_seq may be that of the next one, which is not written yet. */
	uint64_t last_seq = s->sealed_seq;
	int r = write_steps(&f, &why);
	struct blockset_change change = {
		.added = f.metas,
		.n_added = f.n_written,
		.last_seq = last_seq,
		.kept = s->kept.data,
		.n_kept = s->kept.n,
	};
	if (r == 0)
		r = blockset_publish(s->blocks, &change, &pending, &why);
	if (r == 0) {
		take_over(s, &pending);
	} else {
		for (uint32_t i = 0; i < f.n_written; i++)
			blockset_discard(s->blocks, &f.metas[i].id);
		error_prefix(&why, "what is in memory cannot be written to a block");
		note_failure(s, &why);
		if (err)
			*err = why;
	}
	free(f.metas);
	note_flush(s, r, last_seq, clock_mono_ns() - start);
	return r;
}

/* ---- compaction ---- */

/* The blocks of a merge, with tables of their own. */
struct merging {
	struct store *store;
	const struct compaction *plan;
	const struct erasure *erasure;
	struct block_part *parts;
	uint32_t n_loaded;
	VEC(struct key_row) keys;
	int64_t keys_since_ms;
	struct membudget budget;
};

static void merging_done(struct merging *m)
{
	for (uint32_t i = 0; i < m->n_loaded; i++)
		block_part_done(&m->parts[i]);
	free(m->parts);
	vec_done(&m->budget, &m->keys);
}

static int keep_key(void *arg, const struct key_row *row)
{
	struct merging *m = arg;
	if (row->arrived_ms < m->keys_since_ms)
		return 0;
	int r = vec_reserve(&m->budget, &m->keys, 1);
	if (r == 0)
		m->keys.data[m->keys.n++] = *row;
	return r;
}

static int load_parts(struct merging *m, struct error *err)
{
	const struct compaction *c = m->plan;
	m->parts = calloc((size_t)c->n + 1, sizeof(*m->parts));
	int r = m->parts ? 0 : error_set(err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; r == 0 && i < c->n; i++) {
		char name[BLOCK_ID_HEX + 4];
		block_file_name(&c->block[i]->id, name);
		r = block_part_load(&m->parts[i], blockset_dir(m->store->blocks), name, m->store->options.keys,
				    &m->budget, err);
		if (r == 0) {
			m->n_loaded++;
			r = block_read_keys(&m->parts[i].pages.file, keep_key, m, &m->budget, err);
		}
		/* What cannot be read stays as it is, and is not tried again: it would stand before all else. */
		if (r < 0 && r != -ENOMEM && r != -ENOBUFS && r != -EMFILE && r != -ENFILE)
			c->block[i]->is_bad = true;
	}
	return r;
}

static void describe(const struct compaction *c, struct block_meta *meta)
{
	*meta = (struct block_meta){ .arrived_from_ms = INT64_MAX, .arrived_to_ms = INT64_MIN };
	for (uint32_t i = 0; i < c->n; i++) {
		const struct block *b = c->block[i];
		meta->replaces[meta->n_replaces++] = b->id;
		meta->level = b->level + 1 > meta->level ? b->level + 1 : meta->level;
		meta->last_seq = b->last_seq > meta->last_seq ? b->last_seq : meta->last_seq;
		if (b->arrived_from_ms < meta->arrived_from_ms)
			meta->arrived_from_ms = b->arrived_from_ms;
		if (b->arrived_to_ms > meta->arrived_to_ms)
			meta->arrived_to_ms = b->arrived_to_ms;
	}
}

static int build_merged(struct merging *m, struct block_meta *meta, struct build_report *ret, struct error *err)
{
	const struct compaction *c = m->plan;
	const struct part *parts[BUILD_MAX_PARTS];
	for (uint32_t i = 0; i < c->n; i++)
		parts[i] = &m->parts[i].part;
	struct build_options o = {
		.from_ms = c->block[0]->starts_from_ms,
		.to_ms = c->block[0]->starts_to_ms,
		.is_all = !m->erasure,
		.erasure = m->erasure,
		.finest = c->finest,
		.coarsest = c->coarsest,
		.zstd_level = c->zstd_level,
		.seal_with = store_writer_key(m->store),
		.keys = m->keys.data,
		.n_keys = m->keys.n,
		.budget = &m->budget,
		.cancel = &m->store->stop_keeper,
	};
	return write_file(m->store, parts, c->n, &o, meta, ret, err);
}

static int publish(struct store *s, const struct compaction *c, const struct block_meta *meta, struct error *err)
{
	struct blockset_pending pending;
	struct blockset_change change = {
		.added = meta,
		.n_added = meta ? 1 : 0,
		.removed = c->block,
		.n_removed = c->n,
	};
	int r = blockset_publish(s->blocks, &change, &pending, err);
	if (r == 0) {
		(void)pthread_mutex_lock(&s->parts_lock);
		blockset_swap(s->blocks, &pending);
		(void)pthread_mutex_unlock(&s->parts_lock);
	} else if (meta) {
		blockset_discard(s->blocks, &meta->id);
	}
	return r;
}

static void count_compaction(struct store *s, const struct compaction *c, int result, int64_t took_ns,
			     uint64_t n_damaged)
{
	struct store_keeper_stats *k = &s->keeping;
	(void)pthread_mutex_lock(&s->queue_lock);
	if (result < 0) {
		k->n_compaction_failures++;
	} else {
		k->n_compactions += c->why == COMPACT_MERGE;
		k->n_thinned += c->why == COMPACT_THIN;
		k->n_thinned_for_space += c->why == COMPACT_THIN_FOR_SPACE;
		k->n_expired += c->why == COMPACT_EXPIRE;
		k->n_evicted += c->why == COMPACT_EVICT;
		k->n_resealed += c->why == COMPACT_RESEAL;
		k->n_damaged_pages += n_damaged;
		for (uint32_t i = 0; i < c->n; i++)
			k->compacted_bytes += c->block[i]->size;
	}
	k->compaction_ns += (uint64_t)took_ns;
	(void)pthread_mutex_unlock(&s->queue_lock);
}

/* *ret_profiles: how many what comes of it has. */
static int merge(struct store *s, const struct compaction *c, const struct erasure *erasure, int64_t now_ms,
		 uint64_t *ret_profiles, struct build_report *ret, struct error *err)
{
	_cleanup_(merging_done)
	struct merging m = {
		.store = s,
		.plan = c,
		.erasure = erasure,
		.keys_since_ms = now_ms - KEYS_MAX_AGE_MS,
		.budget = membudget_of(s->options.build_memory),
	};
	struct block_meta meta;
	describe(c, &meta);
	*ret_profiles = 0;
	int r = load_parts(&m, err);
	if (r == 0)
		r = build_merged(&m, &meta, ret, err);
	/* Blocks are as large as memory lets them be. */
	if (r == -ENOBUFS && c->n > 1)
		s->node_cap = (uint32_t)(s->node_cap < c->n_nodes / 2 ? s->node_cap : c->n_nodes / 2);
	/* All of it was erased. */
	if (r == -ENODATA && erasure)
		return publish(s, c, NULL, err);
	/* No page can be read; a table or page beyond its limit; too large by itself: the next time is no better. */
	bool is_hopeless = r == -ENODATA || r == -E2BIG || (r == -ENOBUFS && c->n == 1);
	for (uint32_t i = 0; is_hopeless && i < c->n; i++)
		c->block[i]->is_bad = true;
	*ret_profiles = r == 0 ? meta.n_profiles : 0;
	return r == 0 ? publish(s, c, &meta, err) : r;
}

static int carry_out(struct store *s, const struct compaction *c, int64_t now_ms, struct error *err)
{
	struct build_report report = { 0 };
	uint64_t n_profiles;
	int64_t start = clock_mono_ns();
	bool goes = c->why == COMPACT_EXPIRE || c->why == COMPACT_EVICT;
	int r = goes ? publish(s, c, NULL, err) : merge(s, c, NULL, now_ms, &n_profiles, &report, err);
	count_compaction(s, c, r, clock_mono_ns() - start, report.n_damaged);
	return r;
}

int keeper_tidy(struct store *s, int64_t now_ms, bool *ret_more, struct error *err)
{
	struct block **blocks;
	uint32_t n;
	struct compaction plan;
	*ret_more = false;
	if (!s->node_cap)
		s->node_cap = (uint32_t)(s->options.build_memory / NODE_MEMORY);
	/* The head's, half as much again while another is being written, and that one's. */
	uint64_t log_max = s->options.flush_log * 3;
	if (log_max > s->options.disk_limit / 4)
		log_max = s->options.disk_limit / 4;
	const struct master_key *key = store_writer_key(s);
	const struct compaction_limits limits = {
		.now_ms = now_ms,
		.n_nodes = s->node_cap,
		.raw_age_ms = s->options.raw_age_ms,
		.sums_age_ms = s->options.sums_age_ms,
		.bytes = s->options.disk_limit - log_max,
		.key_id = key ? key->id : NULL,
	};
	int r = blockset_list(s->blocks, &blocks, &n);
	if (r < 0)
		return error_set(err, r, "out of memory");
	if (compaction_plan(blocks, n, &limits, &plan)) {
		r = carry_out(s, &plan, now_ms, err);
		/* After a failure the next round is a while away, unless it was about memory. */
		*ret_more = r == 0 || r == -ENOBUFS;
	}
	blockset_release(s->blocks, blocks, n);
	return r;
}

/* ---- erasing ---- */

/* Whether the block has a series that is chosen. */
static int is_touched(struct store *s, const struct block *b, const struct erasure *e, struct error *err)
{
	const struct part *p;
	int r = blockset_load(s->blocks, (struct block *)b, &p, err);
	if (r < 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < p->series.n; i++)
		r = e->chooses(e->arg, p, i);
	blockset_unload(s->blocks, (struct block *)b);
	return r;
}

/* Writes the block anew without what is chosen. */
static int erase_from(struct store *s, struct block *b, struct store_erasure *e, struct error *err)
{
	struct compaction plan = {
		.why = COMPACT_MERGE,
		.block = { b },
		.n = 1,
		.n_nodes = b->n_nodes,
		.finest = b->resolutions & 1u << RES_RAW ? RES_RAW : RES_5MIN,
		.coarsest = b->resolutions & 1u << RES_DAY ? RES_DAY : RES_RAW,
		.zstd_level = FLUSH_LEVEL,
	};
	struct build_report report = { 0 };
	uint64_t n_left;
	int r = is_touched(s, b, &e->what, err);
	if (r <= 0)
		return r;
	r = merge(s, &plan, &e->what, clock_wall_ns() / 1000000, &n_left, &report, err);
	if (r == 0 && n_left < b->n_profiles) {
		e->n_profiles += b->n_profiles - n_left;
		e->n_blocks++;
	}
	return r;
}

int keeper_erase(struct store *s, struct store_erasure *e, struct error *err)
{
	struct block **blocks;
	uint32_t n;
	int r = blockset_list(s->blocks, &blocks, &n);
	if (r < 0)
		return error_set(err, r, "out of memory");
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		if (s->cancel_erasure)
			r = error_set(err, -ECANCELED, "the server is stopping");
		else if (blocks[i]->from_ms < e->what.to_ms && blocks[i]->to_ms >= e->what.from_ms)
			r = erase_from(s, blocks[i], e, err);
	}
	blockset_release(s->blocks, blocks, n);
	return r;
}

/* What came before it was asked for is in blocks now; or writing it failed. With parts_lock. */
static bool can_erase(const struct store *s)
{
	return s->erasure && !s->erasure->is_done &&
	       (s->cancel_erasure || s->flush_failed || (!s->seal_wanted && !s->sealed));
}

static void erase_if_asked(struct store *s)
{
	(void)pthread_mutex_lock(&s->parts_lock);
	struct store_erasure *e = can_erase(s) ? s->erasure : NULL;
	if (e && s->flush_failed)
		e->result = error_set(&e->err, -ENOSPC, "%s", s->flush_err.text);
	(void)pthread_mutex_unlock(&s->parts_lock);
	if (!e)
		return;
	if (e->result == 0)
		e->result = keeper_erase(s, e, &e->err);
	(void)pthread_mutex_lock(&s->parts_lock);
	e->is_done = true;
	(void)pthread_cond_broadcast(&s->sealed_changed);
	(void)pthread_mutex_unlock(&s->parts_lock);
}

/* ---- the thread ---- */

/* False: it is time to end. */
static bool wait_for_work(struct store *s, int64_t until_ns)
{
	(void)pthread_mutex_lock(&s->parts_lock);
	struct timespec ts = { .tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000 };
	int e = 0;
	while (!s->stop_keeper && (!s->sealed || s->flush_failed) && !can_erase(s) && e == 0)
		e = pthread_cond_timedwait(&s->sealed_changed, &s->parts_lock, &ts);
	(void)pthread_mutex_unlock(&s->parts_lock);
	return !s->stop_keeper;
}

static bool has_sealed(struct store *s)
{
	(void)pthread_mutex_lock(&s->parts_lock);
	bool has = s->sealed != NULL;
	(void)pthread_mutex_unlock(&s->parts_lock);
	return has;
}

static void *keeper_thread(void *arg)
{
	struct store *s = arg;
	int64_t next_tidy = clock_mono_ns();
	int64_t until = next_tidy;
	while (wait_for_work(s, until)) {
		int r = 0;
		if (has_sealed(s)) {
			r = keeper_flush(s, NULL);
			next_tidy = clock_mono_ns();
		}
		erase_if_asked(s);
		if (r == 0 && clock_mono_ns() >= next_tidy) {
			bool more = true;
			while (more && !s->stop_keeper && !has_sealed(s) && r == 0)
				r = keeper_tidy(s, clock_wall_ns() / 1000000, &more, NULL);
			if (r < 0 || !more)
				next_tidy = clock_mono_ns() + ROUND_NS;
		}
		until = r < 0 && has_sealed(s) ? clock_mono_ns() + RETRY_NS : next_tidy;
	}
	return NULL;
}

int keeper_start(struct store *s, struct error *err)
{
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_destroy(&s->sealed_changed);
	(void)pthread_cond_init(&s->sealed_changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	int e = pthread_create(&s->keeper, NULL, keeper_thread, s);
	if (e)
		return error_set(err, -e, "cannot start the thread that writes blocks: %s", strerror(e));
	s->has_keeper = true;
	return 0;
}

void keeper_stop(struct store *s)
{
	if (!s->has_keeper)
		return;
	(void)pthread_mutex_lock(&s->parts_lock);
	s->stop_keeper = true;
	(void)pthread_cond_broadcast(&s->sealed_changed);
	(void)pthread_mutex_unlock(&s->parts_lock);
	(void)pthread_join(s->keeper, NULL);
	s->has_keeper = false;
}
