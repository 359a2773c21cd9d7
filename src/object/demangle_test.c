/* SPDX-License-Identifier: Apache-2.0 */
/* What is lost when this fails: names nobody can read, or an agent that a
 * 200-byte symbol keeps busy and fills with 100 MB. */
#include "unit.h"

#include "base/buf.h"
#include "base/clock.h"
#include "object/demangle.h"

#include <string.h>

static void expect(const char *mangled, const char *want)
{
	char buf[DEMANGLE_BUF];
	struct slice have = demangle(slice_str(mangled), buf);
	if (!slice_eq(have, slice_str(want)))
		fail_msg("%s -> %.*s, not %s", mangled, SLICE_FMT(have), want);
}

static void test_cxx(void **state)
{
	expect("_ZN3net4http5parseEv", "net::http::parse()");
	expect("_ZNK4shop4CartINS_4BookEE5totalEv", "shop::Cart<shop::Book>::total() const");
	expect("_Z4workii.constprop.0", "work(int, int) [clone .constprop.0]");
	expect("_ZN3net4http5parseEv.cold", "net::http::parse() [clone .cold]");
	expect("_GLOBAL__sub_I_main.cpp", "_GLOBAL__sub_I_main.cpp");
}

static void test_rust(void **state)
{
	expect("_ZN4core3fmt9Formatter9write_fmt17h0123456789abcdefE", "core::fmt::Formatter::write_fmt");
	expect("_ZN4core3fmt9Formatter9write_fmt17h0123456789abcdefE.llvm.9876", "core::fmt::Formatter::write_fmt");
	expect("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar");
	expect("_RNvNtCs1234_7mycrate3foo3bar.llvm.1A2B", "mycrate::foo::bar");
	/* v0 keeps generic arguments: they name the future a task runs. */
	expect("_RINvNtCs1_5tokio4task4pollNtCs1_3app6ServerE", "tokio::task::poll::<app::Server>");
	expect("_RINvC1a1fDG_NtC1b1cEL_E", "a::f::<dyn for<'a> b::c>");
	/* From RFC 2603. */
	expect("_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9hlq6y",
	       "utf8_idents::\xe1\x83\xa1\xe1\x83\x90\xe1\x83\xad\xe1\x83\x9b\xe1\x83\x94\xe1\x83\x9a\xe1\x83\x90\xe1"
	       "\x83\x93_\xe1\x83\x92\xe1\x83\x94\xe1\x83\x9b\xe1\x83\xa0\xe1\x83\x98\xe1\x83\x94\xe1\x83\x9a\xe1\x83"
	       "\x98_\xe1\x83\xa1\xe1\x83\x90\xe1\x83\x93\xe1\x83\x98\xe1\x83\x9a\xe1\x83\x98");
}

static void test_other_names_stay(void **state)
{
	const char *names[] = { "",	   "main",   "_start",
				"_Z",	   "_R",     "_ZN",
				"_ZN3net", "_RNvC",  "LazyCompile:~f /a b.js:1",
				"Z",	   "_Zero0", "_Read_file" };
	for (uint32_t i = 0; i < ARRAY_SIZE(names); i++)
		expect(names[i], names[i]);
	char buf[DEMANGLE_BUF];
	struct slice with_nul = slice_of("_Z4work\0ii", 10);
	assert_ptr_equal(demangle(with_nul, buf).data, with_nul.data);
}

/* Appends "B<offset>_": the type that was spelled at `offset`. */
static void add_back_reference(struct buf *b, size_t offset)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char text[16];
	size_t n = 0;
	size_t v = offset - 1; /* "_" is 0, "0_" is 1 */
	do {
		text[n++] = digits[v % 62];
		v /= 62;
	} while (v);
	buf_add_byte(b, 'B');
	while (n)
		buf_add_byte(b, (uint8_t)text[--n]);
	buf_add_byte(b, '_');
}

/* A function of nested pairs, each twice the one before: 2^levels bytes of
 * text from 8 bytes of name per level. */
static void add_doubling_name(struct buf *b, uint32_t levels, const char *leaf)
{
	b->n = 0;
	buf_printf(b, "_RINvC1a1f%s", leaf);
	size_t last = 8; /* where the leaf is; offsets count from behind "_R" */
	for (uint32_t i = 0; i < levels; i++) {
		size_t here = b->n - 2;
		buf_add_byte(b, 'T');
		add_back_reference(b, last);
		add_back_reference(b, last);
		buf_add_byte(b, 'E');
		last = here;
	}
	buf_add_byte(b, 'E');
}

static void expect_unchanged_soon(struct slice name)
{
	char out[DEMANGLE_BUF];
	int64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (int i = 0; i < 100; i++) {
		struct slice have = demangle(name, out);
		if (have.data != name.data)
			fail_msg("%.*s -> %.*s", SLICE_FMT(name), SLICE_FMT(have));
	}
	/* 0.7 s each without the bound; the slack is for sanitizers. */
	assert_true(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start < (int64_t)5 * 1000000000);
}

static void test_bombs_stay_as_they_are(void **state)
{
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	const char *leaves[] = { "u", "NtC1b1c", "NtC1bu4ab_c" };
	for (uint32_t i = 0; i < ARRAY_SIZE(leaves); i++) {
		add_doubling_name(&b, 24, leaves[i]);
		expect_unchanged_soon(slice_of(b.data, b.n));
		add_doubling_name(&b, 300, leaves[i]);
		expect_unchanged_soon(slice_of(b.data, b.n));
	}
	/* for<'a, 'b, ...> of 62^9 lifetimes. */
	expect_unchanged_soon(slice_str("_RINvC1a1fFGzzzzzzzzz_EuE"));
	/* The same where text is skipped (found by the fuzzer). */
	expect_unchanged_soon(slice_str("_RINvYYYYXYYYRINvC1a1fFGzzYYYYYYYYYYYYYYY_"));
	/* C++ substitutions double as well: each a<> holds the one before twice.
	 * Every "1a" and every a<> takes a number, so the last a<> is an odd one. */
	b.n = 0;
	buf_add_str(&b, "_Z1f1aI1bS0_E");
	for (int i = 1; i < 36; i += 2)
		buf_printf(&b, "1aIS%c_S%c_E", i < 10 ? '0' + i : 'A' + i - 10, i < 10 ? '0' + i : 'A' + i - 10);
	expect_unchanged_soon(slice_of(b.data, b.n));
}

/* Punycode makes libiberty allocate while it calls us: an overlong name with
 * such an identifier leaks if it is left in the middle (LeakSanitizer is what
 * fails here). */
static void test_overlong_punycode_leaks_nothing(void **state)
{
	char out[DEMANGLE_BUF];
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	_cleanup_(free_ptr)
	char *filler = calloc(1, DEMANGLE_MAX_INPUT);
	memset(filler, 'a', DEMANGLE_MAX_INPUT - 1);
	for (int size = 3900; size < 4050; size++) {
		b.n = 0;
		buf_printf(&b, "_RNvC%d%.*su30____7hkackfecea1cbdathfdh9hlq6y", size, size, filler);
		(void)demangle(slice_of(b.data, b.n), out);
	}
	/* The identifier is the piece that passes the bound, many times over. */
	add_doubling_name(&b, 200, "NtC1bu30____7hkackfecea1cbdathfdh9hlq6y");
	expect_unchanged_soon(slice_of(b.data, b.n));
}

static void test_bounds(void **state)
{
	static char name[2 * SYMBOL_NAME_MAX];
	char out[DEMANGLE_BUF];
	memset(name, 'a', sizeof(name));
	/* The longest identifier that fits comes out whole. */
	memcpy(name, "_RNvC1c4085", 11);
	struct slice have = demangle(slice_of(name, DEMANGLE_MAX_INPUT), out);
	assert_ptr_equal(have.data, out);
	assert_int_equal(have.size, strlen("c::") + 4085);
	assert_int_equal(out[have.size], 0);
	/* One byte over the limit is not tried. */
	memcpy(name, "_RNvC1c4086", 11);
	have = demangle(slice_of(name, DEMANGLE_MAX_INPUT + 1), out);
	assert_ptr_equal(have.data, name);
	/* C++ over libiberty's own limit stays mangled. */
	memset(name, 'a', sizeof(name));
	memcpy(name, "_Z2000", 6);
	name[2006] = 'v';
	have = demangle(slice_of(name, 2007), out);
	assert_ptr_equal(have.data, name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cxx),
		cmocka_unit_test(test_rust),
		cmocka_unit_test(test_other_names_stay),
		cmocka_unit_test(test_bombs_stay_as_they_are),
		cmocka_unit_test(test_overlong_punycode_leaks_nothing),
		cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests_name("demangle", tests, NULL, NULL);
}
