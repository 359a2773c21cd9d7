/* SPDX-License-Identifier: Apache-2.0 */
/* elf.h: the few facts of an ELF file that naming needs, without mapping it.
 *
 *   ELF header -> program headers -> PT_LOAD table, PT_NOTE  -> build id
 *                                    PT_DYNAMIC              -> .dynsym if there are no sections
 *              -> section headers -> .symtab, .dynsym and their string tables;
 *                                    where Go and debuggers look (.gopclntab ...)
 *
 * Read by pread in small windows, since the agent that uses this may not grow
 * by the size of a binary. 64-bit little-endian executables and shared
 * objects for x86-64 and arm64; files without section headers work. Nothing
 * in the file is trusted: every offset, size and count is checked against the
 * size of the file, and a table that lies outside counts as absent.
 *
 * Source: System V ABI, gABI 4.1 and the x86-64/AArch64 supplements. */
#pragma once

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>

#define ELF_MAX_LOADS	 64
#define ELF_MAX_CODE	 32
#define ELF_BUILD_ID_MAX 64
#define ELF_BUILD_ID_HEX (2 * ELF_BUILD_ID_MAX + 1)

/* One PT_LOAD. */
struct elf_load {
	uint64_t vaddr, mem_size;
	uint64_t file_off, file_size;
	bool executable;
};

/* An executable section: .init, .plt, .text ... */
struct elf_code {
	uint64_t start, end; /* virtual addresses */
};

/* Bytes [off, off + size) of the file, known to lie inside it; size 0 = absent. */
struct elf_table {
	uint64_t off, size;
};

/* Bytes of the file that are also loaded. */
struct elf_section {
	uint64_t off, size; /* as in elf_table */
	uint64_t vaddr;	    /* of the first byte */
};

/* Call frame information: .eh_frame or .debug_frame. */
struct elf_cfi {
	uint64_t off, size; /* as in elf_table */
	uint64_t vaddr;	    /* of its first byte */
	bool is_debug;
};

/* Plain data: nothing to release. The fd stays the caller's and must outlive
 * the look-ups made through this. */
struct elf {
	int fd;
	uint64_t file_size;
	uint16_t machine; /* EM_X86_64 or EM_AARCH64 */
	uint32_t n_loads;
	struct elf_load loads[ELF_MAX_LOADS];
	uint32_t n_code; /* further sections are left out */
	struct elf_code code[ELF_MAX_CODE];
	struct elf_table symtab, symtab_names; /* .symtab */
	struct elf_table dynsym, dynsym_names; /* .dynsym, all that is left in stripped files */
	struct elf_cfi eh_frame, debug_frame;
	struct elf_table debugdata;   /* compressed symbols */
	struct elf_table debuglink;   /* name of a separate debug file, and its CRC */
	struct elf_table dynamic;     /* PT_DYNAMIC */
	struct elf_section gopclntab; /* Go's function table, where it is a section of its own */
	bool is_go;		      /* has Go's build id or build info */
	bool has_dwarf;		      /* .debug_info is there, compressed or not */
	uint8_t build_id[ELF_BUILD_ID_MAX];
	uint32_t build_id_size; /* 0 = none */
};

/* Reads the headers of `fd` (a regular file or memfd, position untouched).
 * -EBADMSG   not an ELF file, or headers that contradict each other
 * -ENODATA   shorter than its headers say
 * -EPROTONOSUPPORT  32-bit, big-endian, another machine, an object or core file
 * -E2BIG     more than ELF_MAX_LOADS segments
 * -EIO etc.  from pread */
int elf_init(struct elf *ret, int fd, struct error *err) must_check;

/* Virtual address, as the ELF file counts them, of the byte at file_off:
 * for a mapping [start, ..) at offset pgoff it is
 *   elf_vaddr(e, addr - start + pgoff, &vaddr).
 * False when no PT_LOAD holds that byte; executable ones are preferred. */
bool elf_vaddr(const struct elf *e, uint64_t file_off, uint64_t *ret);

/* Where the loaded bytes [vaddr, vaddr + size) lie in the file; false when no
 * segment holds them all. */
bool elf_file_off(const struct elf *e, uint64_t vaddr, uint64_t size, uint64_t *ret);

/* GNU build id in lower-case hex, "" if there is none. Returns its length. */
size_t elf_build_id_hex(const struct elf *e, char out[static ELF_BUILD_ID_HEX]);

/* The build id among ELF notes in memory (/sys/kernel/notes has the running
 * kernel's). Size written to `out`, 0 = none. */
uint32_t elf_notes_build_id(struct slice notes, uint8_t out[static ELF_BUILD_ID_MAX]);

/* A memfd that holds a copy of this process's vDSO, the same image every
 * 64-bit process of the machine runs ("[vdso]" in maps, at offset 0): the
 * caller's fd, or -ENOENT where there is none. */
int elf_vdso_open(void) must_check;
