/* SPDX-License-Identifier: Apache-2.0 */
/* twin.h: functions that are compiled several times, as TWIN_inner() and
 * TWIN_middle(), of one size but with frames of ROOM bytes. inner() works for
 * WORK_S seconds. */
#pragma once

#include "busy.h"

#define JOIN2(a, b) a##_##b
#define JOIN(a, b)  JOIN2(a, b)
#define NAME(f)	    JOIN(TWIN, f)

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
