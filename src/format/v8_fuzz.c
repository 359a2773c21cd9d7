/* SPDX-License-Identifier: Apache-2.0 */
/* Both of V8's formats: a message for every refusal, no negative value. */
#include "format/v8.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int r, const struct profile *p, const struct error *err)
{
	assert(r == 0 || err->text[0]);
	for (uint32_t t = 0; r == 0 && t < p->n_types; t++)
		for (uint32_t i = 0; i < profile_n_samples(p); i++)
			assert(p->value[t].data[i] >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct format_limits limits = format_limits_default;
	limits.depth = 100;
	/* Exactly its size, so that a read past the end is seen. */
	_cleanup_(free_ptr)
	uint8_t *copy = malloc(size ? size : 1);
	assert(copy);
	memcpy(copy, data, size);
	for (int i = 0; i < 2; i++) {
		struct error err = { "" };
		struct profile p;
		int r = profile_init(&p, NULL);
		assert(r == 0);
		r = (i ? v8_heap_decode : v8_cpu_decode)(slice_of(copy, size), &limits, &p, &err);
		check(r, &p, &err);
		profile_done(&p);
	}
	return 0;
}
