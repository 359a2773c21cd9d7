/* SPDX-License-Identifier: Apache-2.0 */
/* tailcalls SECONDS: first() jumps to second(), which jumps to last(): only
 * last() and main() are on the stack. */
#include "busy.h"

static FUNCTION int last(int n)
{
	busy(0.01);
	return n;
}

static FUNCTION int second(int n)
{
	return last(n + 1);
}

static FUNCTION int first(int n)
{
	return second(n + 1);
}

int main(int argc, char **argv)
{
	begin(argc, argv, 1);
	int sum = 0;
	while (!time_is_up())
		sum += first(1);
	return sum == 1;
}
