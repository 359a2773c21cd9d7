/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever decodes can be written, and what was written decodes to the same. */
#include "format/flamebearer.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int decode(struct slice text, struct profile *p)
{
	struct format_limits limits = format_limits_default;
	struct error err = { "" };
	limits.depth = 100;
	int r = profile_init(p, NULL);
	assert(r == 0);
	r = flamebearer_decode(text, &limits, p, &err);
	assert(r == 0 || err.text[0]);
	return r;
}

/* Writes the tree of the profile; false when its sums do not fit. */
static bool encode(const struct profile *p, struct buf *out)
{
	int64_t *self = calloc(dict_n_nodes(&p->dict), sizeof(*self));
	struct calltree_builder *b = calltree_builder_new(NULL);
	struct calltree t;
	assert(self && b);
	profile_node_values(p, 0, self);
	int r = calltree_add(b, &p->dict, self, slice_of("", 0), NULL);
	assert(r == 0);
	r = calltree_finish(b, &t);
	assert(r == 0);
	/* "objects" scale by nothing. */
	r = flamebearer_encode(&t, "f", "count", out);
	assert(r == 0);
	bool fits = t.total[0] < INT64_MAX;
	calltree_done(&t);
	calltree_builder_free(&b);
	free(self);
	return fits;
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
	if (decode(slice_of(copy, size), &p) == 0 && encode(&p, &once)) {
		int r = decode(slice_of(once.data, once.n), &q);
		assert(r == 0);
		encode(&q, &twice);
		assert(once.n == twice.n);
		profile_done(&q);
	}
	profile_done(&p);
	return 0;
}
