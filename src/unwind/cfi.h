/* SPDX-License-Identifier: Apache-2.0 */
/* cfi.h: DWARF call frame information as unwind rules.
 *
 *   section   [CIE A][FDE of A][FDE of A][CIE B][FDE of B] ... [0]
 *   FDE       [pc, pc + size)   program: at pc+4 CFA = sp + 16; at pc+8 ...
 *   rows      pc -> rule, pc+4 -> rule, pc+8 -> rule
 *
 * Read through two small windows, since the agent that uses this may not grow
 * by the size of a binary: one goes forward over the entries, the other holds
 * CIEs. Nothing in the file is trusted: each entry is read within its own
 * length, a program costs at most its length in steps.
 *
 * Sources: DWARF 5 §6.4; LSB 5.0 core, chapter "Exception Frames"; x86-64 psABI
 * and AArch64 DWARF supplements for register numbers. */
#pragma once

#include "object/elf.h"
#include "object/filewin.h"
#include "bpf/rule.h"

/* What one CIE says that its FDEs need. */
struct cfi_cie {
	uint64_t off; /* in the section; UINT64_MAX = empty slot */
	uint64_t code_align;
	int64_t data_align;
	uint64_t program, program_end; /* offsets in the section */
	uint8_t fde_encoding;	       /* DW_EH_PE_* */
	bool has_augmentation_size, is_signal;
};

#define CFI_CIE_SLOTS 16

struct cfi {
	const struct elf *elf;
	struct elf_cfi section;
	uint8_t sp, fp, ra; /* register numbers */
	struct filewin entries, cies;
	struct cfi_cie cie[CFI_CIE_SLOTS];
};

/* One function. */
struct cfi_fde {
	uint64_t start, end; /* ELF virtual addresses */
	uint64_t cie;	     /* offset of its CIE in the section */
	uint64_t program, program_end;
};

/* For each row in rising order; `start` of the first is the FDE's. Not 0 ends
 * the walk with that value. */
struct cfi_sink {
	int (*put)(void *arg, uint64_t start, const struct unwind_rule *rule);
	void *arg;
};

/* `e` must outlive it. -ENOENT: no such section; -ENOMEM. */
int cfi_init(struct cfi *c, const struct elf *e, bool debug_frame) must_check;
void cfi_done(struct cfi *c);

/* The entry at *off of the section, and the offset behind it in *off. 1 and
 * *ret: an FDE; 0: anything else; -ENODATA: the end of the section; -EBADMSG:
 * an entry that cannot be understood, *off behind it when there is a way on,
 * else at the section's size; -EIO etc. from pread. */
int cfi_next(struct cfi *c, uint64_t *off, struct cfi_fde *ret) must_check;

/* Runs the FDE's program. -EBADMSG, -E2BIG (nested too deep), from pread, or what the sink
 * returned. */
int cfi_rows(struct cfi *c, const struct cfi_fde *fde, struct cfi_sink sink) must_check;
