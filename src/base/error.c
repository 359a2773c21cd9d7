/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

int error_set(struct error *err, int code, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
	}
	return code;
}

void error_prefix(struct error *err, const char *fmt, ...)
{
	if (!err)
		return;
	char old[sizeof(err->text)];
	memcpy(old, err->text, sizeof(old));
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(err->text))
		return;
	(void)snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s", old);
}

void error_append(struct error *err, const char *fmt, ...)
{
	if (!err)
		return;
	size_t n = strlen(err->text);
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(err->text + n, sizeof(err->text) - n, fmt, ap);
	va_end(ap);
}

int error_http_status(int code)
{
	switch (code) {
	case -EBADMSG:
	case -ENODATA:
	case -EINVAL:
		return 400;
	case -ENOENT:
		return 404;
	case -E2BIG:
		return 413;
	case -EPROTONOSUPPORT:
		return 422;
	case -ENOBUFS:
	case -ENOSPC:
	case -EDQUOT:
		return 507;
	default:
		return 500;
	}
}

int error_exit_status(int code)
{
	switch (code) {
	case 0:
		return 0;
	case -EINVAL:
		return 2;
	case -EBADMSG:
	case -ENODATA:
	case -EPROTONOSUPPORT:
		return 3;
	case -E2BIG:
	case -ENOBUFS:
		return 4;
	case -EPERM:
	case -EACCES:
	case -ENOKEY:
	case -EKEYREJECTED:
		return 5;
	default:
		return 1;
	}
}
