/* SPDX-License-Identifier: Apache-2.0 */
/* itanium.h: C++ names, as the Itanium ABI mangles them, as trees.
 *
 *   _ZN4shop4CartI4BookE5totalEv
 *
 *   FUNCTION --+-- QUALIFIED --+-- TEMPLATE --+-- QUALIFIED "shop" "Cart"
 *              |               |              '-- LIST "Book"
 *              |               '-- "total"
 *              '-- FUNCTION_TYPE, no parameters
 *
 * Nodes are numbers into one array; 0 is none. What a name refers back to
 * (S_, T_) is the same node again, so the tree is a graph without cycles and
 * may print as far more than it takes: a name of 200 bytes as 100 MB. So all
 * is bounded: nodes by the length of the name, nesting by ITANIUM_MAX_DEPTH,
 * printing by its output and by ITANIUM_MAX_STEPS, whatever is printed.
 *
 * What T_ means is known when it is printed only: S_ may refer to it from
 * another function's parameters, where it means something else.
 *
 * The text is that of libiberty's demangler, which perf, gdb and c++filt show.
 * What compilers append behind a dot is not taken: the caller cuts it off.
 *
 * Source: Itanium C++ ABI, chapter 5 "External names". */
#pragma once

#include "base/cleanup.h"
#include "base/slice.h"

#define ITANIUM_MAX_INPUT (32u << 10)
#define ITANIUM_MAX_DEPTH 1024	     /* of what is in each other: some 200 KiB of stack */
#define ITANIUM_MAX_STEPS (1u << 16) /* nodes printed */

/* a, b: nodes, unless said otherwise. */
enum itanium_kind {
	ITANIUM_NONE,
	/* names */
	ITANIUM_NAME,	   /* text */
	ITANIUM_QUALIFIED, /* a::b */
	ITANIUM_LOCAL,	   /* function a::b */
	ITANIUM_TEMPLATE,  /* a<list b> */
	ITANIUM_TAGGED,	   /* a[abi:text] */
	ITANIUM_CTOR,	   /* of class a */
	ITANIUM_DTOR,
	ITANIUM_OPERATOR,	  /* operator text */
	ITANIUM_CONVERSION,	  /* operator type a */
	ITANIUM_LITERAL_OPERATOR, /* operator"" text */
	ITANIUM_UNNAMED,	  /* number a */
	ITANIUM_LAMBDA,		  /* parameters a, number b */
	ITANIUM_DEFAULT_ARG,	  /* number a, in it b */
	ITANIUM_BINDING,	  /* names a */
	ITANIUM_SPECIAL,	  /* text of a */
	ITANIUM_CONSTRUCTION,	  /* construction vtable for a in b */
	ITANIUM_TEMPORARY,	  /* reference temporary number a for b */
	/* types */
	ITANIUM_FUNCTION, /* name a of function type b */
	ITANIUM_POINTER,
	ITANIUM_LVALUE,
	ITANIUM_RVALUE,
	ITANIUM_QUALIFIERS,	/* a, which is const ...: flags */
	ITANIUM_SUFFIXED,	/* a and text */
	ITANIUM_VENDOR,		/* a with vendor's qualifier b */
	ITANIUM_FUNCTION_TYPE,	/* return type a, parameters b, flags */
	ITANIUM_ARRAY,		/* of b, size a or text */
	ITANIUM_MEMBER_POINTER, /* in class a to b */
	ITANIUM_PREFIXED,	/* text and type a */
	ITANIUM_DECLTYPE,
	ITANIUM_TEMPLATE_PARAM, /* number a */
	ITANIUM_LIST,		/* a, then list b */
	ITANIUM_PACK,		/* template arguments: list a */
	ITANIUM_EXPANSION,
	/* expressions */
	ITANIUM_PREFIX,	 /* text a */
	ITANIUM_POSTFIX, /* a text */
	ITANIUM_BINARY,	 /* a text b */
	ITANIUM_MEMBER,	 /* a text b, without parentheses */
	ITANIUM_TERNARY, /* a ? b : the list behind it */
	ITANIUM_CALL,	 /* a(list b) */
	ITANIUM_INDEX,	 /* a[b] */
	ITANIUM_CAST,	 /* (a)b */
	ITANIUM_BRACES,	 /* a{list b} */
	ITANIUM_APPLY,	 /* text (a) */
	ITANIUM_TO,	 /* text<a>(b) */
	ITANIUM_LITERAL, /* text of type a; flags: ITANIUM_NEGATIVE */
	ITANIUM_PARAM,	 /* of the function: number a, 0 = this */
	ITANIUM_FOLD,	 /* of a with b (0 = none) by text; flags: ITANIUM_LEFT */
};

enum itanium_flags {
	ITANIUM_CONST = 1,
	ITANIUM_VOLATILE = 2,
	ITANIUM_RESTRICT = 4,
	ITANIUM_THIS_LVALUE = 8,
	ITANIUM_THIS_RVALUE = 16,
	ITANIUM_NOEXCEPT = 32,
	ITANIUM_NEGATIVE = 1,
	ITANIUM_LEFT = 1,
};

struct itanium_node {
	uint8_t kind, flags;
	uint16_t size; /* of text */
	uint32_t a, b;
	const char *text; /* in the name, or ours */
};

struct itanium {
	struct itanium_node *nodes;
	uint32_t n, root;
};

/* `name` must outlive the tree, which itanium_done() frees. -EBADMSG: not such
 * a name; -E2BIG: over a maximum; -ENOMEM. */
int itanium_parse(struct slice name, struct itanium *ret) must_check;
void itanium_done(struct itanium *t);

/* Writes the readable name to `out`, up to `size` bytes without NUL: how many.
 * -EBADMSG: it means nothing after all, as T_ of no template does; -E2BIG: it
 * is longer; -ENOBUFS: it takes more steps or depth than it may. */
int itanium_print(const struct itanium *t, char *out, uint32_t size) must_check;
