/* SPDX-License-Identifier: Apache-2.0 */
#include "object/demangle.h"

#include "base/cleanup.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdlib.h>

/* Pieces libiberty may still write once the output is full; see take_piece(). */
#define MAX_PIECES_LEFT 64

struct demangling {
	char *out;
	size_t n;
	char input[DEMANGLE_MAX_INPUT + 1];
	size_t input_size;
	uint32_t n_pieces_left; /* once full */
	bool full;
	jmp_buf leave;
};

/* Output over the bound has to end the parse, since the rest may be 100 MB.
 * The callback cannot say so, and leaving at once by longjmp would leak: for
 * a punycode identifier rust-demangle.c calls this between malloc() and
 * free(). So the first step takes the input away: zeros in place of the name
 * make the Rust parser, which prints while it reads, fail at its next read
 * (no identifier can be pending that long). What goes on regardless - the C++
 * printer, which walks a finished tree, and "for<'a, 'b, ...>" of a huge
 * count, which reads nothing - allocates nothing, and is left by longjmp. */
static void take_piece(const char *piece, size_t size, void *opaque)
{
	struct demangling *d = opaque;
	if (size == 0) /* of an empty identifier, whose text may be NULL */
		return;
	if (d->full) {
		if (d->n_pieces_left-- == 0)
			longjmp(d->leave, 1);
		return;
	}
	if (size <= SYMBOL_NAME_MAX - d->n) {
		memcpy(d->out + d->n, piece, size);
		d->n += size;
		return;
	}
	d->full = true;
	d->n_pieces_left = MAX_PIECES_LEFT;
	memset(d->input, 0, d->input_size);
}

static bool is_base62(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "for<'a, 'b, ...>" with thousands of lifetimes: the binder of a function
 * (F) or trait object (D) is G, a base-62 number and "_". rust-demangle.c
 * counts to that number even while it skips text, where no callback could
 * stop it. Three digits, 3844 lifetimes, are no real program's. */
static bool has_huge_binder(const char *s)
{
	for (; *s; s++) {
		if ((s[0] != 'F' && s[0] != 'D') || s[1] != 'G')
			continue;
		size_t n = 0;
		while (is_base62(s[2 + n]))
			n++;
		if (n >= 3 && s[2 + n] == '_')
			return true;
	}
	return false;
}

/* rustc's back end appends ".llvm.HASH" to names it had to make unique. */
static void cut_llvm_suffix(struct demangling *d)
{
	char *suffix = strstr(d->input, ".llvm.");
	if (suffix) {
		d->input_size = (size_t)(suffix - d->input);
		*suffix = 0;
	}
}

static bool run(struct demangling *d, bool (*demangler)(struct demangling *))
{
	d->n = 0;
	if (setjmp(d->leave))
		return false;
	return demangler(d) && !d->full && d->n > 0;
}

static bool run_rust(struct demangling *d)
{
	return !has_huge_binder(d->input) && rust_demangle_callback(d->input, DMGL_NO_OPTS, take_piece, d);
}

static bool run_cxx(struct demangling *d)
{
	return cplus_demangle_v3_callback(d->input, DMGL_PARAMS | DMGL_ANSI, take_piece, d);
}

struct slice demangle(struct slice name, char buf[static DEMANGLE_BUF])
{
	bool maybe_cxx = slice_has_prefix(name, "_Z") || slice_has_prefix(name, "_GLOBAL_");
	bool maybe_rust = slice_has_prefix(name, "_R") || slice_has_prefix(name, "_ZN");
	if ((!maybe_cxx && !maybe_rust) || name.size > DEMANGLE_MAX_INPUT || memchr(name.data, 0, name.size))
		return name;

	struct demangling d = { .out = buf, .input_size = name.size };
	memcpy(d.input, name.data, name.size);
	if (maybe_rust) {
		cut_llvm_suffix(&d);
		if (run(&d, run_rust)) {
			buf[d.n] = 0;
			return slice_of(buf, d.n);
		}
		if (d.full)
			return name;
		memcpy(d.input, name.data, name.size);
		d.input_size = name.size;
	}
	if (maybe_cxx && run(&d, run_cxx)) {
		buf[d.n] = 0;
		return slice_of(buf, d.n);
	}
	return name;
}
