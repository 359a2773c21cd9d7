/* SPDX-License-Identifier: Apache-2.0 */
/* The pipe of wick-dwarf: any bytes, in pieces as their first byte says. */
#include "dwarf/answers.h"

#include <stdlib.h>

#define N_ASKED 200

static int check(void *arg, const struct dwarf_answer *a)
{
	size_t *sum = arg;
	if (a->index >= N_ASKED || a->n_frames > DWARF_MAX_DEPTH)
		abort();
	*sum += a->symbol.size + a->mangled.size;
	for (uint32_t i = 0; i < a->n_frames; i++) {
		struct slice texts[] = { a->frames[i].name, a->frames[i].mangled, a->frames[i].file };
		for (size_t k = 0; k < ARRAY_SIZE(texts); k++)
			for (size_t at = 0; at < texts[k].size; at++)
				*sum += texts[k].data[at];
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t sum = 0, step = size ? data[0] + 1u : 1;
	struct answer_reader r;
	struct error err;
	if (answer_reader_init(&r, N_ASKED, (size_t)1 << 20, (struct dwarf_sink){ check, &sum }) < 0)
		return 0;
	int e = 0;
	for (size_t at = 1; e == 0 && at < size; at += step)
		e = answer_reader_feed(&r, slice_of(data + at, size - at < step ? size - at : step), &err);
	answer_reader_done(&r);
	return 0;
}
