/* SPDX-License-Identifier: Apache-2.0 */
/* Every input format, cut at every byte and with one bit flipped in every
 * byte: a damaged file may be refused or read, but never crash, hang or be
 * refused without a word. The files are the fuzzers' seeds. */
#include "unit.h"

#include "base/file.h"
#include "format/detect.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define SIZE_MAX_SEED 6000 /* bytes; the work grows with their square */

/* A copy of exactly this size, so that reading past its end is seen. */
static int decode(const uint8_t *data, size_t size, size_t flipped, bool salvages, enum format *ret)
{
	struct format_limits limits = format_limits_default;
	struct salvage salvage = { 0 };
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
	int r = format_salvage(slice_of(copy, size), &limits, salvages ? &salvage : NULL, &p, ret, &err);
	if (r < 0 && !err.text[0])
		fail_msg("refused with %d but without a word: %zu bytes, bit flipped at %zu", r, size, flipped);
	profile_done(&p);
	assert_int_equal(budget.used, 0);
	free(copy);
	return r;
}

/* The format it is of, FORMAT_UNKNOWN when it is not tried. */
static enum format damage_file(const char *path)
{
	_cleanup_(buf_done)
	struct buf bytes = buf_of(1 << 20);
	enum format format = FORMAT_UNKNOWN;
	struct error err;
	if (file_read(path, &bytes, &err) < 0)
		fail_msg("%s", err.text);
	if (bytes.n > SIZE_MAX_SEED || decode(bytes.data, bytes.n, SIZE_MAX, false, &format) < 0)
		return FORMAT_UNKNOWN;
	for (size_t i = 0; i < bytes.n; i++) {
		enum format ignored;
		(void)decode(bytes.data, i, SIZE_MAX, false, &ignored);
		(void)decode(bytes.data, i, SIZE_MAX, true, &ignored);
		(void)decode(bytes.data, bytes.n, i, i % 2, &ignored);
	}
	return format;
}

static void damage_seeds(const char *name, enum format format)
{
	char folder[4096], path[8192];
	const char *root = getenv("WICK_SOURCE_ROOT");
	uint32_t n_tried = 0;
	(void)snprintf(folder, sizeof(folder), "%s/tests/seeds/%s", root ? root : ".", name);
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if (e->d_name[0] != '.' && damage_file(path) == format)
			n_tried++;
	}
	(void)closedir(dir);
	if (n_tried == 0)
		fail_msg("no small file of %s in %s", format_name(format), folder);
}

#define DAMAGE(name, format)                                                                                           \
	static void damaged_##name(void **state)                                                                       \
	{                                                                                                              \
		(void)state;                                                                                           \
		damage_seeds(#name, format);                                                                           \
	}
DAMAGE(callgrind, FORMAT_CALLGRIND)
DAMAGE(flamebearer, FORMAT_FLAMEBEARER)
DAMAGE(folded, FORMAT_FOLDED)
DAMAGE(gperf, FORMAT_GPERF)
DAMAGE(otlp, FORMAT_OTLP)
DAMAGE(perfdata, FORMAT_PERFDATA)
DAMAGE(perfscript, FORMAT_PERFSCRIPT)
DAMAGE(pprof, FORMAT_PPROF)
DAMAGE(speedscope, FORMAT_SPEEDSCOPE)
DAMAGE(v8, FORMAT_V8_CPU)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damaged_callgrind),  cmocka_unit_test(damaged_flamebearer),
		cmocka_unit_test(damaged_folded),     cmocka_unit_test(damaged_gperf),
		cmocka_unit_test(damaged_otlp),	      cmocka_unit_test(damaged_perfdata),
		cmocka_unit_test(damaged_perfscript), cmocka_unit_test(damaged_pprof),
		cmocka_unit_test(damaged_speedscope), cmocka_unit_test(damaged_v8),
	};
	return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
