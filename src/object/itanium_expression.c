/* SPDX-License-Identifier: Apache-2.0 */
#include "object/itanium_parser.h"

#define MAX_READ_AGAIN (64u << 10)

/* Strings and nullptr are their type alone. */
static bool needs_value(const struct itanium_node *type)
{
	return type->kind != ITANIUM_ARRAY && !(type->kind == ITANIUM_NAME && slice_eq(slice_of(type->text, type->size),
										       slice_str("decltype(nullptr)")));
}

/* Behind the L, of a type that is no builtin or has no suffix. */
static uint32_t parse_literal_value(struct itanium_parser *p, uint32_t type)
{
	bool is_negative = eat(p, 'n');
	const char *text = p->at;
	while (look(p, 0) && look(p, 0) != 'E')
		p->at++;
	size_t size = (size_t)(p->at - text);
	if (!eat(p, 'E') || size > UINT16_MAX || (size == 0 && needs_value(node_at(p, type))))
		return malformed(p);
	uint32_t node = add_text(p, ITANIUM_LITERAL, text, size, type, 0);
	if (node && is_negative)
		node_at(p, node)->flags = ITANIUM_NEGATIVE;
	return node;
}

/* A constant: L type value E, or L _Z encoding E. */
uint32_t itanium_literal(struct itanium_parser *p)
{
	uint32_t node;
	p->at++;
	if (eat_word(p, "_Z") || eat(p, 'Z')) {
		node = itanium_encoding(p, false);
		return eat(p, 'E') ? node : malformed(p);
	}
	node = itanium_type(p);
	return node ? parse_literal_value(p, node) : 0;
}

/* fp [qualifiers] [number] _; fL level p ...; fpT: this. */
static uint32_t parse_function_parameter(struct itanium_parser *p)
{
	uint32_t n;
	if (eat_word(p, "fpT"))
		return add(p, ITANIUM_PARAM, 0, 0);
	p->at++;
	if (eat(p, 'L') && !read_number(p, &n))
		return malformed(p);
	if (!eat(p, 'p'))
		return malformed(p);
	(void)itanium_qualifiers(p);
	if (!read_sequence(p, 10, &n))
		return malformed(p);
	return add(p, ITANIUM_PARAM, n + 1, 0);
}

/* Up to E, including it. */
static uint32_t parse_expressions(struct itanium_parser *p)
{
	struct list l = { 0 };
	while (!p->error && !eat(p, 'E'))
		list_add(p, &l, itanium_expression(p));
	return l.first;
}

/* scope::name, of which template arguments are the whole's. */
static uint32_t parse_simple_id(struct itanium_parser *p, uint32_t scope)
{
	uint32_t name = itanium_join(p, scope, itanium_source_name(p));
	return eat(p, 'I') ? itanium_template(p, name) : name;
}

/* on operator, dn destructor, or a name. */
static uint32_t parse_base_name(struct itanium_parser *p, uint32_t scope)
{
	uint32_t name;
	if (eat_word(p, "dn")) {
		name = is_digit(look(p, 0)) ? parse_simple_id(p, 0) : itanium_type(p);
		return itanium_join(p, scope, add(p, ITANIUM_DTOR, name, 0));
	}
	if (!eat_word(p, "on"))
		return parse_simple_id(p, scope);
	name = itanium_join(p, scope, itanium_operator_name(p, NULL));
	return eat(p, 'I') ? itanium_template(p, name) : name;
}

static bool sees_base_name(const struct itanium_parser *p, uint32_t ahead)
{
	char c = look(p, ahead), next = look(p, ahead + 1);
	return is_digit(c) || (next == 'n' && (c == 'o' || c == 'd'));
}

/* name [name ...] E base, which S_ does not count; 0 and nothing read if it is
 * not that. What is in it may hold the like: how much is read again is bounded. */
static uint32_t parse_levels(struct itanium_parser *p)
{
	const struct itanium_parser start = *p;
	uint32_t scope = 0;
	while (!p->error && is_digit(look(p, 0)))
		scope = parse_simple_id(p, scope);
	if (!p->error && look(p, 0) == 'E' && sees_base_name(p, 1)) {
		p->at++;
		return parse_base_name(p, scope);
	}
	uint32_t n_again = p->n_again + (uint32_t)(p->at - start.at);
	if (p->error == -E2BIG || n_again > MAX_READ_AGAIN)
		return fail(p, -E2BIG);
	*p = start;
	p->n_again = n_again;
	return 0;
}

/* Behind "sr": levels, or type base, which may begin the same. */
static uint32_t parse_unresolved_name(struct itanium_parser *p)
{
	uint32_t name = is_digit(look(p, 0)) ? parse_levels(p) : 0;
	if (name || p->error)
		return name;
	return parse_base_name(p, itanium_type(p));
}

static uint32_t parse_fold(struct itanium_parser *p)
{
	char kind = look(p, 1);
	skip(p, 2);
	const struct itanium_operator *o = itanium_see_operator(p);
	if (!o)
		return malformed(p);
	skip(p, 2);
	uint32_t a = itanium_expression(p), b = kind == 'L' || kind == 'R' ? itanium_expression(p) : 0;
	uint32_t node = add_word(p, ITANIUM_FOLD, o->text, a, b);
	if (node && (kind == 'l' || kind == 'L'))
		node_at(p, node)->flags = ITANIUM_LEFT;
	return node;
}

static uint32_t parse_cast(struct itanium_parser *p)
{
	uint32_t type = itanium_type(p);
	if (eat(p, '_'))
		return add(p, ITANIUM_CALL, type, parse_expressions(p));
	return add(p, ITANIUM_CAST, type, itanium_expression(p));
}

/* [gs] nw arguments _ type (E | pi initializers E) */
static uint32_t parse_new(struct itanium_parser *p, const char *word)
{
	struct list l = { 0 };
	while (!p->error && !eat(p, '_'))
		list_add(p, &l, itanium_expression(p));
	uint32_t type = itanium_type(p), node = add_word(p, ITANIUM_PREFIXED, word, type, 0);
	if (eat_word(p, "pi"))
		return add(p, ITANIUM_CALL, node, parse_expressions(p));
	if (look(p, 0) == 'i')
		return add(p, ITANIUM_CALL, node, itanium_expression(p));
	return eat(p, 'E') ? node : malformed(p);
}

/* Words with one type or expression. */
static uint32_t parse_word(struct itanium_parser *p)
{
	static const struct {
		const char code[3];
		char of; /* t type, e expression, s pack's arguments */
		const char *text;
	} words[] = {
		{ "st", 't', "sizeof " },  { "sz", 'e', "sizeof " },   { "at", 't', "alignof " },
		{ "az", 'e', "alignof " }, { "ti", 't', "typeid " },   { "te", 'e', "typeid " },
		{ "nx", 'e', "noexcept" }, { "sZ", 'e', "sizeof..." }, { "sP", 's', "sizeof..." },
		{ "tw", 'e', "throw " },
	};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!eat_word(p, words[i].code))
			continue;
		uint32_t node = words[i].of == 't'   ? itanium_type(p)
				: words[i].of == 'e' ? itanium_expression(p)
						     : add(p, ITANIUM_PACK, itanium_arguments(p), 0);
		return add_word(p, ITANIUM_APPLY, words[i].text, node, 0);
	}
	return 0;
}

static uint32_t parse_named_cast(struct itanium_parser *p)
{
	static const struct {
		const char code[3];
		const char *text;
	} casts[] = {
		{ "dc", "dynamic_cast" },
		{ "sc", "static_cast" },
		{ "cc", "const_cast" },
		{ "rc", "reinterpret_cast" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(casts); i++) {
		if (!eat_word(p, casts[i].code))
			continue;
		uint32_t type = itanium_type(p);
		return add_word(p, ITANIUM_TO, casts[i].text, type, itanium_expression(p));
	}
	return 0;
}

static uint32_t parse_operation(struct itanium_parser *p)
{
	const struct itanium_operator *o = itanium_see_operator(p);
	if (!o || o->kind == ITANIUM_NONE)
		return malformed(p);
	skip(p, 2);
	if (o->kind == ITANIUM_POSTFIX && eat(p, '_'))
		return add_word(p, ITANIUM_PREFIX, o->text, itanium_expression(p), 0);
	uint32_t a = itanium_expression(p), b = 0;
	if (o->kind == ITANIUM_BINARY || o->kind == ITANIUM_MEMBER)
		b = itanium_expression(p);
	return add_word(p, (enum itanium_kind)o->kind, o->text, a, b);
}

/* Those that neither a table nor a letter decides. */
static uint32_t parse_other_expression(struct itanium_parser *p)
{
	uint32_t a, b;
	if (eat_word(p, "cl")) {
		a = itanium_expression(p);
		return add(p, ITANIUM_CALL, a, parse_expressions(p));
	}
	if (eat_word(p, "cv"))
		return parse_cast(p);
	if (eat_word(p, "tl")) {
		a = itanium_type(p);
		return add(p, ITANIUM_BRACES, a, parse_expressions(p));
	}
	if (eat_word(p, "il"))
		return add(p, ITANIUM_BRACES, 0, parse_expressions(p));
	if (eat_word(p, "sp"))
		return add(p, ITANIUM_EXPANSION, itanium_expression(p), 0);
	if (eat_word(p, "sr"))
		return parse_unresolved_name(p);
	if (eat_word(p, "nw") || eat_word(p, "na"))
		return parse_new(p, "new ");
	if (eat_word(p, "dl"))
		return add_word(p, ITANIUM_PREFIX, "delete ", itanium_expression(p), 0);
	if (eat_word(p, "da"))
		return add_word(p, ITANIUM_PREFIX, "delete[] ", itanium_expression(p), 0);
	if (eat_word(p, "ix")) {
		a = itanium_expression(p);
		return add(p, ITANIUM_INDEX, a, itanium_expression(p));
	}
	if (eat_word(p, "qu")) {
		a = itanium_expression(p);
		b = itanium_expression(p);
		return add(p, ITANIUM_TERNARY, a, add(p, ITANIUM_LIST, b, itanium_expression(p)));
	}
	return parse_operation(p);
}

uint32_t itanium_expression(struct itanium_parser *p)
{
	char c = look(p, 0), next = look(p, 1);
	uint32_t node = 0;
	if (!enter(p))
		return 0;
	(void)eat_word(p, "gs");
	if (c == 'L')
		node = itanium_literal(p);
	else if (c == 'T' && ++p->at)
		node = itanium_template_parameter(p); /* S_ does not count it: no type */
	else if (c == 'f' && (next == 'p' || (next == 'L' && is_digit(look(p, 2)))))
		node = parse_function_parameter(p);
	else if (c == 'f')
		node = parse_fold(p);
	else if (is_digit(look(p, 0)) || sees(p, "on") || sees(p, "dn"))
		node = parse_base_name(p, 0);
	else if (!(node = parse_word(p)) && !p->error && !(node = parse_named_cast(p)) && !p->error)
		node = parse_other_expression(p);
	p->depth--;
	return node;
}
