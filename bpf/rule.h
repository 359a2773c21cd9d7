/* SPDX-License-Identifier: Apache-2.0 */
/* rule.h: how to get from one frame to its caller, in 12 bytes.
 *
 *   CFA ("canonical frame address"): the stack pointer before the call
 *   caller's sp = CFA,  caller's pc = *(CFA + ra_off),  caller's fp by `fp`
 *
 * The sp is rsp or sp, the fp rbp or x29. All that DWARF can say beyond this
 * is RULE_UNSUPPORTED. src/unwind/ makes rules, walk.h follows them. */
#pragma once

#include <stdint.h>

enum rule_cfa {
	RULE_GAP,	  /* nothing is known here: a gap between functions */
	RULE_UNSUPPORTED, /* known, but not in these terms */
	RULE_STOP,	  /* the outermost frame */
	RULE_SIGNAL,	  /* the kernel's signal frame is at sp */
	RULE_SP,	  /* CFA = sp + cfa_off */
	RULE_FP,	  /* CFA = fp + cfa_off; cfa_add may be RULE_OTHER_STACK */
	RULE_SP_DEREF,	  /* CFA = *(sp + cfa_off) + cfa_add */
	RULE_FP_DEREF,
	RULE_PLT, /* CFA = sp + 8, and 8 more from byte cfa_off of 16 on */
};

enum rule_fp {
	RULE_FP_SAME,
	RULE_FP_AT_CFA, /* *(CFA + fp_off) */
	RULE_FP_AT_FP,	/* *(fp + fp_off) */
	RULE_FP_LOST,
};

enum rule_ra {
	RULE_RA_AT_CFA,	 /* *(CFA + ra_off) */
	RULE_RA_IN_LINK, /* arm64: x30, only in the innermost frame */
};

/* The caller's stack may be another one, below or far above. */
#define RULE_OTHER_STACK 1

struct unwind_rule {
	uint8_t cfa, fp, ra; /* enums above */
	int8_t cfa_add;
	int32_t cfa_off;
	int16_t fp_off, ra_off;
};

_Static_assert(sizeof(struct unwind_rule) == 12, "no padding: rules are compared as bytes");
