/* SPDX-License-Identifier: Apache-2.0 */
#include "object/itanium_printer.h"

/* ---- template parameters and packs --------------------------------------- */

uint32_t itanium_list_size(struct itanium_printer *p, uint32_t list)
{
	uint32_t n = 0;
	for (; list && step(p); list = node_at(p, list)->b)
		n++;
	return n;
}

uint32_t itanium_list_item(struct itanium_printer *p, uint32_t list, uint32_t i)
{
	for (; list && i > 0 && step(p); i--)
		list = node_at(p, list)->b;
	return list ? node_at(p, list)->a : 0;
}

/* The argument for a parameter: of a pack that is being expanded, the one
 * whose turn it is. */
static uint32_t argument_of(struct itanium_printer *p, const struct itanium_scope *scope, uint32_t param)
{
	uint32_t i = itanium_list_item(p, scope->arguments, node_at(p, param)->a);
	const struct itanium_node *n = node_at(p, i);
	if (i == 0)
		stop(p, -EBADMSG);
	if (n->kind != ITANIUM_PACK || !p->in_expansion)
		return i;
	if (!p->met_pack) {
		p->met_pack = true;
		p->pack_size = itanium_list_size(p, n->a);
	}
	return itanium_list_item(p, n->a, p->pack_index);
}

struct itanium_place itanium_place_in(struct itanium_printer *p, uint32_t i, const struct itanium_scope *scope)
{
	while (node_at(p, i)->kind == ITANIUM_TEMPLATE_PARAM && scope && !p->in_lambda && step(p)) {
		i = argument_of(p, scope, i);
		scope = scope->outer;
	}
	return (struct itanium_place){ i, scope };
}

struct itanium_place itanium_place_of(struct itanium_printer *p, uint32_t i)
{
	return itanium_place_in(p, i, p->scope);
}

void itanium_put_list(struct itanium_printer *p, uint32_t list)
{
	bool any = false;
	for (; list && !p->error; list = node_at(p, list)->b) {
		uint32_t before = p->n;
		if (any)
			put(p, ", ");
		uint32_t start = p->n;
		itanium_put(p, node_at(p, list)->a);
		/* An empty pack. */
		if (p->n == start)
			p->n = before;
		else
			any = true;
	}
}

/* Printing once tells how many there are: of the first pack that is met. */
static void print_expansion(struct itanium_printer *p, uint32_t pattern)
{
	struct itanium_printer saved = *p;
	p->in_expansion = true;
	p->met_pack = false;
	p->pack_index = 0;
	itanium_put(p, pattern);
	bool is_pack = p->met_pack;
	uint32_t size = p->pack_size;
	if (!is_pack)
		put(p, "...");
	else if (size == 0)
		p->n = saved.n;
	for (uint32_t i = 1; is_pack && i < size && !p->error; i++) {
		put(p, ", ");
		p->pack_index = i;
		itanium_put(p, pattern);
	}
	p->in_expansion = saved.in_expansion;
	p->met_pack = saved.met_pack;
	p->pack_index = saved.pack_index;
	p->pack_size = saved.pack_size;
}

/* ---- names --------------------------------------------------------------- */

static void print_arguments(struct itanium_printer *p, uint32_t list)
{
	/* "operator< <int>", "a<b<c> >" */
	put(p, last(p) == '<' ? " <" : "<");
	itanium_put_list(p, list);
	put(p, last(p) == '>' ? " >" : ">");
}

static bool is_class(const struct itanium_node *n)
{
	switch ((enum itanium_kind)n->kind) {
	case ITANIUM_CTOR:
	case ITANIUM_DTOR:
	case ITANIUM_OPERATOR:
	case ITANIUM_CONVERSION:
	case ITANIUM_LITERAL_OPERATOR:
		return false;
	default:
		return true;
	}
}

/* A class's own name, as its constructor has it. */
static void print_base_name(struct itanium_printer *p, uint32_t i)
{
	const struct itanium_node *n = node_at(p, itanium_place_of(p, i).node);
	while ((n->kind == ITANIUM_QUALIFIED || n->kind == ITANIUM_LOCAL || n->kind == ITANIUM_TEMPLATE ||
		n->kind == ITANIUM_TAGGED) &&
	       step(p))
		n = node_at(p, n->kind == ITANIUM_QUALIFIED || n->kind == ITANIUM_LOCAL ? n->b : n->a);
	if (!is_class(n))
		stop(p, -EBADMSG);
	if (n->kind != ITANIUM_NAME) {
		itanium_put(p, (uint32_t)(n - p->t->nodes));
		return;
	}
	/* "std::basic_string<...>", of an abbreviation. */
	const char *start = n->text, *end = memchr(start, '<', n->size);
	if (!end)
		end = start + n->size;
	if (end - start > 5 && memcmp(start, "std::", 5) == 0)
		start += 5;
	put_bytes(p, start, (size_t)(end - start));
}

/* Its type may mean the arguments of the template that it is. */
static void print_conversion(struct itanium_printer *p, const struct itanium_node *n)
{
	struct itanium_scope own = { .outer = p->scope };
	const struct itanium_scope *outer = p->scope;
	if (p->template) {
		own.arguments = node_at(p, p->template)->b;
		p->scope = &own;
	}
	put(p, "operator ");
	itanium_put(p, n->a);
	p->scope = outer;
}

static void print_lambda(struct itanium_printer *p, const struct itanium_node *n)
{
	bool in_lambda = p->in_lambda;
	p->in_lambda = true;
	put(p, "{lambda(");
	itanium_put_list(p, n->a);
	put(p, ")#");
	put_number(p, n->b);
	put(p, "}");
	p->in_lambda = in_lambda;
}

static void print_template(struct itanium_printer *p, uint32_t i)
{
	const struct itanium_node *n = node_at(p, i);
	uint32_t around = p->template;
	p->template = i;
	itanium_put(p, n->a);
	print_arguments(p, n->b);
	p->template = around;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void print_operator(struct itanium_printer *p, const struct itanium_node *n)
{
	put(p, "operator");
	if (n->a) { /* a vendor's */
		put(p, " ");
		itanium_put(p, n->a);
		return;
	}
	if (is_letter(n->text[0]))
		put(p, " ");
	put_bytes(p, n->text, n->size && n->text[n->size - 1] == ' ' ? n->size - 1u : n->size);
}

static void print_special_name(struct itanium_printer *p, const struct itanium_node *n)
{
	switch ((enum itanium_kind)n->kind) {
	case ITANIUM_UNNAMED:
		put(p, "{unnamed type#");
		put_number(p, n->a);
		put(p, "}");
		break;
	case ITANIUM_LAMBDA:
		print_lambda(p, n);
		break;
	case ITANIUM_DEFAULT_ARG:
		put(p, "{default arg#");
		put_number(p, n->a);
		put(p, "}::");
		itanium_put(p, n->b);
		break;
	case ITANIUM_BINDING:
		put(p, "[");
		itanium_put_list(p, n->a);
		put(p, "]");
		break;
	case ITANIUM_CONSTRUCTION:
		put(p, "construction vtable for ");
		itanium_put(p, n->a);
		put(p, "-in-");
		itanium_put(p, n->b);
		break;
	case ITANIUM_TEMPORARY:
		put(p, "reference temporary #");
		put_number(p, n->a);
		put(p, " for ");
		itanium_put(p, n->b);
		break;
	default:
		stop(p, -EBADMSG);
	}
}

void itanium_put_name(struct itanium_printer *p, const struct itanium_node *n)
{
	switch ((enum itanium_kind)n->kind) {
	case ITANIUM_NAME:
		put_text(p, n);
		break;
	case ITANIUM_QUALIFIED:
	case ITANIUM_LOCAL:
		itanium_put(p, n->a);
		put(p, "::");
		itanium_put(p, n->b);
		break;
	case ITANIUM_TEMPLATE:
		print_template(p, (uint32_t)(n - p->t->nodes));
		break;
	case ITANIUM_TAGGED:
		itanium_put(p, n->a);
		put(p, "[abi:");
		put_text(p, n);
		put(p, "]");
		break;
	case ITANIUM_DTOR:
		put(p, "~");
		print_base_name(p, n->a);
		break;
	case ITANIUM_CTOR:
		print_base_name(p, n->a);
		break;
	case ITANIUM_OPERATOR:
		print_operator(p, n);
		break;
	case ITANIUM_CONVERSION:
		print_conversion(p, n);
		break;
	case ITANIUM_LITERAL_OPERATOR:
		put(p, "operator\"\" ");
		itanium_put(p, n->a);
		break;
	case ITANIUM_SPECIAL:
		put_text(p, n);
		itanium_put(p, n->a);
		break;
	default:
		print_special_name(p, n);
	}
}

/* ---- the whole ----------------------------------------------------------- */

static void print_node(struct itanium_printer *p, uint32_t i)
{
	const struct itanium_node *n = node_at(p, i);
	if (n->kind == ITANIUM_FUNCTION)
		itanium_put_function(p, n);
	else if (n->kind == ITANIUM_EXPANSION)
		print_expansion(p, n->a);
	else if (n->kind == ITANIUM_PACK)
		itanium_put_list(p, n->a);
	else if (n->kind == ITANIUM_LIST)
		itanium_put_list(p, i);
	else if (n->kind < ITANIUM_FUNCTION)
		itanium_put_name(p, n);
	else if (n->kind < ITANIUM_PREFIX)
		itanium_put_type_left(p, n);
	else
		itanium_put_expression(p, n);
}

void itanium_put_left(struct itanium_printer *p, struct itanium_place at)
{
	const struct itanium_scope *scope = p->scope;
	if (!at.node || !enter(p))
		return;
	p->scope = at.scope;
	print_node(p, at.node);
	p->scope = scope;
	p->depth--;
}

void itanium_put_right(struct itanium_printer *p, struct itanium_place at)
{
	const struct itanium_scope *scope = p->scope;
	const struct itanium_node *n = node_at(p, at.node);
	if (!at.node || !enter(p))
		return;
	p->scope = at.scope;
	itanium_put_type_right(p, n);
	p->scope = scope;
	p->depth--;
}

void itanium_put(struct itanium_printer *p, uint32_t i)
{
	struct itanium_place at = itanium_place_of(p, i);
	itanium_put_left(p, at);
	itanium_put_right(p, at);
}

int itanium_print(const struct itanium *t, char *out, uint32_t size)
{
	struct itanium_printer p = { .t = t, .out = out, .size = size };
	itanium_put(&p, t->root);
	return p.error ? p.error : (int)p.n;
}
