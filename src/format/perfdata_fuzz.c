/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever decodes is written as pprof; half of the inputs are salvaged. */
#include "format/perfdata.h"

#include "format/pprof.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct format_limits limits = format_limits_default;
	struct salvage salvage = { 0 };
	struct error err = { "" };
	struct profile p;
	limits.depth = 512;
	limits.inflated_size = 1 << 20;
	int r = profile_init(&p, NULL);
	assert(r == 0);
	r = perfdata_decode(slice_of(data, size), &limits, size % 2 ? &salvage : NULL, &p, &err);
	assert(r == 0 || err.text[0]);
	if (r == 0) {
		_cleanup_(buf_done)
		struct buf out = buf_of(64 << 20);
		r = pprof_encode(&p, &out);
		assert(r == 0);
	}
	profile_done(&p);
	return 0;
}
