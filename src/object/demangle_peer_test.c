/* SPDX-License-Identifier: Apache-2.0 */
/* What is lost when this fails: names that read as in c++filt, gdb and perf, of
 * all that is installed here. */
#include "scratch.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "object/demangle.h"

#include <string.h>

static bool read_line(FILE *f, char *line, int size)
{
	if (!fgets(line, size, f))
		return false;
	line[strcspn(line, "\n")] = 0;
	return true;
}

/* Without what is style: "> >" for ">>", which c++filt itself writes behind an
 * empty pack. */
static void normalize(char *name)
{
	char *to = name;
	for (const char *from = name; *from; from++)
		if (!(from[0] == ' ' && from[1] == '>' && to > name && to[-1] == '>'))
			*to++ = *from;
	*to = 0;
}

struct counts {
	uint32_t n, n_equal, n_raw;
};

/* Ours of one name, and theirs. */
static void compare(const char *name, char *want, struct counts *c)
{
	char out[DEMANGLE_BUF];
	struct slice have = demangle(slice_str(name), out);
	c->n++;
	if (have.data != (const uint8_t *)out) {
		c->n_raw++;
		return;
	}
	if (memmem(out, have.size, "...", 3) && strlen(want) > SYMBOL_NAME_MAX) {
		c->n_equal++;
		return;
	}
	normalize(out);
	normalize(want);
	if (strcmp(out, want) == 0)
		c->n_equal++;
	else
		(void)printf("# %s\n#  is   %.300s\n#  here %.300s\n", name, want, out);
}

/* Of the names that `command` lists, one a line, those that c++filt reads. */
static struct counts compare_all(const char *command)
{
	static char name[1 << 16], want[1 << 18];
	char both[1024];
	struct counts c = { 0 };
	(void)snprintf(both, sizeof(both), "%s | LC_ALL=C sort -u >names.txt && c++filt -i <names.txt >text.txt",
		       command);
	assert_int_equal(system(both), 0);
	_cleanup_(close_file)
	FILE *names = fopen("names.txt", "re");
	_cleanup_(close_file)
	FILE *texts = fopen("text.txt", "re");
	assert_true(names && texts);
	while (read_line(names, name, sizeof(name)) && read_line(texts, want, sizeof(want)))
		if (strcmp(name, want) != 0)
			compare(name, want, &c);
	(void)printf("# %u names, %u equal, %u as they are\n", c.n, c.n_equal, c.n_raw);
	return c;
}

static void need_cxxfilt(void)
{
	if (system("c++filt -i _Z1fv >/dev/null 2>&1 && nm --version >/dev/null 2>&1") != 0)
		skip_because("c++filt or nm is not here");
}

static void test_names_of_libstdcxx(void **state)
{
	need_cxxfilt();
	if (system("c++ --version >/dev/null 2>&1") != 0)
		skip_because("c++ is not here");
	struct counts c = compare_all("nm -D \"$(c++ -print-file-name=libstdc++.so.6)\" | "
				      "sed -n 's/^.* \\(_Z[^@ ]*\\).*$/\\1/p'");
	assert_true(c.n > 3000);
	assert_int_equal(c.n_equal, c.n);
}

/* c++filt itself is wrong where S_ stands for a T_ of another function, or a
 * constructor for a class that S_ stands for: some of 10,000. */
static void test_names_of_all_libraries(void **state)
{
	need_cxxfilt();
	struct counts c = compare_all("PATH=$PATH:/sbin:/usr/sbin ldconfig -p | sed -n 's/.* => //p' | sort -u | "
				      "xargs -r nm -D 2>/dev/null | sed -n 's/^.* \\(_Z[^@. ]*\\).*$/\\1/p'");
	if (c.n < 10000)
		skip_because("there are few C++ libraries here");
	assert_int_equal(c.n_raw, 0);
	assert_true(c.n - c.n_equal <= c.n / 1000);
}

static void test_names_of_rust(void **state)
{
	need_cxxfilt();
	if (system("rustc --print sysroot >/dev/null 2>&1") != 0)
		skip_because("rustc is not here");
	struct counts c =
		compare_all("find \"$(rustc --print sysroot)/lib\" -name 'libstd-*.so' | xargs -r nm 2>/dev/null | "
			    "sed -n -e 's/^.* \\(_R[^. ]*\\)$/\\1/p' -e 's/^.* \\(_ZN[^ ]*17h[0-9a-f]*E\\)$/\\1/p'");
	if (c.n < 1000)
		skip_because("Rust's libraries have no symbols here");
	assert_int_equal(c.n_equal, c.n);
}

/* Names that the compiler makes of templates in templates: those over 1 KiB
 * are more than c++filt takes. */
static void test_names_of_deep_templates(void **state)
{
	static const char source[] =
		"template <int N> struct a_type_with_a_long_name {};\n"
		"template <class A, class B> struct both {};\n"
		"template <class T, int N> struct nest {\n"
		"	typedef typename nest<both<T, a_type_with_a_long_name<N> >, N - 1>::type type;\n};\n"
		"template <class T> struct nest<T, 0> { typedef T type; };\n"
		"template <class T> struct holder { template <class U> void take(U const &, T *(*)(T)) const {} };\n"
		"template <class... T> void pass(holder<T>... all) {\n"
		"	auto each = [](auto const &one, auto *p) { one.take(p, nullptr); };\n"
		"	(each(all, (T *)nullptr), ...);\n}\n"
		"template <int N> void level() {\n	typedef typename nest<int, N>::type type;\n"
		"	pass(holder<type>(), holder<type const *>(), holder<void (type::*)(type &)>());\n}\n"
		"void all() { level<1>(); level<2>(); level<5>(); level<10>(); level<30>(); level<100>(); }\n";
	need_cxxfilt();
	_cleanup_(close_file)
	FILE *f = fopen("deep.cc", "we");
	assert_non_null(f);
	assert_true(fputs(source, f) >= 0);
	assert_int_equal(fflush(f), 0);
	if (system("c++ -std=c++17 -w -c deep.cc -o deep.o 2>/dev/null") != 0)
		skip_because("c++ does not compile this");
	struct counts c = compare_all("nm deep.o | sed -n 's/^.* \\(_Z[^@ ]*\\).*$/\\1/p'");
	assert_true(c.n > 20);
	assert_int_equal(c.n_equal, c.n);
	char name[DEMANGLE_MAX_INPUT + 2], out[DEMANGLE_BUF];
	_cleanup_(close_file)
	FILE *names = fopen("names.txt", "re");
	assert_non_null(names);
	uint32_t n_long = 0, n_shortened = 0;
	while (read_line(names, name, sizeof(name))) {
		if (strlen(name) <= 1024)
			continue;
		struct slice have = demangle(slice_str(name), out);
		assert_ptr_equal(have.data, out);
		n_long++;
		n_shortened += memmem(out, have.size, "<...>", 5) != NULL;
	}
	assert_true(n_long > 0 && n_shortened > 0);
}

static int enter_scratch(void **state)
{
	return make_scratch(state) == 0 ? chdir(scratch) : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_libstdcxx),
		cmocka_unit_test(test_names_of_all_libraries),
		cmocka_unit_test(test_names_of_rust),
		cmocka_unit_test(test_names_of_deep_templates),
	};
	return cmocka_run_group_tests_name("demangle_peer", tests, enter_scratch, remove_scratch);
}
