/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/gorows.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#define CODE_WINDOW (16u << 10)
#define WORD	    8 /* bytes of a return address, of a saved fp */

/* 1.16 and 1.17 differ in nothing else. */
static bool find_flags(struct gorows *g)
{
	const struct gopclntab *t = &g->funcs.table;
	struct gofunc f = { 0 };
	for (uint32_t i = 0; t->layout == GO_1_16 && i < t->n_funcs && f.flags == 0; i++)
		if (gofuncs_at(&g->funcs, i, &f) < 0)
			f.flags = 0;
	return t->layout >= GO_1_18 || f.flags;
}

int gorows_init(struct gorows *g, const struct elf *e)
{
	struct gopclntab t;
	int r = gopclntab_find(e, &t);
	if (r == 0)
		r = gofuncs_init(&g->funcs, &t);
	if (r < 0)
		return r;
	r = filewin_init(&g->code, e->fd, e->file_size, CODE_WINDOW);
	if (r < 0)
		gofuncs_done(&g->funcs);
	g->has_flags = r == 0 && find_flags(g);
	return r;
}

void gorows_done(struct gorows *g)
{
	gofuncs_done(&g->funcs);
	filewin_done(&g->code);
}

static bool is_arm(const struct gorows *g)
{
	return g->funcs.table.elf->machine == EM_AARCH64;
}

/* ---- functions ----------------------------------------------------------- */

/* Names tell what flags do not: sigtramp is called by the kernel, but the
 * frame that put there is another's. */
static bool kind_by_name(struct slice name, enum gorows_kind *ret)
{
	static const struct {
		const char *name;
		enum gorows_kind kind;
	} known[] = {
		{ "runtime.goexit", GOROWS_START },
		{ "runtime.mstart", GOROWS_START },
		{ "runtime.rt0_go", GOROWS_START },
		{ "runtime.morestack", GOROWS_START },
		{ "runtime.mcall", GOROWS_MCALL },
		{ "runtime.systemstack", GOROWS_SWITCH },
		{ "runtime.asmcgocall", GOROWS_SWITCH },
		{ "runtime.cgocallback", GOROWS_SWITCH },
		{ "runtime.cgocallback_gofunc", GOROWS_SWITCH },
		{ "runtime.gogo", GOROWS_UNKNOWN },
		{ "runtime.sigtramp", GOROWS_PLAIN },
		{ "runtime.cgoSigtramp", GOROWS_PLAIN },
		{ "runtime.sigreturn", GOROWS_SIGRETURN },
		{ "runtime.sigreturn__sigaction", GOROWS_SIGRETURN },
	};
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (slice_eq(name, slice_str(known[i].name))) {
			*ret = known[i].kind;
			return true;
		}
	return false;
}

/* _rt0_amd64_linux ...; those of libraries, "_lib", are called by C. */
static bool is_program_start(struct slice name)
{
	static const char lib[] = "_lib";
	size_t n = sizeof(lib) - 1;
	return slice_has_prefix(name, "_rt0_") && (name.size < n || memcmp(slice_end(name) - n, lib, n) != 0);
}

/* Until 1.16 nothing marks them, and fp was where they kept sp. */
static bool calls_vdso(struct slice name)
{
	static const char *const names[] = { "runtime.nanotime", "runtime.nanotime1", "runtime.walltime",
					     "runtime.walltime1", "time.now" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (slice_eq(name, slice_str(names[i])))
			return true;
	return false;
}

static enum gorows_kind kind_of(struct gorows *g, const struct gofunc *f)
{
	enum gorows_kind kind;
	struct slice name = gofuncs_name(&g->funcs, f);
	if (kind_by_name(name, &kind))
		return kind;
	if (f->flags & GOFUNC_TOP_FRAME || is_program_start(name))
		return GOROWS_START;
	if (f->flags & GOFUNC_SP_WRITE)
		return GOROWS_SWITCH;
	if (!g->has_flags && calls_vdso(name))
		return GOROWS_UNKNOWN;
	return GOROWS_PLAIN;
}

static bool is_sigreturn(struct gorows *g, uint64_t i)
{
	struct gofunc f;
	return i < g->funcs.table.n_funcs && gofuncs_at(&g->funcs, (uint32_t)i, &f) == 0 &&
	       kind_of(g, &f) == GOROWS_SIGRETURN;
}

int gorows_next(struct gorows *g, uint64_t *i, struct gorows_func *ret)
{
	struct gorows_func f = { 0 };
	if (*i >= g->funcs.table.n_funcs)
		return -ENODATA;
	int r = gofuncs_at(&g->funcs, (uint32_t)*i, &f.func);
	++*i;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	f.kind = kind_of(g, &f.func);
	f.start = f.func.start - (f.kind == GOROWS_SIGRETURN);
	f.end = f.func.end - is_sigreturn(g, *i);
	if (f.start >= f.end || (f.kind == GOROWS_PLAIN && f.func.pcsp == 0))
		return 0;
	*ret = f;
	return 1;
}

/* ---- prologues ----------------------------------------------------------- */

/* How a function opens its frame. */
struct prologue {
	uint64_t pc;   /* behind the instruction that moves sp first */
	int32_t delta; /* by so much; 0 = there is no frame */
	bool saves_fp;
	uint64_t fp_set; /* from here on fp is the function's own */
};

static const uint8_t *code_at(struct gorows *g, uint64_t vaddr, uint32_t size)
{
	uint64_t off;
	return elf_file_off(g->funcs.table.elf, vaddr, size, &off) ? filewin_at(&g->code, off, size) : NULL;
}

/* Since 1.21: push rbp; mov rbp, rsp; sub rsp, ...
 * Since 1.7:  sub rsp, delta; mov [rsp + delta - 8], rbp; lea rbp, [rsp + delta - 8] */
static void read_prologue_x86(struct gorows *g, struct prologue *pro)
{
	static const uint8_t push[] = { 0x55, 0x48, 0x89, 0xe5 };
	static const uint8_t mov8[] = { 0x48, 0x89, 0x6c, 0x24 }, mov32[] = { 0x48, 0x89, 0xac, 0x24 };
	int32_t at = pro->delta - WORD, disp;
	const uint8_t *p = at == 0 ? code_at(g, pro->pc - 1, sizeof(push)) : NULL;
	pro->saves_fp = true;
	pro->fp_set = pro->pc + sizeof(push) - 1;
	if (p && memcmp(p, push, sizeof(push)) == 0)
		return;
	p = code_at(g, pro->pc, sizeof(mov32) + sizeof(disp));
	pro->fp_set = pro->pc + 2 * 5;
	if (p && memcmp(p, mov8, sizeof(mov8)) == 0 && (int8_t)p[4] == at)
		return;
	pro->fp_set = pro->pc + 2 * 8;
	if (p)
		memcpy(&disp, p + sizeof(mov32), sizeof(disp));
	pro->saves_fp = p && memcmp(p, mov32, sizeof(mov32)) == 0 && disp == at;
}

/* Small frames: str x30, [sp, #-delta]!; stur x29, [sp, #-8]; sub x29, sp, #8
 * Others:       sub x20, sp, ...; stp x29, x30, [x20, #-8]; mov sp, x20; sub x29, sp, #8 */
static void read_prologue_arm(struct gorows *g, struct prologue *pro)
{
	uint32_t code[3], str = 0xf8000ffe | ((uint32_t)-pro->delta & 0x1ff) << 12;
	const uint8_t *p = code_at(g, pro->pc - 8, sizeof(code));
	if (!p)
		return;
	memcpy(code, p, sizeof(code));
	bool is_small = pro->delta <= 256 && code[1] == str && code[2] == 0xf81f83fd;
	pro->saves_fp = is_small || (code[0] == 0xa93ffa9d && code[1] == 0x9100029f);
	pro->fp_set = pro->pc + (is_small ? 8 : 4);
}

static int find_frame(void *arg, uint64_t start, uint64_t end, int32_t delta)
{
	struct prologue *pro = arg;
	pro->pc = start;
	pro->delta = delta;
	return delta > 0;
}

static int read_prologue(struct gorows *g, const struct gofunc *f, struct prologue *ret)
{
	struct prologue pro = { 0 };
	int r = gofuncs_stack(&g->funcs, f, (struct gofunc_sink){ find_frame, &pro });
	if (r == 1 && pro.pc - f->start >= 4 && is_arm(g))
		read_prologue_arm(g, &pro);
	else if (r == 1 && pro.pc > f->start && !is_arm(g))
		read_prologue_x86(g, &pro);
	else if (r == 0)
		pro = (struct prologue){ 0 };
	*ret = pro;
	return r < 0 ? r : g->code.error;
}

/* ---- rows ---------------------------------------------------------------- */

struct maker {
	bool arm;
	uint64_t end; /* of the function, a byte before its last stretch may be */
	enum gorows_kind kind;
	struct prologue prologue;
	struct cfi_sink sink;
	struct unwind_rule last;
	bool any;
};

static const struct unwind_rule unsupported = { .cfa = RULE_UNSUPPORTED };

static int put(struct maker *m, uint64_t start, struct unwind_rule rule)
{
	if (m->any && memcmp(&rule, &m->last, sizeof(rule)) == 0)
		return 0;
	m->any = true;
	m->last = rule;
	return m->sink.put(m->sink.arg, start, &rule);
}

/* Nothing is on the stack yet. */
static struct unwind_rule rule_on_entry(const struct maker *m)
{
	if (m->arm)
		return (struct unwind_rule){ .cfa = RULE_SP, .ra = RULE_RA_IN_LINK };
	return (struct unwind_rule){ .cfa = RULE_SP, .cfa_off = WORD, .ra_off = -WORD };
}

static struct unwind_rule rule_in_frame_x86(const struct maker *m, int32_t delta)
{
	struct unwind_rule rule = { .cfa = RULE_SP, .cfa_off = delta + WORD, .ra_off = -WORD, .fp = RULE_FP_LOST };
	if (m->prologue.saves_fp) {
		rule.fp = RULE_FP_AT_CFA;
		rule.fp_off = -2 * WORD;
	}
	return rule;
}

/* The frame of a prologue that is not known may have the return address anywhere. */
static struct unwind_rule rule_in_frame_arm(const struct maker *m, int32_t delta)
{
	if (!m->prologue.saves_fp || m->prologue.delta > INT16_MAX - WORD)
		return unsupported;
	return (struct unwind_rule){ .cfa = RULE_SP,
				     .cfa_off = delta,
				     .ra_off = (int16_t)-m->prologue.delta,
				     .fp = RULE_FP_AT_CFA,
				     .fp_off = (int16_t)(-m->prologue.delta - WORD) };
}

static struct unwind_rule rule_by_sp(const struct maker *m, int32_t delta)
{
	if (delta == 0)
		return rule_on_entry(m);
	if (delta < 0 || delta > INT32_MAX - WORD)
		return unsupported;
	return m->arm ? rule_in_frame_arm(m, delta) : rule_in_frame_x86(m, delta);
}

/* fp points to where the caller's is saved. */
static struct unwind_rule rule_by_fp(const struct maker *m)
{
	struct unwind_rule rule = rule_by_sp(m, m->prologue.delta);
	if (rule.fp != RULE_FP_AT_CFA)
		return unsupported;
	rule.cfa = RULE_FP;
	rule.cfa_off = -rule.fp_off;
	rule.cfa_add = RULE_OTHER_STACK;
	return rule;
}

static struct unwind_rule rule_of(const struct maker *m, uint64_t pc, int32_t delta)
{
	static const struct unwind_rule stop = { .cfa = RULE_STOP };
	const struct prologue *pro = &m->prologue;
	if (m->kind == GOROWS_MCALL && delta > (pro->saves_fp ? pro->delta : 0))
		return stop;
	if (m->kind == GOROWS_PLAIN || (delta == 0 && pro->delta) || (pro->saves_fp && pc < pro->fp_set))
		return rule_by_sp(m, delta);
	return rule_by_fp(m);
}

static int take_stretch(void *arg, uint64_t start, uint64_t end, int32_t delta)
{
	struct maker *m = arg;
	uint64_t fp_set = m->prologue.fp_set;
	if (start >= m->end)
		return 0;
	if (end > m->end)
		end = m->end;
	int r = put(m, start, rule_of(m, start, delta));
	if (r == 0 && start < fp_set && fp_set < end)
		r = put(m, fp_set, rule_of(m, fp_set, delta));
	return r;
}

int gorows_rows(struct gorows *g, const struct gorows_func *f, struct cfi_sink sink)
{
	static const struct unwind_rule stop = { .cfa = RULE_STOP }, signal_frame = { .cfa = RULE_SIGNAL };
	struct maker m = { .arm = is_arm(g), .end = f->end, .kind = f->kind, .sink = sink };
	switch (f->kind) {
	case GOROWS_START:
		return put(&m, f->start, stop);
	case GOROWS_SIGRETURN:
		return put(&m, f->start, signal_frame);
	case GOROWS_UNKNOWN:
		return put(&m, f->start, unsupported);
	case GOROWS_PLAIN:
	case GOROWS_SWITCH:
	case GOROWS_MCALL:
		break;
	}
	int r = read_prologue(g, &f->func, &m.prologue);
	return r < 0 ? r : gofuncs_stack(&g->funcs, &f->func, (struct gofunc_sink){ take_stretch, &m });
}
