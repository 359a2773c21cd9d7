/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarf/answers.h"

#include <errno.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie in memory");

enum record_kind { RECORD_STRING = 1, RECORD_ANSWER = 2, RECORD_END = 3, RECORD_PROBLEM = 4 };

struct record_head {
	uint8_t kind, n;
	uint16_t size;
};

struct answer_head {
	struct record_head head;
	uint32_t index, symbol, mangled;
};

struct answer_frame {
	uint32_t name, mangled, file, line;
};

struct end_record {
	struct record_head head;
	uint32_t n_answers;
};

static const char magic[4] = { 'w', 'd', 'w', '1' };

_Static_assert(sizeof(struct answer_head) + DWARF_MAX_DEPTH * sizeof(struct answer_frame) <= ANSWER_RECORD_MAX,
	       "the longest record is that of a string");

/* ---- writer ---- */

int answer_writer_init(struct answer_writer *w, struct membudget *budget)
{
	*w = (struct answer_writer){ .out = buf_of(SIZE_MAX / 2) };
	buf_add(&w->out, magic, sizeof(magic));
	return strtab_init(&w->strings, budget);
}

void answer_writer_done(struct answer_writer *w)
{
	strtab_done(&w->strings);
	buf_done(&w->out);
}

static void write_text(struct answer_writer *w, enum record_kind kind, struct slice text)
{
	struct record_head head = { .kind = (uint8_t)kind, .size = (uint16_t)text.size };
	buf_add(&w->out, &head, sizeof(head));
	buf_add(&w->out, text.data, text.size);
}

static int write_string(struct answer_writer *w, struct slice text, uint32_t *ret)
{
	struct str_id id;
	size_t size = text.size ? strnlen((const char *)text.data, text.size) : 0;
	if (size > DWARF_TEXT_MAX)
		size = DWARF_TEXT_MAX;
	int r = strtab_intern(&w->strings, slice_of(text.data, size), &id);
	if (r < 0)
		return r;
	*ret = id.v;
	if (id.v <= w->n_written)
		return 0;
	write_text(w, RECORD_STRING, slice_of(text.data, size));
	w->n_written = id.v;
	return 0;
}

int answer_write(struct answer_writer *w, const struct dwarf_answer *a)
{
	struct answer_frame frames[DWARF_MAX_DEPTH];
	uint32_t n = a->n_frames < DWARF_MAX_DEPTH ? a->n_frames : DWARF_MAX_DEPTH;
	struct answer_head head = { .head = { .kind = RECORD_ANSWER, .n = (uint8_t)n }, .index = a->index };
	int r = write_string(w, a->symbol, &head.symbol);
	if (r == 0)
		r = write_string(w, a->mangled, &head.mangled);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		frames[i].line = a->frames[i].line;
		r = write_string(w, a->frames[i].name, &frames[i].name);
		if (r == 0)
			r = write_string(w, a->frames[i].mangled, &frames[i].mangled);
		if (r == 0)
			r = write_string(w, a->frames[i].file, &frames[i].file);
	}
	if (r < 0)
		return r;
	buf_add(&w->out, &head, sizeof(head));
	buf_add(&w->out, frames, n * sizeof(frames[0]));
	w->n_answers++;
	return w->out.failed ? -ENOMEM : 0;
}

void answer_write_problem(struct answer_writer *w, const char *text)
{
	size_t size = strnlen(text, DWARF_TEXT_MAX);
	if (size)
		write_text(w, RECORD_PROBLEM, slice_of(text, size));
}

void answer_write_end(struct answer_writer *w)
{
	struct end_record end = { .head.kind = RECORD_END, .n_answers = w->n_answers };
	buf_add(&w->out, &end, sizeof(end));
}

/* ---- reader ---- */

int answer_reader_init(struct answer_reader *r, uint32_t n_asked, size_t memory_max, struct dwarf_sink sink)
{
	*r = (struct answer_reader){ .n_asked = n_asked, .sink = sink, .budget = membudget_of(memory_max) };
	r->answered = calloc((size_t)n_asked / 8 + 1, 1);
	int e = r->answered ? strtab_init(&r->strings, &r->budget) : -ENOMEM;
	if (e < 0)
		free(r->answered);
	return e;
}

void answer_reader_done(struct answer_reader *r)
{
	strtab_done(&r->strings);
	free(r->answered);
	r->answered = NULL;
}

static bool get_string(const struct answer_reader *r, uint32_t number, struct slice *ret)
{
	if (number >= strtab_count(&r->strings))
		return false;
	*ret = strtab_get(&r->strings, (struct str_id){ number });
	return true;
}

static int take_string(struct answer_reader *r, const struct record_head *head, struct error *err)
{
	uint32_t number = strtab_count(&r->strings);
	struct slice text = slice_of(r->record + sizeof(*head), head->size);
	struct str_id id;
	if (memchr(text.data, 0, text.size))
		return error_set(err, -EBADMSG, "string %u has a NUL in it", number);
	int e = strtab_intern(&r->strings, text, &id);
	if (e < 0)
		return error_set(err, e, "the names take more than %zu bytes", r->budget.max);
	return id.v == number ? 0 : error_set(err, -EBADMSG, "string %u is string %u again", number, id.v);
}

static int take_answer(struct answer_reader *r, uint32_t n, struct error *err)
{
	struct dwarf_frame frames[DWARF_MAX_DEPTH];
	struct answer_head head;
	memcpy(&head, r->record, sizeof(head));
	struct dwarf_answer a = { .index = head.index, .frames = frames, .n_frames = n };
	if (head.index >= r->n_asked)
		return error_set(err, -EBADMSG, "an answer is about address %u of %u", head.index, r->n_asked);
	uint8_t *bits = &r->answered[head.index / 8], bit = (uint8_t)(1 << head.index % 8);
	if (*bits & bit)
		return error_set(err, -EBADMSG, "address %u is answered twice", head.index);
	bool good = get_string(r, head.symbol, &a.symbol) && get_string(r, head.mangled, &a.mangled);
	for (uint32_t i = 0; good && i < n; i++) {
		struct answer_frame f;
		memcpy(&f, r->record + sizeof(head) + i * sizeof(f), sizeof(f));
		frames[i].line = f.line;
		good = get_string(r, f.name, &frames[i].name) && get_string(r, f.mangled, &frames[i].mangled) &&
		       get_string(r, f.file, &frames[i].file);
	}
	if (!good)
		return error_set(err, -EBADMSG, "the answer to address %u names a string that has not come",
				 head.index);
	*bits |= bit;
	r->n_answers++;
	r->sink_result = r->sink.put(r->sink.arg, &a);
	return r->sink_result;
}

static int take_problem(struct answer_reader *r, const struct record_head *head)
{
	const uint8_t *text = r->record + sizeof(*head);
	size_t n = head->size < sizeof(r->problem) ? head->size : sizeof(r->problem) - 1;
	for (size_t i = 0; i < n; i++)
		r->problem[i] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
	r->problem[n] = 0;
	return 0;
}

static int take_end(struct answer_reader *r, struct error *err)
{
	struct end_record end;
	memcpy(&end, r->record, sizeof(end));
	if (end.n_answers != r->n_answers)
		return error_set(err, -EBADMSG, "%u answers came, %u were meant", r->n_answers, end.n_answers);
	r->has_end = true;
	return 0;
}

/* Bytes of the record whose head has come; 0: there is no such record. */
static uint32_t record_size(const struct record_head *head)
{
	switch ((enum record_kind)head->kind) {
	case RECORD_STRING:
	case RECORD_PROBLEM:
		return head->size && head->size <= DWARF_TEXT_MAX && head->n == 0 ? (uint32_t)sizeof(*head) + head->size
										  : 0;
	case RECORD_ANSWER:
		return head->n <= DWARF_MAX_DEPTH && head->size == 0
			       ? (uint32_t)(sizeof(struct answer_head) + head->n * sizeof(struct answer_frame))
			       : 0;
	case RECORD_END:
		return head->n == 0 && head->size == 0 ? (uint32_t)sizeof(struct end_record) : 0;
	}
	return 0;
}

static int take_record(struct answer_reader *r, const struct record_head *head, struct error *err)
{
	r->n_record = 0;
	if (r->has_end)
		return error_set(err, -EBADMSG, "something follows the end");
	switch ((enum record_kind)head->kind) {
	case RECORD_STRING:
		return take_string(r, head, err);
	case RECORD_ANSWER:
		return take_answer(r, head->n, err);
	case RECORD_PROBLEM:
		return take_problem(r, head);
	case RECORD_END:
		break;
	}
	return take_end(r, err);
}

/* How many bytes the record has as far as is known: its head's tell. */
static int wanted_size(const struct answer_reader *r, struct record_head *ret_head, uint32_t *ret, struct error *err)
{
	*ret = sizeof(*ret_head);
	if (r->n_record < sizeof(*ret_head))
		return 0;
	memcpy(ret_head, r->record, sizeof(*ret_head));
	if (!r->has_magic)
		return 0;
	*ret = record_size(ret_head);
	return *ret ? 0
		    : error_set(err, -EBADMSG, "record of kind %u, %u parts, %u bytes", ret_head->kind, ret_head->n,
				ret_head->size);
}

static int take_magic(struct answer_reader *r, struct error *err)
{
	r->has_magic = true;
	r->n_record = 0;
	return memcmp(r->record, magic, sizeof(magic)) == 0 ? 0
							    : error_set(err, -EBADMSG, "it does not begin with wdw1");
}

int answer_reader_feed(struct answer_reader *r, struct slice bytes, struct error *err)
{
	while (bytes.size) {
		struct record_head head = { 0 };
		uint32_t want;
		int e = wanted_size(r, &head, &want, err);
		if (e < 0)
			return e;
		uint32_t n = want - r->n_record;
		if (n > bytes.size)
			n = (uint32_t)bytes.size;
		memcpy(r->record + r->n_record, bytes.data, n);
		r->n_record += n;
		bytes = slice_of(bytes.data + n, bytes.size - n);
		e = wanted_size(r, &head, &want, err);
		if (e == 0 && r->n_record == want)
			e = r->has_magic ? take_record(r, &head, err) : take_magic(r, err);
		if (e < 0)
			return e;
	}
	return 0;
}
