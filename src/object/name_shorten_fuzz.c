/* SPDX-License-Identifier: Apache-2.0 */
/* Two bytes for how short, then a name. */
#include "object/name_shorten.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	size_t max = (size_t)data[0] | (size_t)data[1] << 8;
	struct slice name = slice_of(data + 2, size - 2);
	size_t room = max < NAME_SHORTEN_MIN ? NAME_SHORTEN_MIN : max;
	char *out = malloc(room + 1); /* as much as it may take: ASan sees more */
	assert(out);
	size_t n = name_shorten(name, max, out);
	assert(n <= room && out[n] == 0);
	if (name.size <= room)
		assert(n == name.size && (n == 0 || memcmp(out, name.data, n) == 0));
	else
		assert(memmem(out, n, "...", 3));
	free(out);
	return 0;
}
