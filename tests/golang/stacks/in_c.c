/* SPDX-License-Identifier: Apache-2.0 */
/* C that Go calls, and that calls Go. */
#include "in_c.h"

int calledByC(int n);

__attribute__((noinline)) int spin(int n)
{
	volatile int x = 0;
	for (int i = 0; i < n; i++)
		x += i;
	return x;
}

__attribute__((noinline)) static int step(int n)
{
	return calledByC(n) + 1;
}

int calls_back(int n)
{
	int x = 0;
	for (int i = 0; i < 10; i++)
		x += step(n) + spin(n);
	return x;
}
