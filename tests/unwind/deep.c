/* SPDX-License-Identifier: Apache-2.0 */
/* deep DEPTH SECONDS: that many frames of descend() between main and burn. */
#include "busy.h"

static FUNCTION void burn(void)
{
	busy(0.01);
}

static FUNCTION int descend(int n, volatile int *above)
{
	volatile int here = *above + 1;
	if (n > 1)
		return descend(n - 1, &here) + here;
	while (!time_is_up())
		burn();
	return here;
}

int main(int argc, char **argv)
{
	begin(argc, argv, 2);
	volatile int top = 0;
	return descend(atoi(argv[1]), &top) == -1;
}
