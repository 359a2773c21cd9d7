/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a parameter of any kind. What is taken lies within its limits. */
#include "server/options.h"
#include "server/param.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	int64_t v;
	uint64_t bytes;
	if (param_parse_int(text, -1000, 1000, &v) == 0)
		assert(v >= -1000 && v <= 1000);
	if (param_parse_time(text, 1700000000000, &v) == 0)
		assert(v >= 0 && v <= INTAKE_TIME_MAX_MS);
	if (options_size(text, &bytes) == 0)
		assert(bytes <= UINT64_MAX / 2);
	(void)param_is_text(text);
	free(text);
	return 0;
}
