/* SPDX-License-Identifier: Apache-2.0 */
/* walk.h: one step from a frame to its caller. Compiled twice: into the
 * sampler, where it reads the stack of the thread that was interrupted, and
 * natively (src/unwind/replay.h), where it reads recorded memory.
 *
 *   leaf    pc from the registers        looked up at pc
 *   caller  pc is a return address       looked up at pc - 1: a call may be
 *                                        the last instruction of its function
 *   below a signal frame: as the leaf
 *
 * Whoever includes this provides, under exactly these names,
 *
 *   static bool walk_read(struct walk *w, uint64_t addr, uint64_t *ret);
 *       8 bytes of the thread's memory; false when they cannot be read
 *
 * Sources: System V ABI for x86-64 §3.4 (stack frames), its supplement on
 * signal frames in Linux (arch/x86/include/uapi/asm/sigcontext.h), AAPCS64. */
#pragma once

#include "rule.h"
#include "stack.h"

static bool walk_read(struct walk *w, uint64_t addr, uint64_t *ret);

#if defined(__aarch64__) || defined(__TARGET_ARCH_arm64)
#define WALK_ARM64 1
/* Return addresses may be signed: bits above the 48 of an address. */
#define WALK_PC_MASK 0x0000ffffffffffffull
/* struct rt_sigframe at sp: siginfo of 128 bytes, then ucontext, whose
 * mcontext { fault_address, regs[31], sp, pc } is 176 bytes in. */
#define WALK_SIGNAL_FP	 (128 + 176 + 8 + 29 * 8)
#define WALK_SIGNAL_LINK (128 + 176 + 8 + 30 * 8)
#define WALK_SIGNAL_SP	 (128 + 176 + 8 + 31 * 8)
#define WALK_SIGNAL_PC	 (128 + 176 + 8 + 32 * 8)
#else
#define WALK_ARM64     0
#define WALK_PC_MASK   UINT64_MAX
/* At sp, the return address being popped: ucontext { flags, link, stack of 24
 * bytes, gregs: r8 .. r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip }. */
#define WALK_SIGNAL_FP (40 + 10 * 8)
#define WALK_SIGNAL_SP (40 + 15 * 8)
#define WALK_SIGNAL_PC (40 + 16 * 8)
#endif

/* A frame this far above the last is taken for nonsense. */
#define WALK_FRAME_MAX (8ull << 20)

static inline enum stack_end walk_signal(struct walk *w)
{
	uint64_t pc, sp, fp, link = 0;
	if (!walk_read(w, w->sp + WALK_SIGNAL_PC, &pc) || !walk_read(w, w->sp + WALK_SIGNAL_SP, &sp) ||
	    !walk_read(w, w->sp + WALK_SIGNAL_FP, &fp))
		return STACK_END_UNREADABLE;
#if WALK_ARM64
	if (!walk_read(w, w->sp + WALK_SIGNAL_LINK, &link))
		return STACK_END_UNREADABLE;
#endif
	*w = (struct walk){ .pc = pc, .sp = sp, .fp = fp, .link = link, .how = HOW_SIGNAL };
	return STACK_GOES_ON;
}

/* `cfa` may be on any stack: what walks in circles is as deep as the walk
 * allows, and no deeper. */
static inline enum stack_end walk_to(struct walk *w, uint64_t cfa, uint64_t pc, uint8_t how)
{
	pc &= WALK_PC_MASK;
	/* Nobody called: some thread starts are written so. */
	if (pc == 0)
		return STACK_END_ROOT;
	w->pc = pc;
	w->sp = cfa;
	w->link = 0;
	w->is_call = true;
	w->how = how;
	return STACK_GOES_ON;
}

/* The caller's pc was at `cfa + something` and is `pc`. A CFA that does not
 * grow would walk in circles; only a leaf that saved nothing may stay where it
 * is, which takes a link register. */
static inline enum stack_end walk_up(struct walk *w, uint64_t cfa, uint64_t pc, uint8_t how)
{
	if (cfa < w->sp || (cfa == w->sp && w->is_call) || cfa - w->sp > WALK_FRAME_MAX)
		return STACK_END_NO_PROGRESS;
	return walk_to(w, cfa, pc, how);
}

/* The frame pointer's convention: *fp is the caller's, behind it the return
 * address. Ends are the caller's to interpret: 0 is where a chain stops. */
static inline enum stack_end walk_by_fp(struct walk *w)
{
	uint64_t pc, fp;
	if (w->fp_lost)
		return STACK_END_LOST_REGISTER;
	/* The ABI's mark of the outermost frame; in a leaf it may be any number. */
	if (w->fp == 0 && w->is_call)
		return STACK_END_ROOT;
	if (w->fp < w->sp || w->fp & 7)
		return STACK_END_NO_UNWIND_INFO;
	if (!walk_read(w, w->fp, &fp) || !walk_read(w, w->fp + 8, &pc))
		return STACK_END_NO_UNWIND_INFO;
	enum stack_end end = walk_up(w, w->fp + 16, pc, HOW_FP);
	if (end == STACK_GOES_ON)
		w->fp = fp;
	return end == STACK_END_NO_PROGRESS ? STACK_END_NO_UNWIND_INFO : end;
}

#if !WALK_ARM64
/* Whether the instruction before `pc` is a call: E8 rel32, or FF /2 with its
 * operand in 2 to 7 bytes. */
static inline bool walk_follows_call(struct walk *w, uint64_t pc)
{
	uint64_t code; /* the last of the 8 bytes is the one before pc */
	if (pc < 8 || !walk_read(w, pc - 8, &code))
		return false;
	if ((code >> 24 & 0xff) == 0xe8)
		return true;
	bool found = false;
	for (uint32_t at = 1; at < 7; at++) {
		uint8_t op = (uint8_t)(code >> (8 * at)), modrm = (uint8_t)(code >> (8 * (at + 1)));
		uint32_t mod = modrm >> 6, rm = modrm & 7, size = 2;
		bool has_sib = mod != 3 && rm == 4;
		uint32_t base = has_sib && at < 6 ? (uint32_t)(code >> (8 * (at + 2))) & 7 : rm;
		if (op != 0xff || (modrm >> 3 & 7) != 2)
			continue;
		size += has_sib;
		size += mod == 1 ? 1 : mod == 2 || (mod == 0 && base == 5) ? 4 : 0;
		found |= at + size == 8;
	}
	return found;
}
#endif

/* Code that no row covers. A leaf mostly has not touched the stack yet: then
 * its return address is on top (or in the link register). */
static inline enum stack_end walk_without_rule(struct walk *w)
{
	if (w->is_call)
		return walk_by_fp(w);
#if WALK_ARM64
	if (w->link)
		return walk_up(w, w->sp, w->link, HOW_HEURISTIC);
#else
	uint64_t pc;
	if (walk_read(w, w->sp, &pc) && walk_follows_call(w, pc))
		return walk_up(w, w->sp + 8, pc, HOW_HEURISTIC);
#endif
	return walk_by_fp(w);
}

static inline enum stack_end walk_cfa(struct walk *w, const struct unwind_rule *rule, uint64_t *ret)
{
	uint64_t base = rule->cfa == RULE_FP || rule->cfa == RULE_FP_DEREF ? w->fp : w->sp;
	uint64_t at = base + (uint64_t)(int64_t)rule->cfa_off;
	if ((rule->cfa == RULE_FP || rule->cfa == RULE_FP_DEREF) && w->fp_lost)
		return STACK_END_LOST_REGISTER;
	if (rule->cfa == RULE_PLT) {
		*ret = w->sp + 8 + ((int64_t)(w->pc & 15) >= rule->cfa_off ? 8 : 0);
		return STACK_GOES_ON;
	}
	if (rule->cfa == RULE_SP_DEREF || rule->cfa == RULE_FP_DEREF) {
		if (!walk_read(w, at, &at))
			return STACK_END_UNREADABLE;
		at += (uint64_t)(int64_t)rule->cfa_add;
	}
	*ret = at;
	return STACK_GOES_ON;
}

/* Reads the caller's fp into *ret. */
static inline enum stack_end walk_fp(struct walk *w, const struct unwind_rule *rule, uint64_t cfa, uint64_t *ret,
				     bool *ret_lost)
{
	uint64_t at = (rule->fp == RULE_FP_AT_FP ? w->fp : cfa) + (uint64_t)(int64_t)rule->fp_off;
	*ret = w->fp;
	*ret_lost = w->fp_lost || rule->fp == RULE_FP_LOST;
	if (rule->fp != RULE_FP_AT_CFA && rule->fp != RULE_FP_AT_FP)
		return STACK_GOES_ON;
	if (rule->fp == RULE_FP_AT_FP && w->fp_lost)
		return STACK_END_LOST_REGISTER;
	*ret_lost = false;
	return walk_read(w, at, ret) ? STACK_GOES_ON : STACK_END_UNREADABLE;
}

/* To the caller by `rule`, that of the frame's pc; what is not STACK_GOES_ON
 * leaves the walk where it was. */
static inline enum stack_end walk_step(struct walk *w, const struct unwind_rule *rule)
{
	uint64_t cfa = 0, fp = 0, pc = 0;
	bool lost = false;
	if (rule->cfa == RULE_GAP)
		return walk_without_rule(w);
	if (rule->cfa == RULE_STOP)
		return STACK_END_ROOT;
	if (rule->cfa == RULE_SIGNAL)
		return walk_signal(w);
	if (rule->cfa == RULE_UNSUPPORTED)
		return STACK_END_UNSUPPORTED;
	enum stack_end end = walk_cfa(w, rule, &cfa);
	if (end == STACK_GOES_ON)
		end = walk_fp(w, rule, cfa, &fp, &lost);
	if (end != STACK_GOES_ON)
		return end;
	if (rule->ra == RULE_RA_IN_LINK) {
		if (w->is_call)
			return STACK_END_LOST_REGISTER;
		pc = w->link;
	} else if (!walk_read(w, cfa + (uint64_t)(int64_t)rule->ra_off, &pc)) {
		return STACK_END_UNREADABLE;
	}
	bool may_change = rule->cfa == RULE_FP && rule->cfa_add == RULE_OTHER_STACK;
	end = may_change ? walk_to(w, cfa, pc, HOW_TABLE) : walk_up(w, cfa, pc, HOW_TABLE);
	if (end == STACK_GOES_ON) {
		w->fp = fp;
		w->fp_lost = lost;
	}
	return end;
}
