/* SPDX-License-Identifier: Apache-2.0 */
#include "query/matcher.h"

#include "base/utf8.h"

#include <errno.h>

static const char *const op_texts[] = {
	[MATCHER_EQUAL] = "=",
	[MATCHER_NOT_EQUAL] = "!=",
	[MATCHER_LIKE] = "=~",
	[MATCHER_NOT_LIKE] = "!~",
};

struct parser {
	struct slice text;
	size_t at;
	struct matchers *m;
	struct error *err;
};

/* Names in messages, which must leave room for what follows. */
#define SHOWN(s) ((s).size > 64 ? 64 : (int)(s).size), (const char *)(s).data

static int placed(const struct parser *p, size_t at, int r)
{
	error_prefix(p->err, "at character %zu", utf8_count(p->text.data, at) + 1);
	return r;
}

/* The byte that is next, or -1. */
static int peek(const struct parser *p)
{
	return p->at < p->text.size ? p->text.data[p->at] : -1;
}

static bool take(struct parser *p, const char *token)
{
	if (!slice_has_prefix(slice_of(p->text.data + p->at, p->text.size - p->at), token))
		return false;
	p->at += strlen(token);
	return true;
}

static void skip_space(struct parser *p)
{
	while (peek(p) == ' ' || peek(p) == '\t' || peek(p) == '\n' || peek(p) == '\r')
		p->at++;
}

static bool begins_name(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* `others`: what a name may hold besides letters, digits and _. */
static struct slice take_name(struct parser *p, const char *others)
{
	size_t from = p->at;
	if (begins_name(peek(p)))
		for (int c; (c = peek(p)) > 0 && (begins_name(c) || (c >= '0' && c <= '9') || strchr(others, c));)
			p->at++;
	return slice_of(p->text.data + from, p->at - from);
}

/* The text is never shorter than what it means, so there is room. */
static void keep(struct parser *p, const void *data, size_t size)
{
	memcpy(p->m->bytes + p->m->n_bytes, data, size);
	p->m->n_bytes += size;
}

static struct slice keep_slice(struct parser *p, struct slice s)
{
	struct slice kept = { p->m->bytes + p->m->n_bytes, s.size };
	keep(p, s.data, s.size);
	return kept;
}

static int digit_of(int c, unsigned base)
{
	int d = c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
	return d < (int)base ? d : -1;
}

/* \ooo and \xhh are bytes, \uhhhh and \Uhhhhhhhh characters. */
static int take_code(struct parser *p, size_t from, unsigned base, unsigned n_digits, bool is_character)
{
	uint32_t code = 0;
	for (unsigned i = 0; i < n_digits; i++, p->at++) {
		int d = digit_of(peek(p), base);
		if (d < 0)
			return placed(p, p->at,
				      error_set(p->err, -EINVAL, "expected %u %s digits in the escape", n_digits,
						base == 8 ? "octal" : "hexadecimal"));
		code = code * base + (uint32_t)d;
	}
	if (!is_character && code <= 0xff) {
		keep(p, &(uint8_t){ (uint8_t)code }, 1);
		return 0;
	}
	if (!is_character || !utf8_is_character(code))
		return placed(p, from,
			      error_set(p->err, -EINVAL, "the escape is no %s", is_character ? "character" : "byte"));
	char encoded[4];
	keep(p, encoded, utf8_encode(code, encoded));
	return 0;
}

/* Behind a backslash. */
static int take_escape(struct parser *p, int quote)
{
	static const char letters[] = "abfnrtv\\", meant[] = "\a\b\f\n\r\t\v\\";
	size_t from = p->at - 1;
	int c = peek(p);
	if (digit_of(c, 8) >= 0)
		return take_code(p, from, 8, 3, false);
	p->at += c >= 0;
	const char *letter = c > 0 ? strchr(letters, c) : NULL;
	if (letter || c == quote) {
		keep(p, letter ? meant + (letter - letters) : &(char){ (char)quote }, 1);
		return 0;
	}
	if (c == 'x')
		return take_code(p, from, 16, 2, false);
	if (c == 'u' || c == 'U')
		return take_code(p, from, 16, c == 'u' ? 4 : 8, true);
	return placed(p, from,
		      error_set(p->err, -EINVAL, "expected one of abfnrtv\\%c, x, u, U or three octal digits after \\",
				quote));
}

static int take_string(struct parser *p, struct slice *ret)
{
	size_t from = p->at, first = p->m->n_bytes;
	int quote = p->text.data[p->at++];
	for (int c; (c = peek(p)) != quote;) {
		if (c < 0 || (c == '\n' && quote != '`'))
			return placed(p, from, error_set(p->err, -EINVAL, "the text that begins here has no end"));
		p->at++;
		int r = 0;
		if (c == '\\' && quote != '`')
			r = take_escape(p, quote);
		else
			keep(p, &(uint8_t){ (uint8_t)c }, 1);
		if (r < 0)
			return r;
	}
	p->at++;
	*ret = slice_of(p->m->bytes + first, p->m->n_bytes - first);
	return 0;
}

static int take_op(struct parser *p, struct slice name, enum matcher_op *ret)
{
	/* "=~" and "!~" before "=", with which one of them begins. */
	for (int op = MATCHER_NOT_LIKE; op >= MATCHER_EQUAL; op--) {
		*ret = (enum matcher_op)op;
		if (take(p, op_texts[op]))
			return 0;
	}
	return placed(p, p->at, error_set(p->err, -EINVAL, "expected = != =~ or !~ after \"%.*s\"", SHOWN(name)));
}

static int take_value(struct parser *p, struct matcher *m)
{
	size_t from = p->at;
	int c = peek(p);
	if (c != '"' && c != '\'' && c != '`')
		return placed(p, from,
			      error_set(p->err, -EINVAL, "expected a text in \"\", '' or `` after \"%.*s%s\"",
					SHOWN(m->name), op_texts[m->op]));
	int r = take_string(p, &m->value);
	if (r < 0 || m->op == MATCHER_EQUAL || m->op == MATCHER_NOT_EQUAL)
		return r;
	r = pattern_new_whole(m->value, &m->pattern, p->err);
	if (r == -EINVAL)
		error_prefix(p->err, "in the pattern");
	return r < 0 ? placed(p, from, r) : 0;
}

static int take_matcher(struct parser *p)
{
	size_t from = p->at;
	struct slice name = take_name(p, ".");
	if (name.size == 0)
		return placed(p, from, error_set(p->err, -EINVAL, "expected a label's name or }"));
	if (p->m->n == MATCHERS_MAX)
		return placed(p, from, error_set(p->err, -E2BIG, "more than %d matchers", MATCHERS_MAX));
	struct matcher *m = &p->m->matcher[p->m->n++];
	m->name = keep_slice(p, name);
	skip_space(p);
	int r = take_op(p, m->name, &m->op);
	if (r < 0)
		return r;
	skip_space(p);
	r = take_value(p, m);
	skip_space(p);
	if (r < 0 || take(p, ",") || peek(p) == '}')
		return r;
	return placed(p, p->at, error_set(p->err, -EINVAL, "expected , or } after the value of \"%.*s\"", SHOWN(name)));
}

static int take_all(struct parser *p)
{
	skip_space(p);
	p->m->type = keep_slice(p, take_name(p, ".:-"));
	skip_space(p);
	struct slice type = p->m->type;
	if (p->at == p->text.size && type.size)
		return 0;
	if (!take(p, "{")) {
		int r = type.size ? error_set(p->err, -EINVAL, "expected { or the end after \"%.*s\"", SHOWN(type))
				  : error_set(p->err, -EINVAL, "expected a type's name or {");
		return placed(p, p->at, r);
	}
	for (skip_space(p); !take(p, "}"); skip_space(p)) {
		int r = take_matcher(p);
		if (r < 0)
			return r;
	}
	skip_space(p);
	if (p->at < p->text.size)
		return placed(p, p->at, error_set(p->err, -EINVAL, "expected the end after }"));
	return 0;
}

int matchers_parse(struct slice text, struct matchers **ret, struct error *err)
{
	if (text.size == 0)
		text = slice_str("");
	if (text.size > MATCHERS_SIZE_MAX)
		return error_set(err, -E2BIG, "the selector has %zu bytes: the limit is %d", text.size,
				 MATCHERS_SIZE_MAX);
	_cleanup_(matchers_free)
	struct matchers *m = calloc(1, sizeof(*m) + text.size);
	if (!m)
		return error_set(err, -ENOMEM, "out of memory");
	struct parser p = { .text = text, .m = m, .err = err };
	size_t valid = utf8_valid_size(text.data, text.size);
	if (valid < text.size)
		return placed(&p, valid, error_set(err, -EINVAL, "not UTF-8"));
	int r = take_all(&p);
	if (r < 0)
		return r;
	*ret = take_ptr(m);
	return 0;
}

void matchers_free(struct matchers **m)
{
	if (!*m)
		return;
	for (uint32_t i = 0; i < (*m)->n; i++)
		pattern_free(&(*m)->matcher[i].pattern);
	free(*m);
	*m = NULL;
}

int matcher_test(const struct matcher *m, struct slice value, struct pattern_work *w, struct error *err)
{
	bool wants = m->op == MATCHER_EQUAL || m->op == MATCHER_LIKE;
	if (!m->pattern)
		return slice_eq(m->value, value) == wants;
	int r = pattern_match(m->pattern, value, w, err);
	return r < 0 ? r : r == wants;
}

static void format_string(struct slice s, struct buf *out)
{
	buf_add_byte(out, '"');
	for (size_t at = 0, n; at < s.size; at += n) {
		uint8_t c = s.data[at];
		n = utf8_sequence(s.data + at, s.size - at);
		if (n == 0 || c < 0x20 || c == 0x7f) {
			n = 1;
			buf_printf(out, "\\x%02x", c);
			continue;
		}
		if (c == '"' || c == '\\')
			buf_add_byte(out, '\\');
		buf_add(out, s.data + at, n);
	}
	buf_add_byte(out, '"');
}

void matchers_format(const struct matchers *m, struct buf *out)
{
	buf_add(out, m->type.data, m->type.size);
	if (m->n == 0 && m->type.size)
		return;
	buf_add_byte(out, '{');
	for (uint32_t i = 0; i < m->n; i++) {
		const struct matcher *x = &m->matcher[i];
		buf_add_str(out, i ? "," : "");
		buf_add(out, x->name.data, x->name.size);
		buf_add_str(out, op_texts[x->op]);
		format_string(x->value, out);
	}
	buf_add_byte(out, '}');
}
