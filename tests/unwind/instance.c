/* SPDX-License-Identifier: Apache-2.0 */
/* instance: compiled several times, at the same addresses, but with code of
 * another shape for each ROOM. Works for WORK_S and ends. */
#include "busy.h"

#define JOIN2(a, b) a##_##b
#define JOIN(a, b)  JOIN2(a, b)
#define NAME(f)	    JOIN(INSTANCE, f)

static FUNCTION void NAME(inner)(volatile char *p)
{
	*p = 1;
	busy(WORK_S);
}

static FUNCTION void NAME(middle)(void)
{
	volatile char room[ROOM];
	NAME(inner)(room);
	room[ROOM - 1] = 0;
}

FUNCTION void NAME(outer)(void);

FUNCTION void NAME(outer)(void)
{
	NAME(middle)();
	__asm__ volatile("");
}

int main(void)
{
	NAME(outer)();
	__asm__ volatile("");
}
