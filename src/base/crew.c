/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crew.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Helpers at work, in the whole process. */
static _Atomic unsigned n_helpers;

unsigned crew_size(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
	return n < 1 ? 1 : n > CREW_MAX ? CREW_MAX : (unsigned)n;
}

static bool take_place(unsigned max)
{
	unsigned n = n_helpers;
	while (n < max)
		if (atomic_compare_exchange_weak(&n_helpers, &n, n + 1))
			return true;
	return false;
}

struct helper {
	pthread_t thread;
	void (*work)(void *arg, unsigned worker);
	void *arg;
	unsigned worker;
};

static void *help(void *arg)
{
	struct helper *h = arg;
	h->work(h->arg, h->worker);
	n_helpers--;
	return NULL;
}

void crew_run(unsigned n, void (*work)(void *arg, unsigned worker), void *arg)
{
	struct helper helper[CREW_MAX];
	unsigned n_started = 0, max = crew_size() - 1;
	while (n_started + 1 < n && n_started + 1 < CREW_MAX && take_place(max)) {
		struct helper *h = &helper[n_started];
		*h = (struct helper){ .work = work, .arg = arg, .worker = n_started + 1 };
		if (pthread_create(&h->thread, NULL, help, h) != 0) {
			n_helpers--;
			break;
		}
		n_started++;
	}
	work(arg, 0);
	for (unsigned i = 0; i < n_started; i++)
		(void)pthread_join(helper[i].thread, NULL);
}
