/* SPDX-License-Identifier: Apache-2.0 */
/* What is lost when this fails: frames get the names of other functions, or
 * the agent outgrows its memory. */
#include "unit.h"

#include "object/symcache.h"

#include <string.h>

#define SMALL ((size_t)64 << 10)

static struct symrange range_of(uint64_t start, uint64_t end, const char *name)
{
	return (struct symrange){ .start = start, .end = end, .name = slice_str(name), .module = slice_of(NULL, 0) };
}

static void expect(struct symcache *c, uint64_t object, uint64_t addr, const char *want)
{
	struct symrange r;
	if (!symcache_find(c, object, addr, &r))
		fail_msg("%llu:%#llx is not there", (unsigned long long)object, (unsigned long long)addr);
	assert_true(r.start <= addr && addr < r.end);
	assert_true(slice_eq(r.name, slice_str(want)));
}

static void test_ranges_answer_for_all_their_addresses(void **state)
{
	_cleanup_(symcache_free)
	struct symcache *c = symcache_new(SMALL, NULL);
	struct symrange r = range_of(0x100, 0x180, "main"), none = range_of(0x180, 0x200, "");
	symcache_put(c, 1, &r);
	symcache_put(c, 1, &none);
	expect(c, 1, 0x100, "main");
	expect(c, 1, 0x17f, "main");
	expect(c, 1, 0x180, "");
	assert_false(symcache_find(c, 1, 0xff, &r));
	assert_false(symcache_find(c, 1, 0x200, &r));
	assert_false(symcache_find(c, 2, 0x100, &r));
	struct symcache_stats s = symcache_stats(c);
	assert_int_equal(s.n_hits, 3);
	assert_int_equal(s.n_misses, 3);
	assert_int_equal(s.n_ranges, 2);
}

static void test_module_is_kept(void **state)
{
	_cleanup_(symcache_free)
	struct symcache *c = symcache_new(SMALL, NULL);
	struct symrange r = range_of(10, 20, "nft_do_chain");
	r.module = slice_str("nf_tables");
	symcache_put(c, 7, &r);
	assert_true(symcache_find(c, 7, 15, &r));
	assert_true(slice_eq(r.name, slice_str("nft_do_chain")));
	assert_true(slice_eq(r.module, slice_str("nf_tables")));
}

static void test_same_start_replaces(void **state)
{
	_cleanup_(symcache_free)
	struct symcache *c = symcache_new(SMALL, NULL);
	struct symrange a = range_of(10, 20, "old"), b = range_of(10, 40, "new");
	symcache_put(c, 1, &a);
	symcache_put(c, 1, &b);
	expect(c, 1, 35, "new");
	assert_int_equal(symcache_stats(c).n_ranges, 1);
}

/* Rising, falling and mixed order, several objects, against a plain array. */
static void test_many_ranges(void **state)
{
	_cleanup_(symcache_free)
	struct symcache *c = symcache_new((size_t)4 << 20, NULL);
	uint64_t x = 88172645463325252ULL;
	for (uint64_t i = 0; i < 6000; i++) {
		uint64_t k = i < 2000 ? i : i < 4000 ? 6000 - i : 4001 + (i * 7919) % 2000;
		char name[32];
		(void)snprintf(name, sizeof(name), "f%llu", (unsigned long long)k);
		struct symrange r = range_of(k * 16, k * 16 + 12, name);
		symcache_put(c, 1 + k % 3, &r);
	}
	for (uint64_t i = 0; i < 6000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		uint64_t k = x % 2000;
		char name[32];
		struct symrange r;
		(void)snprintf(name, sizeof(name), "f%llu", (unsigned long long)k);
		expect(c, 1 + k % 3, k * 16 + x % 12, name);
		assert_false(symcache_find(c, 1 + k % 3, k * 16 + 12, &r));
		assert_false(symcache_find(c, 1 + (k + 1) % 3, k * 16, &r));
	}
	assert_int_equal(symcache_stats(c).n_evictions, 0);
}

static void test_what_is_used_survives(void **state)
{
	_cleanup_(symcache_free)
	struct symcache *c = symcache_new(SMALL, NULL);
	struct symrange hot = range_of(1, 2, "hot"), cold = range_of(3, 4, "cold");
	symcache_put(c, 1, &hot);
	symcache_put(c, 1, &cold);
	for (uint64_t i = 0; i < 20000; i++) {
		struct symrange r = range_of(100 + i, 101 + i, "passing by");
		symcache_put(c, 2, &r);
		if (i % 50 == 0)
			expect(c, 1, 1, "hot");
		assert_true(symcache_stats(c).size <= SMALL);
	}
	struct symrange r;
	assert_false(symcache_find(c, 1, 3, &r));
	assert_true(symcache_stats(c).n_evictions > 15000);
}

static void test_long_names_are_cut(void **state)
{
	_cleanup_(symcache_free)
	struct symcache *c = symcache_new(SMALL, NULL);
	char name[SYMBOL_NAME_MAX + 100];
	memset(name, 'x', sizeof(name));
	for (uint64_t i = 0; i < 100; i++) {
		struct symrange r = range_of(i, i + 1, "");
		r.name = slice_of(name, sizeof(name));
		symcache_put(c, 1, &r);
		assert_true(symcache_find(c, 1, i, &r));
		assert_int_equal(r.name.size, SYMBOL_NAME_MAX);
	}
}

static void test_budget_is_charged(void **state)
{
	struct membudget b = membudget_of(SMALL + 1);
	struct symcache *c = symcache_new(SMALL, &b);
	assert_non_null(c);
	assert_int_equal(b.used, SMALL);
	assert_null(symcache_new(SMALL, &b));
	symcache_free(&c);
	assert_null(c);
	assert_int_equal(b.used, 0);
	assert_null(symcache_new(100, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges_answer_for_all_their_addresses),
		cmocka_unit_test(test_module_is_kept),
		cmocka_unit_test(test_same_start_replaces),
		cmocka_unit_test(test_many_ranges),
		cmocka_unit_test(test_what_is_used_survives),
		cmocka_unit_test(test_long_names_are_cut),
		cmocka_unit_test(test_budget_is_charged),
	};
	return cmocka_run_group_tests_name("symcache", tests, NULL, NULL);
}
