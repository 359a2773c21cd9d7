/* SPDX-License-Identifier: Apache-2.0 */
#include "object/name_shorten.h"

#include "base/cleanup.h"

#define MAX_DEPTH 64 /* brackets in deeper ones are part of these */

static const char dots[] = "...";
#define DOTS (sizeof(dots) - 1)

enum mark { MARK_NONE, MARK_OPEN, MARK_CLOSE };

/* A name with its brackets found. Those belong to what is around them. */
struct brackets {
	struct slice name;
	uint8_t *marks;						 /* enum mark, by byte */
	uint32_t n_bytes[MAX_DEPTH + 1], n_pairs[MAX_DEPTH + 1]; /* in so many brackets; around what is in so many */
};

/* ---- brackets ------------------------------------------------------------ */

static bool is_word(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80;
}

static struct slice rest(struct slice s, size_t i)
{
	return slice_of(s.data + i, s.size - i);
}

/* Bytes of an operator's name at `i`, 0 = none is there. */
static size_t operator_size(struct slice name, size_t i)
{
	static const char *const symbols[] = { "()", "[]", "<=>", "<<=", ">>=", "->*",	  "->",	      "<<",
					       ">>", "<=", ">=",  "<",	 ">",	" new[]", " delete[]" };
	static const char word[] = "operator";
	size_t n = sizeof(word) - 1;
	if ((i && is_word(name.data[i - 1])) || !slice_has_prefix(rest(name, i), word))
		return 0;
	for (size_t k = 0; k < sizeof(symbols) / sizeof(symbols[0]); k++)
		if (slice_has_prefix(rest(name, i + n), symbols[k]))
			return n + strlen(symbols[k]);
	return n;
}

static size_t size_of_word(struct slice name, size_t i, const char *word)
{
	return slice_has_prefix(rest(name, i), word) ? strlen(word) : 0;
}

/* Bytes at `i` whose brackets are none. */
static size_t opaque_size(struct slice name, size_t i)
{
	switch (name.data[i]) {
	case '-':
		return size_of_word(name, i, "->");
	case '=':
		return size_of_word(name, i, "=>");
	case '<':
		return size_of_word(name, i, "<=");
	case '(':
		return size_of_word(name, i, "(anonymous namespace)");
	case 'o':
		return operator_size(name, i);
	default:
		return 0;
	}
}

static uint8_t closer_of(uint8_t c)
{
	return c == '<' ? '>' : c == '(' ? ')' : c == '[' ? ']' : 0;
}

/* Whether what the brackets hold may be left out. Nothing is won by "..." in
 * place of less. */
static bool is_dispensable(struct slice name, size_t open, size_t close)
{
	uint8_t before = open ? name.data[open - 1] : 0;
	if (close - open - 1 <= DOTS)
		return false;
	switch (name.data[open]) {
	case '(':
		return before != '.';
	case '[':
		return is_word(before) && !slice_has_prefix(rest(name, open), "[abi:");
	default:
		return true;
	}
}

struct stack {
	size_t at[MAX_DEPTH];
	uint32_t n;
};

/* The innermost open bracket that `c` closes: those in it are none after all,
 * as in "f<(a<b)>"; but a '>' closes nothing else than the innermost. */
static void close_bracket(struct brackets *b, struct stack *s, size_t i)
{
	uint8_t c = b->name.data[i];
	uint32_t n = s->n;
	while (n && closer_of(b->name.data[s->at[n - 1]]) != c && c != '>')
		n--;
	if (n == 0 || closer_of(b->name.data[s->at[n - 1]]) != c)
		return;
	s->n = n - 1;
	if (!is_dispensable(b->name, s->at[n - 1], i))
		return;
	b->marks[s->at[n - 1]] = MARK_OPEN;
	b->marks[i] = MARK_CLOSE;
}

static void find_brackets(struct brackets *b)
{
	struct stack s = { .n = 0 };
	uint32_t n_deeper = 0; /* open ones beyond MAX_DEPTH */
	for (size_t i = 0; i < b->name.size;) {
		uint8_t c = b->name.data[i];
		size_t opaque = opaque_size(b->name, i);
		if (opaque) {
			i += opaque;
			continue;
		}
		bool is_open = closer_of(c), is_close = c == '>' || c == ')' || c == ']';
		if (is_open && s.n == MAX_DEPTH)
			n_deeper++;
		else if (is_open)
			s.at[s.n++] = i;
		else if (is_close && n_deeper)
			n_deeper--;
		else if (is_close)
			close_bracket(b, &s, i);
		i++;
	}
}

static void count_depths(struct brackets *b)
{
	uint32_t depth = 0;
	for (size_t i = 0; i < b->name.size; i++) {
		depth -= b->marks[i] == MARK_CLOSE;
		b->n_bytes[depth]++;
		depth += b->marks[i] == MARK_OPEN;
		b->n_pairs[depth] += b->marks[i] == MARK_OPEN;
	}
}

/* ---- output -------------------------------------------------------------- */

/* Without what is in more than `depth` brackets. */
static size_t write_to_depth(const struct brackets *b, uint32_t depth, char *out)
{
	uint32_t now = 0;
	size_t n = 0;
	for (size_t i = 0; i < b->name.size; i++) {
		now -= b->marks[i] == MARK_CLOSE;
		if (now <= depth)
			out[n++] = (char)b->name.data[i];
		now += b->marks[i] == MARK_OPEN;
		if (b->marks[i] == MARK_OPEN && now == depth + 1) {
			memcpy(out + n, dots, DOTS);
			n += DOTS;
		}
	}
	return n;
}

static bool continues_utf8(uint8_t c)
{
	return (c & 0xc0) == 0x80;
}

/* A third from its beginning, the rest from its end, which says more. */
static size_t write_ends(struct slice name, size_t max, char *out)
{
	size_t head = (max - DOTS) / 3, tail = max - DOTS - head;
	while (head && continues_utf8(name.data[head]))
		head--;
	while (tail && continues_utf8(name.data[name.size - tail]))
		tail--;
	memmove(out, name.data, head);
	memmove(out + head + DOTS, name.data + name.size - tail, tail);
	memcpy(out + head, dots, DOTS);
	return head + DOTS + tail;
}

/* The greatest depth that leaves at most `max` bytes; -1: none does. */
static int fitting_depth(const struct brackets *b, size_t max)
{
	size_t size = 0;
	int best = -1;
	for (uint32_t depth = 0; depth < MAX_DEPTH; depth++) {
		size += b->n_bytes[depth];
		if (size + DOTS * b->n_pairs[depth + 1] <= max)
			best = (int)depth;
	}
	return best;
}

static size_t shorten(struct brackets *b, size_t max, char *out)
{
	find_brackets(b);
	count_depths(b);
	int depth = fitting_depth(b, max);
	if (depth >= 0)
		return write_to_depth(b, (uint32_t)depth, out);
	_cleanup_(free_ptr)
	char *bare = malloc(b->name.size);
	if (!bare)
		return write_ends(b->name, max, out);
	return write_ends(slice_of(bare, write_to_depth(b, 0, bare)), max, out);
}

size_t name_shorten(struct slice name, size_t max, char *out)
{
	size_t n = name.size;
	if (max < NAME_SHORTEN_MIN)
		max = NAME_SHORTEN_MIN;
	if (n <= max) {
		if (n)
			memcpy(out, name.data, n);
	} else {
		_cleanup_(free_ptr)
		uint8_t *marks = n <= NAME_SHORTEN_MAX ? calloc(n, 1) : NULL;
		struct brackets b = { .name = name, .marks = marks };
		n = marks ? shorten(&b, max, out) : write_ends(name, max, out);
	}
	out[n] = 0;
	return n;
}
