/* SPDX-License-Identifier: Apache-2.0 */
#include "model/framelines.h"

#include <errno.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(sizeof(struct line_function) == 12 && sizeof(struct frame_line) == 8, "rows are compared as bytes");

int framelines_init(struct framelines *l, struct membudget *budget)
{
	*l = (struct framelines){ .budget = budget };
	u64map_init(&l->function_ids, budget);
	u64map_init(&l->chain_ids, budget);
	int r = strtab_init(&l->strings, budget);
	if (r == 0)
		r = vec_reserve(budget, &l->functions, 1);
	if (r == 0)
		r = vec_reserve(budget, &l->first, 3);
	if (r < 0) {
		framelines_done(l);
		return r;
	}
	l->functions.data[l->functions.n++] = (struct line_function){ 0 };
	memset(l->first.data, 0, 3 * sizeof(l->first.data[0]));
	l->first.n = 3;
	return 0;
}

void framelines_done(struct framelines *l)
{
	strtab_done(&l->strings);
	vec_done(l->budget, &l->functions);
	vec_done(l->budget, &l->lines);
	vec_done(l->budget, &l->first);
	vec_done(l->budget, &l->chain);
	u64map_done(&l->function_ids);
	u64map_done(&l->chain_ids);
}

static int intern_function(struct framelines *l, const struct source_line *line, uint32_t *ret)
{
	struct line_function row;
	int r = strtab_intern(&l->strings, line->name, &row.name);
	if (r == 0)
		r = strtab_intern(&l->strings, line->system_name, &row.system_name);
	if (r == 0)
		r = strtab_intern(&l->strings, line->file, &row.file);
	if (r == 0)
		r = vec_reserve(l->budget, &l->functions, 1);
	if (r < 0)
		return r;
	for (uint64_t key = XXH3_64bits(&row, sizeof(row));; key++) {
		uint32_t *id = u64map_put(&l->function_ids, key);
		if (!id)
			return -ENOBUFS;
		if (*id == 0) {
			*ret = *id = l->functions.n;
			l->functions.data[l->functions.n++] = row;
			return 0;
		}
		if (memcmp(&l->functions.data[*id], &row, sizeof(row)) == 0) {
			*ret = *id;
			return 0;
		}
	}
}

static bool is_chain(const struct framelines *l, uint32_t chain, const struct frame_line *rows, uint32_t n)
{
	uint32_t from = l->first.data[chain];
	return l->first.data[chain + 1] - from == n && memcmp(l->lines.data + from, rows, n * sizeof(*rows)) == 0;
}

static int intern_chain(struct framelines *l, const struct frame_line *rows, uint32_t n, uint32_t *ret)
{
	int r = vec_reserve(l->budget, &l->lines, n);
	if (r == 0)
		r = vec_reserve(l->budget, &l->first, 1);
	if (r < 0)
		return r;
	for (uint64_t key = XXH3_64bits(rows, n * sizeof(*rows));; key++) {
		uint32_t *id = u64map_put(&l->chain_ids, key);
		if (!id)
			return -ENOBUFS;
		if (*id == 0) {
			*ret = *id = l->first.n - 1;
			memcpy(l->lines.data + l->lines.n, rows, n * sizeof(*rows));
			l->lines.n += n;
			l->first.data[l->first.n++] = l->lines.n;
			return 0;
		}
		if (is_chain(l, *id, rows, n)) {
			*ret = *id;
			return 0;
		}
	}
}

/* Room for the frame in the column, with zeros up to it. */
static int reach(struct framelines *l, uint32_t frame)
{
	if (frame < l->chain.n)
		return 0;
	int r = vec_reserve(l->budget, &l->chain, frame + 1 - l->chain.n);
	if (r < 0)
		return r;
	memset(l->chain.data + l->chain.n, 0, (frame + 1 - l->chain.n) * sizeof(l->chain.data[0]));
	l->chain.n = frame + 1;
	return 0;
}

int framelines_put(struct framelines *l, struct frame_id frame, const struct source_line *lines, uint32_t n)
{
	struct frame_line rows[FRAMELINES_MAX];
	uint32_t chain = FRAMELINES_NONE;
	if (n > FRAMELINES_MAX)
		n = FRAMELINES_MAX;
	int r = reach(l, frame.v);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		rows[i].line = lines[i].line;
		r = intern_function(l, &lines[i], &rows[i].function);
	}
	if (r == 0 && n)
		r = intern_chain(l, rows, n, &chain);
	if (r == 0)
		l->chain.data[frame.v] = chain;
	return r;
}

void framelines_forget(struct framelines *l, struct frame_id frame)
{
	if (frame.v < l->chain.n)
		l->chain.data[frame.v] = FRAMELINES_UNKNOWN;
}
