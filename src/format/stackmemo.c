/* SPDX-License-Identifier: Apache-2.0 */
#include "format/stackmemo.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define N_ROWS	 ((size_t)1 << 16)
#define STEP	 32 /* cuts are at this distance, counted from the root */
#define KEEP_OUT 8  /* bytes that are always before the cut */

void stackmemo_init(struct stackmemo *m, struct membudget *budget)
{
	*m = (struct stackmemo){ .budget = budget };
	if (!membudget_charge(budget, N_ROWS * sizeof(*m->rows)))
		return;
	m->rows = calloc(N_ROWS, sizeof(*m->rows));
	if (!m->rows)
		membudget_release(budget, N_ROWS * sizeof(*m->rows));
}

void stackmemo_done(struct stackmemo *m)
{
	if (m->rows)
		membudget_release(m->budget, N_ROWS * sizeof(*m->rows));
	free(m->rows);
	m->rows = NULL;
}

size_t stackmemo_cut(struct slice ids)
{
	if (ids.size < STEP + KEEP_OUT)
		return 0;
	size_t cut = ids.size - (ids.size - KEEP_OUT) / STEP * STEP;
	while (cut < ids.size && ids.data[cut - 1] >= 0x80)
		cut++;
	return cut < ids.size ? cut : 0;
}

struct stackmemo_row *stackmemo_find(struct stackmemo *m, struct slice bytes, bool *ret_found)
{
	*ret_found = false;
	if (!m->rows)
		return NULL;
	uint64_t hash = XXH3_64bits(bytes.data, bytes.size);
	struct stackmemo_row *row = &m->rows[hash % N_ROWS];
	uint32_t tag = (uint32_t)(hash >> 32);
	if (row->size == bytes.size && row->hash == tag && memcmp(row->at, bytes.data, bytes.size) == 0)
		*ret_found = true;
	else
		row->hash = tag;
	return row;
}
