/* SPDX-License-Identifier: Apache-2.0 */
/* nofp: the program of fp.c compiled without frame pointers, as most
 * distributions compile theirs. A profiler that follows frame pointers gets
 * the self shares right (60, 10, 20, 10 %, see fp.c) and loses callers; one
 * that reads .eh_frame gets all of fp.c. */
#include "call_shares.h"
