/* SPDX-License-Identifier: Apache-2.0 */
#include "object/demangle.h"

#include "object/itanium.h"
#include "object/name_shorten.h"
#include "object/rust_legacy.h"
#include "object/rust_v0.h"

#include <errno.h>

#define LONG_MAX_SIZE (64u << 10)
#define RUST_HASH_END 20 /* bytes of "17h0123456789abcdefE" */

/* Bytes before the first dot behind `from`. */
static size_t size_to_dot(struct slice name, size_t from)
{
	const uint8_t *dot = memchr(name.data + from, '.', name.size - from);
	return dot ? (size_t)(dot - name.data) : name.size;
}

/* Whether digits only stand between `from` and the next dot. */
static bool is_number(struct slice s, size_t from)
{
	size_t end = size_to_dot(s, from);
	for (size_t i = from; i < end; i++)
		if (s.data[i] < '0' || s.data[i] > '9')
			return false;
	return end > from;
}

/* Bytes of a Rust name, without what is appended. The old form has dots of its
 * own, but none behind its hash. */
static size_t rust_size(struct slice name)
{
	if (slice_has_prefix(name, "_R"))
		return size_to_dot(name, 0);
	for (size_t i = size_to_dot(name, 0); i < name.size; i = size_to_dot(name, i + 1))
		if (i > RUST_HASH_END && name.data[i - 1] == 'E' &&
		    memcmp(name.data + i - RUST_HASH_END, "17h", 3) == 0)
			return i;
	return name.size;
}

/* ".cold", ".part.0", ".llvm.1A2B": a word, and numbers behind it. */
static size_t clone_size(struct slice s)
{
	bool is_llvm = slice_has_prefix(s, ".llvm.");
	size_t n = size_to_dot(s, is_llvm ? strlen(".llvm.") : 1);
	while (n + 1 < s.size && !is_llvm && is_number(s, n + 1))
		n = size_to_dot(s, n + 1);
	return n;
}

/* What is appended, in brackets; how many bytes. */
static int print_clones(struct slice suffix, char *out, uint32_t size)
{
	static const char open[] = " [clone ", close[] = "]";
	size_t n = 0;
	while (suffix.size) {
		struct slice clone = slice_of(suffix.data, clone_size(suffix));
		suffix = slice_of(suffix.data + clone.size, suffix.size - clone.size);
		if (slice_has_prefix(clone, ".llvm."))
			continue;
		if (size - n < strlen(open) + clone.size + strlen(close))
			return -E2BIG;
		memcpy(out + n, open, strlen(open));
		memcpy(out + n + strlen(open), clone.data, clone.size);
		n += strlen(open) + clone.size;
		out[n++] = close[0];
	}
	return (int)n;
}

static int print_cxx(struct slice name, char *out, uint32_t size)
{
	_cleanup_(itanium_done)
	struct itanium t = { 0 };
	int r = itanium_parse(name, &t);
	return r < 0 ? r : itanium_print(&t, out, size);
}

/* Up to `size` bytes: how many. */
static int print_name(struct slice name, char *out, uint32_t size)
{
	size_t mangled = rust_size(name);
	struct slice rust = slice_of(name.data, mangled);
	bool is_v0 = slice_has_prefix(name, "_R");
	int r = is_v0 ? rust_v0_print(rust, out, size) : rust_legacy_print(rust, out, size), more;
	if (r == -EBADMSG && !is_v0) {
		mangled = size_to_dot(name, 0);
		r = print_cxx(slice_of(name.data, mangled), out, size);
	}
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	more = print_clones(slice_of(name.data + mangled, name.size - mangled), out + r, size - (uint32_t)r);
	return more < 0 ? more : r + more;
}

/* One that does not fit as it is. */
static int print_long(struct slice name, char buf[static DEMANGLE_BUF])
{
	_cleanup_(free_ptr)
	char *whole = malloc(LONG_MAX_SIZE);
	int r = whole ? print_name(name, whole, LONG_MAX_SIZE) : -ENOMEM;
	return r < 0 ? r : (int)name_shorten(slice_of(whole, (size_t)r), SYMBOL_NAME_MAX, buf);
}

/* A name of just that length was longer where it was read. */
static struct slice as_it_is(struct slice name, char buf[static DEMANGLE_BUF])
{
	static const char dots[] = "...";
	size_t head = SYMBOL_NAME_MAX - strlen(dots);
	if (name.size != SYMBOL_NAME_MAX)
		return name;
	memcpy(buf, name.data, head);
	memcpy(buf + head, dots, sizeof(dots));
	return slice_of(buf, SYMBOL_NAME_MAX);
}

struct slice demangle(struct slice name, char buf[static DEMANGLE_BUF])
{
	if ((!slice_has_prefix(name, "_Z") && !slice_has_prefix(name, "_R")) || name.size > DEMANGLE_MAX_INPUT)
		return as_it_is(name, buf);
	int r = print_name(name, buf, SYMBOL_NAME_MAX);
	if (r == -E2BIG)
		r = print_long(name, buf);
	if (r < 0)
		return as_it_is(name, buf);
	buf[r] = 0;
	return slice_of(buf, (size_t)r);
}
