/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever decodes can be written and read back; labels that differ only in
 * their names of wick and OpenTelemetry ("pid", "process.pid") become one. */
#include "format/otlp.h"

#include <assert.h>

#define BUDGET ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum how { PLAIN, SALVAGED, ASKED };

static int decode(struct slice bytes, enum how how, struct profile *p, struct membudget *budget)
{
	struct salvage salvage = { 0 };
	struct format_limits limits = format_limits_default;
	struct error err = { "" };
	limits.inflated_size = 1 << 20;
	limits.depth = 512;
	int r = profile_init(p, budget);
	assert(r == 0);
	p->wants_times = true;
	struct otlp_request request = { 0 };
	switch (how) {
	case PLAIN:
		r = otlp_decode(bytes, &limits, p, &err);
		break;
	case SALVAGED:
		r = otlp_salvage(bytes, &limits, &salvage, p, &err);
		break;
	case ASKED:
		r = otlp_decode_request(bytes, &limits, p, &request, &err);
		break;
	}
	otlp_request_done(&request);
	assert(r == 0 || err.text[0]);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct membudget budget = membudget_of(BUDGET);
	_cleanup_(buf_done)
	struct buf once = buf_of(BUDGET);
	struct profile p, q;
	if (decode(slice_of(data, size), (enum how)(size % 3), &p, &budget) == 0) {
		int r = otlp_encode(&p, &once);
		assert(r == 0);
		r = decode(slice_of(once.data, once.n), PLAIN, &q, &budget);
		assert(r == 0 && profile_n_samples(&q) <= profile_n_samples(&p));
		profile_done(&q);
	}
	profile_done(&p);
	assert(budget.used == 0);
	return 0;
}
