// SPDX-License-Identifier: Apache-2.0
/* cxx: C++ with namespaces and templates, to see names demangled.
 *
 *   function                                   self    total
 *   shop::Cart<shop::Book>::total() const      50 %    50 %
 *   shop::Cart<shop::Record>::total() const    30 %    30 %
 *   shop::tax::rate(int, char const*)          20 %    20 %
 *   shop::checkout(), main                             100 %
 */
#include "truth.h"

namespace {
constexpr uint64_t percent = 10000; // steps: a round takes about 1 ms

enum { CART_BOOK, CART_RECORD, TAX_RATE, N_FUNCTIONS };

struct truth truths[N_FUNCTIONS] = {
	{ "shop::Cart<shop::Book>::total() const", 0, 0 },
	{ "shop::Cart<shop::Record>::total() const", 0, 0 },
	{ "shop::tax::rate(int, char const*)", 0, 0 },
};
}

namespace shop {

struct Book {
	static constexpr uint64_t steps = 50 * percent, multiplier = 6364136223846793005;
	static constexpr int truth = CART_BOOK;
};

struct Record {
	static constexpr uint64_t steps = 30 * percent, multiplier = 2862933555777941757;
	static constexpr int truth = CART_RECORD;
};

template <typename Item> struct Cart {
	EXAMPLE_FUNCTION void total() const
	{
		int64_t start = truth_start();
		example_work(Item::steps, Item::multiplier);
		(void)truth_stop(&truths[Item::truth], start);
	}
};

namespace tax {
EXAMPLE_FUNCTION void rate(int, const char *)
{
	int64_t start = truth_start();
	example_work(20 * percent, 3202034522624059733);
	(void)truth_stop(&truths[TAX_RATE], start);
}
}

EXAMPLE_FUNCTION void checkout()
{
	Cart<Book>().total();
	Cart<Record>().total();
	tax::rate(19, "DE");
}

}

int main(int argc, char **argv)
{
	int64_t end = example_duration_ns(argc, argv) + truth_clock(CLOCK_MONOTONIC);
	while (truth_clock(CLOCK_MONOTONIC) < end)
		shop::checkout();
	truth_print(truths, N_FUNCTIONS);
}
