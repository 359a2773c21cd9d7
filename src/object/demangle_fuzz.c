/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a symbol's name. Time and leaks are what the fuzzer watches. */
#include "object/demangle.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char buf[DEMANGLE_BUF];
	struct slice out = demangle(slice_of(data, size), buf);
	if (out.data == data)
		assert(out.size == size);
	else
		assert((const char *)out.data == buf && out.size > 0 && out.size <= SYMBOL_NAME_MAX &&
		       buf[out.size] == 0);
	return 0;
}
