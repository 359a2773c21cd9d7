/* SPDX-License-Identifier: Apache-2.0 */
#include "server/workmem.h"

#include "base/clock.h"

int workmem_init(struct workmem *w, size_t max)
{
	*w = (struct workmem){ .max = max };
	pthread_condattr_t attr;
	int e = pthread_condattr_init(&attr);
	if (e)
		return -e;
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	e = pthread_cond_init(&w->returned, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (e == 0)
		e = pthread_mutex_init(&w->lock, NULL);
	return -e;
}

void workmem_done(struct workmem *w)
{
	(void)pthread_cond_destroy(&w->returned);
	(void)pthread_mutex_destroy(&w->lock);
}

bool workmem_take(struct workmem *w, size_t size, int timeout_ms, size_t *ret_size)
{
	if (size > w->max)
		size = w->max;
	int64_t until = clock_mono_ns() + (int64_t)timeout_ms * 1000000;
	struct timespec ts = { .tv_sec = until / 1000000000, .tv_nsec = until % 1000000000 };
	(void)pthread_mutex_lock(&w->lock);
	int e = 0;
	while (w->max - w->used < size && e == 0)
		e = pthread_cond_timedwait(&w->returned, &w->lock, &ts);
	bool ok = w->max - w->used >= size;
	if (ok)
		w->used += size;
	(void)pthread_mutex_unlock(&w->lock);
	if (ok)
		*ret_size = size;
	return ok;
}

void workmem_give(struct workmem *w, size_t size)
{
	(void)pthread_mutex_lock(&w->lock);
	w->used -= size;
	(void)pthread_cond_broadcast(&w->returned);
	(void)pthread_mutex_unlock(&w->lock);
}
