/* SPDX-License-Identifier: Apache-2.0 */
/* Counters run on: what a sample stands for is what its counter has counted
 * since the sample before. Of a group `{a,b}:S` only the leader is sampled; the
 * others are read with it, and each is a sample of its own, as perf has it. */
#include "format/perfdata_reader.h"

#include <errno.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct perf_value perfdata_sample_value(const struct perf_attr *a, const struct perf_sample *s, uint64_t i, bool is_big)
{
	uint64_t format = a->read_format;
	uint64_t n_times = (uint64_t)__builtin_popcountll(format & (READ_TIME_ENABLED | READ_TIME_RUNNING));
	uint64_t size = 16 + (format & READ_LOST ? 8 : 0), id_off = format & READ_GROUP ? 8 : 8 + 8 * n_times;
	const uint8_t *at = s->values + i * size;
	return (struct perf_value){ .value = perf_u64_at(at, is_big), .id = perf_u64_at(at + id_off, is_big) };
}

const struct perf_attr *perfdata_attr_of_id(const struct perfdata *d, uint64_t id)
{
	uint32_t i = u64map_get(&d->attr_ids, id);
	return i ? &d->attrs.data[i - 1] : NULL;
}

static int find_counter(struct perfdata *d, uint64_t id, uint32_t tid, struct perf_counter **ret)
{
	uint64_t pair[2] = { id, tid };
	int r = vec_reserve(d->p->budget, &d->counters, 1);
	if (r < 0)
		return r;
	for (uint64_t key = XXH3_64bits(pair, sizeof(pair));; key++) {
		uint32_t *slot = u64map_put(&d->counter_ids, key);
		if (!slot)
			return -ENOBUFS;
		if (*slot == 0) {
			*slot = ++d->counters.n;
			d->counters.data[*slot - 1] = (struct perf_counter){ .id = id, .tid = tid };
		}
		*ret = &d->counters.data[*slot - 1];
		if ((*ret)->id == id && (*ret)->tid == tid)
			return 0;
	}
}

int perfdata_counter_delta(struct perfdata *d, const struct perf_attr *a, const struct perf_value *v, uint32_t tid,
			   uint64_t *ret)
{
	struct perf_counter *c;
	int r = find_counter(d, v->id, a->flags & ATTR_INHERIT ? tid : 0, &c);
	if (r < 0)
		return r;
	*ret = v->value - c->value;
	c->value = v->value;
	return 0;
}
