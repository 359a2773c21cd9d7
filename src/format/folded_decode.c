/* SPDX-License-Identifier: Apache-2.0 */
#include "format/folded.h"

#include "format/inflate.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#define LOOK_LINES 20
#define LOOK_SIZE  65536 /* bytes in which a line is looked for */

/* Lines mostly repeat the beginning of the line before, so that is where the
 * walk starts:
 *
 *   previous  main;parse;read_file 12     done = { main, parse, read_file }
 *   this      main;parse;read_line 3      kept = { main, parse } */
struct done_frame {
	size_t end; /* offset of the ';' or ' ' behind it */
	uint32_t node;
};

struct folded_reader {
	struct profile *p;
	const struct format_limits *limits;
	struct error *err;
	uint32_t max_strings;
	uint64_t line_number;
	double left_over;      /* what rounding has taken from weights so far */
	int64_t sum;	       /* of all weights */
	bool is_saturated;     /* they come to more */
	struct slice previous; /* stack of the line before */
	VEC(struct done_frame) done;
};

static void folded_reader_done(struct folded_reader *f)
{
	vec_done(f->p->budget, &f->done);
}

static int fail_memory(const struct folded_reader *f, int code)
{
	if (code == -ENOBUFS)
		return error_set(f->err, code,
				 "line %" PRIu64 ": the profile does not fit into the memory allowed for it",
				 f->line_number);
	return error_set(f->err, code, "line %" PRIu64 ": out of memory", f->line_number);
}

static const struct {
	char letter;
	uint8_t kind, flags;
} annotations[] = {
	{ 'k', FRAME_KERNEL, 0 },
	{ 'j', FRAME_JIT, 0 },
	{ 'i', FRAME_USER, FRAME_INLINED },
};

/* "read_[k]" -> read, FRAME_KERNEL */
static struct slice take_annotation(struct slice name, struct frame *frame)
{
	frame->kind = FRAME_USER;
	if (name.size <= 4)
		return name;
	const uint8_t *tail = name.data + name.size - 4;
	if (tail[0] != '_' || tail[1] != '[' || tail[3] != ']')
		return name;
	for (size_t i = 0; i < ARRAY_SIZE(annotations); i++)
		if (tail[2] == annotations[i].letter) {
			frame->kind = annotations[i].kind;
			frame->flags = annotations[i].flags;
			name.size -= 4;
			break;
		}
	return name;
}

/* pprof tells a frame's kind by its mapping: the one that says it. */
static int map_kind(struct dict *dict, struct frame *frame)
{
	if (frame->kind != FRAME_KERNEL && frame->kind != FRAME_JIT)
		return 0;
	struct mapping mapping = { 0 };
	int r = strtab_intern_str(&dict->strings, frame->kind == FRAME_KERNEL ? "[kernel]" : "[jit]", &mapping.path);
	return r < 0 ? r : dict_mapping(dict, &mapping, &frame->mapping);
}

static int check_limits(const struct folded_reader *f)
{
	const struct dict *dict = &f->p->dict;
	if (strtab_count(&dict->strings) > f->max_strings)
		return error_set(f->err, -E2BIG, "line %" PRIu64 ": more than %" PRIu32 " strings", f->line_number,
				 f->limits->n_strings);
	if (dict->frames.n - 1 > f->limits->n_locations)
		return error_set(f->err, -E2BIG, "line %" PRIu64 ": more than %" PRIu32 " different frames",
				 f->line_number, f->limits->n_locations);
	return 0;
}

static int push_frame(struct folded_reader *f, struct slice name, size_t end, uint32_t *node)
{
	if (f->done.n >= f->limits->depth)
		return error_set(f->err, -E2BIG, "line %" PRIu64 ": more than %" PRIu32 " frames", f->line_number,
				 f->limits->depth);
	struct dict *dict = &f->p->dict;
	struct function function = { 0 };
	struct frame frame = { 0 };
	struct frame_id id;
	struct node_id child = { 0 };
	name = take_annotation(name, &frame);
	int r = strtab_intern(&dict->strings, name, &function.name);
	if (r == 0)
		r = dict_function(dict, &function, &frame.function);
	if (r == 0)
		r = map_kind(dict, &frame);
	if (r == 0)
		r = dict_frame(dict, &frame, &id);
	if (r == 0)
		r = dict_node(dict, (struct node_id){ *node }, id, &child);
	if (r == 0)
		r = vec_reserve(f->p->budget, &f->done, 1);
	if (r < 0)
		return fail_memory(f, r);
	f->done.data[f->done.n++] = (struct done_frame){ end, child.v };
	*node = child.v;
	return check_limits(f);
}

static size_t common_prefix(struct slice a, struct slice b)
{
	size_t n = a.size < b.size ? a.size : b.size, i = 0;
	for (; i + 8 <= n; i += 8) {
		uint64_t x, y;
		memcpy(&x, a.data + i, 8);
		memcpy(&y, b.data + i, 8);
		if (x != y)
			break;
	}
	while (i < n && a.data[i] == b.data[i])
		i++;
	return i;
}

static int walk_stack(struct folded_reader *f, struct slice stack, uint32_t *ret)
{
	size_t same = common_prefix(stack, f->previous);
	/* A frame stays when its ';' is within what is the same. */
	while (f->done.n && f->done.data[f->done.n - 1].end >= same)
		f->done.n--;
	size_t at = f->done.n ? f->done.data[f->done.n - 1].end + 1 : 0;
	uint32_t node = f->done.n ? f->done.data[f->done.n - 1].node : 0;
	f->previous = stack;
	for (;;) {
		const uint8_t *end = memchr(stack.data + at, ';', stack.size - at);
		size_t size = end ? (size_t)(end - stack.data) - at : stack.size - at;
		int r = push_frame(f, slice_of(stack.data + at, size), at + size, &node);
		if (r < 0)
			return r;
		if (!end)
			break;
		at += size + 1;
	}
	*ret = node;
	return 0;
}

static int refuse_weight(const struct folded_reader *f, struct slice word, const char *why)
{
	return error_set(f->err, -EBADMSG, "line %" PRIu64 ": weight \"%.*s\" %s", f->line_number,
			 word.size > 40 ? 40 : (int)word.size, (const char *)word.data, why);
}

/* What the digits behind a point come to together with what rounding took
 * from the lines before: 0, 1 or 2. -1: these are no digits. */
static int round_fraction(struct folded_reader *f, struct slice digits)
{
	double part = 0, place = 0.1;
	for (size_t i = 0; i < digits.size; i++, place /= 10) {
		if (digits.data[i] < '0' || digits.data[i] > '9')
			return -1;
		part += place * (digits.data[i] - '0');
	}
	part += f->left_over;
	double whole = nearbyint(part);
	f->left_over = part - whole;
	return (int)whole;
}

static int read_weight(struct folded_reader *f, struct slice word, int64_t *ret)
{
	int64_t weight = 0;
	size_t i = 0;
	for (; i < word.size && word.data[i] >= '0' && word.data[i] <= '9'; i++)
		if (__builtin_mul_overflow(weight, 10, &weight) ||
		    __builtin_add_overflow(weight, word.data[i] - '0', &weight))
			return refuse_weight(f, word, "does not fit into 63 bits");
	if (i < word.size) {
		bool has_point = word.data[i] == '.' && word.size > 1;
		int more = has_point ? round_fraction(f, slice_of(word.data + i + 1, word.size - i - 1)) : -1;
		if (more < 0)
			return refuse_weight(f, word, "is not a number >= 0");
		if (__builtin_add_overflow(weight, more, &weight))
			return refuse_weight(f, word, "does not fit into 63 bits");
	}
	*ret = weight;
	return 0;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct slice without_end(struct slice line)
{
	while (line.size && is_blank(line.data[line.size - 1]))
		line.size--;
	return line;
}

/* One blank parts the two; a further one belongs to a name. */
static bool split_line(struct slice line, struct slice *ret_stack, struct slice *ret_weight)
{
	size_t word = line.size;
	while (word > 0 && !is_blank(line.data[word - 1]))
		word--;
	if (word < 2)
		return false;
	*ret_stack = slice_of(line.data, word - 1);
	*ret_weight = slice_of(line.data + word, line.size - word);
	return true;
}

static int read_line(struct folded_reader *f, struct slice line)
{
	struct slice stack, word;
	line = without_end(line);
	if (line.size == 0)
		return 0;
	if (!split_line(line, &stack, &word))
		return error_set(f->err, -EBADMSG, "line %" PRIu64 ": not \"stack weight\"", f->line_number);
	if (profile_n_samples(f->p) >= f->limits->n_samples)
		return error_set(f->err, -E2BIG, "line %" PRIu64 ": more than %" PRIu32 " samples", f->line_number,
				 f->limits->n_samples);
	int64_t weight;
	struct node_id node;
	int r = read_weight(f, word, &weight);
	if (r == 0)
		r = walk_stack(f, stack, &node.v);
	if (r < 0)
		return r;
	f->is_saturated = __builtin_add_overflow(f->sum, weight, &f->sum) || f->is_saturated;
	r = profile_add_sample(f->p, node, (struct labels_id){ 0 }, &weight);
	return r < 0 ? fail_memory(f, r) : 0;
}

/* --- lines --- */

static struct slice take_line(struct slice *text)
{
	const uint8_t *end = memchr(text->data, '\n', text->size);
	struct slice line = slice_of(text->data, end ? (size_t)(end - text->data) : text->size);
	size_t used = line.size + (end != NULL);
	*text = slice_of(text->data + used, text->size - used);
	return line;
}

/* What may stand in front of the stacks. */
struct preface {
	uint64_t n_lines;
	bool is_marked; /* its last line is FOLDED_MARK */
};

/* Steps over a byte order mark and comments. */
static struct preface skip_preface(struct slice *text)
{
	struct preface p = { 0 };
	if (slice_has_prefix(*text, "\xef\xbb\xbf"))
		*text = slice_of(text->data + 3, text->size - 3);
	while (text->size && !p.is_marked) {
		struct slice rest = *text, line = without_end(take_line(&rest));
		if (line.size && (line.data[0] != '#' || slice_has_prefix(line, "#!")))
			break;
		p.n_lines++;
		p.is_marked = slice_eq(line, slice_of(FOLDED_MARK, strlen(FOLDED_MARK) - 1));
		*text = rest;
	}
	return p;
}

static bool is_weight(struct slice word)
{
	bool has_point = false;
	for (size_t i = 0; i < word.size; i++) {
		if (word.data[i] == '.' ? has_point : word.data[i] < '0' || word.data[i] > '9')
			return false;
		has_point = has_point || word.data[i] == '.';
	}
	return word.size > has_point;
}

bool folded_is_marked(struct slice text)
{
	return skip_preface(&text).is_marked;
}

/* Prose and tables have lines that end in a number, too: ';' says more, or
 * that nothing but a word stands before it. */
bool folded_looks(struct slice text)
{
	uint32_t n = 0, n_stacks = 0, n_words = 0;
	bool has_callers = false;
	const uint8_t *from = text.data;
	(void)skip_preface(&text);
	while (text.size && n < LOOK_LINES && text.data - from < LOOK_SIZE) {
		struct slice line = without_end(take_line(&text)), stack, word;
		n += line.size > 0;
		if (!split_line(line, &stack, &word) || !is_weight(word))
			continue;
		n_stacks++;
		n_words += !memchr(stack.data, ' ', stack.size);
		has_callers = has_callers || memchr(stack.data, ';', stack.size);
	}
	return has_callers ? 2 * n_stacks >= n : n_stacks && n_stacks == n && 2 * n_words >= n;
}

int folded_decode(struct slice bytes, const struct format_limits *limits, struct profile *p, struct error *err)
{
	_cleanup_(buf_done)
	struct buf inflated = buf_of(0);
	struct slice text;
	int r = inflate_bytes(bytes, limits, &inflated, &text, err);
	if (r < 0)
		return r;
	_cleanup_(folded_reader_done)
	struct folded_reader f = { .p = p, .limits = limits, .err = err };
	r = profile_add_type(p, slice_str("samples"), slice_str("count"));
	if (r < 0)
		return fail_memory(&f, r);
	f.max_strings = limits_max_strings(limits, strtab_count(&p->dict.strings));
	f.line_number = skip_preface(&text).n_lines;
	bool is_cut = text.size && slice_end(text)[-1] != '\n';
	while (r == 0 && text.size) {
		f.line_number++;
		r = read_line(&f, take_line(&text));
	}
	if (r == -EBADMSG && text.size == 0 && is_cut)
		return error_set(err, -ENODATA, "line %" PRIu64 ": the file ends within this line", f.line_number);
	if (r < 0)
		return r;
	if (profile_n_samples(p) == 0)
		return error_set(err, -ENODATA, "no stack in %" PRIu64 " lines", f.line_number);
	if (f.is_saturated)
		r = profile_add_warning(
			p, slice_str("weights add up to more than 63 bits: sums end at 9223372036854775807"));
	return r < 0 ? fail_memory(&f, r) : 0;
}
