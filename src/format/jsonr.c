/* SPDX-License-Identifier: Apache-2.0 */
#include "format/jsonr.h"

#include "base/utf8.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

#define NUMBER_SIZE 512 /* longest number that is not a plain one */

void jsonr_init(struct jsonr *r, struct slice in, uint32_t max_depth, struct error *err)
{
	assert(max_depth <= JSONR_DEPTH_MAX);
	*r = (struct jsonr){ .from = in.data,
			     .at = in.data,
			     .token = in.data,
			     .end = in.data + in.size,
			     .max_depth = max_depth,
			     .scratch = buf_of(in.size + 4),
			     .err = err };
	if (slice_has_prefix(in, "\xef\xbb\xbf"))
		r->at += 3;
}

void jsonr_done(struct jsonr *r)
{
	buf_done(&r->scratch);
}

struct jsonr jsonr_at_section(const struct jsonr *r, size_t off)
{
	struct jsonr section = *r;
	assert(off > 0 && off < (size_t)(r->end - r->from));
	section.at = section.token = r->from + off;
	section.depth = 0;
	section.fresh = false;
	section.scratch = buf_of(r->scratch.max);
	return section;
}

int jsonr_refuse(const struct jsonr *r, int code, const char *fmt, ...)
{
	char text[400];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return error_set(r->err, code, "at byte %zu: %s", (size_t)(r->token - r->from), text);
}

/* The same at a place that is not the start of a value. */
static int refuse_at(struct jsonr *r, const uint8_t *at, int code, const char *what)
{
	r->token = at;
	return jsonr_refuse(r, code, "%s", what);
}

static int cut_off(struct jsonr *r, const char *within)
{
	return error_set(r->err, -ENODATA, "ends in the middle of %s, at byte %zu", within, (size_t)(r->end - r->from));
}

static inline void skip_space(struct jsonr *r)
{
	const uint8_t *p = r->at;
	while (p < r->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	r->at = p;
}

static const char *const type_names[] = {
	[JSONR_NULL] = "null",	     [JSONR_BOOL] = "true or false", [JSONR_NUMBER] = "a number",
	[JSONR_STRING] = "a string", [JSONR_ARRAY] = "an array",     [JSONR_OBJECT] = "an object",
};

int jsonr_peek(struct jsonr *r)
{
	skip_space(r);
	if (r->at == r->end)
		return cut_off(r, "a value");
	switch (*r->at) {
	case '{':
		return JSONR_OBJECT;
	case '[':
		return JSONR_ARRAY;
	case '"':
		return JSONR_STRING;
	case 't':
	case 'f':
		return JSONR_BOOL;
	case 'n':
		return JSONR_NULL;
	case '-':
	case '0' ... '9':
		return JSONR_NUMBER;
	default:
		return refuse_at(r, r->at, -EBADMSG, "not the beginning of a value");
	}
}

static int expect(struct jsonr *r, enum jsonr_type type)
{
	int found = jsonr_peek(r);
	if (found < 0)
		return found;
	r->token = r->at;
	if (found != (int)type)
		return jsonr_refuse(r, -EBADMSG, "expected %s, found %s", type_names[type], type_names[found]);
	return 0;
}

/* --- nesting --- */

static int step_in(struct jsonr *r, enum jsonr_type type)
{
	int e = expect(r, type);
	if (e < 0)
		return e;
	if (r->depth == r->max_depth)
		return jsonr_refuse(r, -E2BIG, "nested deeper than %" PRIu32, r->max_depth);
	r->depth++;
	r->at++;
	r->fresh = true;
	return 0;
}

int jsonr_object(struct jsonr *r)
{
	return step_in(r, JSONR_OBJECT);
}

int jsonr_array(struct jsonr *r)
{
	return step_in(r, JSONR_ARRAY);
}

static int step_on(struct jsonr *r, uint8_t close, const char *within, const char *expected)
{
	skip_space(r);
	if (r->at == r->end)
		return cut_off(r, within);
	if (*r->at == close) {
		r->at++;
		r->depth--;
		r->fresh = false;
		return 0;
	}
	if (r->fresh)
		r->fresh = false;
	else if (*r->at == ',')
		r->at++;
	else
		return refuse_at(r, r->at, -EBADMSG, expected);
	return 1;
}

int jsonr_next_slow(struct jsonr *r)
{
	assert(r->depth > 0);
	return step_on(r, ']', "an array", "expected ',' or ']'");
}

int jsonr_key(struct jsonr *r, struct slice *ret_key)
{
	assert(r->depth > 0);
	int k = step_on(r, '}', "an object", "expected ',' or '}'");
	if (k <= 0)
		return k;
	skip_space(r);
	if (r->at < r->end && *r->at != '"')
		return refuse_at(r, r->at, -EBADMSG, "expected a key");
	int e = jsonr_str(r, ret_key);
	if (e < 0)
		return e;
	skip_space(r);
	if (r->at == r->end)
		return cut_off(r, "an object");
	if (*r->at != ':')
		return refuse_at(r, r->at, -EBADMSG, "expected ':'");
	r->at++;
	return 1;
}

int jsonr_finish(struct jsonr *r)
{
	skip_space(r);
	return r->at == r->end ? 0 : refuse_at(r, r->at, -EBADMSG, "expected nothing behind the outermost value");
}

/* --- strings --- */

/* A byte of 0 in `v` sets the top bit of its place (and maybe of those above). */
static inline uint64_t zero_bytes(uint64_t v)
{
	return (v - UINT64_C(0x0101010101010101)) & ~v & UINT64_C(0x8080808080808080);
}

/* The first byte from `p` that ends a run of plain ones: '"', '\\', a control
 * character or one that is not ASCII. */
static const uint8_t *plain_end(const uint8_t *p, const uint8_t *end)
{
	for (; end - p >= 8; p += 8) {
		uint64_t v;
		memcpy(&v, p, 8);
		uint64_t odd = zero_bytes(v ^ UINT64_C(0x2222222222222222)) |
			       zero_bytes(v ^ UINT64_C(0x5c5c5c5c5c5c5c5c)) | (v & UINT64_C(0x8080808080808080)) |
			       ((v - UINT64_C(0x2020202020202020)) & ~v & UINT64_C(0x8080808080808080));
		/* The lowest bit is right in each of them. */
		if (odd)
			return p + __builtin_ctzll(odd) / 8;
	}
	while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

/* From `p` to the next '"' or '\\'. */
static int text_end(struct jsonr *r, const uint8_t *p, const uint8_t **ret)
{
	for (;;) {
		p = plain_end(p, r->end);
		if (p == r->end)
			return cut_off(r, "a string");
		if (*p == '"' || *p == '\\')
			break;
		if (*p < 0x20)
			return refuse_at(r, p, -EBADMSG, "a control character within a string");
		size_t n = utf8_sequence(p, (size_t)(r->end - p));
		if (n == 0)
			return refuse_at(r, p, -EBADMSG, "not UTF-8");
		p += n;
	}
	*ret = p;
	return 0;
}

static int hex4(struct jsonr *r, const uint8_t *p, uint32_t *ret)
{
	uint32_t v = 0;
	for (int i = 0; i < 4; i++) {
		if (p + i >= r->end)
			return cut_off(r, "a string");
		uint8_t c = p[i], low = c | 0x20;
		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if (low >= 'a' && low <= 'f')
			v = v << 4 | (uint32_t)(low - 'a' + 10);
		else
			return refuse_at(r, p - 2, -EBADMSG, "\\u without four hexadecimal digits");
	}
	*ret = v;
	return 0;
}

static void put_utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_add_byte(out, (uint8_t)c);
		return;
	}
	if (c < 0x800) {
		buf_add_byte(out, (uint8_t)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			buf_add_byte(out, (uint8_t)(0xe0 | c >> 12));
		} else {
			buf_add_byte(out, (uint8_t)(0xf0 | c >> 18));
			buf_add_byte(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		}
		buf_add_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_add_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
}

/* `p` is behind "\u". */
static int unescape_unicode(struct jsonr *r, const uint8_t *p, const uint8_t **ret)
{
	uint32_t c, low;
	int e = hex4(r, p, &c);
	if (e < 0)
		return e;
	p += 4;
	if (c >= 0xd800 && c < 0xdc00 && r->end - p >= 2 && p[0] == '\\' && p[1] == 'u') {
		e = hex4(r, p + 2, &low);
		if (e < 0)
			return e;
		if (low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			p += 6;
		}
	}
	if (c >= 0xd800 && c < 0xe000)
		c = 0xfffd;
	put_utf8(&r->scratch, c);
	*ret = p;
	return 0;
}

/* `p` is at a '\\'. */
static int unescape(struct jsonr *r, const uint8_t *p, const uint8_t **ret)
{
	static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	if (r->end - p < 2)
		return cut_off(r, "a string");
	if (p[1] == 'u')
		return unescape_unicode(r, p + 2, ret);
	const char *letter = memchr(letters, p[1], sizeof(letters) - 1);
	if (!letter)
		return refuse_at(r, p, -EBADMSG, "an escape that JSON does not have");
	buf_add_byte(&r->scratch, (uint8_t)meant[letter - letters]);
	*ret = p + 2;
	return 0;
}

int jsonr_str(struct jsonr *r, struct slice *ret)
{
	int e = expect(r, JSONR_STRING);
	if (e < 0)
		return e;
	const uint8_t *from = r->at + 1, *p;
	e = text_end(r, from, &p);
	if (e < 0)
		return e;
	if (*p == '"') {
		*ret = slice_of(from, (size_t)(p - from));
		r->at = p + 1;
		return 0;
	}
	r->scratch.n = 0;
	while (*p == '\\') {
		buf_add(&r->scratch, from, (size_t)(p - from));
		e = unescape(r, p, &from);
		if (e == 0)
			e = text_end(r, from, &p);
		if (e < 0)
			return e;
	}
	buf_add(&r->scratch, from, (size_t)(p - from));
	if (r->scratch.failed)
		return jsonr_refuse(r, -ENOMEM, "out of memory");
	*ret = slice_of(r->scratch.data, r->scratch.n);
	r->at = p + 1;
	return 0;
}

/* --- numbers --- */

/* A short whole number, which most are: its value, or -1 for all others. */
static int64_t take_short(struct jsonr *r)
{
	const uint8_t *p = r->at;
	int64_t v = 0;
	if (r->end - p < 16)
		return -1;
	while (p < r->at + 15 && (uint8_t)(*p - '0') < 10)
		v = v * 10 + (*p++ - '0');
	bool plain = p > r->at && (*r->at != '0' || p == r->at + 1);
	if (!plain || (*p != ',' && *p != ']' && *p != '}'))
		return -1;
	r->token = r->at;
	r->at = p;
	return v;
}

struct number {
	bool is_whole; /* and fits into `whole` */
	int64_t whole;
	double value;
};

/* What the digits say: mantissa * 10^exponent when `exact`. */
struct digits {
	uint64_t mantissa;
	int exponent;
	bool exact, is_plain; /* plain: no fraction, no exponent */
};

static bool is_digit(const struct jsonr *r, const uint8_t *p)
{
	return p < r->end && (uint8_t)(*p - '0') < 10;
}

static const uint8_t *take_digits(const struct jsonr *r, const uint8_t *p, struct digits *d)
{
	for (; is_digit(r, p); p++)
		if (__builtin_mul_overflow(d->mantissa, 10, &d->mantissa) ||
		    __builtin_add_overflow(d->mantissa, (uint64_t)(*p - '0'), &d->mantissa))
			d->exact = false;
	return p;
}

static const uint8_t *take_exponent(const struct jsonr *r, const uint8_t *p, struct digits *d)
{
	bool minus = p < r->end && *p == '-';
	if (p < r->end && (*p == '-' || *p == '+'))
		p++;
	int e = 0;
	for (; is_digit(r, p); p++)
		if (e < 10000)
			e = e * 10 + (*p - '0');
	d->exponent += minus ? -e : e;
	return p;
}

static int number_ends_early(struct jsonr *r, const uint8_t *p)
{
	if (p == r->end)
		return cut_off(r, "a number");
	return refuse_at(r, p, -EBADMSG, "expected a digit");
}

/* Steps over the number at `p`, which is behind the sign. */
static int scan_digits(struct jsonr *r, const uint8_t *p, struct digits *d, const uint8_t **ret)
{
	const uint8_t *from = p;
	*d = (struct digits){ .exact = true, .is_plain = true };
	p = take_digits(r, p, d);
	if (p == from)
		return number_ends_early(r, p);
	if (*from == '0' && p > from + 1)
		return refuse_at(r, from, -EBADMSG, "a number that begins with 0");
	if (p < r->end && *p == '.') {
		d->is_plain = false;
		from = ++p;
		p = take_digits(r, p, d);
		if (p == from)
			return number_ends_early(r, p);
		d->exponent = p - from > 10000 ? -10000 : -(int)(p - from);
	}
	if (p < r->end && (*p | 0x20) == 'e') {
		d->is_plain = false;
		p = take_exponent(r, p + 1, d);
		if (!is_digit(r, p - 1))
			return number_ends_early(r, p);
	}
	*ret = p;
	return 0;
}

/* Both factors are exact in a double, so one rounding gives the nearest
 * (Clinger, "How to read floating point numbers accurately", 1990). Others go
 * to strtod(), which wants a NUL and, like these programs, the C locale. */
static int to_double(struct jsonr *r, const struct digits *d, size_t size, double *ret)
{
	static const double powers[] = { 1e0,  1e1,  1e2,  1e3,	 1e4,  1e5,  1e6,  1e7,	 1e8,  1e9,  1e10, 1e11,
					 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
	if (d->exact && d->mantissa <= UINT64_C(1) << 53 && d->exponent >= -22 && d->exponent <= 22) {
		double v = (double)d->mantissa;
		v = d->exponent < 0 ? v / powers[-d->exponent] : v * powers[d->exponent];
		*ret = *r->token == '-' ? -v : v;
		return 0;
	}
	char text[NUMBER_SIZE];
	if (size >= sizeof(text))
		return jsonr_refuse(r, -E2BIG, "a number of more than %d characters", NUMBER_SIZE - 1);
	memcpy(text, r->token, size);
	text[size] = 0;
	*ret = strtod(text, NULL);
	if (isinf(*ret))
		return jsonr_refuse(r, -EBADMSG, "%.40s does not fit into a double", text);
	return 0;
}

static int read_number(struct jsonr *r, struct number *ret)
{
	int e = expect(r, JSONR_NUMBER);
	if (e < 0)
		return e;
	bool minus = *r->at == '-';
	struct digits d;
	const uint8_t *end;
	e = scan_digits(r, r->at + minus, &d, &end);
	if (e == 0)
		e = to_double(r, &d, (size_t)(end - r->token), &ret->value);
	if (e < 0)
		return e;
	r->at = end;
	ret->is_whole = false;
	if (d.is_plain) {
		uint64_t max = (uint64_t)INT64_MAX + minus;
		ret->is_whole = d.exact && d.mantissa <= max;
		if (ret->is_whole)
			ret->whole = minus ? (int64_t)(0 - d.mantissa) : (int64_t)d.mantissa;
	} else if (ret->value == floor(ret->value) && ret->value >= -0x1p63 && ret->value < 0x1p63) {
		ret->is_whole = true;
		ret->whole = (int64_t)ret->value;
	}
	return 0;
}

int jsonr_f64(struct jsonr *r, double *ret)
{
	int64_t v = take_short(r);
	if (v >= 0) {
		*ret = (double)v;
		return 0;
	}
	struct number n;
	int e = read_number(r, &n);
	if (e == 0)
		*ret = n.value;
	return e;
}

static int refuse_number(struct jsonr *r, const char *why)
{
	int size = r->at - r->token > 40 ? 40 : (int)(r->at - r->token);
	return jsonr_refuse(r, -EBADMSG, "%.*s %s", size, (const char *)r->token, why);
}

int jsonr_i64(struct jsonr *r, int64_t *ret)
{
	int64_t v = take_short(r);
	if (v >= 0) {
		*ret = v;
		return 0;
	}
	struct number n;
	int e = read_number(r, &n);
	if (e < 0)
		return e;
	if (!n.is_whole)
		return refuse_number(r,
				     n.value == floor(n.value) ? "does not fit into 64 bits" : "is not a whole number");
	*ret = n.whole;
	return 0;
}

int jsonr_u32_slow(struct jsonr *r, uint32_t *ret)
{
	int64_t v;
	int e = jsonr_i64(r, &v);
	if (e < 0)
		return e;
	if (v < 0 || v > UINT32_MAX)
		return refuse_number(r, v < 0 ? "is negative" : "does not fit into 32 bits");
	*ret = (uint32_t)v;
	return 0;
}

/* --- skipping --- */

static int skip_string(struct jsonr *r)
{
	const uint8_t *p = r->at + 1;
	for (;;) {
		int e = text_end(r, p, &p);
		if (e < 0)
			return e;
		if (*p == '"')
			break;
		if (r->end - p < 2)
			return cut_off(r, "a string");
		/* Whether the escape is one is asked by who reads it. */
		p += 2;
	}
	r->at = p + 1;
	return 0;
}

static int skip_scalar(struct jsonr *r, int type)
{
	if (type == JSONR_STRING)
		return skip_string(r);
	r->token = r->at;
	if (type == JSONR_NUMBER) {
		struct digits d;
		return scan_digits(r, r->at + (*r->at == '-'), &d, &r->at);
	}
	const char *word = type == JSONR_NULL ? "null" : *r->at == 't' ? "true" : "false";
	size_t n = strlen(word), left = (size_t)(r->end - r->at);
	if (memcmp(r->at, word, left < n ? left : n) != 0)
		return jsonr_refuse(r, -EBADMSG, "expected %s", word);
	if (left < n)
		return cut_off(r, word);
	r->at += n;
	return 0;
}

/* One bit per level: set for an object. */
struct nesting {
	uint64_t is_object[JSONR_DEPTH_MAX / 64];
	uint32_t depth;
};

static int nesting_open(struct jsonr *r, struct nesting *n, bool is_object)
{
	if (r->depth + n->depth >= r->max_depth)
		return refuse_at(r, r->at, -E2BIG, "nested too deep");
	uint64_t bit = UINT64_C(1) << n->depth % 64, *word = &n->is_object[n->depth / 64];
	*word = is_object ? *word | bit : *word & ~bit;
	n->depth++;
	return 0;
}

static int nesting_close(struct jsonr *r, struct nesting *n, bool is_object)
{
	n->depth--;
	if ((n->is_object[n->depth / 64] >> n->depth % 64 & 1) == is_object)
		return 0;
	return refuse_at(r, r->at, -EBADMSG, is_object ? "expected ']', found '}'" : "expected '}', found ']'");
}

/* The first of the next eight bytes that is a bracket or a quote, or 8.
 * Setting bit 5 makes '[' a '{' and ']' a '}'. */
static inline unsigned find_bracket(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, 8);
	uint64_t low = v | UINT64_C(0x2020202020202020);
	uint64_t found = zero_bytes(v ^ UINT64_C(0x2222222222222222)) | zero_bytes(low ^ UINT64_C(0x7b7b7b7b7b7b7b7b)) |
			 zero_bytes(low ^ UINT64_C(0x7d7d7d7d7d7d7d7d));
	return found ? (unsigned)__builtin_ctzll(found) / 8 : 8;
}

static int skip_nested(struct jsonr *r)
{
	/* Which bits are meant is in `depth`: the others are never looked at. */
	struct nesting n;
	n.depth = 0;
	n.is_object[0] = 0;
	do {
		for (unsigned n_plain = 8; r->end - r->at >= 8 && n_plain == 8; r->at += n_plain)
			n_plain = find_bracket(r->at);
		while (r->at < r->end && *r->at != '"' && (*r->at | 0x20) != '{' && (*r->at | 0x20) != '}')
			r->at++;
		if (r->at == r->end)
			return cut_off(r, "a value");
		uint8_t c = *r->at;
		int e = 0;
		if (c == '"') {
			e = skip_string(r);
		} else if (c == '[' || c == '{') {
			if (n.depth % 64 == 0)
				n.is_object[n.depth / 64] = 0;
			e = nesting_open(r, &n, c == '{');
			r->at++;
		} else {
			e = nesting_close(r, &n, c == '}');
			r->at++;
		}
		if (e < 0)
			return e;
	} while (n.depth > 0);
	return 0;
}

int jsonr_skip(struct jsonr *r)
{
	int type = jsonr_peek(r);
	if (type < 0)
		return type;
	return type == JSONR_ARRAY || type == JSONR_OBJECT ? skip_nested(r) : skip_scalar(r, type);
}

int jsonr_section(struct jsonr *r, size_t *ret_off)
{
	int type = jsonr_peek(r);
	if (type < 0)
		return type;
	const uint8_t *at = r->at;
	int e = jsonr_skip(r);
	if (e == 0)
		*ret_off = (size_t)(at - r->from);
	return e;
}
