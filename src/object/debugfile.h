/* SPDX-License-Identifier: Apache-2.0 */
/* debugfile.h: the symbols that distributions ship apart from the binary they
 * were stripped from.
 *
 *   build id abcdef...            ROOT/usr/lib/debug/.build-id/ab/cdef....debug
 *
 *   .gnu_debuglink "x.debug"      ROOT/usr/bin/x.debug
 *   of /usr/bin/x                 ROOT/usr/bin/.debug/x.debug
 *                                 ROOT/usr/lib/debug/usr/bin/x.debug
 *
 * Debian's libc6-dbg is the usual one, installed with gdb and valgrind: with
 * it the inside of malloc has names. A build id names the code itself, so the
 * host's files serve processes in containers too. A debug link is but a name
 * and a checksum: it is followed where the binary itself lies, in the root of
 * its process, and no link leads out of there.
 *
 * What a file is called proves nothing. One with the binary's build id belongs
 * to it, one with another does not; where one of the two has none, its CRC has
 * to be the one the link states.
 *
 * Source: GDB manual, "Debugging Information in Separate Files". */
#pragma once

#include "object/elf.h"

#define DEBUGFILE_CRC_MAX ((uint64_t)256 << 20) /* a larger file is not read through for its CRC */

/* Where a binary lies. */
struct debugfile_place {
	int root;	  /* folder that is its process's "/"; -1 = not known */
	const char *path; /* of the binary in it */
};

/* Opens the file that holds the .symtab missing from `stripped` and makes `ret`
 * ready for symtab_lookup(); addresses are those of the stripped file. The fd
 * is the caller's. -ENOENT when there is none: not a mistake, so no text. */
int debugfile_open(const struct elf *stripped, struct debugfile_place place, int *ret_fd, struct elf *ret) must_check;
