/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/folded.h"
#include "format/detect.h"
#include "format/inflate.h"
#include "format/pprof.h"
#include "format/testprofile.h"

#include "base/file.h"

#include <errno.h>

static int decode(const char *text, struct profile *p, struct error *err)
{
	assert_int_equal(profile_init(p, NULL), 0);
	return folded_decode(slice_str(text), &format_limits_default, p, err);
}

static void assert_becomes(const char *in, const char *want)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	struct error err = { "" };
	struct profile p;
	if (decode(in, &p, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(folded_encode(&p, 0, &out), 0);
	buf_add_byte(&out, 0);
	assert_string_equal((const char *)out.data, want);
	profile_done(&p);
}

static void assert_refused(const char *in, int code, const char *message)
{
	struct error err = { "" };
	struct profile p;
	assert_int_equal(decode(in, &p, &err), code);
	assert_string_equal(err.text, message);
	profile_done(&p);
}

static void lines_survive(void **state)
{
	(void)state;
	static const char *const same[] = {
		"a 1\n",
		"java;start_thread;void run<A, B>(int);read;check_events_[k];hypercall_page_[k] 1\n",
		"a 9\na;b 7\na;b;c 5\na;b;d 6\na;bc 8\nb;a 10\n",
		"node;LazyCompile:~foo app.js:12_[j];inlined_[i] 3\n",
		"a 9223372036854775807\n",
		"_[k] 1\n",
		"a;  2\n",
		"x_[z];y[k];z_[k]_ 2\n",
		"a;a 2\na;a;a;a 4\n",
		"\xff\xfe;\xc3\xa4 1\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		assert_becomes(same[i], same[i]);
}

static void forms_of_lines(void **state)
{
	(void)state;
	assert_becomes("a;b 1\r\n\r\n  \na;b 2", "a;b 3\n"); /* CRLF, blank lines, no last newline, twice the same */
	assert_becomes("a;b\t1\n", "a;b 1\n");
	assert_becomes("a;b 12  \n", "a;b 12\n");
	assert_becomes("a;b 0\na 1\n", "a 1\n");
	assert_becomes("a;;b 1\n", "a;[unknown];b 1\n");
	assert_becomes("a 9223372036854775807\na 1\n", "a 9223372036854775807\n");
}

/* What stands in front is no stack, and lines are counted with it. */
static void comments_may_stand_in_front(void **state)
{
	(void)state;
	assert_becomes("\xef\xbb\xbf"
		       "a;b 1\n",
		       "a;b 1\n");
	assert_becomes("# by a tool\r\n\r\n#\n\n#x 3\na;b 1\n#c 2\n", "a;b 1\n#c 2\n");
	assert_becomes("\xef\xbb\xbf# x\n" FOLDED_MARK "# f;g 1\n", FOLDED_MARK "# f;g 1\n");
	assert_refused("#!/bin/sh\n", -EBADMSG, "line 1: not \"stack weight\"");
	assert_refused("# a\n\nx\n", -EBADMSG, "line 3: not \"stack weight\"");
	assert_refused("\xef\xbb\xbf# a 1\n", -ENODATA, "no stack in 1 lines");
}

/* What wick writes it takes for folded stacks again, whatever names are like. */
static void all_that_is_written_is_read_again(void **state)
{
	(void)state;
	static const char *const names[] = { "# f",
					     "\xef\xbb\xbf_",
					     "(\xb5/\xfd",
					     "operator new(unsigned long)",
					     "{\"head\"",
					     "a\x01\x02\x03\x04",
					     "\x1f\x8b\x08",
					     "a 1 1.5: 3 cycles:",
					     "#!x",
					     "-",
					     "goroutine profile: total",
					     "PERFILE2" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(buf_done)
		struct buf once = buf_of(1 << 20), twice = buf_of(1 << 20);
		struct profile p;
		struct frame_id frame;
		struct node_id node = { 0 };
		enum format format;
		assert_int_equal(profile_init(&p, NULL), 0);
		assert_int_equal(profile_add_type(&p, slice_str("samples"), slice_str("count")), 0);
		assert_int_equal(dict_named_frame(&p.dict, slice_str(names[i]), FRAME_USER, &frame), 0);
		assert_int_equal(dict_node(&p.dict, node, frame, &node), 0);
		assert_int_equal(profile_add_sample(&p, node, (struct labels_id){ 0 }, (int64_t[]){ 7 }), 0);
		assert_int_equal(folded_encode(&p, 0, &once), 0);
		profile_done(&p);
		assert_int_equal(profile_init(&p, NULL), 0);
		int r = format_decode(slice_of(once.data, once.n), &format_limits_default, &p, &format, NULL);
		if (r < 0 || format != FORMAT_FOLDED)
			fail_msg("%s: %d", names[i], r);
		assert_int_equal(folded_encode(&p, 0, &twice), 0);
		assert_true(slice_eq(slice_of(once.data, once.n), slice_of(twice.data, twice.n)));
		profile_done(&p);
	}
}

/* Sums that cannot be held are not as large as they should be. */
static void sums_that_end_are_warned_of(void **state)
{
	(void)state;
	struct profile p;
	assert_int_equal(decode("a 9223372036854775806\na 1\n", &p, NULL), 0);
	assert_int_equal(p.warnings.n, 0);
	profile_done(&p);
	assert_int_equal(decode("a 9223372036854775806\nb 2\nc 1\n", &p, NULL), 0);
	assert_int_equal(p.warnings.n, 1);
	assert_string_equal(strtab_cstr(&p.dict.strings, p.comments.data[p.warnings.data[0]]),
			    "weights add up to more than 63 bits: sums end at 9223372036854775807");
	profile_done(&p);
}

/* Tools that scale write fractions; all together they are still right. */
static void fractions_are_carried_on(void **state)
{
	(void)state;
	assert_becomes("a 1.5\nb 1.5\nc .25\nd .75\n", "a 1\nb 2\nd 1\n");
	assert_becomes("a 2.\na 0.999999999999999999999999999999\n", "a 3\n");
	assert_becomes("a 9223372036854775807.4\n", "a 9223372036854775807\n");
}

static void kinds_come_from_annotations(void **state)
{
	(void)state;
	struct profile p;
	assert_int_equal(decode("u;k_[k];j_[j];i_[i] 1", &p, NULL), 0);
	static const struct {
		uint8_t kind, flags;
	} want[] = { { FRAME_USER, FRAME_INLINED }, { FRAME_JIT, 0 }, { FRAME_KERNEL, 0 }, { FRAME_USER, 0 } };
	struct node_id node = p.node.data[0];
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		const struct frame *f = &p.dict.frames.data[p.dict.node_frame.data[node.v].v];
		char unused[FRAME_NAME_SIZE];
		assert_int_equal(f->kind, want[i].kind);
		assert_int_equal(f->flags, want[i].flags);
		assert_int_equal(dict_frame_name(&p.dict, p.dict.node_frame.data[node.v], unused).size, 1);
		node = p.dict.node_parent.data[node.v];
	}
	assert_int_equal(node.v, 0);
	profile_done(&p);
}

static void messages_name_the_line(void **state)
{
	(void)state;
	assert_refused("", -ENODATA, "no stack in 0 lines");
	assert_refused("\n\n", -ENODATA, "no stack in 2 lines");
	assert_refused("a;b 1\nc;d 1.5.2\n", -EBADMSG, "line 2: weight \"1.5.2\" is not a number >= 0");
	assert_refused("a;b 1\nc;d .\n", -EBADMSG, "line 2: weight \".\" is not a number >= 0");
	assert_refused("a;b 9223372036854775807.9\n", -EBADMSG,
		       "line 1: weight \"9223372036854775807.9\" does not fit into 63 bits");
	assert_refused("a;b -1\n", -EBADMSG, "line 1: weight \"-1\" is not a number >= 0");
	assert_refused("a;b\n", -EBADMSG, "line 1: not \"stack weight\"");
	assert_refused("a b\n", -EBADMSG, "line 1: weight \"b\" is not a number >= 0");
	assert_refused("a;b 1\nc;d", -ENODATA, "line 2: the file ends within this line");
	assert_refused("a;b 1\nc;d x", -ENODATA, "line 2: the file ends within this line");
	assert_refused("\n12\n", -EBADMSG, "line 2: not \"stack weight\"");
	assert_refused("a 9223372036854775808\n", -EBADMSG,
		       "line 1: weight \"9223372036854775808\" does not fit into 63 bits");
}

static void limits_are_named(void **state)
{
	(void)state;
	struct format_limits l = format_limits_default;
	struct error err = { "" };
	struct profile p;
	l.depth = 2;
	l.n_samples = 3;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(folded_decode(slice_str("a;b 1\na;b;c 1\n"), &l, &p, &err), -E2BIG);
	assert_string_equal(err.text, "line 2: more than 2 frames");
	profile_done(&p);
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(folded_decode(slice_str("a 1\na 1\na 1\na 1\n"), &l, &p, &err), -E2BIG);
	assert_string_equal(err.text, "line 4: more than 3 samples");
	profile_done(&p);
	static const char text[] = "a;b 1\na;b_[k] 1\na;c 1\n";
	l = format_limits_default;
	l.n_strings = 3;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(folded_decode(slice_str(text), &l, &p, &err), -E2BIG);
	assert_string_equal(err.text, "line 3: more than 3 strings"); /* "[kernel]" is one */
	profile_done(&p);
	l = format_limits_default;
	l.n_locations = 3;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(folded_decode(slice_str(text), &l, &p, &err), -E2BIG);
	assert_string_equal(err.text, "line 3: more than 3 different frames");
	profile_done(&p);
}

static void budget_ends_in_an_error(void **state)
{
	(void)state;
	bool done = false;
	for (size_t max = 1000; !done && max < 1 << 20; max += 61) {
		struct membudget budget = membudget_of(max);
		struct profile p;
		struct error err = { "" };
		int r = profile_init(&p, &budget);
		if (r == 0) {
			r = folded_decode(slice_str("main;parse;read_[k] 12\nmain;parse;write_[k] 1\nmain 1\n"),
					  &format_limits_default, &p, &err);
			assert_true(r == 0 || strstr(err.text, "does not fit"));
			profile_done(&p);
		}
		assert_true(r == 0 || r == -ENOBUFS);
		assert_int_equal(budget.used, 0);
		done = r == 0;
	}
	assert_true(done);
}

/* What the line format cannot say is gone, what it can is there. */
static void pprof_becomes_lines(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	testprofile_fill(&p);
	assert_int_equal(folded_encode(&p, 0, &out), 0);
	buf_add_byte(&out, 0);
	assert_string_equal((const char *)out.data,
			    "main;parse;next_token_[i];peek_[i] 3\nmain;server+0x400300;do_syscall_64_[k] 1\n");
	out.n = 0;
	assert_int_equal(folded_encode(&p, 1, &out), 0);
	assert_true(slice_has_prefix(slice_of(out.data, out.n), "[unknown] -9223372036854775808\n"));
	profile_done(&p);
}

struct pieces {
	struct buf all;
	size_t largest;
	uint32_t n, n_max;
};

static int put_piece(void *arg, struct slice piece)
{
	struct pieces *p = arg;
	p->largest = piece.size > p->largest ? piece.size : p->largest;
	if (p->n++ == p->n_max)
		return -ENOSPC;
	return sink_put_buf(&p->all, piece);
}

/* Many long stacks are never held all at once; a full disk ends the writing. */
static void output_comes_in_pieces(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf text = buf_of(64 << 20), deep = buf_of(1 << 20);
	for (int i = 0; i < 100; i++)
		buf_printf(&deep, "a_function_with_a_rather_long_name_%d;", i);
	for (int i = 0; i < 1000; i++) {
		buf_add(&text, deep.data, deep.n);
		buf_printf(&text, "leaf_%d 1\n", i);
	}
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(folded_decode(slice_of(text.data, text.n), &format_limits_default, &p, NULL), 0);
	struct pieces out = { .all = buf_of(64 << 20), .n_max = 1000 };
	struct sink sink = { put_piece, &out };
	assert_int_equal(folded_write(&p, 0, &sink), 0);
	assert_true(slice_eq(slice_of(out.all.data, out.all.n), slice_of(text.data, text.n)));
	assert_true(out.n > 10 && out.largest < SINK_PIECE + 2 * deep.n);
	buf_done(&out.all);
	out.n = 0;
	out.n_max = 2;
	assert_int_equal(folded_write(&p, 0, &sink), -ENOSPC);
	assert_int_equal(out.n, 3);
	buf_done(&out.all);
	profile_done(&p);
}

static int compare_lines(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	int c = memcmp(x->data, y->data, x->size < y->size ? x->size : y->size);
	return c ? c : (x->size > y->size) - (x->size < y->size);
}

static size_t split_lines(struct slice text, struct slice *lines, size_t max)
{
	size_t n = 0;
	for (size_t at = 0; at < text.size;) {
		const uint8_t *end = memchr(text.data + at, '\n', text.size - at);
		size_t size = end ? (size_t)(end - text.data) - at : text.size - at;
		assert_true(n < max);
		lines[n++] = slice_of(text.data + at, size);
		at += size + 1;
	}
	qsort(lines, n, sizeof(*lines), compare_lines);
	return n;
}

/* Files of other people's stackcollapse come out line for line. */
static void real_files_survive(void **state)
{
	(void)state;
	const char *data = shared_data();
	if (!data)
		skip_because("no ../shared/data");
	static const char *const names[] = { "speedscope/perf-vertx-stacks-01-collapsed-all.txt",
					     "perf-script/results/perf-java-stacks-01-collapsed-all.txt",
					     "perf-script/results/perf-vertx-stacks-01-collapsed-jit.txt",
					     "perf-script/results/perf-rust-Yamakaky-dcpu-collapsed-all.txt" };
	static struct slice was[10000], is[10000];
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(buf_done)
		struct buf file = buf_of(64 << 20), out = buf_of(64 << 20);
		struct error err = { "" };
		struct profile p;
		char path[5000];
		(void)snprintf(path, sizeof(path), "%s/%s", data, names[i]);
		assert_int_equal(file_read(path, &file, &err), 0);
		assert_int_equal(profile_init(&p, NULL), 0);
		if (folded_decode(slice_of(file.data, file.n), &format_limits_default, &p, &err) < 0)
			fail_msg("%s: %s", names[i], err.text);
		assert_int_equal(folded_encode(&p, 0, &out), 0);
		size_t n = split_lines(slice_of(file.data, file.n), was, ARRAY_SIZE(was));
		assert_int_equal(split_lines(slice_of(out.data, out.n), is, ARRAY_SIZE(is)), n);
		for (size_t k = 0; k < n; k++)
			if (!slice_eq(was[k], is[k]))
				fail_msg("%s: \"%.*s\" became \"%.*s\"", names[i], SLICE_FMT(was[k]), SLICE_FMT(is[k]));
		profile_done(&p);
	}
}

/* Through pprof and back nothing that folded text says is lost. */
static void pprof_keeps_lines(void **state)
{
	(void)state;
	static const char text[] = "main;parse;peek_[i] 3\nmain;f_[j];read_[k] 4\n";
	_cleanup_(buf_done)
	struct buf pb = buf_of(1 << 20), out = buf_of(1 << 20);
	struct profile p, q;
	assert_int_equal(decode(text, &p, NULL), 0);
	assert_int_equal(pprof_encode(&p, &pb), 0);
	assert_int_equal(profile_init(&q, NULL), 0);
	assert_int_equal(pprof_decode(slice_of(pb.data, pb.n), &format_limits_default, &q, NULL), 0);
	assert_int_equal(folded_encode(&q, 0, &out), 0);
	assert_int_equal(out.n, sizeof(text) - 1);
	assert_memory_equal(out.data, text, out.n);
	profile_done(&p);
	profile_done(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_survive),
		cmocka_unit_test(forms_of_lines),
		cmocka_unit_test(comments_may_stand_in_front),
		cmocka_unit_test(all_that_is_written_is_read_again),
		cmocka_unit_test(sums_that_end_are_warned_of),
		cmocka_unit_test(fractions_are_carried_on),
		cmocka_unit_test(kinds_come_from_annotations),
		cmocka_unit_test(messages_name_the_line),
		cmocka_unit_test(limits_are_named),
		cmocka_unit_test(budget_ends_in_an_error),
		cmocka_unit_test(pprof_becomes_lines),
		cmocka_unit_test(output_comes_in_pieces),
		cmocka_unit_test(real_files_survive),
		cmocka_unit_test(pprof_keeps_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
