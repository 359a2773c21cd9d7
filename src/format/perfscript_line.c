/* SPDX-License-Identifier: Apache-2.0 */
#include "format/perfscript_line.h"

#define LOOK_SIZE 65536 /* header comments of a file end sooner */

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static struct slice trim(struct slice s)
{
	while (s.size && (is_blank(s.data[s.size - 1]) || s.data[s.size - 1] == '\r'))
		s.size--;
	while (s.size && is_blank(s.data[0]))
		s.data++, s.size--;
	return s;
}

static struct slice slice_from(struct slice s, size_t at)
{
	return slice_of(s.data + at, s.size - at);
}

/* Takes the next word off `s`. */
static struct slice take_word(struct slice *s)
{
	*s = trim(*s);
	size_t n = 0;
	while (n < s->size && !is_blank(s->data[n]))
		n++;
	struct slice word = slice_of(s->data, n);
	*s = slice_from(*s, n);
	return word;
}

/* The number in front of `s`, which moves behind it. False when there is none
 * or it is over `max`. */
static bool take_number(struct slice *s, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;
	size_t n = 0;
	for (; n < s->size && is_digit(s->data[n]); n++) {
		uint32_t digit = s->data[n] - (uint32_t)'0';
		if (value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*s = slice_from(*s, n);
	*ret = value;
	return n > 0;
}

/* "123", "123/456" or "-1" (perf lost track of the thread) in front of `s`. */
static bool take_ids(struct slice *s, struct perf_header *h)
{
	uint64_t number;
	if (s->size && s->data[0] == '-') {
		*s = slice_from(*s, 1);
		h->has_pid = h->has_tid = false;
		if (!take_number(s, INT32_MAX, &number))
			return false;
		if (s->size > 2 && s->data[0] == '/' && s->data[1] == '-') {
			*s = slice_from(*s, 2);
			if (!take_number(s, INT32_MAX, &number))
				return false;
		}
		return s->size == 0 || is_blank(s->data[0]);
	}
	if (!take_number(s, INT32_MAX, &number))
		return false;
	h->tid = (uint32_t)number;
	h->has_tid = true;
	h->has_pid = s->size > 1 && s->data[0] == '/' && is_digit(s->data[1]);
	if (h->has_pid) {
		h->pid = h->tid;
		*s = slice_from(*s, 1);
		if (!take_number(s, INT32_MAX, &number))
			return false;
		h->tid = (uint32_t)number;
	}
	return s->size == 0 || is_blank(s->data[0]);
}

static bool is_cpu(struct slice word)
{
	if (word.size < 3 || word.data[0] != '[' || word.data[word.size - 1] != ']')
		return false;
	for (size_t i = 1; i + 1 < word.size; i++)
		if (!is_digit(word.data[i]))
			return false;
	return true;
}

/* -F +misc: the mode the sample was taken in, what a record is of */
static bool is_misc(struct slice word)
{
	for (size_t i = 0; i < word.size; i++)
		if (!memchr("KUHGgMESp", word.data[i], 9))
			return false;
	return word.size > 0 && word.size <= 6;
}

/* "4794.109216:" or, with --ns, nine digits */
static bool is_time(struct slice word, uint64_t *ret)
{
	uint64_t seconds, fraction;
	if (!take_number(&word, UINT32_MAX, &seconds) || word.size < 3 || word.data[0] != '.')
		return false;
	word = slice_from(word, 1);
	size_t digits = word.size - 1;
	if (digits > 9 || !take_number(&word, UINT32_MAX, &fraction) || word.size != 1 || word.data[0] != ':')
		return false;
	for (; digits < 9; digits++)
		fraction *= 10;
	*ret = seconds * 1000000000u + fraction;
	return true;
}

static bool is_number(struct slice word, int64_t *ret)
{
	uint64_t value;
	if (!take_number(&word, INT64_MAX, &value) || word.size)
		return false;
	*ret = (int64_t)value;
	return true;
}

/* What follows the ids: [cpu] [flags or misc] time: period event: rest */
static bool parse_fields(struct slice s, struct perf_header *h)
{
	bool has_cpu = false, has_flags = false, has_period = false;
	for (;;) {
		struct slice word = take_word(&s);
		if (word.size == 0)
			return !has_period;
		if (slice_has_prefix(word, "PERF_RECORD_")) {
			h->is_record = true;
			return true;
		}
		if (!has_cpu && !h->has_time && is_cpu(word)) {
			has_cpu = true;
		} else if (!h->has_time && !has_period && is_time(word, &h->time_ns)) {
			h->has_time = true;
		} else if (!has_period && is_number(word, &h->period)) {
			has_period = true;
		} else if (word.data[word.size - 1] == ':' && word.size > 1) {
			h->event = slice_of(word.data, word.size - 1);
			h->rest = trim(s);
			return true;
		} else if (has_cpu && !has_flags && !h->has_time && word.size <= 8) {
			has_flags = true; /* "d.h1" */
		} else if (!has_flags && !h->has_time && !has_period && is_misc(word)) {
			has_flags = true;
		} else {
			return false;
		}
	}
}

bool perf_header_parse(struct slice line, struct perf_header *ret)
{
	line = trim(line);
	/* A comm may hold blanks and numbers: it ends at the first number behind
	 * which everything reads as the other fields. */
	for (size_t at = 1; at < line.size; at++) {
		const uint8_t *blank = memchr(line.data + at, ' ', line.size - at);
		if (!blank)
			return false;
		at = (size_t)(blank - line.data);
		size_t comm_size = at;
		while (is_blank(line.data[at]))
			at++;
		struct perf_header h = { .comm = slice_of(line.data, comm_size) };
		struct slice s = slice_from(line, at);
		if ((is_digit(line.data[at]) || line.data[at] == '-') && take_ids(&s, &h) && parse_fields(s, &h)) {
			*ret = h;
			return true;
		}
		at--;
	}
	return false;
}

static int hex_digit(uint8_t c)
{
	if (is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Finds where the "(module)" at the end of `s` opens. */
static bool find_module(struct slice s, size_t *ret)
{
	int open = 0;
	if (s.size == 0 || s.data[s.size - 1] != ')')
		return false;
	for (size_t i = s.size; i-- > 0;) {
		if (s.data[i] == ')')
			open++;
		else if (s.data[i] == '(' && --open == 0) {
			*ret = i;
			return i == 0 || is_blank(s.data[i - 1]);
		}
	}
	return false;
}

/* "main+0x12" -> main */
static struct slice without_offset(struct slice name)
{
	size_t at = name.size;
	while (at > 0 && hex_digit(name.data[at - 1]) >= 0)
		at--;
	if (at == name.size || at < 4 || memcmp(name.data + at - 3, "+0x", 3) != 0)
		return name;
	return slice_of(name.data, at - 3);
}

static struct slice unless_unknown(struct slice s)
{
	return slice_eq(s, slice_str("[unknown]")) ? slice_of(s.data, 0) : s;
}

bool perf_frame_parse(struct slice line, struct perf_frame *ret)
{
	struct perf_frame f = { 0 };
	line = trim(line);
	size_t n = 0;
	for (; n < line.size && n < 16 && hex_digit(line.data[n]) >= 0; n++)
		f.address = f.address << 4 | (uint64_t)hex_digit(line.data[n]);
	if (n == 0 || (n < line.size && !is_blank(line.data[n])))
		return false;
	struct slice start = line;
	line = trim(slice_from(line, n));
	size_t open;
	if (find_module(line, &open)) {
		struct slice module = slice_of(line.data + open + 1, line.size - open - 2);
		f.has_module = true;
		f.is_inlined = slice_eq(module, slice_str("inlined"));
		if (!f.is_inlined)
			f.module = unless_unknown(module);
		line = trim(slice_of(line.data, open));
		/* "7f12  (libc.so)": a symbol without letters, not one unknown */
		if (line.size == 0 && n + 1 < start.size && is_blank(start.data[n + 1]))
			line = slice_of(start.data + n, 1);
	}
	f.name = unless_unknown(without_offset(line));
	*ret = f;
	return true;
}

bool perf_source_parse(struct slice line, struct slice *ret_file, uint32_t *ret_line)
{
	if (line.size == 0 || !is_blank(line.data[0]))
		return false;
	line = trim(line);
	if (line.size && line.data[line.size - 1] == ']') {
		*ret_line = 0;
		return true;
	}
	size_t at = line.size;
	while (at > 0 && is_digit(line.data[at - 1]))
		at--;
	struct slice digits = slice_from(line, at);
	uint64_t number;
	if (at < 2 || line.data[at - 1] != ':' || !take_number(&digits, UINT32_MAX, &number))
		return false;
	*ret_file = slice_of(line.data, at - 1);
	*ret_line = (uint32_t)number;
	return true;
}

/* Takes the next line off `text`. */
static struct slice take_line(struct slice *text)
{
	const uint8_t *end = text->size ? memchr(text->data, '\n', text->size) : NULL;
	struct slice line = slice_of(text->data, end ? (size_t)(end - text->data) : text->size);
	*text = slice_from(*text, line.size + (end != NULL));
	return line;
}

/* Says whether a header is one by what it holds and what follows. */
static bool is_convincing(const struct perf_header *h, struct slice behind)
{
	struct perf_frame f;
	struct slice next = take_line(&behind);
	if (h->event.size == 0)
		return next.size && is_blank(next.data[0]) && perf_frame_parse(next, &f);
	if (h->has_time)
		return true;
	if (h->rest.size)
		return perf_frame_parse(h->rest, &f) && f.has_module;
	return trim(next).size == 0 || is_blank(next.data[0]);
}

bool perfscript_looks(struct slice text)
{
	struct slice rest = text;
	while (rest.size && text.size - rest.size < LOOK_SIZE) {
		struct slice line = take_line(&rest);
		if (trim(line).size == 0 || line.data[0] == '#')
			continue;
		struct perf_header h;
		if (!perf_header_parse(line, &h))
			return false;
		if (!h.is_record)
			return is_convincing(&h, rest);
	}
	return false;
}
