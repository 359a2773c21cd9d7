/* SPDX-License-Identifier: Apache-2.0 */
#include "object/itanium_parser.h"

/* ---- names --------------------------------------------------------------- */

uint32_t itanium_source_name(struct itanium_parser *p)
{
	uint32_t n;
	if (!read_number(p, &n) || n == 0 || n > (size_t)(p->end - p->at))
		return malformed(p);
	const char *text = p->at;
	p->at += n;
	if (n >= 10 && memcmp(text, "_GLOBAL_", 8) == 0 && strchr("._$", text[8]) && text[9] == 'N')
		return add_word(p, ITANIUM_NAME, "(anonymous namespace)", 0, 0);
	return add_text(p, ITANIUM_NAME, text, n, 0, 0);
}

static const struct itanium_operator operators[] = {
#define ITANIUM_OPERATOR_KIND_NONE ITANIUM_NONE
#define OPERATOR(code, kind, text) { code, ITANIUM_##kind, text },
#include "object/itanium_operator.def"
#undef OPERATOR
};

/* The operator of the next two letters, which stay. */
const struct itanium_operator *itanium_see_operator(const struct itanium_parser *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++)
		if (look(p, 0) == operators[i].code[0] && look(p, 1) == operators[i].code[1])
			return &operators[i];
	return NULL;
}

/* In "operator T<int>" the arguments are the operator's, not T's. */
static uint32_t parse_conversion(struct itanium_parser *p, struct itanium_facts *facts)
{
	bool no_arguments = p->no_arguments;
	p->no_arguments = true;
	uint32_t type = itanium_type(p);
	p->no_arguments = no_arguments;
	if (facts)
		facts->has_no_return_type = true;
	return add(p, ITANIUM_CONVERSION, type, 0);
}

uint32_t itanium_operator_name(struct itanium_parser *p, struct itanium_facts *facts)
{
	if (eat_word(p, "cv"))
		return parse_conversion(p, facts);
	if (eat_word(p, "li"))
		return add(p, ITANIUM_LITERAL_OPERATOR, itanium_source_name(p), 0);
	if (look(p, 0) == 'v' && is_digit(look(p, 1))) {
		skip(p, 2);
		return add(p, ITANIUM_OPERATOR, itanium_source_name(p), 0);
	}
	const struct itanium_operator *o = itanium_see_operator(p);
	if (!o)
		return malformed(p);
	skip(p, 2);
	return add_word(p, ITANIUM_OPERATOR, o->text, 0, 0);
}

/* E, requires, & or && of the function itself, or the end. */
static bool sees_end_of_parameters(const struct itanium_parser *p, uint32_t ahead)
{
	char c = look(p, ahead);
	return !c || c == 'E' || c == 'Q' || ((c == 'R' || c == 'O') && look(p, ahead + 1) == 'E');
}

/* Types, one at least; "v" alone is none. */
uint32_t itanium_parameters(struct itanium_parser *p)
{
	struct list l = { 0 };
	if (look(p, 0) == 'v' && sees_end_of_parameters(p, 1)) {
		p->at++;
		return 0;
	}
	do {
		if (sees_end_of_parameters(p, 0) || look(p, 0) == 'v')
			return malformed(p);
		list_add(p, &l, itanium_type(p));
	} while (!p->error && !sees_end_of_parameters(p, 0));
	return l.first;
}

/* Declarations of a lambda's template parameters, "Ty" and so on: not shown. */
static void skip_template_declarations(struct itanium_parser *p)
{
	while (look(p, 0) == 'T' && look(p, 1) && strchr("yptnk", look(p, 1)) && enter(p)) {
		char kind = look(p, 1);
		skip(p, 2);
		if (kind == 'n')
			(void)itanium_type(p);
		else if (kind == 'k')
			(void)itanium_name(p, NULL);
		else if (kind == 't') {
			skip_template_declarations(p);
			if (!eat(p, 'E'))
				(void)malformed(p);
		} else if (kind == 'p') {
			skip_template_declarations(p);
		}
		p->depth--;
	}
}

static uint32_t parse_lambda(struct itanium_parser *p)
{
	uint32_t number;
	skip_template_declarations(p);
	uint32_t params = itanium_parameters(p);
	if (!eat(p, 'E') || !read_sequence(p, 10, &number))
		return malformed(p);
	return add(p, ITANIUM_LAMBDA, params, number + 1);
}

static uint32_t parse_unnamed(struct itanium_parser *p)
{
	uint32_t number;
	if (eat_word(p, "Ul"))
		return parse_lambda(p);
	if (!eat_word(p, "Ut") || !read_sequence(p, 10, &number))
		return malformed(p);
	return add(p, ITANIUM_UNNAMED, number + 1, 0);
}

static uint32_t parse_binding(struct itanium_parser *p)
{
	struct list l = { 0 };
	while (!p->error && !eat(p, 'E'))
		list_add(p, &l, itanium_source_name(p));
	return add(p, ITANIUM_BINDING, l.first, 0);
}

static uint32_t parse_abi_tags(struct itanium_parser *p, uint32_t name)
{
	while (!p->error && eat(p, 'B')) {
		uint32_t tag = itanium_source_name(p);
		if (tag)
			name = add_text(p, ITANIUM_TAGGED, node_at(p, tag)->text, node_at(p, tag)->size, name, 0);
	}
	return name;
}

static void skip_discriminator(struct itanium_parser *p)
{
	const char *at = p->at;
	uint32_t n;
	if (!eat(p, '_'))
		return;
	bool is_long = eat(p, '_');
	if (!is_long && is_digit(look(p, 0)))
		p->at++;
	else if (!is_long || !read_number(p, &n) || !eat(p, '_'))
		p->at = at;
}

static uint32_t parse_unqualified_name(struct itanium_parser *p, struct itanium_facts *facts)
{
	uint32_t name;
	bool is_internal = eat(p, 'L');
	(void)eat(p, 'F'); /* a friend, hidden from others */
	char c = look(p, 0);
	if (is_digit(c))
		name = itanium_source_name(p);
	else if (c == 'U')
		name = parse_unnamed(p);
	else if (eat_word(p, "DC"))
		name = parse_binding(p);
	else
		name = itanium_operator_name(p, facts);
	if (is_internal)
		skip_discriminator(p);
	return parse_abi_tags(p, name);
}

/* ---- substitutions and templates ----------------------------------------- */

static const struct abbreviation {
	char code;
	const char *text, *full; /* full: before a constructor */
} abbreviations[] = {
	{ 'a', "std::allocator", "std::allocator" },
	{ 'b', "std::basic_string", "std::basic_string" },
	{ 's', "std::string", "std::basic_string<char, std::char_traits<char>, std::allocator<char> >" },
	{ 'i', "std::istream", "std::basic_istream<char, std::char_traits<char> >" },
	{ 'o', "std::ostream", "std::basic_ostream<char, std::char_traits<char> >" },
	{ 'd', "std::iostream", "std::basic_iostream<char, std::char_traits<char> >" },
};

static uint32_t parse_abbreviation(struct itanium_parser *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(abbreviations); i++) {
		const struct abbreviation *a = &abbreviations[i];
		if (!eat(p, a->code))
			continue;
		bool is_ctor = look(p, 0) == 'C' || (look(p, 0) == 'D' && is_digit(look(p, 1)));
		uint32_t name = add_word(p, ITANIUM_NAME, is_ctor ? a->full : a->text, 0, 0);
		return look(p, 0) == 'B' ? add_sub(p, parse_abi_tags(p, name)) : name;
	}
	return 0;
}

/* Behind the S. */
uint32_t itanium_substitution(struct itanium_parser *p)
{
	uint32_t i = parse_abbreviation(p);
	if (i || p->error)
		return i;
	if (!read_sequence(p, 36, &i) || i >= p->n_subs)
		return malformed(p);
	return p->subs[i];
}

/* Behind the T. */
uint32_t itanium_template_parameter(struct itanium_parser *p)
{
	uint32_t i, level;
	if (eat(p, 'L') && (!read_number(p, &level) || !eat_word(p, "__")))
		return malformed(p);
	return read_sequence(p, 10, &i) ? add(p, ITANIUM_TEMPLATE_PARAM, i, 0) : malformed(p);
}

uint32_t itanium_arguments(struct itanium_parser *p);
uint32_t itanium_literal(struct itanium_parser *p);

uint32_t itanium_argument(struct itanium_parser *p)
{
	uint32_t node;
	/* What the parameter must be, where a template's name does not say it. */
	skip_template_declarations(p);
	switch (look(p, 0)) {
	case 'X':
		p->at++;
		node = itanium_expression(p);
		return eat(p, 'E') ? node : malformed(p);
	case 'J':
		p->at++;
		return add(p, ITANIUM_PACK, itanium_arguments(p), 0);
	case 'L':
		return itanium_literal(p);
	default:
		return itanium_type(p);
	}
}

/* Behind the I, including the E. */
uint32_t itanium_arguments(struct itanium_parser *p)
{
	struct list l = { 0 };
	bool no_arguments = p->no_arguments;
	if (!enter(p))
		return 0;
	p->no_arguments = false;
	while (!p->error && !eat(p, 'E')) {
		list_add(p, &l, itanium_argument(p));
		if (eat(p, 'Q')) /* requires ...: not shown */
			(void)itanium_expression(p);
	}
	p->no_arguments = no_arguments;
	p->depth--;
	return l.first;
}

uint32_t itanium_template(struct itanium_parser *p, uint32_t name)
{
	return add(p, ITANIUM_TEMPLATE, name, itanium_arguments(p));
}

/* ---- nested and local names ---------------------------------------------- */

static uint32_t parse_ctor_or_dtor(struct itanium_parser *p, uint32_t scope, struct itanium_facts *facts)
{
	bool is_ctor = look(p, 0) == 'C';
	p->at++;
	bool inherits = is_ctor && eat(p, 'I');
	if (!look(p, 0) || !strchr(is_ctor ? "12345" : "01245", look(p, 0)) || !scope)
		return malformed(p);
	p->at++;
	if (inherits)
		(void)itanium_type(p);
	if (facts)
		facts->has_no_return_type = true;
	return parse_abi_tags(p, add(p, is_ctor ? ITANIUM_CTOR : ITANIUM_DTOR, scope, 0));
}

uint8_t itanium_qualifiers(struct itanium_parser *p)
{
	uint8_t flags = 0;
	flags |= eat(p, 'r') ? ITANIUM_RESTRICT : 0;
	flags |= eat(p, 'V') ? ITANIUM_VOLATILE : 0;
	flags |= eat(p, 'K') ? ITANIUM_CONST : 0;
	return flags;
}

uint32_t itanium_join(struct itanium_parser *p, uint32_t scope, uint32_t name)
{
	return scope ? add(p, ITANIUM_QUALIFIED, scope, name) : name;
}

static bool sees_ctor_or_dtor(const struct itanium_parser *p)
{
	char c = look(p, 0), next = look(p, 1);
	return (c == 'C' && (is_digit(next) || next == 'I')) || (c == 'D' && is_digit(next));
}

/* One step of a nested name from `scope` on, a candidate for S_; but what is
 * one already. */
static uint32_t parse_component(struct itanium_parser *p, uint32_t scope, struct itanium_facts *facts)
{
	bool is_first = scope == 0;
	if (facts)
		facts->ends_with_arguments = false;
	if (is_first && look(p, 0) == 'T') {
		p->at++;
		return add_sub(p, itanium_template_parameter(p));
	}
	if (is_first && (sees(p, "Dt") || sees(p, "DT")))
		return itanium_type(p); /* adds itself */
	if (is_first && eat_word(p, "St"))
		return add_word(p, ITANIUM_NAME, "std", 0, 0);
	if (is_first && eat(p, 'S'))
		return itanium_substitution(p);
	if (!is_first && eat(p, 'I')) {
		if (facts)
			facts->ends_with_arguments = true;
		return add_sub(p, itanium_template(p, scope));
	}
	if (sees_ctor_or_dtor(p))
		return add_sub(p, itanium_join(p, scope, parse_ctor_or_dtor(p, scope, facts)));
	return add_sub(p, itanium_join(p, scope, parse_unqualified_name(p, facts)));
}

/* Behind the N. The whole name is no candidate: its last step is taken back. */
static uint32_t parse_nested_name(struct itanium_parser *p, struct itanium_facts *facts)
{
	uint32_t scope = 0, n_subs = p->n_subs;
	(void)eat(p, 'H'); /* explicit object parameter */
	uint8_t flags = itanium_qualifiers(p);
	flags |= eat(p, 'R') ? ITANIUM_THIS_LVALUE : 0;
	flags |= eat(p, 'O') ? ITANIUM_THIS_RVALUE : 0;
	/* S_, St or T_ alone is none. */
	bool is_scope = look(p, 0) == 'S' || look(p, 0) == 'T';
	for (uint32_t n = 0; !p->error && !(n > is_scope && eat(p, 'E')); n++) {
		n_subs = p->n_subs;
		scope = parse_component(p, scope, facts);
		(void)eat(p, 'M'); /* in the initializer of a member */
	}
	if (!scope)
		return malformed(p);
	if (p->n_subs > n_subs && p->subs[p->n_subs - 1] == scope)
		p->n_subs--;
	if (facts)
		facts->flags = flags;
	return scope;
}

/* Behind the Z. */
static uint32_t parse_local_name(struct itanium_parser *p, struct itanium_facts *facts)
{
	uint32_t function = itanium_encoding(p, true), name, number;
	if (!eat(p, 'E'))
		return malformed(p);
	if (eat(p, 's')) {
		skip_discriminator(p);
		name = add_word(p, ITANIUM_NAME, "string literal", 0, 0);
	} else if (eat(p, 'd')) {
		if (!read_sequence(p, 10, &number))
			return malformed(p);
		name = add(p, ITANIUM_DEFAULT_ARG, number + 1, itanium_name(p, facts));
	} else {
		name = itanium_name(p, facts);
		skip_discriminator(p);
	}
	return add(p, ITANIUM_LOCAL, function, name);
}

/* A name outside of any class, with its template arguments. */
static uint32_t parse_unscoped_name(struct itanium_parser *p, struct itanium_facts *facts)
{
	bool is_std = eat_word(p, "St"), is_old = !is_std && eat(p, 'S');
	uint32_t name = is_old ? itanium_substitution(p) : parse_unqualified_name(p, facts);
	if (is_std)
		name = itanium_join(p, add_word(p, ITANIUM_NAME, "std", 0, 0), name);
	if (!eat(p, 'I'))
		return is_old ? malformed(p) : name;
	if (!is_old)
		(void)add_sub(p, name);
	if (facts)
		facts->ends_with_arguments = true;
	return itanium_template(p, name);
}

/* `facts`: of a function's or variable's own name; NULL: of a type. */
uint32_t itanium_name(struct itanium_parser *p, struct itanium_facts *facts)
{
	uint32_t name;
	if (!enter(p))
		return 0;
	if (eat(p, 'N'))
		name = parse_nested_name(p, facts);
	else if (eat(p, 'Z'))
		name = parse_local_name(p, facts);
	else
		name = parse_unscoped_name(p, facts);
	p->depth--;
	return name;
}
