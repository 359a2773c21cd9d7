/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/cfi.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#define ENTRIES_WINDOW	 (128u << 10)
#define CIES_WINDOW	 (4u << 10)
#define AUGMENTATION_MAX 16
#define ARM_LINK	 30 /* register of the return address */
#define STATES_MAX	 16 /* DW_CFA_remember_state, nested */

enum {
	DW_EH_PE_ABSPTR = 0x00,
	DW_EH_PE_ULEB128 = 0x01,
	DW_EH_PE_UDATA2 = 0x02,
	DW_EH_PE_UDATA4 = 0x03,
	DW_EH_PE_UDATA8 = 0x04,
	DW_EH_PE_SLEB128 = 0x09,
	DW_EH_PE_SDATA2 = 0x0a,
	DW_EH_PE_SDATA4 = 0x0b,
	DW_EH_PE_SDATA8 = 0x0c,
	DW_EH_PE_PCREL = 0x10,
	DW_EH_PE_INDIRECT = 0x80,
	DW_EH_PE_OMIT = 0xff,
};

enum {
	DW_OP_LIT0 = 0x30,
	DW_OP_BREG0 = 0x70,
	DW_OP_DEREF = 0x06,
	DW_OP_PLUS = 0x22,
	DW_OP_PLUS_UCONST = 0x23,
};

/* A stretch of the section, read forward through a window. The first failure
 * sticks; reads after it give 0. */
struct reader {
	struct filewin *w;
	const struct elf_cfi *section;
	uint64_t off, end; /* in the section */
	int error;
	const uint8_t *at, *limit; /* what the window shows from `off` on */
};

static struct reader reader_of(struct filewin *w, const struct elf_cfi *section, uint64_t off, uint64_t end)
{
	struct reader r = { .w = w, .section = section, .off = off, .end = end };
	if (end > section->size || off > end)
		r.error = -EBADMSG;
	return r;
}

/* Makes at least one byte visible. */
static bool refill(struct reader *r)
{
	if (r->error)
		return false;
	if (r->off >= r->end) {
		r->error = -EBADMSG;
		return false;
	}
	uint32_t n;
	r->at = filewin_ahead(r->w, r->section->off + r->off, &n);
	if (!r->at) {
		r->error = r->w->error ? r->w->error : -EBADMSG;
		return false;
	}
	r->limit = r->end - r->off < n ? r->at + (r->end - r->off) : r->at + n;
	return true;
}

static uint8_t read_u8(struct reader *r)
{
	if (r->at == r->limit && !refill(r))
		return 0;
	r->off++;
	return *r->at++;
}

/* Little-endian, `size` bytes. */
static uint64_t read_uint(struct reader *r, unsigned size)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)read_u8(r) << (8 * i);
	return r->error ? 0 : v;
}

static uint64_t read_uleb(struct reader *r)
{
	uint64_t v = 0;
	for (unsigned shift = 0;; shift += 7) {
		uint8_t byte = read_u8(r);
		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80) || r->error)
			return v;
	}
}

static int64_t read_sleb(struct reader *r)
{
	uint64_t v = 0;
	for (unsigned shift = 0;;) {
		uint8_t byte = read_u8(r);
		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (byte & 0x80 && !r->error)
			continue;
		if (byte & 0x40 && shift < 64)
			v |= ~0ull << shift;
		return (int64_t)v;
	}
}

static void skip(struct reader *r, uint64_t n)
{
	if (r->error)
		return;
	if (n > r->end - r->off) {
		r->error = -EBADMSG;
		return;
	}
	r->off += n;
	r->at = r->limit = NULL;
}

/* A pointer in one of the encodings that unwind tables use. */
static uint64_t read_encoded(struct reader *r, uint8_t encoding, bool relative)
{
	uint64_t at = r->section->vaddr + r->off, v;
	switch (encoding & 0x0f) {
	case DW_EH_PE_ABSPTR:
	case DW_EH_PE_UDATA8:
	case DW_EH_PE_SDATA8:
		v = read_uint(r, 8);
		break;
	case DW_EH_PE_ULEB128:
		v = read_uleb(r);
		break;
	case DW_EH_PE_SLEB128:
		v = (uint64_t)read_sleb(r);
		break;
	case DW_EH_PE_UDATA2:
		v = read_uint(r, 2);
		break;
	case DW_EH_PE_SDATA2:
		v = (uint64_t)(int64_t)(int16_t)read_uint(r, 2);
		break;
	case DW_EH_PE_UDATA4:
		v = read_uint(r, 4);
		break;
	case DW_EH_PE_SDATA4:
		v = (uint64_t)(int64_t)(int32_t)read_uint(r, 4);
		break;
	default:
		r->error = -EBADMSG;
		return 0;
	}
	if (!relative)
		return v;
	if ((encoding & 0x70) == DW_EH_PE_PCREL)
		return v + at;
	if (encoding & 0xf0)
		r->error = -EBADMSG; /* relative to what no unwind table uses */
	return v;
}

/* ---- entries ------------------------------------------------------------- */

int cfi_init(struct cfi *c, const struct elf *e, bool debug_frame)
{
	const struct elf_cfi *section = debug_frame ? &e->debug_frame : &e->eh_frame;
	bool arm = e->machine == EM_AARCH64;
	if (section->size == 0)
		return -ENOENT;
	*c = (struct cfi){
		.elf = e, .section = *section, .sp = arm ? 31 : 7, .fp = arm ? 29 : 6, .ra = arm ? ARM_LINK : 16
	};
	for (uint32_t i = 0; i < CFI_CIE_SLOTS; i++)
		c->cie[i].off = UINT64_MAX;
	int r = filewin_init(&c->entries, e->fd, e->file_size, ENTRIES_WINDOW);
	if (r < 0)
		return r;
	r = filewin_init(&c->cies, e->fd, e->file_size, CIES_WINDOW);
	if (r < 0)
		filewin_done(&c->entries);
	return r;
}

void cfi_done(struct cfi *c)
{
	filewin_done(&c->entries);
	filewin_done(&c->cies);
}

/* Length and id of an entry; the reader's end becomes the entry's. False: the
 * end of the section, or its length is wrong (r->error). */
static bool read_head(struct reader *r, uint64_t *ret_id, uint64_t *ret_id_off, unsigned *ret_id_size)
{
	uint64_t length = read_uint(r, 4);
	unsigned size = 4;
	if (length == UINT32_MAX) {
		length = read_uint(r, 8);
		size = 8;
	}
	if (r->error || length == 0)
		return false;
	if (length > r->end - r->off || length < size) {
		r->error = -EBADMSG;
		return false;
	}
	r->end = r->off + length;
	r->at = r->limit = NULL;
	*ret_id_off = r->off;
	*ret_id_size = size;
	*ret_id = read_uint(r, size);
	return !r->error;
}

static bool is_cie(const struct cfi *c, uint64_t id, unsigned id_size)
{
	if (!c->section.is_debug)
		return id == 0;
	return id == (id_size == 4 ? UINT32_MAX : UINT64_MAX);
}

/* The augmentation's letters tell what follows; 'z' gives the size of it all,
 * so that unknown letters can be passed over. */
static void read_augmentation(struct reader *r, const char *letters, struct cfi_cie *cie)
{
	if (letters[0] != 'z') {
		if (letters[0])
			r->error = -EBADMSG;
		return;
	}
	uint64_t size = read_uleb(r);
	if (r->error || size > r->end - r->off) {
		r->error = -EBADMSG;
		return;
	}
	uint64_t end = r->off + size;
	cie->has_augmentation_size = true;
	for (const char *l = letters + 1; *l && !r->error; l++) {
		if (*l == 'R') {
			cie->fde_encoding = read_u8(r);
		} else if (*l == 'P') {
			uint8_t encoding = read_u8(r);
			(void)read_encoded(r, encoding, false);
		} else if (*l == 'L') {
			(void)read_u8(r);
		} else if (*l == 'S') {
			cie->is_signal = true;
		} else if (*l != 'B') {
			break;
		}
	}
	if (r->error || r->off > end)
		r->error = -EBADMSG;
	else
		skip(r, end - r->off);
}

static int read_cie(struct cfi *c, uint64_t off, struct cfi_cie *ret)
{
	struct reader r = reader_of(&c->cies, &c->section, off, c->section.size);
	struct cfi_cie cie = { .off = off };
	char letters[AUGMENTATION_MAX];
	uint64_t id, id_off;
	unsigned id_size, n = 0;
	if (!read_head(&r, &id, &id_off, &id_size) || !is_cie(c, id, id_size))
		return r.error ? r.error : -EBADMSG;
	uint8_t version = read_u8(&r);
	if (version != 1 && version != 3 && version != 4)
		return r.error ? r.error : -EBADMSG;
	while ((letters[n] = (char)read_u8(&r)) && !r.error)
		if (++n == AUGMENTATION_MAX)
			return -EBADMSG;
	if (version == 4) {
		/* Addresses of 8 bytes, no segments. */
		if (read_u8(&r) != 8 || read_u8(&r) != 0)
			return r.error ? r.error : -EBADMSG;
	}
	cie.code_align = read_uleb(&r);
	cie.data_align = read_sleb(&r);
	uint64_t ra = version == 1 ? read_u8(&r) : read_uleb(&r);
	if (ra != c->ra)
		return r.error ? r.error : -EBADMSG;
	read_augmentation(&r, letters, &cie);
	cie.program = r.off;
	cie.program_end = r.end;
	if (r.error)
		return r.error;
	*ret = cie;
	return 0;
}

static int find_cie(struct cfi *c, uint64_t off, const struct cfi_cie **ret)
{
	struct cfi_cie *slot = &c->cie[(off >> 3) % CFI_CIE_SLOTS];
	int r = slot->off == off ? 0 : read_cie(c, off, slot);
	*ret = slot;
	return r;
}

static int read_fde(struct cfi *c, struct reader *r, uint64_t cie_off, struct cfi_fde *ret)
{
	const struct cfi_cie *cie;
	int k = find_cie(c, cie_off, &cie);
	if (k < 0)
		return k;
	if (cie->fde_encoding & DW_EH_PE_INDIRECT)
		return -EBADMSG;
	uint64_t start = read_encoded(r, cie->fde_encoding, true), end;
	uint64_t size = read_encoded(r, cie->fde_encoding, false);
	if (__builtin_add_overflow(start, size, &end))
		return -EBADMSG;
	if (cie->has_augmentation_size)
		skip(r, read_uleb(r));
	if (r->error)
		return r->error;
	*ret = (struct cfi_fde){ .start = start, .end = end, .cie = cie_off, .program = r->off, .program_end = r->end };
	return 1;
}

int cfi_next(struct cfi *c, uint64_t *off, struct cfi_fde *ret)
{
	if (*off >= c->section.size)
		return -ENODATA;
	struct reader r = reader_of(&c->entries, &c->section, *off, c->section.size);
	uint64_t id, id_off;
	unsigned id_size;
	if (!read_head(&r, &id, &id_off, &id_size)) {
		*off = c->section.size;
		if (!r.error)
			return -ENODATA;
		return r.error;
	}
	*off = r.end;
	if (is_cie(c, id, id_size))
		return 0;
	uint64_t cie_off = c->section.is_debug ? id : id_off - id;
	if (!c->section.is_debug && id > id_off)
		return -EBADMSG;
	return read_fde(c, &r, cie_off, ret);
}

/* ---- programs ------------------------------------------------------------ */

enum ra_state { RA_UNSET, RA_AT_CFA, RA_SAME, RA_UNDEFINED, RA_ELSEWHERE };

/* The part of DWARF's register table that a rule can hold. */
struct state {
	struct unwind_rule rule; /* its fp part, and the CFA's if that is an expression */
	bool cfa_is_expr;
	uint64_t cfa_reg;
	int64_t cfa_off;
	enum ra_state ra;
	int64_t ra_off;
};

struct machine {
	struct cfi *c;
	const struct cfi_cie *cie;
	struct reader r;
	struct cfi_sink sink;
	uint64_t pc, end;
	struct state now, initial;
	struct state saved[STATES_MAX];
	unsigned n_saved;
	struct unwind_rule last; /* handed on */
	bool any;
};

static bool fits(int64_t v, int64_t min, int64_t max)
{
	return v >= min && v <= max;
}

static void set_fp(struct machine *m, uint8_t kind, int64_t off)
{
	bool fit = fits(off, INT16_MIN, INT16_MAX);
	m->now.rule.fp = fit ? kind : RULE_FP_LOST;
	m->now.rule.fp_off = (int16_t)(fit && (kind == RULE_FP_AT_CFA || kind == RULE_FP_AT_FP) ? off : 0);
}

static void set_unsupported(struct machine *m)
{
	m->now.cfa_is_expr = true;
	m->now.rule.cfa = RULE_UNSUPPORTED;
	m->now.rule.cfa_off = 0;
	m->now.rule.cfa_add = 0;
}

/* register = *(CFA + off) */
static void set_offset(struct machine *m, uint64_t reg, int64_t off)
{
	if (reg == m->c->fp) {
		set_fp(m, RULE_FP_AT_CFA, off);
	} else if (reg == m->c->ra) {
		m->now.ra = RA_AT_CFA;
		m->now.ra_off = off;
	}
}

/* The register's value is that of the caller, not known, or not followed. */
static void set_plain(struct machine *m, uint64_t reg, enum ra_state how)
{
	if (reg == m->c->fp)
		set_fp(m, how == RA_SAME ? RULE_FP_SAME : RULE_FP_LOST, 0);
	else if (reg == m->c->ra)
		m->now.ra = how;
}

static void restore(struct machine *m, uint64_t reg)
{
	if (reg == m->c->fp) {
		m->now.rule.fp = m->initial.rule.fp;
		m->now.rule.fp_off = m->initial.rule.fp_off;
	} else if (reg == m->c->ra) {
		m->now.ra = m->initial.ra;
		m->now.ra_off = m->initial.ra_off;
	}
}

/* CFA by expression. Two forms are in use: that of the PLT, told by its
 * length and first bytes, and "*(reg + off) + add" of functions that realign
 * their stack. */
static void set_cfa_expression(struct machine *m)
{
	/* breg7 8; breg16 0; lit15; and; litN; ge; lit3; shl; plus */
	static const uint8_t plt[] = { 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0, 0x2a, 0x33, 0x24, 0x22 };
	uint8_t op[sizeof(plt)];
	struct reader *r = &m->r;
	uint64_t size = read_uleb(r), end = r->off + size;
	if (r->error || size > r->end - r->off) {
		r->error = -EBADMSG;
		return;
	}
	struct reader start = *r;
	set_unsupported(m);
	if (size == sizeof(op) && m->c->ra == 16) {
		for (size_t i = 0; i < sizeof(op); i++)
			op[i] = read_u8(r);
		uint8_t n = (uint8_t)(op[6] - DW_OP_LIT0);
		op[6] = 0;
		if (memcmp(op, plt, sizeof(op)) == 0 && n < 16) {
			m->now.rule.cfa = RULE_PLT;
			m->now.rule.cfa_off = n;
			return;
		}
		*r = start;
	}
	uint64_t reg = (uint64_t)read_u8(r) - DW_OP_BREG0;
	int64_t off = reg <= 31 ? read_sleb(r) : 0, add = 0;
	bool deref = r->off < end && read_u8(r) == DW_OP_DEREF;
	if (deref && r->off < end) {
		uint8_t next = read_u8(r);
		if (next == DW_OP_PLUS_UCONST) {
			uint64_t v = read_uleb(r);
			add = v < 128 ? (int64_t)v : 128;
		} else if (next >= DW_OP_LIT0 && next < DW_OP_LIT0 + 32 && r->off < end && read_u8(r) == DW_OP_PLUS) {
			add = next - DW_OP_LIT0;
		} else {
			deref = false;
		}
	}
	if (!r->error && deref && r->off == end && fits(off, INT32_MIN, INT32_MAX) && add < 128 &&
	    (reg == m->c->sp || reg == m->c->fp)) {
		m->now.rule.cfa = reg == m->c->sp ? RULE_SP_DEREF : RULE_FP_DEREF;
		m->now.rule.cfa_off = (int32_t)off;
		m->now.rule.cfa_add = (int8_t)add;
	}
	if (!r->error && r->off <= end)
		skip(r, end - r->off);
	else
		r->error = -EBADMSG;
}

/* register = *(expression): of a realigned function's frame pointer. */
static void set_expression(struct machine *m, bool is_value)
{
	struct reader *r = &m->r;
	uint64_t reg = read_uleb(r), size = read_uleb(r), end = r->off + size;
	if (r->error || size > r->end - r->off) {
		r->error = -EBADMSG;
		return;
	}
	if (reg == m->c->fp && size && !is_value && read_u8(r) == DW_OP_BREG0 + m->c->fp) {
		int64_t off = read_sleb(r);
		set_fp(m, r->off == end ? RULE_FP_AT_FP : RULE_FP_LOST, off);
	} else {
		set_plain(m, reg, RA_ELSEWHERE);
	}
	if (!r->error && r->off <= end)
		skip(r, end - r->off);
	else
		r->error = -EBADMSG;
}

static void set_cfa(struct machine *m, uint64_t reg, int64_t off)
{
	m->now.cfa_is_expr = false;
	m->now.cfa_reg = reg;
	m->now.cfa_off = off;
}

/* What the state says, as a rule. */
static struct unwind_rule rule_of(const struct machine *m)
{
	static const struct unwind_rule unsupported = { .cfa = RULE_UNSUPPORTED };
	const struct state *s = &m->now;
	struct unwind_rule rule = s->rule;
	bool in_link = s->ra == RA_SAME || (s->ra == RA_UNSET && m->c->ra == ARM_LINK);
	if (m->cie->is_signal)
		return (struct unwind_rule){ .cfa = RULE_SIGNAL };
	if (s->ra == RA_UNDEFINED)
		return (struct unwind_rule){ .cfa = RULE_STOP };
	if (s->ra == RA_AT_CFA && fits(s->ra_off, INT16_MIN, INT16_MAX))
		rule.ra_off = (int16_t)s->ra_off;
	else if (in_link && m->c->ra == ARM_LINK)
		rule.ra = RULE_RA_IN_LINK;
	else
		return unsupported;
	if (s->cfa_is_expr)
		return rule.cfa == RULE_UNSUPPORTED ? unsupported : rule;
	if ((s->cfa_reg != m->c->sp && s->cfa_reg != m->c->fp) || !fits(s->cfa_off, INT32_MIN, INT32_MAX))
		return unsupported;
	rule.cfa = s->cfa_reg == m->c->sp ? RULE_SP : RULE_FP;
	rule.cfa_off = (int32_t)s->cfa_off;
	rule.cfa_add = 0;
	return rule;
}

/* Hands the current row on unless it says what the last one did. */
static int emit(struct machine *m)
{
	struct unwind_rule rule = rule_of(m);
	if (m->any && memcmp(&rule, &m->last, sizeof(rule)) == 0)
		return 0;
	m->any = true;
	m->last = rule;
	return m->sink.put(m->sink.arg, m->pc, &rule);
}

/* A row ends where the location moves. */
static int advance(struct machine *m, uint64_t delta)
{
	uint64_t to;
	if (__builtin_mul_overflow(delta, m->cie->code_align, &delta) || __builtin_add_overflow(m->pc, delta, &to))
		return -EBADMSG;
	if (m->r.error)
		return m->r.error;
	int r = delta && m->pc < m->end ? emit(m) : 0;
	m->pc = to;
	return r;
}

static int set_location(struct machine *m, uint64_t to)
{
	if (m->r.error || to < m->pc)
		return -EBADMSG;
	int r = to > m->pc && m->pc < m->end ? emit(m) : 0;
	m->pc = to;
	return r;
}

static int save_state(struct machine *m)
{
	if (m->n_saved == STATES_MAX)
		return -E2BIG;
	m->saved[m->n_saved++] = m->now;
	return 0;
}

static int restore_state(struct machine *m)
{
	if (m->n_saved == 0)
		return -EBADMSG;
	m->now = m->saved[--m->n_saved];
	return 0;
}

static int64_t factored(const struct machine *m, int64_t v)
{
	int64_t off;
	return __builtin_mul_overflow(v, m->cie->data_align, &off) ? INT64_MAX : off;
}

/* Opcodes whose upper two bits are 0. */
static int step_extended(struct machine *m, uint8_t op)
{
	struct reader *r = &m->r;
	uint64_t reg;
	switch (op) {
	case 0x00: /* nop */
		return 0;
	case 0x01: /* set_loc */
		return set_location(m, read_encoded(r, m->cie->fde_encoding, true));
	case 0x02: /* advance_loc1, 2, 4 */
		return advance(m, read_uint(r, 1));
	case 0x03:
		return advance(m, read_uint(r, 2));
	case 0x04:
		return advance(m, read_uint(r, 4));
	case 0x05: /* offset_extended */
		reg = read_uleb(r);
		set_offset(m, reg, factored(m, (int64_t)read_uleb(r)));
		return 0;
	case 0x06: /* restore_extended */
		restore(m, read_uleb(r));
		return 0;
	case 0x07: /* undefined */
		set_plain(m, read_uleb(r), RA_UNDEFINED);
		return 0;
	case 0x08: /* same_value */
		set_plain(m, read_uleb(r), RA_SAME);
		return 0;
	case 0x09: /* register: kept in another one, which is not followed */
		reg = read_uleb(r);
		(void)read_uleb(r);
		set_plain(m, reg, RA_ELSEWHERE);
		return 0;
	case 0x0a:
		return save_state(m);
	case 0x0b:
		return restore_state(m);
	case 0x0c: /* def_cfa */
		reg = read_uleb(r);
		set_cfa(m, reg, (int64_t)read_uleb(r));
		return 0;
	case 0x0d: /* def_cfa_register */
		set_cfa(m, read_uleb(r), m->now.cfa_off);
		return 0;
	case 0x0e: /* def_cfa_offset */
		set_cfa(m, m->now.cfa_reg, (int64_t)read_uleb(r));
		return 0;
	case 0x0f:
		set_cfa_expression(m);
		return 0;
	case 0x10: /* expression */
		set_expression(m, false);
		return 0;
	case 0x11: /* offset_extended_sf */
		reg = read_uleb(r);
		set_offset(m, reg, factored(m, read_sleb(r)));
		return 0;
	case 0x12: /* def_cfa_sf */
		reg = read_uleb(r);
		set_cfa(m, reg, factored(m, read_sleb(r)));
		return 0;
	case 0x13: /* def_cfa_offset_sf */
		set_cfa(m, m->now.cfa_reg, factored(m, read_sleb(r)));
		return 0;
	case 0x14: /* val_offset, val_offset_sf: the register is an address */
	case 0x15:
		reg = read_uleb(r);
		(void)read_uleb(r);
		set_plain(m, reg, RA_ELSEWHERE);
		return 0;
	case 0x16: /* val_expression */
		set_expression(m, true);
		return 0;
	case 0x2d: /* arm64: the return address is signed from here on */
		return 0;
	case 0x2e: /* GNU_args_size */
		(void)read_uleb(r);
		return 0;
	default:
		return -EBADMSG;
	}
}

static int run(struct machine *m, struct filewin *w, uint64_t from, uint64_t to)
{
	m->r = reader_of(w, &m->c->section, from, to);
	int k = m->r.error;
	while (k == 0 && m->r.off < to) {
		uint8_t op = read_u8(&m->r), low = op & 0x3f;
		if (op >> 6 == 1)
			k = advance(m, low);
		else if (op >> 6 == 2)
			set_offset(m, low, factored(m, (int64_t)read_uleb(&m->r)));
		else if (op >> 6 == 3)
			restore(m, low);
		else
			k = step_extended(m, low);
		if (k == 0)
			k = m->r.error;
	}
	return k;
}

int cfi_rows(struct cfi *c, const struct cfi_fde *fde, struct cfi_sink sink)
{
	const struct cfi_cie *cie;
	int k = find_cie(c, fde->cie, &cie);
	if (k < 0)
		return k;
	/* A CIE's program has no locations: nothing is handed on. */
	struct machine m = { .c = c, .cie = cie, .sink = sink, .pc = fde->start, .end = fde->start };
	m.now.cfa_reg = UINT64_MAX;
	k = run(&m, &c->cies, cie->program, cie->program_end);
	if (k < 0)
		return k;
	m.initial = m.now;
	m.pc = fde->start;
	m.end = fde->end;
	k = run(&m, &c->entries, fde->program, fde->program_end);
	return k == 0 && m.pc < m.end ? emit(&m) : k;
}
