/* SPDX-License-Identifier: Apache-2.0 */
/* unit.h: cmocka with what it needs, and skips that say why. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* Ends the running case as skipped; the reason lands in the log. */
#define skip_because(...)                                                                                              \
	do {                                                                                                           \
		(void)printf("# skip: ");                                                                              \
		(void)printf(__VA_ARGS__);                                                                             \
		(void)printf("\n");                                                                                    \
		skip();                                                                                                \
	} while (0)

/* ../shared/data beside the source tree, or NULL: a stranger's clone has none. */
static inline const char *shared_data(void)
{
	static char path[4096];
	const char *root = getenv("WICK_SOURCE_ROOT");
	(void)snprintf(path, sizeof(path), "%s/../shared/data", root ? root : ".");
	return access(path, R_OK) == 0 ? path : NULL;
}
