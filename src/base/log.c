/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <time.h>

static const char *name = "wick";

void log_name(const char *program)
{
	name = program;
}

__attribute__((format(printf, 3, 0))) static void line(const char *level, const char *suffix, const char *fmt,
						       va_list ap)
{
	char text[1024];
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	/* What came from outside must not start a line of its own. */
	for (char *c = text; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	char when[32] = "";
	time_t now = time(NULL);
	struct tm tm;
	if (gmtime_r(&now, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	(void)fprintf(stderr, "%s %s %s: %s%s\n", when, name, level, text, suffix);
}

void log_info(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	line("info", "", fmt, ap);
	va_end(ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	line("warn", "", fmt, ap);
	va_end(ap);
}

void log_error(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	line("error", "", fmt, ap);
	va_end(ap);
}

void log_warn_every(struct log_gate *gate, unsigned interval_s, const char *fmt, ...)
{
	int64_t now = clock_mono_ns();
	if (gate->last_ns && now - gate->last_ns < (int64_t)interval_s * 1000000000) {
		gate->held++;
		return;
	}
	char suffix[48] = "";
	if (gate->held)
		(void)snprintf(suffix, sizeof(suffix), " repeated=%llu", (unsigned long long)gate->held);
	gate->last_ns = now;
	gate->held = 0;
	va_list ap;
	va_start(ap, fmt);
	line("warn", suffix, fmt, ap);
	va_end(ap);
}
