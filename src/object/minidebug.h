/* SPDX-License-Identifier: Apache-2.0 */
/* minidebug.h: the symbol table that Fedora and its kin leave in stripped
 * binaries, compressed.
 *
 *   .gnu_debugdata   xz( ELF file { .symtab of what .dynsym lacks } )
 *
 * Decompressed into an unlinked file, as the look-up reads by windows; nothing
 * of it stays in memory. What the section claims is bounded first: a few
 * hundred bytes of xz may stand for gigabytes, or ask for gigabytes of memory.
 *
 * Source: GDB manual, "Debugging information in a special section"; the xz
 * file format is liblzma's to know. */
#pragma once

#include "object/elf.h"

#define MINIDEBUG_MAX_SIZE   (32u << 20) /* decompressed */
#define MINIDEBUG_MAX_MEMORY (9u << 20)	 /* a dictionary of 8 MiB, xz -6's, and what liblzma adds */

/* Makes `ret` ready for symtab_lookup(); addresses are those of `e`. The file
 * is made in `temp_dir` (base/file.h), its fd is the caller's.
 * -ENOENT   no such section
 * -E2BIG    over one of the maxima
 * -EBADMSG  damaged, or not an ELF file of the same machine
 * -ENODATA  ends early
 * -ENOMEM, -EIO etc. from pread and write */
int minidebug_open(const struct elf *e, const char *temp_dir, int *ret_fd, struct elf *ret) must_check;
