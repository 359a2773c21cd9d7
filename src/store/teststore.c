/* SPDX-License-Identifier: Apache-2.0 */
#include "store/teststore.h"

#include "format/pprof.h"
#include "store/scan.h"
#include "store/view.h"
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

void teststore_make(struct teststore *t)
{
	*t = (struct teststore){ 0 };
	(void)snprintf(t->dir, sizeof(t->dir), "%s/wick-store-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(t->dir));
}

void teststore_remove(struct teststore *t)
{
	char command[80];
	store_close(&t->store);
	(void)snprintf(command, sizeof(command), "rm -r '%s'", t->dir);
	assert_int_equal(system(command), 0);
}

int teststore_open(struct teststore *t, const struct store_options *o)
{
	struct store_options options = *o;
	options.dir = t->dir;
	t->err.text[0] = 0;
	return store_open(&options, &t->store, &t->replay, &t->err);
}

/* ---- uploads ---- */

struct upload {
	struct store_commit commit;
	struct intake_profile profile;
	struct buf body;
	int64_t value;
	_Atomic int64_t *acked;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_done;
};

static void on_done(struct store_commit *c)
{
	struct upload *u = (struct upload *)((char *)c - offsetof(struct upload, commit));
	if (c->result == 0 && !c->duplicate && u->acked)
		*u->acked += u->value;
	(void)pthread_mutex_lock(&u->lock);
	u->is_done = true;
	(void)pthread_cond_signal(&u->changed);
	(void)pthread_mutex_unlock(&u->lock);
}

static void encode(struct upload *u, unsigned n, int64_t at_ms)
{
	struct profile p;
	char name[16];
	struct frame_id frame;
	struct node_id node = { 0 };
	(void)snprintf(name, sizeof(name), "f%u", n % 16);
	const char *stack[] = { "main", name };
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(profile_add_type(&p, slice_str("cpu"), slice_str("nanoseconds")), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(dict_named_frame(&p.dict, slice_str(stack[i]), FRAME_USER, &frame), 0);
		assert_int_equal(dict_node(&p.dict, node, frame, &node), 0);
	}
	assert_int_equal(profile_add_sample(&p, node, (struct labels_id){ 0 }, &u->value), 0);
	p.time_ns = at_ms * 1000000;
	p.duration_ns = 10000000000;
	assert_int_equal(pprof_encode(&p, &u->body), 0);
	profile_done(&p);
}

static int wait_done(struct upload *u)
{
	(void)pthread_mutex_lock(&u->lock);
	while (!u->is_done)
		(void)pthread_cond_wait(&u->changed, &u->lock);
	(void)pthread_mutex_unlock(&u->lock);
	return u->commit.result < 0 ? u->commit.result : u->commit.duplicate;
}

int teststore_upload(struct store *s, unsigned n, const char *key, int64_t at_ms, int64_t value, _Atomic int64_t *acked)
{
	struct upload u = { .body = buf_of(1 << 20),
			    .value = value,
			    .acked = acked,
			    .lock = PTHREAD_MUTEX_INITIALIZER,
			    .changed = PTHREAD_COND_INITIALIZER };
	encode(&u, n, at_ms);
	struct intake *in = &u.commit.record.intake;
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	in->label[SERIES_SERVICE] = slice_str("api");
	in->key = slice_str(key);
	in->received_ms = now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
	u.commit.record.body = slice_of(u.body.data, u.body.n);
	assert_int_equal(intake_decode(in, u.commit.record.body, &format_limits_default, NULL, &u.profile, NULL), 0);
	u.commit.profile = &u.profile;
	u.commit.done = on_done;
	int r = store_submit(s, &u.commit);
	if (r == 0)
		r = wait_done(&u);
	intake_profile_done(&u.profile);
	buf_done(&u.body);
	return r;
}

/* ---- reading ---- */

static int total_of_part(const struct part *p, enum resolution coarsest, int64_t *ret)
{
	const struct scan_options all = { .from_ms = INT64_MIN, .to_ms = INT64_MAX, .coarsest = coarsest };
	struct scan scan;
	int r = scan_init(&scan, p, &all, NULL);
	*ret = 0;
	for (uint32_t i = 0; r >= 0 && i < p->series.n; i++) {
		r = scan_series(&scan, i);
		while (r >= 0 && (r = scan_next(&scan)) == 1) {
			struct rows rows;
			int64_t sum = 0;
			r = scan_rows(&scan, &rows);
			for (uint32_t k = 0; r == 1 && k < rows.n; k++)
				sum += rows.value[k];
			/* What a chunk says of itself is what its rows add up to. */
			if (r == 1 && sum != scan.chunk.total)
				r = -ERANGE;
			*ret += sum;
		}
	}
	if (r >= 0 && scan.stats.n_damaged)
		r = -EBADMSG;
	scan_done(&scan);
	return r < 0 ? r : 0;
}

int teststore_total(struct store *s, int64_t *ret)
{
	struct view *v;
	int64_t sum = 0;
	int r = view_take(s, &v);
	if (r < 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < view_n_parts(v); i++) {
		const struct part *p;
		int64_t raw, sums;
		r = view_open(v, i, &p, NULL);
		if (r < 0)
			break;
		r = total_of_part(p, RES_RAW, &raw);
		if (r == 0)
			r = total_of_part(p, RES_DAY, &sums);
		if (r == 0 && raw != sums)
			r = -ERANGE;
		if (r == 0)
			sum += raw;
		view_close(v, i);
	}
	view_free(&v);
	*ret = sum;
	return r;
}

unsigned teststore_n_block_files(const struct teststore *t)
{
	char path[96];
	unsigned n = 0;
	(void)snprintf(path, sizeof(path), "%s/blocks", t->dir);
	DIR *d = opendir(path);
	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.' && strcmp(e->d_name, "manifest") != 0;
	(void)closedir(d);
	return n;
}
