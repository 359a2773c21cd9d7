/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever decodes is written, taken for folded stacks, read back and written
 * again: the same text. */
#include "format/folded.h"

#include "format/detect.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int decode(struct slice text, struct profile *p)
{
	struct format_limits limits = format_limits_default;
	struct error err = { "" };
	limits.inflated_size = 1 << 20;
	limits.depth = 512;
	int r = profile_init(p, NULL);
	assert(r == 0);
	r = folded_decode(text, &limits, p, &err);
	assert(r == 0 || err.text[0]);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(buf_done)
	struct buf once = buf_of(64 << 20), twice = buf_of(64 << 20);
	struct profile p, q;
	if (decode(slice_of(data, size), &p) == 0) {
		int r = folded_encode(&p, 0, &once);
		assert(r == 0);
		assert(once.n == 0 || format_detect(slice_of(once.data, once.n)) == FORMAT_FOLDED);
		r = decode(slice_of(once.data, once.n), &q);
		assert(r == 0 || once.n == 0);
		if (r == 0) {
			r = folded_encode(&q, 0, &twice);
			assert(r == 0 && slice_eq(slice_of(once.data, once.n), slice_of(twice.data, twice.n)));
		}
		profile_done(&q);
	}
	profile_done(&p);
	return 0;
}
