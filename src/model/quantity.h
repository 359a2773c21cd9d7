/* SPDX-License-Identifier: Apache-2.0 */
/* quantity.h: values with their pprof unit as a person reads them: "1.23 s",
 * "45.6 MiB", "1,234". */
#pragma once

#include <stdint.h>

#define QUANTITY_SIZE 32

/* Times (nanoseconds, microseconds, milliseconds, seconds) and sizes (bytes,
 * kilobytes, megabytes) are scaled; "count" and unknown units are grouped by
 * thousands, unknown ones with the unit behind. */
void quantity_format(int64_t value, const char *unit, char ret[static QUANTITY_SIZE]);
