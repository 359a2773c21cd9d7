/* SPDX-License-Identifier: Apache-2.0 */
/* intake.h: turns a sample's addresses into a node of the window's tree.
 *
 *   user stack    addr -> mapping of the process -> { binary, ELF address }
 *   kernel stack  addr -> { kernel, addr }
 *   node          root = the outermost user frame ... leaf = the kernel's
 *
 * Done as samples arrive, once per distinct (process, stack), since the maps
 * of a process can only be read while it is alive. A caller that lies in no
 * executable mapping is no return address: the frame pointers were not what
 * they seemed, so the stack ends there below "[incomplete stack]". */
#pragma once

#include "agent/window.h"

/* Adds one sample of process `p`. Losses are counted in w->info. */
void intake_sample(struct window *w, struct process_table *processes, struct process *p, const struct record_sample *s,
		   const struct record_memory *memory, int64_t now_ns);
