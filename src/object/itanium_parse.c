/* SPDX-License-Identifier: Apache-2.0 */
#include "object/itanium_parser.h"

#define NODES_PER_BYTE 3
#define NODES_MORE     32

static void skip_signed_number(struct itanium_parser *p)
{
	uint32_t n;
	(void)eat(p, 'n');
	if (!read_number(p, &n))
		(void)malformed(p);
}

/* Where a thunk finds what to add: h offset _ or v offset _ offset _. */
static void skip_call_offset(struct itanium_parser *p)
{
	bool is_virtual = eat(p, 'v');
	if (!is_virtual && !eat(p, 'h'))
		(void)malformed(p);
	skip_signed_number(p);
	if (!eat(p, '_'))
		(void)malformed(p);
	if (is_virtual) {
		skip_signed_number(p);
		if (!eat(p, '_'))
			(void)malformed(p);
	}
}

static uint32_t parse_thunk(struct itanium_parser *p, char kind)
{
	if (kind == 'c') {
		skip_call_offset(p);
		skip_call_offset(p);
		return add_word(p, ITANIUM_SPECIAL, "covariant return thunk to ", itanium_encoding(p, false), 0);
	}
	p->at--; /* the kind is the offset's letter */
	skip_call_offset(p);
	return add_word(p, ITANIUM_SPECIAL, kind == 'h' ? "non-virtual thunk to " : "virtual thunk to ",
			itanium_encoding(p, false), 0);
}

static uint32_t parse_construction(struct itanium_parser *p)
{
	uint32_t type = itanium_type(p);
	skip_signed_number(p);
	if (!eat(p, '_'))
		return malformed(p);
	return add(p, ITANIUM_CONSTRUCTION, itanium_type(p), type);
}

static uint32_t parse_reference_temporary(struct itanium_parser *p)
{
	uint32_t name = itanium_name(p, NULL), n;
	if (!read_sequence(p, 36, &n))
		return malformed(p);
	return add(p, ITANIUM_TEMPORARY, n, name);
}

/* Behind T or G; 0 when it is none of these. */
static uint32_t parse_special(struct itanium_parser *p)
{
	static const struct {
		char code[3];
		char of; /* t type, n name, e encoding, a argument */
		const char *text;
	} specials[] = {
		{ "TV", 't', "vtable for " },
		{ "TT", 't', "VTT for " },
		{ "TI", 't', "typeinfo for " },
		{ "TS", 't', "typeinfo name for " },
		{ "TF", 't', "typeinfo fn for " },
		{ "TH", 'n', "TLS init function for " },
		{ "TW", 'n', "TLS wrapper function for " },
		{ "TA", 'a', "template parameter object for " },
		{ "GV", 'n', "guard variable for " },
		{ "GA", 'e', "hidden alias for " },
	};
	for (size_t i = 0; i < ARRAY_SIZE(specials); i++) {
		if (!eat_word(p, specials[i].code))
			continue;
		char of = specials[i].of;
		uint32_t node = of == 't'   ? itanium_type(p)
				: of == 'n' ? itanium_name(p, NULL)
				: of == 'a' ? itanium_argument(p)
					    : itanium_encoding(p, false);
		return add_word(p, ITANIUM_SPECIAL, specials[i].text, node, 0);
	}
	if (eat_word(p, "TC"))
		return parse_construction(p);
	if (eat_word(p, "GR"))
		return parse_reference_temporary(p);
	if (eat_word(p, "GTt"))
		return add_word(p, ITANIUM_SPECIAL, "transaction clone for ", itanium_encoding(p, false), 0);
	if (eat_word(p, "GTn"))
		return add_word(p, ITANIUM_SPECIAL, "non-transaction clone for ", itanium_encoding(p, false), 0);
	if (look(p, 0) == 'T' && look(p, 1) && strchr("chv", look(p, 1))) {
		char kind = look(p, 1);
		skip(p, 2);
		return parse_thunk(p, kind);
	}
	return malformed(p);
}

/* `is_scope`: a local name is in it, and its return type is not shown. */
static uint32_t parse_function(struct itanium_parser *p, bool is_scope)
{
	struct itanium_facts facts = { 0 };
	uint32_t result = 0, name = itanium_name(p, &facts);
	if (p->error || !look(p, 0) || look(p, 0) == 'E')
		return name;
	if (facts.ends_with_arguments && !facts.has_no_return_type)
		result = itanium_type(p);
	uint32_t params = itanium_parameters(p);
	if (eat(p, 'Q'))
		(void)itanium_expression(p); /* requires ...: not shown */
	uint32_t type = add(p, ITANIUM_FUNCTION_TYPE, is_scope ? 0 : result, params);
	if (type)
		node_at(p, type)->flags = facts.flags;
	return add(p, ITANIUM_FUNCTION, name, type);
}

uint32_t itanium_encoding(struct itanium_parser *p, bool is_scope)
{
	bool no_arguments = p->no_arguments;
	if (!enter(p))
		return 0;
	p->no_arguments = false;
	bool is_special = look(p, 0) == 'T' || look(p, 0) == 'G';
	uint32_t node = is_special ? parse_special(p) : parse_function(p, is_scope);
	p->no_arguments = no_arguments;
	p->depth--;
	return node;
}

/* Nothing takes less of a name than a byte: what S_ means stands behind the
 * nodes, in one piece of memory that is not cleared. */
static int parser_init(struct itanium_parser *p, struct slice name, struct itanium *t)
{
	uint32_t size = (uint32_t)name.size;
	*p = (struct itanium_parser){ .t = t,
				      .at = (const char *)name.data,
				      .end = (const char *)name.data + size,
				      .max_nodes = NODES_PER_BYTE * size + NODES_MORE,
				      .max_subs = size };
	*t = (struct itanium){ .nodes = malloc(p->max_nodes * sizeof(*t->nodes) + size * sizeof(*p->subs)), .n = 1 };
	if (!t->nodes)
		return -ENOMEM;
	t->nodes[0] = (struct itanium_node){ .kind = ITANIUM_NONE };
	p->subs = (uint32_t *)(void *)(t->nodes + p->max_nodes);
	return 0;
}

int itanium_parse(struct slice name, struct itanium *ret)
{
	struct itanium_parser p;
	struct itanium t;
	if (!slice_has_prefix(name, "_Z"))
		return -EBADMSG;
	if (name.size > ITANIUM_MAX_INPUT)
		return -E2BIG;
	p.error = parser_init(&p, name, &t);
	if (!p.error) {
		p.at += 2;
		t.root = itanium_encoding(&p, false);
		if (p.at != p.end || !t.root)
			(void)malformed(&p);
	}
	if (p.error) {
		itanium_done(&t);
		return p.error;
	}
	*ret = t;
	return 0;
}

void itanium_done(struct itanium *t)
{
	free(t->nodes);
	*t = (struct itanium){ 0 };
}
