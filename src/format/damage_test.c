/* SPDX-License-Identifier: Apache-2.0 */
/* Every input format, cut at every byte and with one bit flipped in every
 * byte: a damaged file may be refused or read, but never crash, hang or be
 * refused without a word. The files are the fuzzers' seeds. */
#include "unit.h"

#include "base/file.h"
#include "format/detect.h"

#include <errno.h>
#include <string.h>

#define SIZE_MAX_SEED 6000 /* bytes; the work grows with their square */

/* A copy of exactly this size, so that reading past its end is seen. */
static int decode(const uint8_t *data, size_t size, size_t flipped, bool salvages, enum format *ret)
{
	struct format_limits limits = format_limits_default;
	struct salvage salvage = { .is_wanted = salvages };
	struct membudget budget = membudget_of((size_t)64 << 20);
	struct profile p;
	struct error err = { "" };
	uint8_t *copy = malloc(size ? size : 1);
	assert_non_null(copy);
	memcpy(copy, data, size);
	if (flipped < size)
		copy[flipped] ^= (uint8_t)(1 << flipped % 8);
	limits.inflated_size = 1 << 20;
	limits.n_samples = 1 << 20;
	assert_int_equal(profile_init(&p, &budget), 0);
	int r = format_salvage(slice_of(copy, size), &limits, &salvage, &p, ret, &err);
	if (r < 0 && !err.text[0])
		fail_msg("refused with %d but without a word: %zu bytes, bit flipped at %zu", r, size, flipped);
	profile_done(&p);
	assert_int_equal(budget.used, 0);
	free(copy);
	return r;
}

struct seed {
	const char *file;
	enum format format;
};

static const struct seed seeds[] = {
	{ "callgrind/calls", FORMAT_CALLGRIND },
	{ "callgrind/instr", FORMAT_CALLGRIND },
	{ "flamebearer/single", FORMAT_FLAMEBEARER },
	{ "folded/lines", FORMAT_FOLDED },
	{ "gperf/contention", FORMAT_GPERF },
	{ "gperf/cpu32-big", FORMAT_GPERF },
	{ "gperf/cpu64", FORMAT_GPERF },
	{ "gperf/goroutine", FORMAT_GPERF },
	{ "gperf/growth", FORMAT_GPERF },
	{ "gperf/heap", FORMAT_GPERF },
	{ "gperf/java", FORMAT_GPERF },
	{ "gperf/threads", FORMAT_GPERF },
	{ "otlp/everything", FORMAT_OTLP },
	{ "otlp/v1.10", FORMAT_OTLP },
	{ "otlp/v1.7", FORMAT_OTLP },
	{ "otlp/v1.8", FORMAT_OTLP },
	{ "perfdata/big-endian", FORMAT_PERFDATA },
	{ "perfdata/compressed", FORMAT_PERFDATA },
	{ "perfdata/file", FORMAT_PERFDATA },
	{ "perfdata/group", FORMAT_PERFDATA },
	{ "perfdata/pipe", FORMAT_PERFDATA },
	{ "perfscript/chains", FORMAT_PERFSCRIPT },
	{ "perfscript/lines", FORMAT_PERFSCRIPT },
	{ "pprof/everything", FORMAT_PPROF },
	{ "pprof/everything-gz", FORMAT_PPROF },
	{ "speedscope/evented", FORMAT_SPEEDSCOPE },
	{ "speedscope/sampled", FORMAT_SPEEDSCOPE },
	{ "v8/cpu", FORMAT_V8_CPU },
	{ "v8/heap", FORMAT_V8_HEAP },
};

/* A seed that is gone, or one in which damage could not be seen, is no test. */
static void damaged(void **state)
{
	const struct seed *seed = *state;
	char path[8192];
	const char *root = getenv("WICK_SOURCE_ROOT");
	_cleanup_(buf_done)
	struct buf bytes = buf_of(1 << 20);
	enum format found = FORMAT_UNKNOWN;
	struct error err;
	(void)snprintf(path, sizeof(path), "%s/tests/seeds/%s", root ? root : ".", seed->file);
	if (file_read(path, &bytes, &err) < 0)
		fail_msg("%s", err.text);
	if (bytes.n > SIZE_MAX_SEED)
		fail_msg("%s: %zu bytes take too long", path, bytes.n);
	if (decode(bytes.data, bytes.n, SIZE_MAX, false, &found) < 0 || found != seed->format)
		fail_msg("%s: no sound file of %s", path, format_name(seed->format));
	for (size_t i = 0; i < bytes.n; i++) {
		enum format ignored;
		(void)decode(bytes.data, i, SIZE_MAX, false, &ignored);
		(void)decode(bytes.data, i, SIZE_MAX, true, &ignored);
		(void)decode(bytes.data, bytes.n, i, i % 2, &ignored);
	}
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(seeds)];
	for (size_t i = 0; i < ARRAY_SIZE(seeds); i++)
		tests[i] = (struct CMUnitTest){ .name = seeds[i].file,
						.test_func = damaged,
						.initial_state = (void *)(uintptr_t)&seeds[i] };
	return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
