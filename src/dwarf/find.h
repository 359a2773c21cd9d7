/* SPDX-License-Identifier: Apache-2.0 */
/* find.h: the file that holds the debug information of a binary.
 *
 *   binary at PATH, if it has that build id          itself
 *   FOLDER/.build-id/ab/cdef....debug
 *   FOLDER/ab/cdef....debug
 *
 * A name is only a promise: the file has to say the build id itself. */
#pragma once

#include "object/elf.h"

#define DWARF_SYSTEM_FOLDER "/usr/lib/debug"

/* The build id as perf records it may be filled up with zeros. */
bool build_id_is(const struct elf *elf, struct slice hex);

/* The caller's fd of a file with this build id and debug information:
 * `path` (NULL: unknown), else below one of the `folders`. -ENOENT. */
int dwarf_find(const char *path, struct slice build_id, const char *const *folders, unsigned n_folders) must_check;
