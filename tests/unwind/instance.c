/* SPDX-License-Identifier: Apache-2.0 */
/* instance: compiled several times, at the same addresses, but with code of
 * another shape for each ROOM. Works for WORK_S and ends. */
#define TWIN INSTANCE
#include "twin.h"

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
