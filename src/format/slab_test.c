/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/folded.h"
#include "format/slab.h"
#include "model/treeprune.h"

#include <errno.h>

/* malloc'd bytes are aligned as a slab must be. */
static struct slice bytes_of(const struct buf *b)
{
	return slice_of(b->data, b->n);
}

static void tree_of(const char *folded, struct calltree *ret)
{
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(folded_decode(slice_str(folded), &format_limits_default, &p, NULL), 0);
	struct calltree_builder *b = calltree_builder_new(NULL);
	int64_t *self = calloc(dict_n_nodes(&p.dict), sizeof(*self));
	assert_non_null(b);
	assert_non_null(self);
	profile_node_values(&p, 0, self);
	assert_int_equal(calltree_add(b, &p.dict, self, slice_of("", 0), NULL), 0);
	assert_int_equal(calltree_finish(b, ret), 0);
	free(self);
	calltree_builder_free(&b);
	profile_done(&p);
}

static void encode(const struct calltree *t, struct buf *out)
{
	const struct slab_meta meta = {
		slice_str("cpu"), slice_str("nanoseconds"), slice_str("\"profiles\":2"), NULL, false, 0
	};
	assert_int_equal(slab_encode(t, &meta, out), 0);
}

static void assert_meta(const struct slab *s, const char *want)
{
	assert_int_equal(s->meta.size, strlen(want));
	assert_memory_equal(s->meta.data, want, s->meta.size);
}

static void columns_carry_the_tree(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	_cleanup_(calltree_done)
	struct calltree t;
	struct error err = { "" };
	struct slab s;
	tree_of("main;parse;read_[k] 5\nmain;parse;\xff\xc3\xa4 2\nmain 1\nidle_[j] 3\n", &t);
	encode(&t, &out);
	if (slab_open(bytes_of(&out), &s, &err) < 0)
		fail_msg("%s", err.text);
	static const struct {
		const char *name;
		uint16_t depth;
		double self;
		uint8_t kind;
	} want[] = {
		{ "all", 0, 0, FRAME_SYNTHETIC },
		{ "main", 1, 1, FRAME_USER },
		{ "parse", 2, 0, FRAME_USER },
		{ "read", 3, 5, FRAME_KERNEL },
		{ "\xef\xbf\xbd\xc3\xa4", 3, 2, FRAME_USER },
		{ "idle", 1, 3, FRAME_JIT },
	};
	assert_int_equal(s.n_nodes, ARRAY_SIZE(want));
	for (uint32_t i = 0; i < s.n_nodes; i++) {
		assert_true(slice_eq(slab_string(&s, s.name[s.func[i]]), slice_str(want[i].name)));
		assert_int_equal(s.depth[i], want[i].depth);
		assert_true(s.self[i] == want[i].self);
		assert_int_equal(s.kind[s.func[i]], want[i].kind);
		assert_int_equal(s.pruned[i], 0);
		assert_int_equal(slab_string(&s, s.file[s.func[i]]).size, 0);
	}
	assert_meta(&s, "{\"type\":\"cpu\",\"unit\":\"nanoseconds\",\"total\":11,\"nodes\":6,\"pruned_nodes\":0,"
			"\"profiles\":2}");
}

/* main, found by tables and by frame pointers, above two leaves. */
static void found_tree(struct calltree *ret)
{
	static const struct {
		const char *leaf;
		enum frame_found caller, callee;
		int64_t value;
	} stacks[] = {
		{ "a", FRAME_FOUND_TABLE, FRAME_FOUND_REGISTER, 5 },
		{ "b", FRAME_FOUND_FP, FRAME_FOUND_UNKNOWN, 3 },
	};
	struct dict d;
	int64_t self[8] = { 0 };
	assert_int_equal(dict_init(&d, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(stacks); i++) {
		const char *names[] = { "main", stacks[i].leaf };
		struct node_id node = { 0 };
		for (int k = 0; k < 2; k++) {
			struct frame_id named, id;
			assert_int_equal(dict_named_frame(&d, slice_str(names[k]), FRAME_USER, &named), 0);
			struct frame frame = d.frames.data[named.v];
			frame.found = (uint8_t)(k ? stacks[i].callee : stacks[i].caller);
			assert_int_equal(dict_frame(&d, &frame, &id), 0);
			assert_int_equal(dict_node(&d, node, id, &node), 0);
		}
		self[node.v] = stacks[i].value;
	}
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	assert_int_equal(calltree_add(b, &d, self, slice_of("", 0), NULL), 0);
	assert_int_equal(calltree_finish(b, ret), 0);
	dict_done(&d);
}

/* Readers from before that column skip it; slabs from before it are read. */
static void how_frames_were_found_is_a_column_where_it_is_known(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf with = buf_of(1 << 20), without = buf_of(1 << 20);
	_cleanup_(calltree_done)
	struct calltree t;
	_cleanup_(calltree_done)
	struct calltree unknown;
	struct slab s;
	struct error err = { "" };
	found_tree(&t);
	encode(&t, &with);
	assert_int_equal(slab_open(bytes_of(&with), &s, NULL), 0);
	static const uint8_t want[] = { 0, 4 | 16, 2, 1 };
	assert_int_equal(s.n_nodes, 4);
	assert_memory_equal(s.found, want, 4);

	uint8_t *row = memmem(with.data, with.n, "node.found", 10);
	row[20] = 3; /* elements */
	assert_int_equal(slab_open(bytes_of(&with), &s, &err), -EBADMSG);
	assert_string_equal(err.text, "columns node.found and node.func differ in length");

	tree_of("main;a 5\nmain;b 3\n", &unknown);
	encode(&unknown, &without);
	assert_int_equal(slab_open(bytes_of(&without), &s, NULL), 0);
	assert_null(s.found);
	assert_null(memmem(without.data, without.n, "node.found", 10));
}

/* A box that stands for what was left out is no frame. */
static void pruned_boxes_were_not_found(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	_cleanup_(calltree_done)
	struct calltree t;
	struct slab s;
	found_tree(&t);
	assert_int_equal(calltree_prune(&t, 3), 0);
	encode(&t, &out);
	assert_int_equal(slab_open(bytes_of(&out), &s, NULL), 0);
	assert_int_equal(s.n_nodes, 3);
	assert_int_equal(s.func[2], TREE_FUNC_PRUNED);
	assert_memory_equal(s.found, "\x00\x14\x00", 3);
}

static void pruned_boxes_and_unused_names(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	_cleanup_(calltree_done)
	struct calltree t;
	struct slab s;
	tree_of("a;b 100\na;tiny;tiny2 1\na;small 2\n", &t);
	assert_int_equal(calltree_prune(&t, 4), 0);
	encode(&t, &out);
	assert_int_equal(slab_open(bytes_of(&out), &s, NULL), 0);
	assert_int_equal(s.n_nodes, 4);
	assert_int_equal(s.func[3], TREE_FUNC_PRUNED);
	assert_int_equal(s.pruned[3], 3);
	assert_true(s.self[3] == 3);
	assert_int_equal(s.n_funcs, 3); /* all, a, b: names nobody sees are not sent */
	assert_int_equal(s.n_strings, 4);
}

/* Depth has 16 bits: what is deeper becomes one box, and no value is lost. */
static void too_deep_is_pruned(void **state)
{
	(void)state;
	struct dict d;
	struct frame_id frame;
	struct node_id node = { 0 };
	assert_int_equal(dict_init(&d, NULL), 0);
	assert_int_equal(dict_named_frame(&d, slice_str("recurse"), FRAME_USER, &frame), 0);
	for (int i = 0; i < 70000; i++)
		assert_int_equal(dict_node(&d, node, frame, &node), 0);
	int64_t *self = calloc(dict_n_nodes(&d), sizeof(*self));
	struct calltree_builder *b = calltree_builder_new(NULL);
	assert_non_null(self);
	self[node.v] = 42;
	struct calltree t;
	assert_int_equal(calltree_add(b, &d, self, slice_of("", 0), NULL), 0);
	assert_int_equal(calltree_finish(b, &t), 0);
	_cleanup_(buf_done)
	struct buf out = buf_of(8 << 20);
	struct slab s;
	encode(&t, &out);
	assert_int_equal(slab_open(bytes_of(&out), &s, NULL), 0);
	assert_int_equal(s.n_nodes, 65536);
	assert_int_equal(s.depth[65535], 65535);
	assert_int_equal(s.func[65535], TREE_FUNC_PRUNED);
	assert_int_equal(s.pruned[65535], 70001 - 65535);
	assert_true(s.self[65535] == 42);
	free(self);
	calltree_builder_free(&b);
	calltree_done(&t);
	dict_done(&d);
}

static void appends_anywhere_and_the_same(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf a = buf_of(1 << 20), b = buf_of(1 << 20), full = buf_of(300);
	_cleanup_(calltree_done)
	struct calltree t;
	const struct slab_meta meta = { slice_str("cpu"), slice_str("ns"), slice_of("", 0), NULL, false, 0 };
	tree_of("a;b 1\n", &t);
	buf_add_str(&a, "12345");
	assert_int_equal(slab_encode(&t, &meta, &a), 0);
	assert_int_equal(slab_encode(&t, &meta, &b), 0);
	assert_true(slice_eq(slice_of(a.data + 5, a.n - 5), bytes_of(&b)));
	assert_int_equal(slab_encode(&t, &meta, &full), -E2BIG);
}

static void assert_refused(struct buf *b, size_t at, const void *bytes, size_t n, int code, const char *message)
{
	uint8_t was[32];
	struct error err = { "" };
	struct slab s;
	assert_true(n <= sizeof(was) && at + n <= b->n);
	memcpy(was, b->data + at, n);
	memcpy(b->data + at, bytes, n);
	assert_int_equal(slab_open(bytes_of(b), &s, &err), code);
	assert_string_equal(err.text, message);
	memcpy(b->data + at, was, n);
}

static void strangers_are_refused(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	_cleanup_(calltree_done)
	struct calltree t;
	struct error err = { "" };
	struct slab s;
	tree_of("a;b 1\n", &t);
	encode(&t, &b);
	assert_int_equal(slab_open(slice_of(b.data + 1, b.n - 1), &s, &err), -EINVAL);
	assert_refused(&b, 0, "x", 1, -EBADMSG, "at byte 0: not a slab");
	assert_refused(&b, 8, "\x02", 1, -EPROTONOSUPPORT, "at byte 8: slab version 2; this reader knows 1");
	assert_refused(&b, 12, "\xff", 1, -E2BIG, "at byte 12: 255 columns; at most 64 are read");
	assert_refused(&b, 12, "\x0a", 1, -EBADMSG, "column meta is missing");
	assert_refused(&b, 32 + 16, "\x08", 1, -EBADMSG, "at byte 32: column node.func has elements of 8 bytes");
	assert_refused(&b, 32 + 24, "\x01", 1, -EBADMSG, "at byte 32: column 0 lies outside of the file");
	assert_refused(&b, 64 + 20, "\xff\xff\xff\xff", 4, -EBADMSG, "at byte 64: column 1 lies outside of the file");
	assert_refused(&b, 64 + 20, "\x02", 1, -EBADMSG, "columns node.depth and node.func differ in length");
	uint64_t func_at, depth_at;
	memcpy(&func_at, b.data + 32 + 24, 8);
	memcpy(&depth_at, b.data + 64 + 24, 8);
	assert_refused(&b, func_at + 4, "\x09", 1, -EBADMSG, "node 1: function 9 does not exist");
	assert_refused(&b, depth_at + 4, "\x07", 1, -EBADMSG, "node 2: depth 7");
	assert_refused(&b, depth_at + 2, "\x00", 1, -EBADMSG, "node 1: depth 0");
	/* One copy for all lengths, at its very end: an overrun is seen. */
	for (size_t n = 0; n < b.n; n++) {
		_cleanup_(free_ptr)
		uint8_t *part = malloc(n ? n : 1);
		assert_non_null(part);
		memcpy(part, b.data, n);
		int r = slab_open(slice_of(part, n), &s, &err);
		assert_true(r == -EBADMSG || r == -ENODATA);
	}
}

static void flipped_bits_do_no_harm(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	_cleanup_(calltree_done)
	struct calltree t;
	tree_of("a;b 1\na;c_[k] 2\n", &t);
	encode(&t, &b);
	for (size_t bit = 0; bit < b.n * 8; bit++) {
		struct slab s;
		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (slab_open(bytes_of(&b), &s, NULL) == 0)
			for (uint32_t i = 0; i < s.n_funcs; i++)
				assert_true(slab_string(&s, s.name[i]).size <= b.n);
		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void trees_by_lines_say_them(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20), plain = buf_of(1 << 20);
	_cleanup_(calltree_done)
	struct calltree t;
	struct slab s;
	tree_of("main;parse 5\n", &t);
	t.funcs[1].line = 12;
	t.funcs[2].line = 80;
	const struct slab_meta meta = { .type = slice_str("cpu"), .unit = slice_str("count"), .lines = true };
	assert_int_equal(slab_encode(&t, &meta, &out), 0);
	assert_int_equal(slab_open(bytes_of(&out), &s, NULL), 0);
	assert_int_equal(s.line[s.func[1]], 12);
	assert_int_equal(s.line[s.func[2]], 80);
	assert_null(s.found);
	encode(&t, &plain);
	assert_null(memmem(plain.data, plain.n, "func.line", 9));
	/* Beside how its frames were found, which another column says. */
	t.found[1] = CALLTREE_FOUND(FRAME_FOUND_TABLE);
	t.found[2] = CALLTREE_FOUND(FRAME_FOUND_REGISTER);
	out.n = 0;
	assert_int_equal(slab_encode(&t, &meta, &out), 0);
	assert_int_equal(slab_open(bytes_of(&out), &s, NULL), 0);
	assert_int_equal(s.line[s.func[2]], 80);
	assert_memory_equal(s.found, t.found, 3);
}

/* Old readers skip what a comparison adds; new ones find it by name. */
static void comparisons_add_columns(void **state)
{
	(void)state;
	_cleanup_(diff_done)
	struct diff d;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	static const char *const folded[] = { "main;f 100\nmain;old 300\n", "main;f 400\n" };
	assert_int_equal(diff_init(&d, NULL), 0);
	for (int side = 0; side < 2; side++) {
		_cleanup_(calltree_done)
		struct calltree t;
		tree_of(folded[side], &t);
		const struct diff_window w = { t.total[0], (double)t.total[0], 1 };
		assert_int_equal(diff_add(&d, side ? DIFF_B : DIFF_A, &t, &w), 0);
	}
	assert_int_equal(diff_finish(&d), 0);
	const struct slab_meta meta = { slice_str("cpu"), slice_str("count"), slice_str("\"x\":1"), &d, false, 0 };
	assert_int_equal(slab_encode(&d.tree, &meta, &out), 0);
	struct slab s;
	assert_int_equal(slab_open(bytes_of(&out), &s, NULL), 0);
	assert_int_equal(s.n_nodes, 4);
	assert_true(s.self[3] == 0); /* old */
	int found = 0;
	for (uint32_t c = 0; c < 15; c++) {
		uint64_t at;
		const uint8_t *row = out.data + 32 + (size_t)c * 32;
		memcpy(&at, row + 24, sizeof(at));
		if (strcmp((const char *)row, "node.base") == 0 && ++found) {
			double base[4];
			memcpy(base, out.data + at, sizeof(base));
			assert_true(base[0] == 0 && base[1] == 0 && base[2] == 100 && base[3] == 300);
		}
		if (strcmp((const char *)row, "node.verdict") == 0 && ++found)
			assert_true(out.data[at + 1] == 1 && out.data[at + 2] == 2 && out.data[at + 3] == 2);
	}
	assert_int_equal(found, 2);
}

/* What is small on both sides is folded; what is large on one of them is not,
 * and no value is lost on either. */
static void comparisons_fold_what_is_small_on_both_sides(void **state)
{
	(void)state;
	_cleanup_(diff_done)
	struct diff d;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	static const char *const folded[] = { "main;f 500\nmain;old 400\nmain;s1 3\nmain;s2;t 2\nmain;s4 1\n",
					      "main;f 900\nmain;s1 4\nmain;s2;t 3\nmain;s3 2\n" };
	assert_int_equal(diff_init(&d, NULL), 0);
	for (int side = 0; side < 2; side++) {
		_cleanup_(calltree_done)
		struct calltree t;
		tree_of(folded[side], &t);
		const struct diff_window w = { t.total[0], 0, 0 };
		assert_int_equal(diff_add(&d, side ? DIFF_B : DIFF_A, &t, &w), 0);
	}
	assert_int_equal(diff_finish(&d), 0);
	assert_int_equal(d.tree.n, 9);
	struct slab_meta meta = { slice_str("cpu"), slice_str("count"), slice_str("\"x\":1"), &d, false, 6 };
	assert_int_equal(slab_encode(&d.tree, &meta, &out), 0);
	struct slab s;
	assert_int_equal(slab_open(bytes_of(&out), &s, NULL), 0);
	/* all, main, f, [s1, s2, t, s3], old, [s4] */
	assert_int_equal(s.n_nodes, 6);
	static const uint32_t pruned[] = { 0, 0, 0, 4, 0, 1 };
	static const double self[] = { 0, 0, 900, 9, 0, 0 }, base[] = { 0, 0, 500, 5, 400, 1 };
	assert_memory_equal(s.pruned, pruned, sizeof(pruned));
	assert_memory_equal(s.self, self, sizeof(self));
	assert_true(s.func[3] == TREE_FUNC_PRUNED && s.func[4] != TREE_FUNC_PRUNED);
	const uint8_t *row = memmem(out.data, out.n, "node.base", 9);
	uint64_t at;
	assert_non_null(row);
	memcpy(&at, row + 24, sizeof(at));
	assert_memory_equal(out.data + at, base, sizeof(base));
}

/* A box of both sides has the ways of both. */
static void comparisons_say_how_frames_were_found(void **state)
{
	(void)state;
	_cleanup_(diff_done)
	struct diff d;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	assert_int_equal(diff_init(&d, NULL), 0);
	for (int side = 0; side < 2; side++) {
		_cleanup_(calltree_done)
		struct calltree t;
		if (side == DIFF_A)
			tree_of("main;a 2\nmain;c 4\n", &t);
		else
			found_tree(&t);
		const struct diff_window w = { t.total[0], 0, 0 };
		assert_int_equal(diff_add(&d, (enum diff_side)side, &t, &w), 0);
	}
	assert_int_equal(diff_finish(&d), 0);
	const struct slab_meta meta = { slice_str("cpu"), slice_str("count"), slice_str("\"x\":1"), &d, false, 0 };
	assert_int_equal(slab_encode(&d.tree, &meta, &out), 0);
	struct slab s;
	assert_int_equal(slab_open(bytes_of(&out), &s, NULL), 0);
	assert_int_equal(s.n_nodes, 5); /* all, main, a, b, c */
	assert_memory_equal(s.found, "\x00\x15\x03\x01\x01", 5);
	assert_non_null(memmem(out.data, out.n, "node.verdict", 12));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_carry_the_tree),
		cmocka_unit_test(pruned_boxes_and_unused_names),
		cmocka_unit_test(too_deep_is_pruned),
		cmocka_unit_test(appends_anywhere_and_the_same),
		cmocka_unit_test(comparisons_add_columns),
		cmocka_unit_test(comparisons_fold_what_is_small_on_both_sides),
		cmocka_unit_test(trees_by_lines_say_them),
		cmocka_unit_test(strangers_are_refused),
		cmocka_unit_test(comparisons_say_how_frames_were_found),
		cmocka_unit_test(how_frames_were_found_is_a_column_where_it_is_known),
		cmocka_unit_test(pruned_boxes_were_not_found),
		cmocka_unit_test(flipped_bits_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
