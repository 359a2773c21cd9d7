/* SPDX-License-Identifier: Apache-2.0 */
/* testelf.h: small ELF files for tests: a build id, and debug information or symbols or neither. */
#pragma once

#include "base/buf.h"

#include <elf.h>

#define TESTELF_ID_SIZE 8

enum testelf { TESTELF_BARE, TESTELF_SYMBOLS, TESTELF_DWARF };

/* Build id: eight times `id`. `padding` zeros make it larger. */
static inline void testelf_make(uint8_t id, enum testelf content, size_t padding, struct buf *out)
{
	static const char names[] = "\0.shstrtab\0.debug_info\0.symtab\0.strtab";
	struct {
		Elf64_Ehdr head;
		Elf64_Phdr load, note;
		Elf64_Nhdr note_head;
		char name[4];
		uint8_t id[TESTELF_ID_SIZE];
		char names[sizeof(names) + 8 - sizeof(names) % 8];
		Elf64_Sym symbol;
		char dwarf[8];
		Elf64_Shdr sections[5];
	} e = {
		.head = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			  .e_type = ET_DYN,
			  .e_machine = EM_X86_64,
			  .e_version = EV_CURRENT,
			  .e_ehsize = sizeof(Elf64_Ehdr),
			  .e_phoff = sizeof(Elf64_Ehdr),
			  .e_phentsize = sizeof(Elf64_Phdr),
			  .e_phnum = 2,
			  .e_shentsize = sizeof(Elf64_Shdr),
			  .e_shnum = 5,
			  .e_shstrndx = 1 },
		.load = { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = 64, .p_memsz = 64 },
		.note = { .p_type = PT_NOTE, .p_align = 4, .p_filesz = sizeof(Elf64_Nhdr) + 4 + TESTELF_ID_SIZE },
		.note_head = { 4, TESTELF_ID_SIZE, NT_GNU_BUILD_ID },
		.name = "GNU",
	};
	e.head.e_shoff = offsetof(__typeof__(e), sections);
	e.note.p_offset = offsetof(__typeof__(e), note_head);
	memset(e.id, id, sizeof(e.id));
	memcpy(e.names, names, sizeof(names));
	e.sections[1] = (Elf64_Shdr){ .sh_name = 1,
				      .sh_type = SHT_STRTAB,
				      .sh_offset = offsetof(__typeof__(e), names),
				      .sh_size = sizeof(names) };
	if (content == TESTELF_DWARF)
		e.sections[2] = (Elf64_Shdr){ .sh_name = 11,
					      .sh_type = SHT_PROGBITS,
					      .sh_offset = offsetof(__typeof__(e), dwarf),
					      .sh_size = sizeof(e.dwarf) };
	if (content == TESTELF_SYMBOLS)
		e.sections[3] = (Elf64_Shdr){ .sh_name = 23,
					      .sh_type = SHT_SYMTAB,
					      .sh_link = 1,
					      .sh_entsize = sizeof(Elf64_Sym),
					      .sh_offset = offsetof(__typeof__(e), symbol),
					      .sh_size = sizeof(e.symbol) };
	buf_add(out, &e, sizeof(e));
	uint8_t *zeros = buf_room(out, padding);
	if (zeros)
		memset(zeros, 0, padding);
	out->n += padding;
}
