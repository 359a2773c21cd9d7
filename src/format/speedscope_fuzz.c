/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever decodes is written, read back and written again: the same text. */
#include "format/speedscope.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int decode(struct slice text, struct profile *p)
{
	struct format_limits limits = format_limits_default;
	struct error err = { "" };
	limits.depth = 512;
	int r = profile_init(p, NULL);
	assert(r == 0);
	r = speedscope_decode(text, &limits, p, &err);
	assert(r == 0 || err.text[0]);
	return r;
}

static bool is_exact(const struct profile *p)
{
	for (uint32_t t = 0; t < p->n_types; t++) {
		double sum = 0;
		for (uint32_t i = 0; i < profile_n_samples(p); i++)
			sum += (double)p->value[t].data[i];
		if (sum > 0x1p53)
			return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(buf_done)
	struct buf once = buf_of(64 << 20), twice = buf_of(64 << 20);
	struct profile p, q;
	/* Exactly its size, so that a read past the end is seen. */
	_cleanup_(free_ptr)
	uint8_t *copy = malloc(size ? size : 1);
	assert(copy);
	memcpy(copy, data, size);
	if (decode(slice_of(copy, size), &p) == 0) {
		bool exact = is_exact(&p);
		int r = speedscope_encode(&p, &once);
		assert(r == 0);
		r = decode(slice_of(once.data, once.n), &q);
		assert(r == 0);
		r = speedscope_encode(&q, &twice);
		assert(r == 0);
		/* Stacks are in the order in which all types' were met first: so it stays
		 * from the second time on. */
		profile_done(&q);
		r = decode(slice_of(twice.data, twice.n), &q);
		assert(r == 0);
		once.n = 0;
		r = speedscope_encode(&q, &once);
		assert(r == 0);
		/* Numbers of JSON are doubles. */
		assert(!exact || slice_eq(slice_of(once.data, once.n), slice_of(twice.data, twice.n)));
		profile_done(&q);
	}
	profile_done(&p);
	return 0;
}
