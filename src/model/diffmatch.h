/* SPDX-License-Identifier: Apache-2.0 */
/* diffmatch.h: which functions of several windows are one.
 *
 * Trees tell functions apart by name, kind, file and module. Between windows
 * that is too much: a program built in another folder, a Go module of another
 * version, a perf-PID.map would be new altogether. Too little is the name: two
 * static functions of one name may be in one program.
 *
 *   group      functions of one name, the kernel's by themselves
 *   clear      no window has two functions of the group: they are one
 *   unclear    some window has. Then by the first of these descriptions that
 *              tells the functions of each window apart and has the most
 *              values that both sides know: kind, file, its basename, module,
 *              its basename, both basenames, all there is
 *   confused   no description has a value that both sides know: they are one,
 *              although windows have several of them */
#pragma once

#include "model/calltree.h"

struct diffmatch;

struct diffmatch *diffmatch_new(struct membudget *budget); /* NULL: no memory */
void diffmatch_free(struct diffmatch **m);		   /* for _cleanup_ */

/* Notes one window of a side (0, 1): its functions, as numbers of the builder
 * that holds those of all windows. 0, -ENOBUFS or -ENOMEM. */
int diffmatch_window(struct diffmatch *m, const struct calltree_builder *b, uint32_t side, const uint32_t *funcs,
		     uint32_t n) must_check;

/* For all functions of the builder: into[f] as calltree_builder_join() wants
 * it, and by that number whether they are confused. *ret_n: how many are left. */
int diffmatch_solve(struct diffmatch *m, const struct calltree_builder *b, uint32_t *into, bool *is_confused,
		    uint32_t *ret_n) must_check;
