/* SPDX-License-Identifier: Apache-2.0 */
/* A message for every refusal; what is read can be written as pprof and read
 * again. */
#include "format/callgrind.h"

#include "format/pprof.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct format_limits limits = format_limits_default;
	struct membudget budget = membudget_of((size_t)64 << 20);
	struct error err = { "" };
	limits.depth = 512;
	/* Exactly its size, so that a read past the end is seen. */
	_cleanup_(free_ptr)
	uint8_t *copy = malloc(size ? size : 1);
	_cleanup_(buf_done)
	struct buf out = buf_of((size_t)64 << 20);
	struct salvage salvage = { 0 };
	struct profile p, q;
	assert(copy);
	memcpy(copy, data, size);
	int r = profile_init(&p, &budget);
	assert(r == 0);
	r = callgrind_decode(slice_of(copy, size), &limits, size % 2 ? &salvage : NULL, &p, &err);
	assert(r == 0 || err.text[0]);
	if (r == 0) {
		r = pprof_encode(&p, &out);
		assert(r == 0);
		r = profile_init(&q, &budget);
		assert(r == 0);
		r = pprof_decode(slice_of(out.data, out.n), &format_limits_default, &q, NULL);
		assert(r == 0 && profile_n_samples(&p) == profile_n_samples(&q));
		profile_done(&q);
	}
	profile_done(&p);
	assert(budget.used == 0);
	return 0;
}
