/* SPDX-License-Identifier: Apache-2.0 */
#include "object/rust_v0.h"

#include "object/punycode.h"
#include "object/rust_v0_printer.h"

/* ---- numbers and identifiers ---------------------------------------------- */

/* "_" is 0, "0_" is 1 ... */
static uint64_t read_base62(struct rust_v0 *p)
{
	uint64_t n = 0;
	if (eat(p, '_'))
		return 0;
	while (step(p) && !eat(p, '_')) {
		char c = next(p);
		uint64_t digit = is_digit(c)		? (uint64_t)(c - '0')
				 : c >= 'a' && c <= 'z' ? (uint64_t)(c - 'a' + 10)
				 : c >= 'A' && c <= 'Z' ? (uint64_t)(c - 'A' + 36)
							: 62;
		if (digit == 62 || __builtin_mul_overflow(n, 62, &n) || __builtin_add_overflow(n, digit, &n))
			fail(p, -EBADMSG);
	}
	if (__builtin_add_overflow(n, 1, &n))
		fail(p, -EBADMSG);
	return n;
}

/* 0: it is not there. */
static uint64_t read_optional(struct rust_v0 *p, char tag)
{
	uint64_t n = 0;
	if (eat(p, tag) && __builtin_add_overflow(read_base62(p), 1, &n))
		fail(p, -EBADMSG);
	return n;
}

uint64_t rust_v0_disambiguator(struct rust_v0 *p)
{
	return read_optional(p, 's');
}

static uint32_t read_decimal(struct rust_v0 *p)
{
	uint64_t n = 0;
	if (!is_digit(look(p)))
		fail(p, -EBADMSG);
	if (eat(p, '0'))
		return 0;
	for (; is_digit(look(p)) && n < UINT32_MAX; p->at++)
		n = n * 10 + (uint64_t)(*p->at - '0');
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static struct slice read_bytes(struct rust_v0 *p, uint32_t n)
{
	struct slice s = slice_of(p->at, n);
	if (!p->error && n <= (size_t)(p->end - p->at)) {
		p->at += n;
		return s;
	}
	fail(p, -EBADMSG);
	return slice_of(NULL, 0);
}

struct rust_v0_name rust_v0_identifier(struct rust_v0 *p)
{
	bool is_punycode = eat(p, 'u');
	uint32_t n = read_decimal(p);
	(void)eat(p, '_'); /* stands before a digit or "_" that is the name's own */
	struct rust_v0_name id = { .ascii = read_bytes(p, n) };
	if (!is_punycode || p->error)
		return id;
	/* What is ASCII, "_", where the rest goes. */
	size_t i = n;
	while (i > 0 && id.ascii.data[i - 1] != '_')
		i--;
	id.punycode = slice_of(id.ascii.data + i, n - i);
	id.ascii.size = i ? i - 1 : 0;
	if (id.punycode.size == 0)
		fail(p, -EBADMSG);
	return id;
}

void rust_v0_put(struct rust_v0 *p, const struct rust_v0_name *id)
{
	struct punycode c;
	if (id->punycode.size == 0) {
		put_bytes(p, (const char *)id->ascii.data, id->ascii.size);
	} else if (p->is_skipping) {
		return;
	} else if (punycode_decode(id->ascii, id->punycode, &c)) {
		for (size_t i = 0; i < c.n; i++)
			put_character(p, c.text[i]);
	} else {
		fail(p, -EBADMSG);
	}
}

/* ---- lifetimes and references back ----------------------------------- */

/* Counted from the innermost binder outwards: 1 is its last. */
static void put_lifetime(struct rust_v0 *p, uint64_t i)
{
	put(p, "'");
	if (i == 0) {
		put(p, "_");
		return;
	}
	uint64_t depth = p->n_lifetimes - i;
	if (i > p->n_lifetimes)
		fail(p, -EBADMSG);
	else if (depth < 26)
		put_bytes(p, &"abcdefghijklmnopqrstuvwxyz"[depth], 1);
	else {
		put(p, "_");
		put_number(p, depth);
	}
}

/* for<'a, 'b>; the caller gives n_lifetimes back. There may be 2^60 of them:
 * the end of the output ends that too. */
static void print_binder(struct rust_v0 *p)
{
	uint64_t n = read_optional(p, 'G');
	if (n == 0)
		return;
	if (p->is_skipping || __builtin_add_overflow(p->n_lifetimes, n, &(uint64_t){ 0 })) {
		p->n_lifetimes += p->is_skipping && n < UINT32_MAX ? n : 0;
		return;
	}
	put(p, "for<");
	for (uint64_t i = 0; i < n && !p->error; i++) {
		put(p, i ? ", " : "");
		p->n_lifetimes++;
		put_lifetime(p, 1);
	}
	put(p, "> ");
}

void rust_v0_follow(struct rust_v0 *p, void (*print)(struct rust_v0 *, bool), bool in_value)
{
	const char *start = p->at - 1;
	uint64_t off = read_base62(p);
	if (p->error || p->is_skipping)
		return;
	if (off >= (uint64_t)(start - p->name)) {
		fail(p, -EBADMSG);
		return;
	}
	const char *at = p->at;
	p->at = p->name + off;
	print(p, in_value);
	if (!p->error)
		p->at = at;
}

/* ---- paths ----------------------------------------------------------- */

static void print_generic_argument(struct rust_v0 *p)
{
	if (eat(p, 'L'))
		put_lifetime(p, read_base62(p));
	else if (eat(p, 'K'))
		rust_v0_const(p, false);
	else
		rust_v0_type(p);
}

/* Up to E. */
static void print_generic_arguments(struct rust_v0 *p)
{
	for (bool any = false; !p->error && !eat(p, 'E'); any = true) {
		put(p, any ? ", " : "");
		print_generic_argument(p);
	}
}

/* Closures and the like have numbers, {closure#0}; the rest has names. */
static void print_nested(struct rust_v0 *p, bool in_value)
{
	char space = next(p);
	rust_v0_path(p, in_value);
	uint64_t number = rust_v0_disambiguator(p);
	struct rust_v0_name id = rust_v0_identifier(p);
	if (space >= 'A' && space <= 'Z') {
		put(p, "::{");
		put_bytes(p,
			  space == 'C'	 ? "closure"
			  : space == 'S' ? "shim"
					 : &space,
			  space == 'C'	 ? 7
			  : space == 'S' ? 4
					 : 1);
		if (id.ascii.size || id.punycode.size) {
			put(p, ":");
			rust_v0_put(p, &id);
		}
		put(p, "#");
		put_number(p, number);
		put(p, "}");
	} else if (id.ascii.size || id.punycode.size) {
		put(p, "::");
		rust_v0_put(p, &id);
	}
}

/* <type>, <type as trait>; where an impl stands is passed over. */
static void print_impl(struct rust_v0 *p, char tag)
{
	if (tag != 'Y') {
		bool was_skipping = p->is_skipping;
		(void)rust_v0_disambiguator(p);
		p->is_skipping = true;
		rust_v0_path(p, false);
		p->is_skipping = was_skipping;
	}
	put(p, "<");
	rust_v0_type(p);
	if (tag != 'M') {
		put(p, " as ");
		rust_v0_path(p, false);
	}
	put(p, ">");
}

void rust_v0_path(struct rust_v0 *p, bool in_value)
{
	struct rust_v0_name id;
	if (!enter(p))
		return;
	char tag = next(p);
	switch (tag) {
	case 'C':
		(void)rust_v0_disambiguator(p);
		id = rust_v0_identifier(p);
		rust_v0_put(p, &id);
		break;
	case 'N':
		print_nested(p, in_value);
		break;
	case 'M':
	case 'X':
	case 'Y':
		print_impl(p, tag);
		break;
	case 'I':
		rust_v0_path(p, in_value);
		put(p, in_value ? "::<" : "<");
		print_generic_arguments(p);
		put(p, ">");
		break;
	case 'B':
		rust_v0_follow(p, rust_v0_path, in_value);
		break;
	default:
		fail(p, -EBADMSG);
	}
	p->depth--;
}

/* ---- types ----------------------------------------------------------- */

static const char *basic_type(char c)
{
	static const char *const names[26] = {
		['a' - 'a'] = "i8",    ['b' - 'a'] = "bool", ['c' - 'a'] = "char", ['d' - 'a'] = "f64",
		['e' - 'a'] = "str",   ['f' - 'a'] = "f32",  ['h' - 'a'] = "u8",   ['i' - 'a'] = "isize",
		['j' - 'a'] = "usize", ['l' - 'a'] = "i32",  ['m' - 'a'] = "u32",  ['n' - 'a'] = "i128",
		['o' - 'a'] = "u128",  ['p' - 'a'] = "_",    ['s' - 'a'] = "i16",  ['t' - 'a'] = "u16",
		['u' - 'a'] = "()",    ['v' - 'a'] = "...",  ['x' - 'a'] = "i64",  ['y' - 'a'] = "u64",
		['z' - 'a'] = "!",
	};
	return c >= 'a' && c <= 'z' ? names[c - 'a'] : NULL;
}

/* Up to E: how many. */
static uint32_t print_types(struct rust_v0 *p)
{
	uint32_t n = 0;
	for (; !p->error && !eat(p, 'E'); n++) {
		put(p, n ? ", " : "");
		rust_v0_type(p);
	}
	return n;
}

static void print_reference(struct rust_v0 *p, bool is_mut)
{
	put(p, "&");
	if (eat(p, 'L')) {
		uint64_t lifetime = read_base62(p);
		if (lifetime) {
			put_lifetime(p, lifetime);
			put(p, " ");
		}
	}
	put(p, is_mut ? "mut " : "");
	rust_v0_type(p);
}

/* extern "C", extern "rust-call": with _ for -. */
static void print_abi(struct rust_v0 *p)
{
	struct rust_v0_name id = { .ascii = slice_str("C") };
	if (!eat(p, 'C'))
		id = rust_v0_identifier(p);
	if (id.punycode.size)
		fail(p, -EBADMSG);
	put(p, "extern \"");
	for (size_t i = 0; i < id.ascii.size; i++)
		put_bytes(p, id.ascii.data[i] == '_' ? "-" : (const char *)&id.ascii.data[i], 1);
	put(p, "\" ");
}

static void print_function_type(struct rust_v0 *p)
{
	uint64_t n_lifetimes = p->n_lifetimes;
	print_binder(p);
	if (eat(p, 'U'))
		put(p, "unsafe ");
	if (eat(p, 'K'))
		print_abi(p);
	put(p, "fn(");
	(void)print_types(p);
	put(p, ")");
	if (!eat(p, 'u')) {
		put(p, " -> ");
		rust_v0_type(p);
	}
	p->n_lifetimes = n_lifetimes;
}

/* A trait's path, whose "<" stays open for what its types are. */
static void print_open_path(struct rust_v0 *p, bool in_value)
{
	if (!enter(p))
		return;
	if (eat(p, 'B')) {
		rust_v0_follow(p, print_open_path, in_value);
	} else if (eat(p, 'I')) {
		rust_v0_path(p, in_value);
		put(p, "<");
		print_generic_arguments(p);
	} else {
		rust_v0_path(p, in_value);
	}
	p->depth--;
}

/* Whether the path at hand has arguments of its own: what print_open_path() does. */
static bool is_open(const struct rust_v0 *p)
{
	struct rust_v0 ahead = *p;
	if (p->is_skipping)
		return false;
	for (uint32_t i = 0; i < RUST_V0_MAX_DEPTH && eat(&ahead, 'B'); i++) {
		const char *start = ahead.at - 1;
		uint64_t off = read_base62(&ahead);
		if (ahead.error || off >= (uint64_t)(start - ahead.name))
			return false;
		ahead.at = ahead.name + off;
	}
	return look(&ahead) == 'I';
}

static void print_trait(struct rust_v0 *p)
{
	bool open = is_open(p);
	print_open_path(p, false);
	while (!p->error && eat(p, 'p')) {
		put(p, open ? ", " : "<");
		open = true;
		struct rust_v0_name id = rust_v0_identifier(p);
		rust_v0_put(p, &id);
		put(p, " = ");
		rust_v0_type(p);
	}
	put(p, open ? ">" : "");
}

static void print_dyn(struct rust_v0 *p)
{
	uint64_t n_lifetimes = p->n_lifetimes;
	put(p, "dyn ");
	print_binder(p);
	for (bool any = false; !p->error && !eat(p, 'E'); any = true) {
		put(p, any ? " + " : "");
		print_trait(p);
	}
	p->n_lifetimes = n_lifetimes;
	if (!eat(p, 'L'))
		fail(p, -EBADMSG);
	uint64_t lifetime = read_base62(p);
	if (lifetime) {
		put(p, " + ");
		put_lifetime(p, lifetime);
	}
}

static void print_type_again(struct rust_v0 *p, bool in_value)
{
	rust_v0_type(p);
}

void rust_v0_type(struct rust_v0 *p)
{
	if (!enter(p))
		return;
	char tag = next(p);
	const char *basic = basic_type(tag);
	if (basic)
		put(p, basic);
	else if (tag == 'R' || tag == 'Q')
		print_reference(p, tag == 'Q');
	else if (tag == 'P' || tag == 'O') {
		put(p, tag == 'P' ? "*const " : "*mut ");
		rust_v0_type(p);
	} else if (tag == 'A' || tag == 'S') {
		put(p, "[");
		rust_v0_type(p);
		if (tag == 'A') {
			put(p, "; ");
			rust_v0_const(p, true);
		}
		put(p, "]");
	} else if (tag == 'T') {
		put(p, "(");
		put(p, print_types(p) == 1 ? ",)" : ")");
	} else if (tag == 'F')
		print_function_type(p);
	else if (tag == 'D')
		print_dyn(p);
	else if (tag == 'B')
		rust_v0_follow(p, print_type_again, false);
	else if (tag) {
		p->at--;
		rust_v0_path(p, false);
	}
	p->depth--;
}

/* ---- the whole ----------------------------------------------------------- */

int rust_v0_print(struct slice name, char *out, uint32_t size)
{
	if (!slice_has_prefix(name, "_R"))
		return -EBADMSG;
	const char *start = (const char *)name.data + 2;
	struct rust_v0 p = {
		.name = start, .at = start, .end = (const char *)name.data + name.size, .out = out, .size = size
	};
	if (look(&p) < 'A' || look(&p) > 'Z')
		return -EBADMSG; /* a digit: an encoding of the future */
	rust_v0_path(&p, true);
	if (p.at < p.end) { /* the crate that instantiated it */
		p.is_skipping = true;
		rust_v0_path(&p, false);
	}
	if (p.at != p.end)
		fail(&p, -EBADMSG);
	return p.error ? p.error : (int)p.n;
}
