/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "format/pprof.h"
#include "store_bench.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define N_FLYING  96			/* profiles on their way at a time */
#define LOG_SIZE  (UINT64_C(192) << 20) /* when a server writes what it has to a block */
#define BODY_SIZE 88000			/* what one of the fleet's profiles is in the log */
#define MINUTES	  60

/* One profile on its way. */
struct flying {
	struct store_commit commit;
	struct intake_profile profile;
	char service[32], host[32], container[32], key[48];
	struct feed *feed;
	struct flying *next;
};

struct feed {
	struct store *store;
	struct buf body; /* the log's, of all */
	struct flying flying[N_FLYING];
	uint64_t n_since_flush, n_fed;
	int64_t flush_ns, tidy_ns;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t landed;
	struct flying *idle;
	uint32_t n_idle;
};

static void on_done(struct store_commit *c)
{
	struct flying *u = (struct flying *)((char *)c - offsetof(struct flying, commit));
	bench_check(c->result, &c->err);
	intake_profile_done(&u->profile);
	(void)pthread_mutex_lock(&u->feed->lock);
	u->next = u->feed->idle;
	u->feed->idle = u;
	u->feed->n_idle++;
	(void)pthread_cond_signal(&u->feed->landed);
	(void)pthread_mutex_unlock(&u->feed->lock);
}

/* A body that a store could decode: what is in the head does not come from it. */
static void make_body(struct buf *out)
{
	struct profile p;
	struct frame_id frame;
	struct node_id node;
	int64_t value = 1;
	*out = buf_of(1 << 20);
	int r = profile_init(&p, NULL);
	if (r == 0)
		r = profile_add_type(&p, slice_str("cpu"), slice_str("nanoseconds"));
	if (r == 0)
		r = dict_named_frame(&p.dict, slice_str("main"), FRAME_USER, &frame);
	if (r == 0)
		r = dict_node(&p.dict, (struct node_id){ 0 }, frame, &node);
	if (r == 0)
		r = profile_add_sample(&p, node, (struct labels_id){ 0 }, &value);
	if (r == 0)
		r = pprof_encode_gz(&p, out);
	bench_check(r, NULL);
	profile_done(&p);
}

static struct feed *feed_new(const char *dir)
{
	struct feed *f = calloc(1, sizeof(*f));
	if (!f)
		bench_check(-ENOMEM, NULL);
	f->store = bench_open(dir);
	make_body(&f->body);
	(void)pthread_mutex_init(&f->lock, NULL);
	(void)pthread_cond_init(&f->landed, NULL);
	for (uint32_t i = 0; i < N_FLYING; i++) {
		f->flying[i].feed = f;
		f->flying[i].next = f->idle;
		f->idle = &f->flying[i];
		f->n_idle++;
	}
	return f;
}

static struct flying *take(struct feed *f)
{
	(void)pthread_mutex_lock(&f->lock);
	while (!f->idle)
		(void)pthread_cond_wait(&f->landed, &f->lock);
	struct flying *u = f->idle;
	f->idle = u->next;
	f->n_idle--;
	(void)pthread_mutex_unlock(&f->lock);
	return u;
}

static void wait_for_all(struct feed *f)
{
	(void)pthread_mutex_lock(&f->lock);
	while (f->n_idle < N_FLYING)
		(void)pthread_cond_wait(&f->landed, &f->lock);
	(void)pthread_mutex_unlock(&f->lock);
}

/* As the keeper of a server would at that time. */
static void flush(struct feed *f, int64_t now_ms)
{
	struct error err = { "" };
	wait_for_all(f);
	int64_t start = clock_mono_ns();
	bench_check(store_flush(f->store, &err), &err);
	int64_t flushed = clock_mono_ns();
	bench_tidy(f->store, now_ms);
	f->flush_ns += flushed - start;
	f->tidy_ns += clock_mono_ns() - flushed;
	f->n_since_flush = 0;
}

/* Whether a server's head would be written now; half of its share is the head's. */
static bool is_due(struct feed *f)
{
	struct store_status status;
	if (f->n_since_flush * BODY_SIZE >= LOG_SIZE)
		return true;
	if (f->n_since_flush % 32)
		return false;
	store_get_status(f->store, &status);
	return status.memory_used >= BENCH_MEMORY / 32 * 6 / 16 * 6;
}

static void submit(struct feed *f, struct flying *u, int64_t from_ms)
{
	struct intake *in = &u->commit.record.intake;
	*in = (struct intake){ .received_ms = from_ms + FLEET_MINUTE_MS };
	in->label[SERIES_SERVICE] = slice_str(u->service);
	in->label[SERIES_HOST] = slice_str(u->host);
	in->label[SERIES_CONTAINER] = slice_str(u->container);
	in->key = slice_str(u->key);
	u->commit.record.body = slice_of(f->body.data, f->body.n);
	u->commit.profile = &u->profile;
	u->commit.done = on_done;
	u->profile.keep = 1;
	u->profile.from_ms = from_ms;
	u->profile.to_ms = from_ms + FLEET_MINUTE_MS;
	bench_check(store_submit(f->store, &u->commit), &u->commit.err);
	f->n_since_flush++;
	f->n_fed++;
	if (is_due(f))
		flush(f, from_ms);
}

static void report(struct feed *f, const char *name, int64_t start_ns, uint64_t own)
{
	struct store_status status;
	double seconds = (double)(clock_mono_ns() - start_ns) / 1e9;
	store_get_status(f->store, &status);
	(void)fprintf(stderr,
		      "%s: %" PRIu64 " profiles in %.1f s (writing blocks %.1f s, compaction %.1f s), %u blocks, "
		      "%" PRIu64 " bytes\n",
		      name, f->n_fed, seconds, (double)f->flush_ns / 1e9, (double)f->tidy_ns / 1e9,
		      status.blocks.n_blocks, status.blocks.bytes);
	(void)printf("%s_anon %.0f\n", name, (double)(bench_memory_peak() - own) / (1 << 20));
	(void)printf("%s_blocks %u\n", name, status.blocks.n_blocks);
	(void)printf("%s_bytes %" PRIu64 "\n", name, status.blocks.bytes);
}

static void feed_free(struct feed *f)
{
	store_close(&f->store);
	buf_done(&f->body);
	free(f);
}

int bench_feed(const char *dir, uint32_t n_nodes, uint32_t n_days, bool timed)
{
	struct fleet_shape shape = fleet_shape_of(n_nodes, n_days * 24);
	_cleanup_(fleet_free)
	struct fleet *fleet = fleet_new(&shape);
	struct feed *f = feed_new(dir);
	int64_t start = clock_mono_ns();
	(void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
	uint64_t own = bench_memory_now("RssAnon");
	bench_memory_begin();
	for (uint32_t minute = 0; minute < n_days * 24 * MINUTES; minute++) {
		for (uint32_t node = 0; node < n_nodes; node++) {
			struct flying *u = take(f);
			bench_check(profile_init(&u->profile.profile, NULL), NULL);
			bench_check(
				(timed ? fleet_profile_timed : fleet_profile)(fleet, node, minute, &u->profile.profile),
				NULL);
			fleet_service_name(fleet, node, u->service);
			fleet_host_name(node, u->host);
			(void)snprintf(u->key, sizeof(u->key), "fleet-%u-%u", node, minute);
			submit(f, u, FLEET_START_MS + minute * FLEET_MINUTE_MS);
		}
	}
	flush(f, FLEET_START_MS + n_days * BENCH_DAY_MS);
	/* The last day is over, and nothing comes any more. */
	int64_t end = clock_mono_ns();
	bench_tidy(f->store, FLEET_START_MS + (n_days + 1) * BENCH_DAY_MS);
	f->tidy_ns += clock_mono_ns() - end;
	report(f, "feed", start, own);
	feed_free(f);
	return 0;
}

/* ---- many names ---- */

#define CHAIN	5 /* frames of a stack that are its own */
#define N_NAMES 20000
#define DEPTH	25

/* `n` stacks that no other profile has. */
static int make_many(uint32_t series, uint32_t n, struct profile *p)
{
	uint32_t frames[DEPTH];
	int r = profile_add_type(p, slice_str("cpu"), slice_str("nanoseconds"));
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		uint32_t node = 0;
		uint64_t any = ((uint64_t)series * n + i) * UINT64_C(0x9e3779b97f4a7c15);
		for (uint32_t k = 0; r == 0 && k < DEPTH; k++) {
			char name[64];
			struct frame_id id;
			/* Its number in base N_NAMES, behind what all share. */
			uint32_t code = k < DEPTH - CHAIN ? k : (uint32_t)(any >> (k - DEPTH + CHAIN) * 12) % N_NAMES;
			(void)snprintf(name, sizeof(name), "many::worker_%u::step(unsigned long)", code);
			r = dict_named_frame(&p->dict, slice_str(name), FRAME_USER, &id);
			frames[k] = id.v;
		}
		int64_t value = (1 + i % 7) * INT64_C(10000000);
		if (r == 0)
			r = dict_chain(&p->dict, &node, frames, DEPTH, 1);
		if (r == 0)
			r = profile_add_sample(p, (struct node_id){ node }, (struct labels_id){ 0 }, &value);
	}
	return r;
}

int bench_feed_many(const char *dir, uint32_t n_stacks, uint32_t n_series)
{
	struct feed *f = feed_new(dir);
	int64_t start = clock_mono_ns();
	(void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
	uint64_t own = bench_memory_now("RssAnon");
	bench_memory_begin();
	for (uint32_t i = 0; i < n_series; i++) {
		struct flying *u = take(f);
		bench_check(profile_init(&u->profile.profile, NULL), NULL);
		bench_check(make_many(i, n_stacks / n_series, &u->profile.profile), NULL);
		(void)snprintf(u->service, sizeof(u->service), "service-%u", i % 100);
		(void)snprintf(u->host, sizeof(u->host), "host-%u", i % 5000);
		(void)snprintf(u->container, sizeof(u->container), "container-%u", i);
		(void)snprintf(u->key, sizeof(u->key), "many-%u", i);
		submit(f, u, FLEET_START_MS + (int64_t)(i % 1440) * FLEET_MINUTE_MS);
	}
	flush(f, FLEET_START_MS + BENCH_DAY_MS);
	int64_t end = clock_mono_ns();
	bench_tidy(f->store, FLEET_START_MS + 2 * BENCH_DAY_MS);
	f->tidy_ns += clock_mono_ns() - end;
	report(f, "many", start, own);
	feed_free(f);
	return 0;
}
