/* SPDX-License-Identifier: Apache-2.0 */
/* unit.h: cmocka with what it needs, and skips that say why. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* cmocka's own skip() writes "not ok", which TAP's readers take for a failure:
 * a skipped case says why and passes, and tools/test-summary counts it apart. */
static jmp_buf unit_end;
static bool unit_can_end;

static inline void unit_run(void **state)
{
	CMUnitTestFunction run = (CMUnitTestFunction)*state;
	*state = NULL;
	unit_can_end = true;
	if (setjmp(unit_end) == 0)
		run(state);
	unit_can_end = false;
}

static inline void unit_skip(void)
{
	if (unit_can_end)
		longjmp(unit_end, 1);
	skip(); /* cases with a setup are cmocka's alone */
}

#undef cmocka_unit_test
#undef cmocka_unit_test_teardown
#define cmocka_unit_test(f) cmocka_unit_test_teardown(f, NULL)
#define cmocka_unit_test_teardown(f, teardown)                                                                         \
	{                                                                                                              \
#f, unit_run, NULL, teardown, (void *)(f)                                                              \
	}

/* Ends the running case as skipped; the reason lands in the log. */
#define skip_because(...)                                                                                              \
	do {                                                                                                           \
		(void)printf("# skip: ");                                                                              \
		(void)printf(__VA_ARGS__);                                                                             \
		(void)printf("\n");                                                                                    \
		unit_skip();                                                                                           \
	} while (0)

/* ../shared/data beside the source tree, or NULL: a stranger's clone has none. */
static inline const char *shared_data(void)
{
	static char path[4096];
	const char *root = getenv("WICK_SOURCE_ROOT");
	(void)snprintf(path, sizeof(path), "%s/../shared/data", root ? root : ".");
	return access(path, R_OK) == 0 ? path : NULL;
}
