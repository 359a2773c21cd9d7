/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever wick-dwarf has become by reading a hostile file, the program that started it stays whole. */
#include "dwarf/answers.h"
#include "unit.h"

#include <errno.h>
#include <string.h>

#define MEMORY ((size_t)1 << 20)

struct collected {
	uint32_t n;
	uint32_t index[8], n_frames[8], line[8];
	char name[8][64], file[8][64], symbol[8][64];
	int result; /* for the reader */
};

static void copy(char out[static 64], struct slice text)
{
	(void)snprintf(out, 64, "%.*s", SLICE_FMT(text));
}

static int collect(void *arg, const struct dwarf_answer *a)
{
	struct collected *c = arg;
	c->index[c->n] = a->index;
	c->n_frames[c->n] = a->n_frames;
	copy(c->symbol[c->n], a->symbol);
	if (a->n_frames) {
		copy(c->name[c->n], a->frames[a->n_frames - 1].name);
		copy(c->file[c->n], a->frames[a->n_frames - 1].file);
		c->line[c->n] = a->frames[a->n_frames - 1].line;
	}
	c->n++;
	return c->result;
}

static void write_example(struct answer_writer *w)
{
	struct dwarf_frame frames[] = {
		{ .name = slice_str("peek"), .file = slice_str("/src/x.h"), .line = 3 },
		{ .name = slice_str("serve(int)"),
		  .mangled = slice_str("_Z5servei"),
		  .file = slice_str("/src/x.c"),
		  .line = 80 },
	};
	struct dwarf_answer first = { .index = 2, .symbol = slice_str("serve(int)"), .frames = frames, .n_frames = 2 };
	struct dwarf_answer second = { .index = 0, .symbol = slice_str("memcpy") };
	assert_int_equal(answer_writer_init(w, NULL), 0);
	assert_int_equal(answer_write(w, &first), 0);
	assert_int_equal(answer_write(w, &second), 0);
	answer_write_end(w);
}

/* Feeds `step` bytes at a time. */
static int feed(struct slice bytes, size_t step, struct collected *c, struct error *err, bool *ret_has_end)
{
	struct answer_reader r;
	int e = 0;
	assert_int_equal(answer_reader_init(&r, 3, MEMORY, (struct dwarf_sink){ collect, c }), 0);
	for (size_t at = 0; e == 0 && at < bytes.size; at += step)
		e = answer_reader_feed(&r, slice_of(bytes.data + at, bytes.size - at < step ? bytes.size - at : step),
				       err);
	if (ret_has_end)
		*ret_has_end = r.has_end;
	answer_reader_done(&r);
	return e;
}

static void test_answers_come_as_written_in_any_pieces(void **state)
{
	struct answer_writer w;
	write_example(&w);
	for (size_t step = 1; step <= w.out.n; step++) {
		struct collected c = { 0 };
		struct error err;
		bool has_end;
		assert_int_equal(feed(slice_of(w.out.data, w.out.n), step, &c, &err, &has_end), 0);
		assert_true(has_end);
		assert_int_equal(c.n, 2);
		assert_int_equal(c.index[0], 2);
		assert_int_equal(c.n_frames[0], 2);
		assert_string_equal(c.name[0], "serve(int)");
		assert_string_equal(c.file[0], "/src/x.c");
		assert_int_equal(c.line[0], 80);
		assert_int_equal(c.index[1], 0);
		assert_int_equal(c.n_frames[1], 0);
		assert_string_equal(c.symbol[1], "memcpy");
	}
	answer_writer_done(&w);
}

/* A process that was killed has said part of it. */
static void test_what_came_before_a_cut_counts(void **state)
{
	struct answer_writer w;
	write_example(&w);
	uint32_t most = 0;
	for (size_t n = 0; n < w.out.n; n++) {
		struct collected c = { 0 };
		struct error err;
		bool has_end;
		assert_int_equal(feed(slice_of(w.out.data, n), 7, &c, &err, &has_end), 0);
		assert_false(has_end);
		assert_true(c.n >= most);
		most = c.n;
	}
	assert_int_equal(most, 2);
	answer_writer_done(&w);
}

static void test_the_sink_can_end_it(void **state)
{
	struct answer_writer w;
	write_example(&w);
	struct collected c = { .result = -ENOSPC };
	struct error err;
	assert_int_equal(feed(slice_of(w.out.data, w.out.n), 1000, &c, &err, NULL), -ENOSPC);
	assert_int_equal(c.n, 1);
	answer_writer_done(&w);
}

#define MAGIC	  "wdw1"
#define STRING_A  "\1\0\1\0a"
#define ANSWER(i) "\2\0\0\0" i "\0\0\0\0\0\0\0\0\0\0\0"
#define END(n)	  "\3\0\0\0" n "\0\0\0"

static void test_lies_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *says;
	} lies[] = {
#define LIE(bytes, says) { bytes, sizeof(bytes) - 1, says }
		LIE("WDW1", "wdw1"),
		LIE(MAGIC "\7\0\0\0", "record of kind 7"),
		LIE(MAGIC "\1\0\0\0", "kind 1"),       /* a string of no bytes */
		LIE(MAGIC "\1\1\1\0a", "1 parts"),     /* a string with parts */
		LIE(MAGIC "\1\0\1\x10", "4097 bytes"), /* too long */
		LIE(MAGIC "\1\0\3\0a\0b", "NUL"),
		LIE(MAGIC STRING_A STRING_A, "again"),
		LIE(MAGIC "\2\x41\0\0", "65 parts"), /* too deep */
		LIE(MAGIC "\2\0\1\0", "kind 2"),
		LIE(MAGIC ANSWER("\3"), "address 3 of 3"),
		LIE(MAGIC ANSWER("\1") ANSWER("\1"), "twice"),
		LIE(MAGIC "\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", "has not come"),
		LIE(MAGIC STRING_A "\2\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", "has not come"),
		LIE(MAGIC ANSWER("\1") END("\2"), "1 answers came"),
		LIE(MAGIC END("\0") END("\0"), "follows"),
		LIE(MAGIC END("\0") STRING_A, "follows"),
	};
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		for (size_t step = 1; step <= lies[i].size; step++) {
			struct collected c = { 0 };
			struct error err = { "" };
			assert_int_equal(feed(slice_of(lies[i].bytes, lies[i].size), step, &c, &err, NULL), -EBADMSG);
			if (!strstr(err.text, lies[i].says))
				fail_msg("lie %zu: \"%s\" does not say \"%s\"", i, err.text, lies[i].says);
		}
	}
}

static void test_strings_without_end_cost_a_bounded_amount(void **state)
{
	struct answer_reader r;
	struct collected c = { 0 };
	struct error err;
	uint8_t record[4 + DWARF_TEXT_MAX] = { 1, 0, DWARF_TEXT_MAX & 255, DWARF_TEXT_MAX >> 8 };
	memset(record + 4, 'x', DWARF_TEXT_MAX);
	assert_int_equal(answer_reader_init(&r, 3, MEMORY, (struct dwarf_sink){ collect, &c }), 0);
	assert_int_equal(answer_reader_feed(&r, slice_str(MAGIC), &err), 0);
	int e = 0;
	for (uint32_t i = 0; e == 0; i++) {
		(void)snprintf((char *)record + 4, 16, "%015u", i);
		record[4 + 15] = 'x';
		e = answer_reader_feed(&r, slice_of(record, sizeof(record)), &err);
		assert_true(i < 2 * MEMORY / DWARF_TEXT_MAX);
	}
	assert_int_equal(e, -ENOBUFS);
	assert_true(r.budget.peak <= MEMORY);
	answer_reader_done(&r);
}

static void test_a_problem_is_told_in_plain_letters(void **state)
{
	struct answer_writer w;
	struct answer_reader r;
	struct collected c = { 0 };
	struct error err;
	assert_int_equal(answer_writer_init(&w, NULL), 0);
	answer_write_problem(&w, "libdw: bad\x1b[31m");
	assert_int_equal(answer_reader_init(&r, 1, MEMORY, (struct dwarf_sink){ collect, &c }), 0);
	assert_int_equal(answer_reader_feed(&r, slice_of(w.out.data, w.out.n), &err), 0);
	assert_string_equal(r.problem, "libdw: bad?[31m");
	answer_reader_done(&r);
	answer_writer_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_come_as_written_in_any_pieces),
		cmocka_unit_test(test_what_came_before_a_cut_counts),
		cmocka_unit_test(test_the_sink_can_end_it),
		cmocka_unit_test(test_lies_are_refused),
		cmocka_unit_test(test_strings_without_end_cost_a_bounded_amount),
		cmocka_unit_test(test_a_problem_is_told_in_plain_letters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
