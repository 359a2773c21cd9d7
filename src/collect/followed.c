/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/followed.h"

#include <errno.h>
#include <string.h>

#define MAX_THREADS 65536

/* Index of the first thread with an id >= tid. */
static uint32_t position(const struct followed *f, pid_t tid)
{
	uint32_t low = 0, high = f->threads.n;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (f->threads.data[middle].tid < tid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool followed_has(const struct followed *f, pid_t tid)
{
	uint32_t i = position(f, tid);
	return i < f->threads.n && f->threads.data[i].tid == tid;
}

static int insert(struct followed *f, pid_t tid, uint32_t group)
{
	if (f->threads.n >= MAX_THREADS)
		return -E2BIG;
	int r = vec_reserve(NULL, &f->threads, 1);
	if (r < 0)
		return r;
	uint32_t i = position(f, tid);
	struct followed_thread *at = f->threads.data + i;
	memmove(at + 1, at, (f->threads.n - i) * sizeof(*at));
	*at = (struct followed_thread){ tid, group };
	f->threads.n++;
	f->groups.data[group].n_threads++;
	return 0;
}

static int free_group(struct followed *f, uint32_t *ret)
{
	for (uint32_t i = 0; i < f->groups.n; i++) {
		if (f->groups.data[i].n_threads == 0) {
			*ret = i;
			return 0;
		}
	}
	int r = vec_reserve(NULL, &f->groups, 1);
	if (r < 0)
		return r;
	*ret = f->groups.n++;
	f->groups.data[*ret] = (struct followed_group){ 0 };
	return 0;
}

int followed_add(struct followed *f, pid_t tid, int *fds, uint32_t n_fds)
{
	uint32_t group;
	if (n_fds > f->max_fds - f->n_fds)
		return -E2BIG;
	if (followed_has(f, tid))
		return -EEXIST;
	int r = free_group(f, &group);
	if (r == 0)
		r = insert(f, tid, group);
	if (r < 0)
		return r;
	f->groups.data[group].fds = fds;
	f->groups.data[group].n_fds = n_fds;
	f->n_fds += n_fds;
	return 0;
}

int followed_inherit(struct followed *f, pid_t parent, pid_t child)
{
	uint32_t i = position(f, parent);
	if (i == f->threads.n || f->threads.data[i].tid != parent || followed_has(f, child))
		return 0;
	return insert(f, child, f->threads.data[i].group);
}

static void close_group(struct followed *f, struct followed_group *g)
{
	for (uint32_t i = 0; i < g->n_fds; i++)
		(void)close(g->fds[i]);
	f->n_fds -= g->n_fds;
	free(g->fds);
	*g = (struct followed_group){ 0 };
}

void followed_remove(struct followed *f, pid_t tid)
{
	uint32_t i = position(f, tid);
	if (i == f->threads.n || f->threads.data[i].tid != tid)
		return;
	struct followed_thread *at = f->threads.data + i;
	struct followed_group *g = &f->groups.data[at->group];
	memmove(at, at + 1, (f->threads.n - i - 1) * sizeof(*at));
	f->threads.n--;
	if (--g->n_threads == 0)
		close_group(f, g);
}

void followed_done(struct followed *f)
{
	for (uint32_t i = 0; i < f->groups.n; i++)
		close_group(f, &f->groups.data[i]);
	vec_done(NULL, &f->groups);
	vec_done(NULL, &f->threads);
}
