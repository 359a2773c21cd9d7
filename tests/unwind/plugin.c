/* SPDX-License-Identifier: Apache-2.0 */
/* plugin: compiled twice, as alpha and beta, whose code is of one size but not
 * the same: dlclose() of one and dlopen() of the other puts it in its place. */
#include "busy.h"

#ifndef WORK_S
#define WORK_S 0.5
#endif

#define JOIN2(a, b) a##_##b
#define JOIN(a, b)  JOIN2(a, b)
#define NAME(f)	    JOIN(PLUGIN, f)

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

void work(void);

__attribute__((visibility("default"))) void work(void)
{
	NAME(middle)();
	__asm__ volatile("");
}
