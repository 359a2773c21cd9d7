/* SPDX-License-Identifier: Apache-2.0 */
/* symbolize.h: names for frames of perf.data from this machine's files.
 *
 *   mapping /usr/lib/libc.so.6, build id ab12...  the file of that name, if it
 *                                                 still has that build id
 *   mapping [kernel.kallsyms]                     /proc/kallsyms, if this very
 *                                                 kernel is running
 *
 * A wrong name is worse than none: with two build ids that differ frames stay
 * addresses and stderr says so. Where none was recorded (perf record -z, -B, a
 * pipe) a file is believed that has not changed since before the recording.
 * Modules and JIT code are not named: nothing proves that they still lie where
 * they lay. */
#pragma once

#include "cli/dwarf_lines.h"

/* `file` is where the profile came from, for messages. Frame addresses are
 * offsets in their files (format/perfdata.h); of files that match they
 * become the ELF's virtual addresses. Where there is debug information, they
 * get lines and inlined functions as well. -ENOMEM, -ENOBUFS. */
int profile_symbolize(struct profile *p, const char *file, const struct dwarf_options *dwarf) must_check;
