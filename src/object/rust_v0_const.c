/* SPDX-License-Identifier: Apache-2.0 */
#include "object/rust_v0_printer.h"

#define INTEGER_DIGITS 16 /* of 64 bits */

/* Hexadecimal digits up to "_", without zeros in front. */
static struct slice read_hex(struct rust_v0 *p)
{
	while (look(p) == '0' && step(p))
		p->at++;
	struct slice digits = slice_of(p->at, 0);
	while (!p->error && !eat(p, '_')) {
		char c = next(p);
		if (!is_digit(c) && !(c >= 'a' && c <= 'f'))
			fail(p, -EBADMSG);
		digits.size++;
	}
	return p->error ? slice_of(NULL, 0) : digits;
}

static uint64_t hex_value(struct slice digits)
{
	uint64_t n = 0;
	for (size_t i = 0; i < digits.size; i++)
		n = n << 4 | (uint64_t)(digits.data[i] <= '9' ? digits.data[i] - '0' : digits.data[i] - 'a' + 10);
	return n;
}

static void print_integer(struct rust_v0 *p)
{
	struct slice digits = read_hex(p);
	if (digits.size <= INTEGER_DIGITS) {
		put_number(p, hex_value(digits));
		return;
	}
	put(p, "0x");
	put_bytes(p, (const char *)digits.data, digits.size);
}

/* As in a literal. */
static void put_escaped(struct rust_v0 *p, uint32_t c, char quote)
{
	char text[16];
	if (c == '\\' || c == (uint32_t)quote) {
		put_bytes(p, "\\", 1);
		put_character(p, c);
	} else if (c == '\n' || c == '\r' || c == '\t') {
		put(p, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
	} else if (c < 0x20 || c == 0x7f) {
		(void)snprintf(text, sizeof(text), "\\u{%x}", c);
		put(p, text);
	} else {
		put_character(p, c);
	}
}

static void print_char(struct rust_v0 *p)
{
	struct slice digits = read_hex(p);
	uint64_t c = digits.size <= INTEGER_DIGITS ? hex_value(digits) : UINT64_MAX;
	if (!utf8_is_character(c)) {
		fail(p, -EBADMSG);
		return;
	}
	put(p, "'");
	put_escaped(p, (uint32_t)c, '\'');
	put(p, "'");
}

/* Two digits a byte, which are UTF-8: taken as they are. */
static void print_str(struct rust_v0 *p)
{
	put(p, "\"");
	while (!p->error && !eat(p, '_')) {
		char digits[2] = { next(p), next(p) };
		for (int i = 0; i < 2; i++)
			if (!is_digit(digits[i]) && !(digits[i] >= 'a' && digits[i] <= 'f'))
				fail(p, -EBADMSG);
		uint8_t byte = p->error ? 0 : (uint8_t)hex_value(slice_of(digits, 2));
		if (byte < 0x80)
			put_escaped(p, byte, '"');
		else
			put_bytes(p, (const char *)&byte, 1);
	}
	put(p, "\"");
}

static uint32_t print_consts(struct rust_v0 *p)
{
	uint32_t n = 0;
	for (; !p->error && !eat(p, 'E'); n++) {
		put(p, n ? ", " : "");
		rust_v0_const(p, true);
	}
	return n;
}

/* A value of an enum or struct. */
static void print_aggregate(struct rust_v0 *p)
{
	rust_v0_path(p, true);
	switch (next(p)) {
	case 'U':
		break;
	case 'T':
		put(p, "(");
		(void)print_consts(p);
		put(p, ")");
		break;
	case 'S':
		put(p, " { ");
		for (bool any = false; !p->error && !eat(p, 'E'); any = true) {
			put(p, any ? ", " : "");
			(void)rust_v0_disambiguator(p);
			struct rust_v0_name id = rust_v0_identifier(p);
			rust_v0_put(p, &id);
			put(p, ": ");
			rust_v0_const(p, true);
		}
		put(p, " }");
		break;
	default:
		fail(p, -EBADMSG);
	}
}

static void print_compound(struct rust_v0 *p, char tag)
{
	switch (tag) {
	case 'R':
	case 'Q':
		if (tag == 'R' && eat(p, 'e')) { /* &str is as it is written */
			print_str(p);
			break;
		}
		put(p, tag == 'R' ? "&" : "&mut ");
		rust_v0_const(p, true);
		break;
	case 'A':
		put(p, "[");
		(void)print_consts(p);
		put(p, "]");
		break;
	case 'T':
		put(p, "(");
		put(p, print_consts(p) == 1 ? ",)" : ")");
		break;
	default:
		print_aggregate(p);
	}
}

void rust_v0_const(struct rust_v0 *p, bool in_value)
{
	if (!enter(p))
		return;
	char tag = next(p);
	if (tag == 'p') {
		put(p, "_");
	} else if (tag == 'B') {
		rust_v0_follow(p, rust_v0_const, in_value);
	} else if (tag && strchr("hjmoty", tag)) {
		print_integer(p);
	} else if (tag && strchr("ailnsx", tag)) {
		put(p, eat(p, 'n') ? "-" : "");
		print_integer(p);
	} else if (tag == 'b') {
		struct slice digits = read_hex(p);
		uint64_t v = digits.size <= 1 ? hex_value(digits) : 2;
		if (v > 1)
			fail(p, -EBADMSG);
		put(p, v ? "true" : "false");
	} else if (tag == 'c') {
		print_char(p);
	} else if (tag && strchr("eRQATV", tag)) {
		/* Else it would not seem to be a value. */
		bool is_wrapped = !in_value && tag != 'R';
		put(p, is_wrapped ? "{" : "");
		if (tag == 'e') {
			put(p, "*");
			print_str(p);
		} else {
			print_compound(p, tag);
		}
		put(p, is_wrapped ? "}" : "");
	} else {
		fail(p, -EBADMSG);
	}
	p->depth--;
}
