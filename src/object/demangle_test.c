/* SPDX-License-Identifier: Apache-2.0 */
/* What is lost when this fails: names nobody can read, or an agent that a
 * 200-byte symbol keeps busy and fills with 100 MB. */
#include "unit.h"

#include "base/buf.h"
#include "base/clock.h"
#include "object/demangle.h"

#include <pthread.h>
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
	static const char *const names[][2] = {
		{ "_ZN3net4http5parseEv", "net::http::parse()" },
		{ "_ZNK4shop4CartINS_4BookEE5totalEv", "shop::Cart<shop::Book>::total() const" },
		{ "_ZNSirsEPFRSiS_E", "std::istream::operator>>(std::istream& (*)(std::istream&))" },
		{ "_ZNSdD0Ev", "std::basic_iostream<char, std::char_traits<char> >::~basic_iostream()" },
		{ "_ZNRSt8optionalIN4llvm9StringRefEE5valueEv", "std::optional<llvm::StringRef>::value() &" },
		{ "_ZStltISsSsEbRKSt4pairIT_T0_ES5_",
		  "bool std::operator< <std::string, std::string>(std::pair<std::string, std::string> const&, "
		  "std::pair<std::string, std::string> const&)" },
		{ "_ZNK4llvm12PatternMatch17constantint_matchILln1EE5matchINS_5ValueEEEbPT_",
		  "bool llvm::PatternMatch::constantint_match<-1l>::match<llvm::Value>(llvm::Value*) const" },
		{ "_Z18get_header_versionILi256EEvRAT__c", "void get_header_version<256>(char (&) [256])" },
		{ "_Z7end_docB5cxx11", "end_doc[abi:cxx11]" },
		{ "_Z7func_orPVnn", "func_or(__int128 volatile*, __int128)" },
		{ "_Znaj", "operator new[](unsigned int)" },
		{ "_Zli2_xy", "operator\"\" _x(unsigned long long)" },
		{ "_ZNK6ZErrnocvbEv", "ZErrno::operator bool() const" },
		/* The operator's arguments, not those of its type. */
		{ "_ZN1AcvT_IiEEv", "A::operator int<int>()" },
		{ "_Z1gIJidEEvPFvDpT_E", "void g<int, double>(void (*)(int, double))" },
		{ "_Z1fIJEEvDpT_", "void f<>()" },
		{ "_Z1fIiEDTcl1gfp_EET_", "decltype (g({parm#1})) f<int>(int)" },
		{ "_Z1fRA3_A4_Ki", "f(int const (&) [3][4])" },
		{ "_Z1fM1AFviEM1Ai", "f(void (A::*)(int), int A::*)" },
		{ "_Z1fPFvPFviEE", "f(void (*)(void (*)(int)))" },
		{ "_Z1fPDoFvvE", "f(void (*)() noexcept)" },
		{ "_Z1fILb1ELc97ELj5EL1E7EEvv", "void f<true, (char)97, 5u, (E)7>()" },
		{ "_Z1fIXadL_ZN1A1gEvEEEvv", "void f<&A::g>()" },
		{ "_ZTIN1nIXadL_ZNKS_1fEvEEXadL_ZNS_1gEbEEEE", "typeinfo for n<&(n::f() const), &n::g>" },
		{ "_Z1fIiEDTclL_Z1giELi0EEET_", "decltype (g(0)) f<int>(int)" },
		{ "_Z1fIiEDTclsr3stdE7declvalIT_EEEv", "decltype ((std::declval<int>)()) f<int>()" },
		{ "_ZGRZ1fvE1x0_", "reference temporary #1 for f()::x" },
		/* The T_ behind sZ is no type, which S_ would count. */
		{ "_Z1fIJEEvPN1a1bIXsZT_EEES2_DpT_", "void f<>(a::b<0>*, a::b<0>)" },
		{ "_ZZL9nanos_nowvE4last", "nanos_now()::last" },
		{ "_ZN12_GLOBAL__N_11fEv", "(anonymous namespace)::f()" },
		{ "_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()() const" },
		{ "_ZZ4mainENKUliT_E0_clIdEEDaiS_",
		  "auto main::{lambda(int, auto:1)#2}::operator()<double>(int, double) const" },
		{ "_ZThn8_N1A1fEv", "non-virtual thunk to A::f()" },
		/* T0_ of the inner function is seen again in the outer one's parameters. */
		{ "_Z1fI1aZ1gI1b1cEvT_T0_EUlvE_EvT0_S5_",
		  "void f<a, g<b, c>(b, c)::{lambda()#1}>(g<b, c>(b, c)::{lambda()#1}, "
		  "g<b, c>(b, c)::{lambda()#1})" },
		/* Since 2023, with what the parameter must be. */
		{ "_Z1fITnDaLi1EEvv", "void f<1>()" },
		{ "_Z4workii.constprop.0", "work(int, int) [clone .constprop.0]" },
		{ "_Z4workii.isra.0.part.1.cold", "work(int, int) [clone .isra.0] [clone .part.1] [clone .cold]" },
		{ "_ZN3net4http5parseEv.llvm.123456789", "net::http::parse()" },
		{ "_ZN3net4http5parseEv.llvm.123456789.cold", "net::http::parse() [clone .cold]" },
		{ "_GLOBAL__sub_I_main.cpp", "_GLOBAL__sub_I_main.cpp" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		expect(names[i][0], names[i][1]);
}

static void test_rust(void **state)
{
	expect("_ZN4core3fmt9Formatter9write_fmt17h0123456789abcdefE", "core::fmt::Formatter::write_fmt");
	expect("_ZN4core3fmt9Formatter9write_fmt17h0123456789abcdefE.llvm.9876", "core::fmt::Formatter::write_fmt");
	expect("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar");
	expect("_RNvNtCs1234_7mycrate3foo3bar.llvm.1A2B", "mycrate::foo::bar");
	expect("_RNvNtCs1234_7mycrate3foo3bar.llvm.1A2B.cold", "mycrate::foo::bar [clone .cold]");
	expect("_ZN4core3fmt9Formatter9write_fmt17h0123456789abcdefE.warm",
	       "core::fmt::Formatter::write_fmt [clone .warm]");
	expect("_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$3bar17h930b740aa94f1d3aE",
	       "<Test + 'static as foo::Bar<Test>>::bar");
	expect("_ZN4main4main28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE", "main::main::{{closure}}");
	/* "FG...": no binder, but a crate's hash. */
	expect("_RNvNtCs79UTL3FGPSK_6semver5parse11version_req", "semver::parse::version_req");
	expect("_RNCNvC4main4main0B3_", "main::main::{closure#0}");
	expect("_RNvYNtC1a1SNtNtC4core3fmt5Debug3fmt", "<a::S as core::fmt::Debug>::fmt");
	expect("_RNvMs_C1aINtB4_1SRShDINtC1b1TpEp4ItemReEL_E3foo", "<a::S<&[u8], dyn b::T<_, Item = &str>>>::foo");
	expect("_RNvMs3_NtCs9jvVb34GBdE_5alloc7raw_vecINtB5_6RawVecTOhFUKCBN_EuENtNtCsll8UG4dV9RX_"
	       "3std5alloc6SystemE8grow_oneB13_",
	       "<alloc::raw_vec::RawVec<(*mut u8, unsafe extern \"C\" fn(*mut u8)), std::alloc::System>>::grow_one");
	expect("_RINvMNtNtNtCsiDnBiUdckdf_10gix_config4file6access7comfortNtNtB9_5types4File11path_filterReQFG_RL0_"
	       "NtB7_8MetadataEbE"
	       "Cs26ezDKuLN16_5cargo",
	       "<gix_config::types::File>::path_filter::<&str, &mut for<'a> fn(&'a gix_config::file::Metadata) -> "
	       "bool>");
	expect("_RINvC1a1fKj7b_Kanf_Kb1_Kc27_KpKRe616263_E", "a::f::<123, -15, true, '\\'', _, \"abc\">");
	expect("_RINvC1a1fKnn80000000000000000000000000000000_E", "a::f::<-0x80000000000000000000000000000000>");
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
	/* Names that were cut or damaged: a wrong name would be worse. */
	static const char *const damaged[] = { "_Z1fIiEi",    "_Z1fvi",	     "_Z1fiv",	   "_Z1fT_",
					       "_Z1fIiEvT0_", "_ZN1aC7Ev",   "_ZN1aD3Ev",  "_ZN1aplC1Ev",
					       "_Z1fNSt",     "_Z1f1aRNS_E", "_Z1fILbEEvv" };
	for (uint32_t i = 0; i < ARRAY_SIZE(damaged); i++)
		expect(damaged[i], damaged[i]);
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
	for (int i = 0; i < 10; i++) {
		struct slice have = demangle(name, out);
		if (have.data != name.data)
			fail_msg("%.*s -> %.*s", SLICE_FMT(name), SLICE_FMT(have));
	}
	/* Some milliseconds each; the slack is for sanitizers. */
	assert_true(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start < (int64_t)2 * 1000000000);
}

static void expect_repeated_unchanged(const char *start, const char *unit, int n, const char *middle, const char *again,
				      int n_again, const char *end)
{
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	buf_add_str(&b, start);
	for (int i = 0; i < n; i++)
		buf_add_str(&b, unit);
	buf_add_str(&b, middle);
	for (int i = 0; i < n_again; i++)
		buf_add_str(&b, again);
	buf_add_str(&b, end);
	expect_unchanged_soon(slice_of(b.data, b.n));
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
	/* Zeros in front of a number that is referred back to. */
	expect_repeated_unchanged("_RINvC1a1fNtCs", "0", 8000, "_1b1c", "B8_", 2000, "EE");
	/* References to references, again and again. */
	expect_repeated_unchanged("_Z1f", "R", 900, "FvvE", "SP0_", 3000, "");
	expect_repeated_unchanged("_Z1f", "K", 12000, "i", "", 0, "");
	/* What is in it may be read as two things. */
	expect_repeated_unchanged("_Z1fIX", "sr3fooIX", 2000, "i", "", 0, "");
	/* C++ substitutions double as well: each a<> holds the one before twice.
	 * Every "1a" and every a<> takes a number, so the last a<> is an odd one. */
	b.n = 0;
	buf_add_str(&b, "_Z1f1aI1bS0_E");
	for (int i = 1; i < 36; i += 2)
		buf_printf(&b, "1aIS%c_S%c_E", i < 10 ? '0' + i : 'A' + i - 10, i < 10 ? '0' + i : 'A' + i - 10);
	expect_unchanged_soon(slice_of(b.data, b.n));
	/* A pack is looked for in what is 2^60 types and not printed until then. */
	b.n = 0;
	buf_add_str(&b, "_Z1fIJiEEvDp1aI");
	for (int i = 0; i < 60; i++)
		buf_add_str(&b, "S0_I");
	buf_add_str(&b, "1bS1_E");
	for (int i = 2; i < 62; i++)
		buf_printf(&b,
			   i < 12   ? "S%c_E"
			   : i < 38 ? "S%c_E"
				    : "S1%c_E",
			   i < 12   ? '0' + i - 2
			   : i < 38 ? 'A' + i - 12
			   : i < 48 ? '0' + i - 38
				    : 'A' + i - 48);
	expect_unchanged_soon(slice_of(b.data, b.n));
}

/* Nested as deep as a name has bytes: on a stack as small as threads have. */
static void *demangle_deep(void *arg)
{
	static const char *const parts[][3] = {
		{ "_Z1f", "P", "i" },	     { "_Z1f", "1aI", "i" },	    { "_Z1fI", "J", "E" },
		{ "_Z1fIX", "cl", "E" },     { "_Z1fIX", "sr3fooIX", "i" }, { "_Z", "Z1f", "vE1x" },
		{ "_Z1f", "PF", "v" },	     { "_Z1fIX", "nt", "E" },	    { "_Z1f", "Ul", "v" },
		{ "_Z1fI", "TtTp", "E" },    { "_RINvC1a1f", "S", "h" },    { "_RINvC1a1f", "T", "h" },
		{ "_RINvC1a1f", "FE", "h" }, { "_RINvC1a1fK", "R", "p" },   { "_R", "Nv", "C1a" },
		{ "_R", "M", "C1a" },
	};
	char out[DEMANGLE_BUF];
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		b.n = 0;
		buf_add_str(&b, parts[i][0]);
		while (b.n < 4000)
			buf_add_str(&b, parts[i][1]);
		buf_add_str(&b, parts[i][2]);
		(void)demangle(slice_of(b.data, b.n), out);
	}
	return arg;
}

static void test_deep_names_need_little_stack(void **state)
{
	pthread_attr_t attr;
	pthread_t thread;
	assert_int_equal(pthread_attr_init(&attr), 0);
	assert_int_equal(pthread_attr_setstacksize(&attr, 1 << 20), 0);
	assert_int_equal(pthread_create(&thread, &attr, demangle_deep, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(pthread_attr_destroy(&attr), 0);
}

static void test_punycode(void **state)
{
	char out[DEMANGLE_BUF];
	/* The identifier is the piece that passes the bound, many times over. */
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	add_doubling_name(&b, 200, "NtC1bu30____7hkackfecea1cbdathfdh9hlq6y");
	expect_unchanged_soon(slice_of(b.data, b.n));
	static const char *const bad[] = { "_RNvC1au4____", "_RNvC1au3a_A", "_RNvC1au9b_9999999" };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_ptr_equal(demangle(slice_str(bad[i]), out).data, bad[i]);
}

static void test_bounds(void **state)
{
	static char name[DEMANGLE_MAX_INPUT + 2];
	char out[DEMANGLE_BUF];
	memset(name, 'a', sizeof(name));
	/* The longest identifier that fits comes out whole. */
	memcpy(name, "_RNvC1c4093", 11);
	struct slice have = demangle(slice_of(name, 11 + 4093), out);
	assert_ptr_equal(have.data, out);
	assert_int_equal(have.size, SYMBOL_NAME_MAX);
	assert_null(memmem(out, have.size, "...", 3));
	assert_int_equal(out[have.size], 0);
	/* One byte more loses its middle. */
	memcpy(name, "_RNvC1c4094", 11);
	have = demangle(slice_of(name, 11 + 4094), out);
	assert_int_equal(have.size, SYMBOL_NAME_MAX);
	assert_non_null(memmem(out, have.size, "...", 3));
	/* One byte over the limit is not tried. */
	memcpy(name, "_RNvC1c16372", 12);
	have = demangle(slice_of(name, DEMANGLE_MAX_INPUT), out);
	assert_ptr_equal(have.data, out);
	have = demangle(slice_of(name, DEMANGLE_MAX_INPUT + 1), out);
	assert_ptr_equal(have.data, name);
}

/* Where names are read they are cut; here it is made visible. */
static void test_cut_names_show_it(void **state)
{
	static char name[SYMBOL_NAME_MAX + 1];
	char out[DEMANGLE_BUF];
	memset(name, 'x', sizeof(name));
	struct slice have = demangle(slice_of(name, SYMBOL_NAME_MAX - 1), out);
	assert_ptr_equal(have.data, name);
	memcpy(name, "_Z9999", 6);
	for (int i = 0; i < 2; i++, name[0] = 'y') {
		have = demangle(slice_of(name, SYMBOL_NAME_MAX), out);
		assert_int_equal(have.size, SYMBOL_NAME_MAX);
		assert_memory_equal(have.data, name, SYMBOL_NAME_MAX - 3);
		assert_string_equal(out + SYMBOL_NAME_MAX - 3, "...");
	}
}

/* "void f<a<b, a<b, ...> > >(a<b, ...>)": which function it is, is seen. */
static void test_long_names_are_shortened(void **state)
{
	char out[DEMANGLE_BUF];
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	buf_add_str(&b, "_ZN4shop4CartI");
	for (int i = 0; i < 130; i++)
		buf_add_str(&b, "29a_type_with_quite_a_long_nameILi1E");
	buf_add_str(&b, "i");
	for (int i = 0; i < 130; i++)
		buf_add_str(&b, "E");
	buf_add_str(&b, "E5totalERKS1_");
	struct slice have = demangle(slice_of(b.data, b.n), out);
	assert_ptr_equal(have.data, out);
	assert_non_null(memmem(out, have.size, "...", 3));
	assert_true(have.size > 100 && have.size <= SYMBOL_NAME_MAX);
	assert_memory_equal(out, "shop::Cart<", 11);
	assert_non_null(memmem(out, have.size, ">::total(", 9));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cxx),
		cmocka_unit_test(test_rust),
		cmocka_unit_test(test_other_names_stay),
		cmocka_unit_test(test_bombs_stay_as_they_are),
		cmocka_unit_test(test_deep_names_need_little_stack),
		cmocka_unit_test(test_punycode),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_cut_names_show_it),
		cmocka_unit_test(test_long_names_are_shortened),
	};
	return cmocka_run_group_tests_name("demangle", tests, NULL, NULL);
}
