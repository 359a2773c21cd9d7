/* SPDX-License-Identifier: Apache-2.0 */
/* What is lost when this fails: short names that no longer say which function
 * they are of, or that do not show that they are short. */
#include "unit.h"

#include "base/cleanup.h"
#include "object/name_shorten.h"

#include <string.h>

#define SIZE 4096

static void expect(const char *name, size_t max, const char *want)
{
	char out[SIZE];
	size_t n = name_shorten(slice_str(name), max, out);
	assert_int_equal(n, strlen(out));
	assert_true(n <= max);
	assert_string_equal(out, want);
}

static void test_from_the_inside(void **state)
{
	const char *name = "std::map<int, std::vector<a::B> >::find(int const&)";
	expect(name, 60, name);
	expect(name, strlen(name), name);
	expect(name, 50, "std::map<int, std::vector<...> >::find(int const&)");
	expect(name, 40, "std::map<...>::find(...)");
	expect(name, 24, "std::map<...>::find(...)");
	expect(name, 20, "std::...>::find(...)");
}

/* As they come out of the demangler. */
static void test_real_names(void **state)
{
	static const struct {
		const char *name, *want; /* as short as brackets can make it */
	} names[] = {
		{ "bool std::operator< <char, std::char_traits<char> >(std::string const&, std::string const&)",
		  "bool std::operator< <...>(...)" },
		{ "std::ostream& std::operator<< <std::char_traits<char> >(std::ostream&, char const*)",
		  "std::ostream& std::operator<< <...>(...)" },
		{ "bool operator<=><int>(shape<int> const&, shape<int> const&)", "bool operator<=><int>(...)" },
		{ "main::{lambda(int, std::string const&)#1}::operator()(int, std::string const&) const",
		  "main::{lambda(...)#1}::operator()(...) const" },
		{ "std::shared_ptr<node::Environment>::operator->() const",
		  "std::shared_ptr<...>::operator->() const" },
		{ "int const& f::operator->*<alpha::beta>(alpha::beta const*)", "int const& f::operator->*<...>(...)" },
		{ "operator new[](unsigned long, std::nothrow_t const&)", "operator new[](...)" },
		{ "v8::(anonymous namespace)::Handler<v8::Isolate>::Run(v8::Isolate*)",
		  "v8::(anonymous namespace)::Handler<...>::Run(...)" },
		{ "std::vector<std::pair<int, long>, std::allocator<std::pair<int, long> > >::~vector()",
		  "std::vector<...>::~vector()" },
		{ "std::__cxx11::basic_string<char, std::char_traits<char> >::substr[abi:cxx11](unsigned long) const",
		  "std::__cxx11::basic_string<...>::substr[abi:cxx11](...) const" },
		{ "a::find(std::enable_if<(N>1), int>::type) [clone .cold]", "a::find(...) [clone .cold]" },
		{ "<alloc::vec::Vec<T> as core::iter::traits::collect::FromIterator<T>>::from_iter::{{closure}}",
		  "<...>::from_iter::{{closure}}" },
		{ "<impl core::ops::function::FnOnce<A> for &F>::call_once", "<...>::call_once" },
		{ "tokio::runtime::task::raw::poll::<app::server::run::{closure#0}, alloc::sync::Arc<Handle>>",
		  "tokio::runtime::task::raw::poll::<...>" },
		{ "core::ptr::drop_in_place<alloc::boxed::Box<dyn fn(i32) -> alloc::string::String>>",
		  "core::ptr::drop_in_place<...>" },
		{ "main.(*list[go.shape.struct { Name string; Size int }]).Add", "main.(*list[...]).Add" },
		{ "slices.SortFunc[go.shape.[]uint8,go.shape.uint8].func1", "slices.SortFunc[...].func1" },
		{ "net/http.(*conn).serve", "net/http.(*conn).serve" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		expect(names[i].name, strlen(names[i].want), names[i].want);
		expect(names[i].name, strlen(names[i].name), names[i].name);
	}
}

static void test_without_brackets_the_middle_goes(void **state)
{
	expect("github.com/acme/platform/internal/scheduler.(*Queue).Push", 40,
	       "github.com/a...l/scheduler.(*Queue).Push");
	expect("abcdefghijklmnopqrstuvwxyz", 10, "ab...vwxyz");
	/* No character is cut in two. */
	expect("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc", 13,
	       "\xc3\xa4...\xc3\xa4\xc3\xb6\xc3\xbc");
	/* Less than it takes to show anything. */
	char out[SIZE];
	assert_int_equal(name_shorten(slice_str("abcdefghijklmnop"), 0, out), NAME_SHORTEN_MIN);
	assert_int_equal(name_shorten(slice_of(NULL, 0), 10, out), 0);
}

/* Brackets that are none, and as many as one likes. */
static void test_odd_brackets(void **state)
{
	expect("a < b, aaaaaaaaaaaaaaaaaaaaaa", 20, "a < b...aaaaaaaaaaaa");
	expect(")))>>>]]]aaaaaaaaaaaaaaaaaaaa", 20, ")))>>...aaaaaaaaaaaa");
	expect("f(a<bbbbbbbbbbbbbbbbbbb)::g", 12, "f(...)::g");
	char name[SIZE] = "f", out[SIZE];
	for (size_t i = 1; i < 1000; i++)
		name[i] = '<';
	for (size_t i = 1000; i < 2000; i++)
		name[i] = i == 1000 ? 'x' : '>';
	size_t n = name_shorten(slice_of(name, 2000), 100, out);
	assert_true(n <= 100);
	assert_non_null(strstr(out, "..."));
}

static void test_every_length(void **state)
{
	const char *name =
		"void a<b<c<d<e, f>, g>, h>, i>::operator()<j<k> >(l<m> (*)(n<o<p> >), q) const::{lambda()#1}";
	char out[SIZE];
	for (size_t max = 0; max <= strlen(name); max++) {
		size_t n = name_shorten(slice_str(name), max, out);
		assert_true(n <= (max < NAME_SHORTEN_MIN ? NAME_SHORTEN_MIN : max));
		assert_int_equal(out[n], 0);
		assert_true(n == strlen(name) || strstr(out, "..."));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_the_inside),
		cmocka_unit_test(test_real_names),
		cmocka_unit_test(test_without_brackets_the_middle_goes),
		cmocka_unit_test(test_odd_brackets),
		cmocka_unit_test(test_every_length),
	};
	return cmocka_run_group_tests_name("name_shorten", tests, NULL, NULL);
}
