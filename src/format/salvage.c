/* SPDX-License-Identifier: Apache-2.0 */
#include "format/salvage.h"

#include <inttypes.h>
#include <stdarg.h>

void salvage_end(struct salvage *s, size_t size, const char *within, ...)
{
	char what[128];
	va_list ap;
	va_start(ap, within);
	(void)vsnprintf(what, sizeof(what), within, ap);
	va_end(ap);
	if (salvage_is_half(s))
		error_append(&s->end, ", in the middle of %s", what);
	else
		(void)error_set(&s->end, 0, "ends in the middle of %s, at byte %zu", what, size);
}

void salvage_lose(struct salvage *s, uint64_t n, const char *what)
{
	if (n)
		error_append(&s->lost, "%s%" PRIu64 " %s", s->lost.text[0] ? ", " : "", n, what);
}
