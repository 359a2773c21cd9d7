/* SPDX-License-Identifier: Apache-2.0 */
/* What slab_open() accepts can be walked without looking twice. */
#include "format/slab.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = { "" };
	struct slab s;
	_cleanup_(free_ptr)
	uint8_t *aligned = malloc(size ? size : 1);
	assert(aligned);
	if (size)
		memcpy(aligned, data, size);
	int r = slab_open(slice_of(aligned, size), &s, &err);
	assert(r == 0 || err.text[0]);
	uint64_t sum = 0;
	for (uint32_t i = 0; r == 0 && i < s.n_nodes; i++) {
		sum += s.pruned[i] + s.depth[i] + (s.self[i] > 0) + (s.found ? s.found[i] : 0);
		if (s.func[i] != TREE_FUNC_PRUNED)
			sum += slab_string(&s, s.name[s.func[i]]).size + s.kind[s.func[i]];
	}
	for (uint32_t i = 0; r == 0 && i < s.n_strings; i++)
		for (size_t k = 0; k < slab_string(&s, i).size; k++)
			sum += slab_string(&s, i).data[k];
	(void)*(volatile uint64_t *)&sum;
	return 0;
}
