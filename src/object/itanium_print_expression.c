/* SPDX-License-Identifier: Apache-2.0 */
#include "object/itanium_printer.h"

/* Names and parameters need no parentheses. */
static void print_operand(struct itanium_printer *p, uint32_t i)
{
	const struct itanium_node *n = node_at(p, i);
	bool is_simple = n->kind == ITANIUM_NAME || n->kind == ITANIUM_QUALIFIED || n->kind == ITANIUM_PARAM ||
			 (n->kind == ITANIUM_BRACES && !n->a);
	put(p, is_simple ? "" : "(");
	itanium_put(p, i);
	put(p, is_simple ? "" : ")");
}

static void print_literal(struct itanium_printer *p, const struct itanium_node *n)
{
	static const struct {
		const char *type, *suffix;
	} suffixes[] = {
		{ "int", "" },	       { "unsigned int", "u" },		{ "long", "l" }, { "unsigned long", "ul" },
		{ "long long", "ll" }, { "unsigned long long", "ull" },
	};
	const struct itanium_node *type = node_at(p, itanium_place_of(p, n->a).node);
	struct slice name = slice_of(type->text, type->kind == ITANIUM_NAME ? type->size : 0);
	if (slice_eq(name, slice_str("bool")) && n->size == 1 && (n->text[0] == '0' || n->text[0] == '1')) {
		put(p, n->text[0] == '1' ? "true" : "false");
		return;
	}
	const char *suffix = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (slice_eq(name, slice_str(suffixes[i].type)))
			suffix = suffixes[i].suffix;
	bool is_float = slice_eq(name, slice_str("float")) || slice_eq(name, slice_str("double"));
	if (!suffix) {
		put(p, "(");
		itanium_put(p, n->a);
		put(p, ")");
	}
	put(p, n->flags & ITANIUM_NEGATIVE ? "-" : "");
	put(p, is_float ? "[" : "");
	put_text(p, n);
	put(p, is_float ? "]" : "");
	put(p, suffix ? suffix : "");
}

static void print_fold(struct itanium_printer *p, const struct itanium_node *n)
{
	bool is_left = n->flags & ITANIUM_LEFT;
	bool in_expansion = p->in_expansion;
	p->in_expansion = false; /* the whole pack */
	put(p, "(");
	if (is_left && !n->b)
		put(p, "...");
	else
		print_operand(p, n->a);
	put_text(p, n);
	if (n->b) {
		put(p, "...");
		put_text(p, n);
		print_operand(p, n->b);
	} else if (is_left) {
		print_operand(p, n->a);
	} else {
		put(p, "...");
	}
	put(p, ")");
	p->in_expansion = in_expansion;
}

static void print_binary(struct itanium_printer *p, const struct itanium_node *n)
{
	/* Else it would seem to end template arguments. */
	bool is_greater = n->size && n->text[0] == '>';
	put(p, is_greater ? "(" : "");
	print_operand(p, n->a);
	put_text(p, n);
	print_operand(p, n->b);
	put(p, is_greater ? ")" : "");
}

/* sizeof ... and the like. Of a pack it is known how many there are. */
static void print_apply(struct itanium_printer *p, const struct itanium_node *n)
{
	const struct itanium_node *of = node_at(p, n->a);
	if (of->kind == ITANIUM_TEMPLATE_PARAM && p->scope)
		of = node_at(p, itanium_list_item(p, p->scope->arguments, of->a));
	if (of->kind == ITANIUM_PACK) {
		put_number(p, itanium_list_size(p, of->a));
		return;
	}
	put_text(p, n);
	put(p, "(");
	itanium_put(p, n->a);
	put(p, ")");
}

/* Of "&a::f" the name alone, unless it is of a template or const. */
static uint32_t plain_function(const struct itanium_printer *p, const struct itanium_node *n)
{
	const struct itanium_node *of = node_at(p, n->a);
	bool is_plain = n->text[0] == '&' && of->kind == ITANIUM_FUNCTION && node_at(p, of->b)->flags == 0 &&
			node_at(p, of->a)->kind == ITANIUM_QUALIFIED;
	return is_plain ? of->a : n->a;
}

static void print_parameter(struct itanium_printer *p, const struct itanium_node *n)
{
	if (n->a == 0) {
		put(p, "this");
		return;
	}
	put(p, "{parm#");
	put_number(p, n->a);
	put(p, "}");
}

/* a(list), a{list}. A function that is called has arguments, not parameters. */
static void print_call(struct itanium_printer *p, const struct itanium_node *n)
{
	const struct itanium_node *of = node_at(p, n->a);
	bool is_braces = n->kind == ITANIUM_BRACES;
	if (is_braces)
		itanium_put(p, n->a);
	else
		print_operand(p, of->kind == ITANIUM_FUNCTION ? of->a : n->a);
	put(p, is_braces ? "{" : "(");
	itanium_put_list(p, n->b);
	put(p, is_braces ? "}" : ")");
}

/* What has operands and its own way to write them. */
static void print_operation(struct itanium_printer *p, const struct itanium_node *n)
{
	switch ((enum itanium_kind)n->kind) {
	case ITANIUM_TERNARY:
		print_operand(p, n->a);
		put(p, "?");
		print_operand(p, node_at(p, n->b)->a);
		put(p, " : ");
		print_operand(p, node_at(p, n->b)->b);
		break;
	case ITANIUM_INDEX:
		print_operand(p, n->a);
		put(p, "[");
		itanium_put(p, n->b);
		put(p, "]");
		break;
	case ITANIUM_CAST:
		put(p, "(");
		itanium_put(p, n->a);
		put(p, ")");
		print_operand(p, n->b);
		break;
	case ITANIUM_TO:
		put_text(p, n);
		put(p, "<");
		itanium_put(p, n->a);
		put(p, last(p) == '>' ? " >(" : ">(");
		itanium_put(p, n->b);
		put(p, ")");
		break;
	default:
		stop(p, -EBADMSG);
	}
}

void itanium_put_expression(struct itanium_printer *p, const struct itanium_node *n)
{
	switch ((enum itanium_kind)n->kind) {
	case ITANIUM_PREFIX:
		put_text(p, n);
		print_operand(p, plain_function(p, n));
		break;
	case ITANIUM_POSTFIX:
		print_operand(p, n->a);
		put_text(p, n);
		break;
	case ITANIUM_BINARY:
		print_binary(p, n);
		break;
	case ITANIUM_MEMBER:
		print_operand(p, n->a);
		put_text(p, n);
		print_operand(p, n->b);
		break;
	case ITANIUM_CALL:
	case ITANIUM_BRACES:
		print_call(p, n);
		break;
	case ITANIUM_APPLY:
		print_apply(p, n);
		break;
	case ITANIUM_LITERAL:
		print_literal(p, n);
		break;
	case ITANIUM_PARAM:
		print_parameter(p, n);
		break;
	case ITANIUM_FOLD:
		print_fold(p, n);
		break;
	default:
		print_operation(p, n);
	}
}
