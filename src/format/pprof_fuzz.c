/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever decodes is written, read back and written again: the same bytes.
 * Half of the inputs are salvaged. */
#include "format/pprof.h"

#include <assert.h>

#define BUDGET ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int decode(struct slice bytes, struct profile *p, bool salvages, struct membudget *budget)
{
	struct format_limits limits = format_limits_default;
	struct salvage salvage = { 0 };
	struct error err = { "" };
	limits.inflated_size = 1 << 20;
	limits.depth = 512;
	int r = profile_init(p, budget);
	assert(r == 0);
	r = salvages ? pprof_salvage(bytes, &limits, &salvage, p, &err) : pprof_decode(bytes, &limits, p, &err);
	assert(r == 0 || err.text[0]);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct membudget budget = membudget_of(BUDGET);
	_cleanup_(buf_done)
	struct buf once = buf_of(BUDGET), twice = buf_of(BUDGET);
	struct profile p, q;
	if (decode(slice_of(data, size), &p, size % 2, &budget) == 0) {
		int r = pprof_encode(&p, &once);
		assert(r == 0);
		r = decode(slice_of(once.data, once.n), &q, false, &budget);
		assert(r == 0 && profile_n_samples(&q) == profile_n_samples(&p));
		r = pprof_encode(&q, &twice);
		assert(r == 0 && slice_eq(slice_of(once.data, once.n), slice_of(twice.data, twice.n)));
		profile_done(&q);
	}
	profile_done(&p);
	assert(budget.used == 0);
	return 0;
}
