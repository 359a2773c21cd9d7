/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a manifest; the first byte may ask for a right checksum behind it.
 * What is read is written, and read again as the same. */
#include "store/manifest.h"

#include <assert.h>
#include <inttypes.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same(const struct manifest *a, const struct manifest *b)
{
	bool same = block_id_eq(&a->store, &b->store) && a->key_seed == b->key_seed && a->last_seq == b->last_seq &&
		    a->blocks.n == b->blocks.n && a->kept.n == b->kept.n;
	for (uint32_t i = 0; same && i < a->blocks.n; i++)
		same = block_id_eq(&a->blocks.data[i], &b->blocks.data[i]);
	for (uint32_t i = 0; same && i < a->kept.n; i++)
		same = a->kept.data[i] == b->kept.data[i];
	return same;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 65536)
		return 0;
	struct buf text = buf_of(1 << 20), again = buf_of(1 << 20);
	struct manifest m = { 0 }, second = { 0 };
	buf_add(&text, data + 1, size - 1);
	if (data[0] & 1)
		buf_printf(&text, "check %016" PRIx64 "\n", block_hash(0, slice_of(text.data, text.n)));
	if (manifest_parse(slice_of(text.data, text.n), &m, NULL) == 0) {
		assert(m.blocks.n <= MANIFEST_MAX_BLOCKS && m.kept.n <= MANIFEST_MAX_KEPT);
		manifest_format(&m, &again);
		assert(!again.failed && manifest_parse(slice_of(again.data, again.n), &second, NULL) == 0);
		assert(is_same(&m, &second));
	}
	buf_done(&text);
	buf_done(&again);
	manifest_done(&m);
	manifest_done(&second);
	return 0;
}
