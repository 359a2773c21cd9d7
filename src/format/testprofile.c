/* SPDX-License-Identifier: Apache-2.0 */
#include "format/testprofile.h"

#include "unit.h"

static struct str_id text(struct profile *p, const char *s)
{
	struct str_id id;
	assert_int_equal(strtab_intern_str(&p->dict.strings, s, &id), 0);
	return id;
}

static struct node_id push(struct profile *p, struct node_id parent, const char *name, const char *file, uint32_t line,
			   struct frame frame)
{
	struct function fn = { .name = text(p, name),
			       .system_name = text(p, name),
			       .file = text(p, file),
			       .start_line = line ? line - 1 : 0 };
	struct frame_id id;
	struct node_id node;
	frame.line = line;
	if (*name)
		assert_int_equal(dict_function(&p->dict, &fn, &frame.function), 0);
	assert_int_equal(dict_frame(&p->dict, &frame, &id), 0);
	assert_int_equal(dict_node(&p->dict, parent, id, &node), 0);
	return node;
}

static struct mapping_id map(struct profile *p, uint64_t start, const char *path, const char *build_id, uint32_t flags)
{
	struct mapping m = { .start = start,
			     .limit = start + 0x1000,
			     .offset = 0x200,
			     .path = text(p, path),
			     .build_id = text(p, build_id),
			     .flags = flags };
	struct mapping_id id;
	assert_int_equal(dict_mapping(&p->dict, &m, &id), 0);
	return id;
}

static void fill_header(struct profile *p)
{
	assert_int_equal(profile_add_type(p, slice_str("samples"), slice_str("count")), 0);
	assert_int_equal(profile_add_type(p, slice_str("cpu"), slice_str("nanoseconds")), 0);
	assert_int_equal(profile_add_comment(p, slice_str("made for a test")), 0);
	assert_int_equal(profile_add_comment(p, slice_str("\xff not UTF-8")), 0);
	p->time_ns = 1700000000000000000;
	p->duration_ns = 10000000000;
	p->period = 10000000;
	p->period_type = (struct value_type){ text(p, "cpu"), text(p, "nanoseconds") };
	p->default_type = text(p, "cpu");
	p->drop_frames = text(p, "^runtime\\.");
	p->keep_frames = text(p, "^main\\.");
	p->doc_url = text(p, "https://example.org/profile");
}

void testprofile_fill(struct profile *p)
{
	fill_header(p);
	struct mapping_id bin =
		map(p, 0x400000, "/usr/bin/server", "0123abcd", MAPPING_HAS_FUNCTIONS | MAPPING_HAS_LINES);
	struct mapping_id kernel = map(p, UINT64_C(0xffffffff80000000), "[kernel.kallsyms]", "", 0);
	(void)map(p, 0x7f0000000000, "/lib/unused.so", "ff", MAPPING_HAS_FILENAMES | MAPPING_HAS_INLINES);
	struct frame user = { .mapping = bin, .kind = FRAME_USER, .found = FRAME_FOUND_TABLE },
		     sys = { .mapping = kernel, .kind = FRAME_KERNEL };
	struct node_id root = { 0 }, main_node, at;
	user.address = 0x400100;
	main_node = push(p, root, "main", "main.c", 12, user);
	user.address = 0x400200;
	user.found = FRAME_FOUND_REGISTER;
	at = push(p, main_node, "parse", "parse.c", 100, user);
	user.flags = FRAME_INLINED;
	user.column = 7;
	at = push(p, at, "next_token", "lex.h", 33, user);
	at = push(p, at, "peek", "lex.h", 21, user);
	struct label labels[] = {
		{ .key = text(p, "thread_name"), .str = text(p, "worker 1") },
		{ .key = text(p, "thread_id"), .is_num = 1, .num = 4711 },
		{ .key = text(p, "size"), .is_num = 1, .num = -1, .unit = text(p, "bytes") },
		{ .key = text(p, "zero"), .is_num = 1 },
		{ .key = text(p, "empty") },
	};
	struct labels_id set, none = { 0 };
	assert_int_equal(profile_labels(p, labels, ARRAY_SIZE(labels), &set), 0);
	assert_int_equal(profile_add_sample(p, at, set, (int64_t[]){ 3, 30000000 }), 0);
	user.flags = FRAME_IS_FOLDED;
	user.found = FRAME_FOUND_FP;
	user.column = 0;
	user.address = 0x400300;
	at = push(p, main_node, "", "", 0, user);
	sys.address = UINT64_C(0xffffffff80001234);
	at = push(p, at, "do_syscall_64", "", 0, sys);
	assert_int_equal(profile_add_sample(p, at, none, (int64_t[]){ 1, 10000000 }), 0);
	assert_int_equal(profile_add_sample(p, root, none, (int64_t[]){ 0, INT64_MIN }), 0);
}

static void assert_same_text(const struct profile *a, struct str_id x, const struct profile *b, struct str_id y)
{
	struct slice s = strtab_get(&a->dict.strings, x), t = strtab_get(&b->dict.strings, y);
	assert_int_equal(s.size, t.size);
	assert_memory_equal(s.data, t.data, s.size);
}

static void assert_same_mapping(const struct profile *a, uint32_t x, const struct profile *b, uint32_t y)
{
	const struct mapping *m = &a->dict.mappings.data[x], *n = &b->dict.mappings.data[y];
	assert_int_equal(m->start, n->start);
	assert_int_equal(m->limit, n->limit);
	assert_int_equal(m->offset, n->offset);
	assert_int_equal(m->flags, n->flags);
	assert_same_text(a, m->path, b, n->path);
	assert_same_text(a, m->build_id, b, n->build_id);
}

static void assert_same_frame(const struct profile *a, struct frame_id x, const struct profile *b, struct frame_id y)
{
	const struct frame *f = &a->dict.frames.data[x.v], *g = &b->dict.frames.data[y.v];
	assert_int_equal(f->address, g->address);
	assert_int_equal(f->line, g->line);
	assert_int_equal(f->column, g->column);
	assert_int_equal(f->kind, g->kind);
	assert_int_equal(f->found, g->found);
	assert_int_equal(f->flags, g->flags);
	assert_same_mapping(a, f->mapping.v, b, g->mapping.v);
	const struct function *m = &a->dict.functions.data[f->function.v], *n = &b->dict.functions.data[g->function.v];
	assert_int_equal(m->start_line, n->start_line);
	assert_same_text(a, m->name, b, n->name);
	assert_same_text(a, m->system_name, b, n->system_name);
	assert_same_text(a, m->file, b, n->file);
}

static bool same_label(const struct profile *a, const struct label *x, const struct profile *b, const struct label *y)
{
	return x->is_num == y->is_num && x->num == y->num &&
	       slice_eq(strtab_get(&a->dict.strings, x->key), strtab_get(&b->dict.strings, y->key)) &&
	       slice_eq(strtab_get(&a->dict.strings, x->str), strtab_get(&b->dict.strings, y->str)) &&
	       slice_eq(strtab_get(&a->dict.strings, x->unit), strtab_get(&b->dict.strings, y->unit));
}

/* As often in one as in the other. */
static void assert_same_labels(const struct profile *a, struct labels_id x, const struct profile *b, struct labels_id y)
{
	uint32_t n, m;
	const struct label *s = profile_label_set(a, x, &n), *t = profile_label_set(b, y, &m);
	assert_int_equal(n, m);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t n_a = 0, n_b = 0;
		for (uint32_t k = 0; k < n; k++) {
			n_a += same_label(a, &s[i], a, &s[k]);
			n_b += same_label(a, &s[i], b, &t[k]);
		}
		assert_int_equal(n_a, n_b);
	}
}

static void assert_same_stack(const struct profile *a, struct node_id x, const struct profile *b, struct node_id y)
{
	while (x.v && y.v) {
		assert_same_frame(a, a->dict.node_frame.data[x.v], b, b->dict.node_frame.data[y.v]);
		x = a->dict.node_parent.data[x.v];
		y = b->dict.node_parent.data[y.v];
	}
	assert_int_equal(x.v, 0);
	assert_int_equal(y.v, 0);
}

static void assert_same_header(const struct profile *a, const struct profile *b)
{
	assert_int_equal(a->n_types, b->n_types);
	for (uint32_t t = 0; t < a->n_types; t++) {
		assert_same_text(a, a->types[t].type, b, b->types[t].type);
		assert_same_text(a, a->types[t].unit, b, b->types[t].unit);
	}
	assert_int_equal(a->comments.n, b->comments.n);
	for (uint32_t i = 0; i < a->comments.n; i++)
		assert_same_text(a, a->comments.data[i], b, b->comments.data[i]);
	assert_int_equal(a->time_ns, b->time_ns);
	assert_int_equal(a->duration_ns, b->duration_ns);
	assert_int_equal(a->period, b->period);
	assert_same_text(a, a->period_type.type, b, b->period_type.type);
	assert_same_text(a, a->period_type.unit, b, b->period_type.unit);
	assert_same_text(a, a->default_type, b, b->default_type);
	assert_same_text(a, a->drop_frames, b, b->drop_frames);
	assert_same_text(a, a->keep_frames, b, b->keep_frames);
	assert_same_text(a, a->doc_url, b, b->doc_url);
	assert_int_equal(a->dict.mappings.n, b->dict.mappings.n);
	for (uint32_t i = 1; i < a->dict.mappings.n; i++)
		assert_same_mapping(a, i, b, i);
}

void testprofile_assert_same(const struct profile *a, const struct profile *b)
{
	assert_same_header(a, b);
	assert_int_equal(profile_n_samples(a), profile_n_samples(b));
	for (uint32_t i = 0; i < profile_n_samples(a); i++) {
		for (uint32_t t = 0; t < a->n_types; t++)
			assert_true(a->value[t].data[i] == b->value[t].data[i]);
		assert_true(profile_sample_time(a, i) == profile_sample_time(b, i));
		assert_same_stack(a, a->node.data[i], b, b->node.data[i]);
		assert_same_labels(a, a->labels.data[i], b, b->labels.data[i]);
	}
}
