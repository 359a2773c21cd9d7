/* SPDX-License-Identifier: Apache-2.0 */
/* slice.h: borrowed bytes. The owner outlives the slice; no NUL is implied. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const uint8_t *data;
	size_t size;
};

static inline struct slice slice_of(const void *data, size_t size)
{
	return (struct slice){ data, size };
}

static inline struct slice slice_str(const char *s)
{
	return (struct slice){ (const uint8_t *)s, strlen(s) };
}

/* One past the last byte; NULL may have no offset, not even 0. */
static inline const uint8_t *slice_end(struct slice s)
{
	return s.size ? s.data + s.size : s.data;
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool slice_has_prefix(struct slice s, const char *prefix)
{
	size_t n = strlen(prefix);
	return s.size >= n && memcmp(s.data, prefix, n) == 0;
}

/* Arguments for "%.*s"; longer than 4 KiB is cut, as messages need. */
#define SLICE_FMT(s) ((s).size > 4096 ? 4096 : (int)(s).size), (const char *)(s).data
