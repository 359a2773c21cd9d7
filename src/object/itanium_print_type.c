/* SPDX-License-Identifier: Apache-2.0 */
#include "object/itanium_printer.h"

static void put_qualifiers(struct itanium_printer *p, uint8_t flags)
{
	static const struct {
		uint8_t flag;
		const char *text;
	} all[] = {
		{ ITANIUM_CONST, " const" },   { ITANIUM_VOLATILE, " volatile" }, { ITANIUM_RESTRICT, " restrict" },
		{ ITANIUM_THIS_LVALUE, " &" }, { ITANIUM_THIS_RVALUE, " &&" },	  { ITANIUM_NOEXCEPT, " noexcept" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (flags & all[i].flag)
			put(p, all[i].text);
}

/* What a pointer, reference or member pointer is of. */
static struct itanium_place target(struct itanium_printer *p, const struct itanium_node *n,
				   const struct itanium_scope *scope)
{
	return itanium_place_in(p, n->kind == ITANIUM_MEMBER_POINTER ? n->b : n->a, scope);
}

/* The kind of what `at` is, or is const of. */
static uint8_t kind_of(struct itanium_printer *p, struct itanium_place at)
{
	const struct itanium_node *n = node_at(p, at.node);
	for (; (n->kind == ITANIUM_QUALIFIERS || n->kind == ITANIUM_VENDOR) && step(p); n = node_at(p, at.node))
		at = itanium_place_in(p, n->a, at.scope);
	return n->kind;
}

/* Whether it goes on behind what is declared. */
static bool has_right(struct itanium_printer *p, struct itanium_place at)
{
	uint8_t kind = kind_of(p, at);
	return kind == ITANIUM_ARRAY || kind == ITANIUM_FUNCTION_TYPE;
}

static bool is_reference(const struct itanium_node *n)
{
	return n->kind == ITANIUM_LVALUE || n->kind == ITANIUM_RVALUE;
}

/* References to references are one: & wins over &&. */
static struct itanium_place pointee(struct itanium_printer *p, const struct itanium_node *n, bool *ret_is_lvalue)
{
	struct itanium_place at = target(p, n, p->scope);
	*ret_is_lvalue = n->kind == ITANIUM_LVALUE;
	for (; is_reference(n) && is_reference(node_at(p, at.node)) && step(p);
	     at = target(p, node_at(p, at.node), at.scope))
		*ret_is_lvalue |= node_at(p, at.node)->kind == ITANIUM_LVALUE;
	return at;
}

static void print_pointer_left(struct itanium_printer *p, const struct itanium_node *n)
{
	bool is_lvalue;
	struct itanium_place to = pointee(p, n, &is_lvalue);
	bool is_wrapped = has_right(p, to);
	itanium_put_left(p, to);
	if (kind_of(p, to) == ITANIUM_ARRAY)
		put(p, " ");
	if (is_wrapped)
		put(p, "(");
	if (n->kind == ITANIUM_POINTER) {
		put(p, "*");
	} else if (n->kind == ITANIUM_MEMBER_POINTER) {
		put(p, is_wrapped ? "" : " ");
		itanium_put(p, n->a);
		put(p, "::*");
	} else {
		put(p, is_lvalue ? "&" : "&&");
	}
}

static void print_pointer_right(struct itanium_printer *p, const struct itanium_node *n)
{
	bool is_lvalue;
	struct itanium_place to = pointee(p, n, &is_lvalue);
	if (has_right(p, to))
		put(p, ")");
	itanium_put_right(p, to);
}

static void print_array_right(struct itanium_printer *p, const struct itanium_node *n)
{
	if (last(p) != ']')
		put(p, " ");
	put(p, "[");
	put_text(p, n);
	itanium_put(p, n->a);
	put(p, "]");
	itanium_put_right(p, itanium_place_of(p, n->b));
}

static void print_function_right(struct itanium_printer *p, const struct itanium_node *n)
{
	put(p, "(");
	itanium_put_list(p, n->b);
	put(p, ")");
	itanium_put_right(p, itanium_place_of(p, n->a));
	put_qualifiers(p, n->flags);
}

/* Whether something of `at`, or of what it points to, comes behind. */
static bool goes_on(struct itanium_printer *p, struct itanium_place at)
{
	const struct itanium_node *n = node_at(p, at.node);
	while ((n->kind == ITANIUM_POINTER || n->kind == ITANIUM_MEMBER_POINTER || n->kind == ITANIUM_QUALIFIERS ||
		n->kind == ITANIUM_VENDOR || n->kind == ITANIUM_SUFFIXED || is_reference(n)) &&
	       step(p)) {
		at = target(p, n, at.scope);
		n = node_at(p, at.node);
	}
	return has_right(p, at);
}

/* What stands before a function's name or parentheses. */
static void print_result(struct itanium_printer *p, const struct itanium_node *type)
{
	struct itanium_place result = itanium_place_of(p, type->a);
	itanium_put_left(p, result);
	if (type->a && !goes_on(p, result) && last(p) != ' ')
		put(p, " ");
}

/* The template that a function's name is, and not what it is in; 0: none. */
static uint32_t template_of(struct itanium_printer *p, uint32_t name)
{
	const struct itanium_node *n = node_at(p, name);
	while (n->kind == ITANIUM_LOCAL && step(p))
		n = node_at(p, n->b);
	return n->kind == ITANIUM_TEMPLATE ? (uint32_t)(n - p->t->nodes) : 0;
}

/* T_ in its types are the arguments of its own name, in which T_ is not. */
void itanium_put_function(struct itanium_printer *p, const struct itanium_node *n)
{
	const struct itanium_node *type = node_at(p, n->b);
	const struct itanium_scope *outer = p->scope;
	uint32_t template = template_of(p, n->a);
	struct itanium_scope own = { .arguments = node_at(p, template)->b, .outer = outer };
	const struct itanium_scope *inner = template ? &own : outer;
	p->scope = inner;
	print_result(p, type);
	p->scope = outer;
	itanium_put(p, n->a);
	p->scope = inner;
	print_function_right(p, type);
	p->scope = outer;
}

/* An argument may be const already. */
static void print_qualifiers_left(struct itanium_printer *p, const struct itanium_node *n)
{
	struct itanium_place of = itanium_place_of(p, n->a);
	const struct itanium_node *inner = node_at(p, of.node);
	itanium_put_left(p, of);
	put_qualifiers(p, inner->kind == ITANIUM_QUALIFIERS ? n->flags & (uint8_t)~inner->flags : n->flags);
}

void itanium_put_type_left(struct itanium_printer *p, const struct itanium_node *n)
{
	switch ((enum itanium_kind)n->kind) {
	case ITANIUM_POINTER:
	case ITANIUM_LVALUE:
	case ITANIUM_RVALUE:
	case ITANIUM_MEMBER_POINTER:
		print_pointer_left(p, n);
		break;
	case ITANIUM_QUALIFIERS:
		print_qualifiers_left(p, n);
		break;
	case ITANIUM_SUFFIXED:
		itanium_put_left(p, itanium_place_of(p, n->a));
		put_text(p, n);
		break;
	case ITANIUM_VENDOR:
		itanium_put_left(p, itanium_place_of(p, n->a));
		put(p, " ");
		itanium_put(p, n->b);
		break;
	case ITANIUM_FUNCTION_TYPE:
		print_result(p, n);
		break;
	case ITANIUM_ARRAY:
		itanium_put_left(p, itanium_place_of(p, n->b));
		break;
	case ITANIUM_PREFIXED:
		put_text(p, n);
		itanium_put(p, n->a);
		break;
	case ITANIUM_DECLTYPE:
		put(p, "decltype (");
		itanium_put(p, n->a);
		put(p, ")");
		break;
	case ITANIUM_TEMPLATE_PARAM:
		if (!p->in_lambda)
			stop(p, -EBADMSG); /* of no template */
		put(p, "auto:");
		put_number(p, n->a + 1);
		break;
	default:
		stop(p, -EBADMSG);
	}
}

/* Of what has no second half: nothing. */
void itanium_put_type_right(struct itanium_printer *p, const struct itanium_node *n)
{
	switch ((enum itanium_kind)n->kind) {
	case ITANIUM_POINTER:
	case ITANIUM_LVALUE:
	case ITANIUM_RVALUE:
	case ITANIUM_MEMBER_POINTER:
		print_pointer_right(p, n);
		break;
	case ITANIUM_QUALIFIERS:
	case ITANIUM_SUFFIXED:
	case ITANIUM_VENDOR:
		itanium_put_right(p, itanium_place_of(p, n->a));
		break;
	case ITANIUM_FUNCTION_TYPE:
		print_function_right(p, n);
		break;
	case ITANIUM_ARRAY:
		print_array_right(p, n);
		break;
	default:
		break;
	}
}
