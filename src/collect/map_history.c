/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/map_history.h"

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

void map_history_add(struct map_history *h, const struct map_event *e, int64_t now_ns)
{
	if (e->kind == MAP_EVENT_LOST) {
		h->forgotten_ns = now_ns;
		return;
	}
	struct map_change *c = &h->changes[h->n % MAP_HISTORY_SIZE];
	/* CPUs are not told in order. */
	if (h->n >= MAP_HISTORY_SIZE)
		h->forgotten_ns = later(h->forgotten_ns, c->time_ns);
	*c = (struct map_change){ e->time_ns, e->start, e->end, e->pid, e->kind };
	h->n++;
}

static uint32_t n_kept(const struct map_history *h)
{
	return h->n < MAP_HISTORY_SIZE ? h->n : MAP_HISTORY_SIZE;
}

int64_t map_history_since(const struct map_history *h, pid_t pid, uint64_t start, uint64_t end)
{
	int64_t since = h->forgotten_ns;
	for (uint32_t i = 0; i < n_kept(h); i++) {
		const struct map_change *c = &h->changes[i];
		if (c->pid == pid && c->kind == MAP_EVENT_MAPPED && c->start < end && start < c->end)
			since = later(since, c->time_ns);
	}
	return since;
}

int64_t map_history_last_exec(const struct map_history *h, pid_t pid)
{
	int64_t last = 0;
	for (uint32_t i = 0; i < n_kept(h); i++)
		if (h->changes[i].pid == pid && h->changes[i].kind == MAP_EVENT_EXEC)
			last = later(last, h->changes[i].time_ns);
	return last;
}
