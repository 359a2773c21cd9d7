/* SPDX-License-Identifier: Apache-2.0 */
/* The C functions of the library, one of which it exports. */
#include "in_c.h"

__attribute__((noinline)) int in_c(int x)
{
	return 3 * x + 1;
}

__attribute__((noinline, visibility("hidden"))) int hidden_in_c(int x)
{
	return in_c(x) - 1;
}
