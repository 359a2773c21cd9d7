/* SPDX-License-Identifier: Apache-2.0 */
/* itanium_parser.h: what the parts of the parser of C++ names share: names
 * (itanium_name.c), types, expressions, and encodings (itanium_parse.c).
 *
 * Each function reads one thing from p->at on and returns its node. The first
 * failure sticks and puts p->at at the end: what follows reads nothing and
 * returns 0, so that only who loops has to look at p->error. */
#pragma once

#include "object/itanium.h"

#include <errno.h>

struct itanium_parser {
	struct itanium *t;
	const char *at, *end;
	uint32_t max_nodes;
	uint32_t *subs, n_subs, max_subs; /* what S_ means */
	uint32_t depth;
	uint32_t n_again;  /* bytes read twice */
	bool no_arguments; /* a conversion operator's type ends before template arguments */
	int error;
};

/* What a name tells about the function it names. */
struct itanium_facts {
	uint8_t flags; /* of the member function */
	bool ends_with_arguments;
	bool has_no_return_type; /* constructor, destructor, conversion operator */
};

struct itanium_operator {
	char code[3];
	uint8_t kind; /* of expression: enum itanium_kind */
	const char *text;
};

uint32_t itanium_type(struct itanium_parser *p);
uint32_t itanium_expression(struct itanium_parser *p);
/* `is_scope`: a local name is in it, and its return type is not shown. */
uint32_t itanium_encoding(struct itanium_parser *p, bool is_scope);

/* `facts`: of a function's or variable's own name; NULL: of a type. */
uint32_t itanium_name(struct itanium_parser *p, struct itanium_facts *facts);
uint32_t itanium_source_name(struct itanium_parser *p);
uint32_t itanium_operator_name(struct itanium_parser *p, struct itanium_facts *facts);
/* The operator of the next two letters, which stay; NULL: there is none. */
const struct itanium_operator *itanium_see_operator(const struct itanium_parser *p);
/* scope::name, or just that. */
uint32_t itanium_join(struct itanium_parser *p, uint32_t scope, uint32_t name);

/* Lists. Of parameters: up to their end, one at least; "v" alone is none. */
uint32_t itanium_parameters(struct itanium_parser *p);
/* Behind the I, including the E. */
uint32_t itanium_arguments(struct itanium_parser *p);
uint32_t itanium_argument(struct itanium_parser *p);
/* name<arguments> */
uint32_t itanium_template(struct itanium_parser *p, uint32_t name);

/* Behind the T, behind the S. */
uint32_t itanium_template_parameter(struct itanium_parser *p);
uint32_t itanium_substitution(struct itanium_parser *p);

/* L type value E, or L _Z encoding E. */
uint32_t itanium_literal(struct itanium_parser *p);
/* const and the like: flags */
uint8_t itanium_qualifiers(struct itanium_parser *p);

/* ---- bytes ---------------------------------------------------------------- */

static inline uint32_t fail(struct itanium_parser *p, int error)
{
	if (!p->error)
		p->error = error;
	p->at = p->end;
	return 0;
}

static inline uint32_t malformed(struct itanium_parser *p)
{
	return fail(p, -EBADMSG);
}

/* 0 at the end. */
static inline char look(const struct itanium_parser *p, uint32_t ahead)
{
	return (size_t)(p->end - p->at) > ahead ? p->at[ahead] : 0;
}

static inline bool eat(struct itanium_parser *p, char c)
{
	bool is_it = look(p, 0) == c && c;
	p->at += is_it;
	return is_it;
}

static inline bool sees(const struct itanium_parser *p, const char *s)
{
	size_t n = strlen(s);
	return (size_t)(p->end - p->at) >= n && memcmp(p->at, s, n) == 0;
}

static inline void skip(struct itanium_parser *p, size_t n)
{
	size_t left = (size_t)(p->end - p->at);
	p->at += n < left ? n : left;
}

static inline bool eat_word(struct itanium_parser *p, const char *s)
{
	bool is_it = sees(p, s);
	if (is_it)
		p->at += strlen(s);
	return is_it;
}

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline uint32_t add(struct itanium_parser *p, enum itanium_kind kind, uint32_t a, uint32_t b)
{
	if (p->error)
		return 0;
	if (p->t->n == p->max_nodes)
		return fail(p, -E2BIG);
	p->t->nodes[p->t->n] = (struct itanium_node){ .kind = (uint8_t)kind, .a = a, .b = b };
	return p->t->n++;
}

static inline struct itanium_node *node_at(struct itanium_parser *p, uint32_t i)
{
	return &p->t->nodes[i];
}

static inline uint32_t add_text(struct itanium_parser *p, enum itanium_kind kind, const char *text, size_t size,
				uint32_t a, uint32_t b)
{
	uint32_t i = add(p, kind, a, b);
	if (i) {
		node_at(p, i)->text = text;
		node_at(p, i)->size = (uint16_t)size;
	}
	return i;
}

static inline uint32_t add_word(struct itanium_parser *p, enum itanium_kind kind, const char *word, uint32_t a,
				uint32_t b)
{
	return add_text(p, kind, word, strlen(word), a, b);
}

/* A list that grows at its end. */
struct list {
	uint32_t first, last;
};

static inline void list_add(struct itanium_parser *p, struct list *l, uint32_t item)
{
	uint32_t i = item ? add(p, ITANIUM_LIST, item, 0) : 0;
	if (i && l->last)
		node_at(p, l->last)->b = i;
	else if (i)
		l->first = i;
	if (i)
		l->last = i;
}

static inline uint32_t add_sub(struct itanium_parser *p, uint32_t node)
{
	if (node && p->n_subs < p->max_subs)
		p->subs[p->n_subs++] = node;
	else
		(void)malformed(p);
	return node;
}

static inline bool enter(struct itanium_parser *p)
{
	if (p->depth == ITANIUM_MAX_DEPTH)
		(void)fail(p, -E2BIG);
	else
		p->depth++;
	return !p->error;
}

/* ---- numbers ------------------------------------------------------------- */

static inline bool read_number(struct itanium_parser *p, uint32_t *ret)
{
	uint64_t n = 0;
	if (!is_digit(look(p, 0)))
		return false;
	for (; is_digit(look(p, 0)) && n < UINT32_MAX; p->at++)
		n = n * 10 + (uint64_t)(look(p, 0) - '0');
	*ret = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
	return true;
}

/* "_" is 0, "0_" is 1 ...; in base 36 for S_. */
static inline bool read_sequence(struct itanium_parser *p, uint32_t base, uint32_t *ret)
{
	uint64_t n = 0;
	if (eat(p, '_')) {
		*ret = 0;
		return true;
	}
	for (; !eat(p, '_'); p->at++) {
		char c = look(p, 0);
		if (!is_digit(c) && !(base == 36 && c >= 'A' && c <= 'Z'))
			return false;
		n = n * base + (uint64_t)(is_digit(c) ? c - '0' : c - 'A' + 10);
		if (n >= UINT32_MAX)
			return false;
	}
	*ret = (uint32_t)n + 1;
	return true;
}
