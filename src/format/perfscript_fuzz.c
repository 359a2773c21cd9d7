/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever decodes is collapsed, in both of Java's ways, and folded. */
#include "format/perfscript.h"

#include "format/folded.h"
#include "format/perfscript_line.h"
#include "format/stackcollapse.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void collapse(const struct profile *p)
{
	static const struct stackcollapse_options all = {
		.kernel = true, .jit = true, .pid = true, .tid = true, .addrs = true
	};
	static const struct stackcollapse_options none = { 0 };
	_cleanup_(buf_done)
	struct buf out = buf_of(64 << 20);
	struct error err = { "" };
	int r = stackcollapse_encode(p, &all, &out, &err);
	assert(r == 0);
	r = stackcollapse_encode(p, &none, &out, &err);
	assert(r == 0);
	r = folded_encode(p, 0, &out);
	assert(r == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct format_limits limits = format_limits_default;
	struct error err = { "" };
	struct profile p;
	limits.depth = 512;
	int r = profile_init(&p, NULL);
	assert(r == 0);
	(void)perfscript_looks(slice_of(data, size));
	r = perfscript_decode(slice_of(data, size), &limits, &p, &err);
	assert(r == 0 || err.text[0]);
	if (r == 0)
		collapse(&p);
	profile_done(&p);
	return 0;
}
