/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads, questions, blocks being written and merged, all at once: what a
 * question sees is all that was acknowledged before it, and nothing twice. */
#include "unit.h"

#include "store/teststore.h"
#include "store/view.h"

#include <errno.h>
#include <pthread.h>

#define DAY_MS	    INT64_C(86400000)
#define T0_MS	    (19675 * DAY_MS)
#define N_UPLOADERS 3
#define N_READERS   2
#define N_EACH	    400

struct load {
	struct teststore t;
	_Atomic int64_t acked, submitted;
	_Atomic unsigned n_questions;
	_Atomic int n_uploading;
	_Atomic int failure;
};

static const struct store_options options = {
	.memory_limit = 64 << 20,
	.head_memory = 16 << 20,
	.tables_memory = 2 << 20,
	.build_memory = 16 << 20,
	.decode_memory = 16 << 20,
	.n_threads = 2,
	.disk_limit = 256 << 20,
	.segment_size = 16 << 10,
	.flush_log = 8 << 10,
};

static void *upload_all(void *arg)
{
	struct load *l = arg;
	for (unsigned i = 0; i < N_EACH && l->failure == 0; i++) {
		l->submitted++;
		/* Half of them now, half in days that are over. */
		int64_t at_ms = i % 2 ? T0_MS + i % 5 * DAY_MS + i * 1000 : T0_MS + 700 * DAY_MS + i * 1000;
		int r = teststore_upload(l->t.store, i, "", at_ms, 1, &l->acked);
		if (r != 0)
			l->failure = r;
	}
	l->n_uploading--;
	return NULL;
}

static void *ask(void *arg)
{
	struct load *l = arg;
	int64_t last = 0;
	while (l->failure == 0 && (l->n_uploading > 0 || last < l->acked)) {
		int64_t before = l->acked, total;
		int r = teststore_total(l->t.store, &total);
		int64_t after = l->submitted;
		if (r == 0 && (total < before || total < last || total > after))
			r = -ERANGE;
		if (r < 0)
			l->failure = r;
		last = total;
		l->n_questions++;
	}
	return NULL;
}

/* As the page of the server does. */
static void *watch(void *arg)
{
	struct load *l = arg;
	uint64_t last = 0;
	while (l->failure == 0 && l->n_uploading > 0) {
		struct store_status status;
		store_get_status(l->t.store, &status);
		if (status.n_profiles < last || status.n_profiles > (uint64_t)l->submitted)
			l->failure = -EDOM;
		last = status.n_profiles;
	}
	return NULL;
}

static void run(struct load *l)
{
	pthread_t threads[N_UPLOADERS + N_READERS + 1];
	unsigned n = 0;
	l->n_uploading = N_UPLOADERS;
	for (unsigned i = 0; i < N_UPLOADERS; i++)
		assert_int_equal(pthread_create(&threads[n++], NULL, upload_all, l), 0);
	for (unsigned i = 0; i < N_READERS; i++)
		assert_int_equal(pthread_create(&threads[n++], NULL, ask, l), 0);
	assert_int_equal(pthread_create(&threads[n++], NULL, watch, l), 0);
	while (n > 0)
		assert_int_equal(pthread_join(threads[--n], NULL), 0);
	assert_int_equal(l->failure, 0);
}

static void sums_never_dip_and_never_double(void **state)
{
	(void)state;
	static struct load l;
	struct store_status status;
	int64_t total;
	teststore_make(&l.t);
	for (int round = 1; round <= 2; round++) {
		assert_int_equal(teststore_open(&l.t, &options), 0);
		run(&l);
		store_get_status(l.t.store, &status);
		assert_true(status.keeping.n_flushes > 3 && status.keeping.n_compactions > 0);
		assert_int_equal(status.keeping.n_flush_failures + status.keeping.n_compaction_failures, 0);
		assert_int_equal(status.n_profiles, round * N_UPLOADERS * N_EACH);
		print_message("# %ju flushes, %ju merges, %u blocks, %u questions\n",
			      (uintmax_t)status.keeping.n_flushes, (uintmax_t)status.keeping.n_compactions,
			      status.blocks.n_blocks, (unsigned)l.n_questions);
		store_close(&l.t.store);
	}
	assert_int_equal(teststore_open(&l.t, &options), 0);
	assert_int_equal(teststore_total(l.t.store, &total), 0);
	assert_int_equal(total, 2 * N_UPLOADERS * N_EACH);
	store_get_status(l.t.store, &status);
	assert_int_equal(status.n_profiles, total);
	assert_int_equal(l.t.replay.blocks.n_missing + l.t.replay.blocks.n_damaged, 0);
	teststore_remove(&l.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_never_dip_and_never_double),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
