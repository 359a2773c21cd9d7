/* SPDX-License-Identifier: Apache-2.0 */
#include "object/itanium_parser.h"

static const char *builtin_of(char c)
{
	static const char *const names[26] = {
		['a' - 'a'] = "signed char", ['b' - 'a'] = "bool",
		['c' - 'a'] = "char",	     ['d' - 'a'] = "double",
		['e' - 'a'] = "long double", ['f' - 'a'] = "float",
		['g' - 'a'] = "__float128",  ['h' - 'a'] = "unsigned char",
		['i' - 'a'] = "int",	     ['j' - 'a'] = "unsigned int",
		['l' - 'a'] = "long",	     ['m' - 'a'] = "unsigned long",
		['n' - 'a'] = "__int128",    ['o' - 'a'] = "unsigned __int128",
		['s' - 'a'] = "short",	     ['t' - 'a'] = "unsigned short",
		['v' - 'a'] = "void",	     ['w' - 'a'] = "wchar_t",
		['x' - 'a'] = "long long",   ['y' - 'a'] = "unsigned long long",
		['z' - 'a'] = "...",
	};
	return c >= 'a' && c <= 'z' ? names[c - 'a'] : NULL;
}

/* Behind the D; NULL: something else. */
static const char *builtin_behind_d(char c)
{
	switch (c) {
	case 'a':
		return "auto";
	case 'c':
		return "decltype(auto)";
	case 'd':
		return "decimal64";
	case 'e':
		return "decimal128";
	case 'f':
		return "decimal32";
	case 'h':
		return "half";
	case 'i':
		return "char32_t";
	case 'n':
		return "decltype(nullptr)";
	case 's':
		return "char16_t";
	case 'u':
		return "char8_t";
	default:
		return NULL;
	}
}

/* _Float16, _BitInt(7) ...: behind "DF" or "DB". */
static uint32_t parse_sized_builtin(struct itanium_parser *p, bool is_float)
{
	const char *digits = p->at;
	uint32_t n;
	if (!read_number(p, &n))
		return malformed(p);
	uint32_t number = add_text(p, ITANIUM_NAME, digits, (size_t)(p->at - digits), 0, 0);
	if (!eat(p, '_') && !(is_float && eat(p, 'x')))
		return malformed(p);
	if (is_float)
		return add_word(p, ITANIUM_PREFIXED, "_Float", number, 0);
	return add_word(p, ITANIUM_APPLY, "_BitInt", number, 0);
}

static uint8_t parse_exceptions(struct itanium_parser *p)
{
	uint8_t flags = 0;
	if (eat_word(p, "Do")) {
		flags = ITANIUM_NOEXCEPT;
	} else if (eat_word(p, "DO")) {
		(void)itanium_expression(p);
		if (!eat(p, 'E'))
			(void)malformed(p);
	} else if (eat_word(p, "Dw")) {
		(void)itanium_parameters(p);
		if (!eat(p, 'E'))
			(void)malformed(p);
	}
	(void)eat_word(p, "Dx");
	return flags;
}

static uint32_t parse_function_type(struct itanium_parser *p)
{
	uint8_t flags = itanium_qualifiers(p);
	flags |= parse_exceptions(p);
	if (!eat(p, 'F'))
		return malformed(p);
	(void)eat(p, 'Y'); /* extern "C" */
	uint32_t result = itanium_type(p), params = itanium_parameters(p);
	flags |= eat(p, 'R') ? ITANIUM_THIS_LVALUE : 0;
	flags |= eat(p, 'O') ? ITANIUM_THIS_RVALUE : 0;
	if (!eat(p, 'E'))
		return malformed(p);
	uint32_t node = add(p, ITANIUM_FUNCTION_TYPE, result, params);
	if (node)
		node_at(p, node)->flags = flags;
	return node;
}

static uint32_t parse_array_type(struct itanium_parser *p)
{
	const char *digits = p->at;
	uint32_t size = 0, n;
	size_t n_digits = 0;
	if (read_number(p, &n))
		n_digits = (size_t)(p->at - digits);
	else if (look(p, 0) != '_')
		size = itanium_expression(p);
	if (!eat(p, '_'))
		return malformed(p);
	return add_text(p, ITANIUM_ARRAY, digits, n_digits, size, itanium_type(p));
}

static uint32_t parse_vector_type(struct itanium_parser *p)
{
	uint32_t size = 0, n;
	const char *digits = p->at;
	if (read_number(p, &n))
		size = add_text(p, ITANIUM_NAME, digits, (size_t)(p->at - digits), 0, 0);
	else if (eat(p, '_'))
		size = itanium_expression(p);
	if (!eat(p, '_'))
		return malformed(p);
	uint32_t type = itanium_type(p);
	return add(p, ITANIUM_VENDOR, type, add_word(p, ITANIUM_APPLY, "__vector", size, 0));
}

/* Function types have const and the like of their own. */
static bool sees_function_type(const struct itanium_parser *p)
{
	uint32_t n = 0;
	n += look(p, n) == 'r';
	n += look(p, n) == 'V';
	n += look(p, n) == 'K';
	return look(p, n) == 'F' || (look(p, n) == 'D' && look(p, n + 1) && strchr("oOwx", look(p, n + 1)));
}

static uint32_t parse_qualified_type(struct itanium_parser *p)
{
	uint8_t flags = itanium_qualifiers(p);
	uint32_t node = add(p, ITANIUM_QUALIFIERS, itanium_type(p), 0);
	if (node)
		node_at(p, node)->flags = flags;
	return node;
}

/* Behind the U. */
static uint32_t parse_vendor_type(struct itanium_parser *p)
{
	uint32_t name = itanium_source_name(p);
	if (eat(p, 'I'))
		name = itanium_template(p, name);
	return add(p, ITANIUM_VENDOR, itanium_type(p), name);
}

static uint32_t parse_d_type(struct itanium_parser *p)
{
	char c = look(p, 1);
	uint32_t node;
	skip(p, 2);
	switch (c) {
	case 't':
	case 'T':
		node = itanium_expression(p);
		return eat(p, 'E') ? add(p, ITANIUM_DECLTYPE, node, 0) : malformed(p);
	case 'p':
		return add(p, ITANIUM_EXPANSION, itanium_type(p), 0);
	case 'v':
		return parse_vector_type(p);
	default:
		return malformed(p);
	}
}

static uint32_t parse_class_type(struct itanium_parser *p)
{
	if (look(p, 0) == 'T')
		skip(p, 2); /* struct, union, enum */
	return itanium_name(p, NULL);
}

static uint32_t parse_parameter_type(struct itanium_parser *p)
{
	p->at++;
	uint32_t node = itanium_template_parameter(p);
	if (p->no_arguments || !eat(p, 'I'))
		return node;
	(void)add_sub(p, node);
	return itanium_template(p, node);
}

/* One that does not become a candidate for S_; 0 = none is there. */
static uint32_t parse_plain_type(struct itanium_parser *p)
{
	const char *name = builtin_of(look(p, 0));
	if (name) {
		p->at++;
		return add_word(p, ITANIUM_NAME, name, 0, 0);
	}
	if (look(p, 0) != 'D')
		return 0;
	name = builtin_behind_d(look(p, 1));
	bool is_float = look(p, 1) == 'F';
	if (name) {
		skip(p, 2);
		return add_word(p, ITANIUM_NAME, name, 0, 0);
	}
	if (!is_float && look(p, 1) != 'B')
		return 0;
	skip(p, 2);
	return parse_sized_builtin(p, is_float);
}

/* Behind the S: what it means, or a template it means with arguments. */
static uint32_t parse_old_type(struct itanium_parser *p, bool *ret_is_new)
{
	uint32_t node = itanium_substitution(p);
	*ret_is_new = !p->no_arguments && eat(p, 'I');
	return *ret_is_new ? itanium_template(p, node) : node;
}

static uint32_t parse_new_type(struct itanium_parser *p)
{
	char c = look(p, 0);
	if (c && strchr("PROCGA", c))
		p->at++;
	switch (c) {
	case 'P':
		return add(p, ITANIUM_POINTER, itanium_type(p), 0);
	case 'R':
		return add(p, ITANIUM_LVALUE, itanium_type(p), 0);
	case 'O':
		return add(p, ITANIUM_RVALUE, itanium_type(p), 0);
	case 'C':
		return add_word(p, ITANIUM_SUFFIXED, " _Complex", itanium_type(p), 0);
	case 'G':
		return add_word(p, ITANIUM_SUFFIXED, " _Imaginary", itanium_type(p), 0);
	case 'A':
		return parse_array_type(p);
	case 'M': {
		p->at++;
		uint32_t class = itanium_type(p);
		return add(p, ITANIUM_MEMBER_POINTER, class, itanium_type(p));
	}
	case 'U':
		p->at++;
		return parse_vendor_type(p);
	case 'D':
		return parse_d_type(p);
	case 'T':
		return look(p, 1) && strchr("sue", look(p, 1)) ? parse_class_type(p) : parse_parameter_type(p);
	case 'u':
		p->at++;
		return itanium_source_name(p);
	default:
		return parse_class_type(p);
	}
}

uint32_t itanium_type(struct itanium_parser *p)
{
	uint32_t node;
	bool is_new = true;
	if (!enter(p))
		return 0;
	if (look(p, 0) && strchr("rVKFD", look(p, 0)) && sees_function_type(p)) {
		node = parse_function_type(p);
	} else if (look(p, 0) && strchr("rVK", look(p, 0))) {
		node = parse_qualified_type(p);
	} else if (look(p, 0) == 'S' && look(p, 1) != 't') {
		p->at++;
		node = parse_old_type(p, &is_new);
	} else {
		node = parse_plain_type(p);
		is_new = node == 0;
		if (is_new)
			node = parse_new_type(p);
	}
	p->depth--;
	return is_new ? add_sub(p, node) : node;
}
