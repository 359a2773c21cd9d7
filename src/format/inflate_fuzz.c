/* SPDX-License-Identifier: Apache-2.0 */
/* Output stays within its limit; the fast and the slow way agree. */
#include "format/inflate.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct format_limits limits = format_limits_default;
	_cleanup_(buf_done)
	struct buf once = buf_of(0), twice = buf_of(0), joined = buf_of(64 << 20);
	struct error err = { "" };
	struct slice plain, again;
	limits.inflated_size = 1 << 20;
	int r = inflate_bytes(slice_of(data, size), &limits, &once, &plain, &err);
	assert(r == 0 || err.text[0]);
	if (r < 0 || codec_of(slice_of(data, size)) == CODEC_RAW)
		return 0;
	assert(plain.size <= limits.inflated_size);
	/* Two members never go the fast way. */
	buf_add(&joined, data, size);
	buf_add(&joined, data, size);
	limits.inflated_size = 2 << 20;
	r = inflate_bytes(slice_of(joined.data, joined.n), &limits, &twice, &again, &err);
	assert(r == 0 && again.size == 2 * plain.size);
	assert(plain.size == 0 || memcmp(again.data, plain.data, plain.size) == 0);
	return 0;
}
