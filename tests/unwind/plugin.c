/* SPDX-License-Identifier: Apache-2.0 */
/* plugin: compiled twice, as alpha and beta, whose code is of one size but not
 * the same: dlclose() of one and dlopen() of the other puts it in its place. */
#ifndef WORK_S
#define WORK_S 0.5
#endif

#define TWIN PLUGIN
#include "twin.h"

void work(void);

__attribute__((visibility("default"))) void work(void)
{
	NAME(middle)();
	__asm__ volatile("");
}
