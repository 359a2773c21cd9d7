/* SPDX-License-Identifier: Apache-2.0 */
/* debugfile.h: the symbols that distributions ship apart from the binary they
 * were stripped from.
 *
 *   build id abcdef...  ->  /usr/lib/debug/.build-id/ab/cdef....debug
 *
 * Debian's libc6-dbg is the usual one, installed with gdb and valgrind: with
 * it the inside of malloc has names. A build id names the code itself, so the
 * host's files serve processes in containers too. */
#pragma once

#include "object/elf.h"

#define DEBUGFILE_FOLDER "/usr/lib/debug/.build-id"

/* Opens the file that holds the .symtab missing from `stripped`, below
 * `folder` (normally DEBUGFILE_FOLDER), and makes `ret` ready for
 * symtab_lookup(); addresses are those of the stripped file. The fd is the
 * caller's. -ENOENT when there is none: not a mistake, so no text. */
int debugfile_open(const struct elf *stripped, const char *folder, int *ret_fd, struct elf *ret) must_check;
