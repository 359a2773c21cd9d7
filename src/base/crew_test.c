/* SPDX-License-Identifier: Apache-2.0 */
/* What is lost when this fails: pieces of a query are left out or counted twice,
 * or queries start threads without end. */
#include "unit.h"

#include "base/crew.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define N_PIECES 1000

struct job {
	_Atomic unsigned next, n_workers, most;
	unsigned done[N_PIECES];
	_Atomic unsigned *n_all, *most_all; /* of several jobs */
};

static void note_most(_Atomic unsigned *most, unsigned n)
{
	unsigned seen = *most;
	while (seen < n && !atomic_compare_exchange_weak(most, &seen, n))
		;
}

static void work(void *arg, unsigned worker)
{
	struct job *j = arg;
	assert_true(worker < CREW_MAX);
	note_most(j->most_all, ++*j->n_all);
	note_most(&j->most, ++j->n_workers);
	for (unsigned i; (i = j->next++) < N_PIECES; (void)sched_yield())
		j->done[i]++;
	j->n_workers--;
	--*j->n_all;
}

static void assert_done_once(const struct job *j)
{
	for (unsigned i = 0; i < N_PIECES; i++)
		assert_int_equal(j->done[i], 1);
	assert_int_equal(j->n_workers, 0);
}

static void each_piece_is_done_once(void **state)
{
	(void)state;
	for (unsigned n = 0; n < CREW_MAX + 3; n++) {
		_Atomic unsigned n_all = 0, most_all = 0;
		struct job j = { .n_all = &n_all, .most_all = &most_all };
		crew_run(n, work, &j);
		assert_done_once(&j);
		assert_true(j.most <= (n > 1 ? n : 1) && j.most <= crew_size());
	}
}

static void *run(void *arg)
{
	crew_run(CREW_MAX, work, arg);
	return NULL;
}

/* Each caller works; the helpers of all together are one fewer than CPUs. */
static void callers_share_the_helpers(void **state)
{
	(void)state;
	enum { N = 8 };
	static struct job jobs[N];
	_Atomic unsigned n_all = 0, most_all = 0;
	pthread_t threads[N];
	for (unsigned i = 0; i < N; i++) {
		jobs[i].n_all = &n_all;
		jobs[i].most_all = &most_all;
		assert_int_equal(pthread_create(&threads[i], NULL, run, &jobs[i]), 0);
	}
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_done_once(&jobs[i]);
	}
	assert_true(most_all <= N + crew_size() - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_piece_is_done_once),
		cmocka_unit_test(callers_share_the_helpers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
