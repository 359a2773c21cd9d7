/* SPDX-License-Identifier: Apache-2.0 */
/* itanium_printer.h: what the parts of the printer of C++ names share: names
 * and the whole (itanium_print.c), types, expressions.
 *
 * The first failure sticks, after which nothing is written: output over its
 * size, nesting or steps over their maxima, what means nothing. */
#pragma once

#include "object/itanium.h"

#include <errno.h>
#include <stdio.h>

/* The template whose arguments T_ means; NULL: there is none. */
struct itanium_scope {
	uint32_t arguments;
	const struct itanium_scope *outer;
};

/* A node where it is printed. */
struct itanium_place {
	uint32_t node;
	const struct itanium_scope *scope;
};

/* Declarators stand around what they declare, so a type is printed in two
 * halves: "void (*" and ")(int)". */
struct itanium_printer {
	const struct itanium *t;
	char *out;
	uint32_t n, size;
	uint32_t steps, depth;
	const struct itanium_scope *scope;
	uint32_t template; /* whose name or arguments are being printed */
	bool in_lambda;	   /* its parameters: T_ is auto */
	bool in_expansion;
	bool met_pack; /* that is being expanded */
	uint32_t pack_index, pack_size;
	int error;
};

/* A node: a type in both its halves. */
void itanium_put(struct itanium_printer *p, uint32_t i);
void itanium_put_left(struct itanium_printer *p, struct itanium_place at);
void itanium_put_right(struct itanium_printer *p, struct itanium_place at);
/* With commas; what prints as nothing gets none. */
void itanium_put_list(struct itanium_printer *p, uint32_t list);

void itanium_put_name(struct itanium_printer *p, const struct itanium_node *n);
void itanium_put_expression(struct itanium_printer *p, const struct itanium_node *n);

/* The halves of types that have two. */
void itanium_put_type_left(struct itanium_printer *p, const struct itanium_node *n);
void itanium_put_type_right(struct itanium_printer *p, const struct itanium_node *n);
/* A function with its type. */
void itanium_put_function(struct itanium_printer *p, const struct itanium_node *n);

/* What stands for `i` where it is printed. An argument is one of the template
 * around: what T_ means in it is that one's. */
struct itanium_place itanium_place_in(struct itanium_printer *p, uint32_t i, const struct itanium_scope *scope);
struct itanium_place itanium_place_of(struct itanium_printer *p, uint32_t i);

uint32_t itanium_list_size(struct itanium_printer *p, uint32_t list);
/* 0: it is shorter. */
uint32_t itanium_list_item(struct itanium_printer *p, uint32_t list, uint32_t i);

static inline const struct itanium_node *node_at(const struct itanium_printer *p, uint32_t i)
{
	return &p->t->nodes[i];
}

static inline void stop(struct itanium_printer *p, int error)
{
	if (!p->error)
		p->error = error;
}

static inline void put_bytes(struct itanium_printer *p, const char *text, size_t size)
{
	if (size > p->size - p->n)
		stop(p, -E2BIG);
	if (p->error)
		return;
	memcpy(p->out + p->n, text, size);
	p->n += (uint32_t)size;
}

static inline void put(struct itanium_printer *p, const char *text)
{
	put_bytes(p, text, strlen(text));
}

static inline void put_number(struct itanium_printer *p, uint32_t n)
{
	char text[12];
	(void)snprintf(text, sizeof(text), "%u", n);
	put(p, text);
}

static inline void put_text(struct itanium_printer *p, const struct itanium_node *n)
{
	put_bytes(p, n->text, n->size);
}

static inline char last(const struct itanium_printer *p)
{
	return p->n ? p->out[p->n - 1] : 0;
}

/* False when that was too much work. */
static inline bool step(struct itanium_printer *p)
{
	if (p->steps == ITANIUM_MAX_STEPS)
		stop(p, -ENOBUFS);
	else
		p->steps++;
	return !p->error;
}

static inline bool enter(struct itanium_printer *p)
{
	if (p->depth == ITANIUM_MAX_DEPTH)
		stop(p, -ENOBUFS);
	else if (step(p))
		p->depth++;
	return !p->error;
}
