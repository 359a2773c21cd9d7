/* SPDX-License-Identifier: Apache-2.0 */
#include "format/perfscript.h"

#include "format/perfscript_line.h"

#include <errno.h>
#include <inttypes.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define LINE_MAX_SIZE (1u << 20) /* of a frame */
#define AHEAD	      16	 /* lines; a power of two */

/* A line that is split off but not read yet. Between the two the memory that
 * tells which known line it is has time to arrive: first the slot of its
 * hash, then the known line, then that one's text. */
struct coming_line {
	struct slice line;
	struct slice frame; /* the line without indent, if it may be a frame */
	uint64_t key;	    /* hash of `frame` */
	bool is_cut;	    /* it ends with the file */
};

/* The same frames come again and again, in the same bytes: a line is parsed
 * when it is first seen and found by its hash from then on. */
struct known_line {
	const uint8_t *text;
	uint32_t size;
	struct frame_id frame;
};

struct walked_frame {
	struct frame_id frame;
	struct node_id node;
};

/* The last place of a frame in the tree. Most have one caller only, and this
 * table is a fraction of the tree's. */
struct last_place {
	struct node_id parent, node; /* node 0: none yet */
};

/* A sample waits here until all events, and so all types, are known. */
struct waiting_sample {
	struct node_id node;
	struct labels_id labels;
	uint32_t event; /* index into `events`, UINT32_MAX = none */
	int64_t value;
};

struct script_reader {
	struct profile *p;
	const struct format_limits *limits;
	struct error *err;
	uint32_t max_strings;
	uint64_t line_number;
	bool is_cut;	  /* the line at hand ends with the file */
	bool has_modules; /* a frame so far named its module */
	bool is_one_line; /* so was the sample before */
	VEC(struct known_line) known;
	struct u64map known_ids;
	VEC(struct frame_id) stack;	 /* of the open sample, leaf first */
	VEC(struct walked_frame) walked; /* of the sample before, root first */
	VEC(struct last_place) places;	 /* by frame */
	VEC(struct waiting_sample) samples;
	struct str_id events[PROFILE_MAX_TYPES];
	uint32_t n_events;
	struct str_id pid_key, thread_id_key, thread_name_key, event_key, incomplete_key;
	struct waiting_sample sample;
	bool is_open;
	bool has_time;
	uint64_t first_ns, last_ns;
};

static void script_reader_done(struct script_reader *s)
{
	struct membudget *budget = s->p->budget;
	vec_done(budget, &s->known);
	u64map_done(&s->known_ids);
	vec_done(budget, &s->stack);
	vec_done(budget, &s->walked);
	vec_done(budget, &s->places);
	vec_done(budget, &s->samples);
}

static int fail_memory(const struct script_reader *s, int code)
{
	if (code == -ENOBUFS)
		return error_set(s->err, code,
				 "line %" PRIu64 ": the profile does not fit into the memory allowed for it",
				 s->line_number);
	return error_set(s->err, code, "line %" PRIu64 ": out of memory", s->line_number);
}

static int fail_line(const struct script_reader *s, const char *what, struct slice line)
{
	if (s->is_cut)
		return error_set(s->err, -ENODATA, "line %" PRIu64 ": the file ends within this line", s->line_number);
	return error_set(s->err, -EBADMSG, "line %" PRIu64 ": %s: \"%.*s\"", s->line_number, what,
			 line.size > 60 ? 60 : (int)line.size, (const char *)line.data);
}

static int check_strings(const struct script_reader *s)
{
	if (strtab_count(&s->p->dict.strings) <= s->max_strings)
		return 0;
	return error_set(s->err, -E2BIG, "line %" PRIu64 ": more than %" PRIu32 " strings", s->line_number,
			 s->limits->n_strings);
}

/* --- frames --- */

static bool has_suffix(struct slice s, const char *suffix)
{
	size_t n = strlen(suffix);
	return s.size >= n && memcmp(s.data + s.size - n, suffix, n) == 0;
}

/* Modules of the kernel are "[name]", and so are a few areas of processes. */
static enum frame_kind kind_of_module(struct slice module)
{
	static const char *const areas[] = { "[vdso", "[vsyscall", "[heap", "[stack", "[anon", "[uprobes" };
	if (module.size == 0)
		return FRAME_UNKNOWN;
	enum frame_kind kind = frame_kind_of_path(module);
	if (kind == FRAME_USER && memmem(module.data, module.size, "/jitted-", 8))
		return FRAME_JIT;
	if (kind != FRAME_USER)
		return kind;
	for (size_t i = 0; i < ARRAY_SIZE(areas); i++)
		if (slice_has_prefix(module, areas[i]))
			return FRAME_USER;
	if (module.data[0] == '[' || has_suffix(module, "vmlinux") || has_suffix(module, ".ko") ||
	    slice_has_prefix(module, "bpf_prog_"))
		return FRAME_KERNEL;
	return FRAME_USER;
}

static int intern_frame(struct script_reader *s, const struct perf_frame *parsed, struct frame_id *ret)
{
	struct dict *dict = &s->p->dict;
	struct function function = { 0 };
	struct mapping mapping = { 0 };
	struct frame frame = { .address = parsed->address, .kind = (uint8_t)kind_of_module(parsed->module) };
	if (parsed->is_inlined)
		frame.flags = FRAME_INLINED;
	int r = 0;
	if (parsed->name.size) {
		r = strtab_intern(&dict->strings, parsed->name, &function.name);
		if (r == 0)
			r = dict_function(dict, &function, &frame.function);
	}
	if (r == 0 && parsed->module.size) {
		r = strtab_intern(&dict->strings, parsed->module, &mapping.path);
		if (r == 0)
			r = dict_mapping(dict, &mapping, &frame.mapping);
	}
	return r < 0 ? r : dict_frame(dict, &frame, ret);
}

/* The frame of a line, parsed or remembered. -EBADMSG: not a frame; -E2BIG:
 * the error is set. */
static int find_frame(struct script_reader *s, struct slice line, uint64_t key, struct frame_id *ret)
{
	for (;; key++) {
		uint32_t known = u64map_get(&s->known_ids, key);
		if (known == 0) {
			struct perf_frame parsed;
			if (!perf_frame_parse(line, &parsed))
				return -EBADMSG;
			/* Where all others name one, half a line reads as a frame without. */
			if (s->is_cut && s->has_modules && !parsed.has_module)
				return -EBADMSG;
			s->has_modules = s->has_modules || parsed.has_module;
			if (s->known.n >= s->limits->n_locations)
				return error_set(s->err, -E2BIG,
						 "line %" PRIu64 ": more than %" PRIu32 " different frames",
						 s->line_number, s->limits->n_locations);
			int r = intern_frame(s, &parsed, ret);
			if (r == 0)
				r = check_strings(s);
			if (r == 0)
				r = vec_reserve(s->p->budget, &s->known, 1);
			uint32_t *slot = r == 0 ? u64map_put(&s->known_ids, key) : NULL;
			if (!slot)
				return r < 0 ? r : -ENOBUFS;
			s->known.data[s->known.n++] = (struct known_line){ line.data, (uint32_t)line.size, *ret };
			*slot = s->known.n;
			return 0;
		}
		const struct known_line *k = &s->known.data[known - 1];
		if (k->size == line.size && memcmp(k->text, line.data, line.size) == 0) {
			*ret = k->frame;
			return 0;
		}
	}
}

static int push_frame(struct script_reader *s, struct slice line, uint64_t key)
{
	struct frame_id frame;
	if (line.size > LINE_MAX_SIZE)
		return error_set(s->err, -E2BIG, "line %" PRIu64 ": longer than 1 MiB", s->line_number);
	if (s->stack.n >= s->limits->depth)
		return error_set(s->err, -E2BIG, "line %" PRIu64 ": more than %" PRIu32 " frames", s->line_number,
				 s->limits->depth);
	int r = find_frame(s, line, key, &frame);
	if (r == -EBADMSG || r == -E2BIG)
		return r;
	if (r == 0)
		r = vec_reserve(s->p->budget, &s->stack, 1);
	if (r < 0)
		return fail_memory(s, r);
	s->stack.data[s->stack.n++] = frame;
	return 0;
}

/* The source line behind a frame belongs to it. */
static int add_source(struct script_reader *s, struct slice file, uint32_t line)
{
	struct dict *dict = &s->p->dict;
	struct frame_id *id = &s->stack.data[s->stack.n - 1];
	struct frame frame = dict->frames.data[id->v];
	struct function function = dict->functions.data[frame.function.v];
	frame.line = line;
	int r = 0;
	/* Without a name the place would look like the function. */
	if (frame.function.v) {
		r = strtab_intern(&dict->strings, file, &function.file);
		if (r == 0)
			r = dict_function(dict, &function, &frame.function);
	}
	if (r == 0)
		r = dict_frame(dict, &frame, id);
	return r < 0 ? fail_memory(s, r) : 0;
}

/* An inlined function lies where its caller does. */
static int place_inlined(struct script_reader *s, struct frame_id caller, struct frame_id *frame)
{
	struct dict *dict = &s->p->dict;
	struct frame placed = dict->frames.data[frame->v];
	if (!(placed.flags & FRAME_INLINED))
		return 0;
	placed.mapping = dict->frames.data[caller.v].mapping;
	placed.kind = dict->frames.data[caller.v].kind;
	return dict_frame(dict, &placed, frame);
}

static int find_node(struct script_reader *s, struct node_id parent, struct frame_id frame, struct node_id *ret)
{
	if (frame.v >= s->places.n) {
		uint32_t more = s->p->dict.frames.n - s->places.n;
		int r = vec_reserve(s->p->budget, &s->places, more);
		if (r < 0)
			return r;
		memset(s->places.data + s->places.n, 0, more * sizeof(*s->places.data));
		s->places.n += more;
	}
	struct last_place *last = &s->places.data[frame.v];
	if (last->node.v == 0 || last->parent.v != parent.v) {
		struct node_id node;
		int r = dict_node(&s->p->dict, parent, frame, &node);
		if (r < 0)
			return r;
		*last = (struct last_place){ parent, node };
	}
	*ret = last->node;
	return 0;
}

/* Adds the open sample's stack, starting where it leaves the one before. */
static int walk_stack(struct script_reader *s, struct node_id *ret)
{
	struct frame_id caller = { 0 };
	struct node_id node = { 0 };
	bool same = true;
	int r = vec_reserve(s->p->budget, &s->walked, s->stack.n > s->walked.n ? s->stack.n - s->walked.n : 0);
	for (uint32_t i = 0; r == 0 && i < s->stack.n; i++) {
		struct frame_id frame = s->stack.data[s->stack.n - 1 - i];
		r = place_inlined(s, caller, &frame);
		if (r < 0)
			break;
		struct walked_frame *w = &s->walked.data[i];
		same = same && i < s->walked.n && w->frame.v == frame.v;
		if (!same) {
			r = find_node(s, node, frame, &w->node);
			w->frame = frame;
		}
		node = w->node;
		caller = frame;
	}
	s->walked.n = r == 0 ? s->stack.n : 0;
	*ret = node;
	return r;
}

/* --- samples --- */

static int close_sample(struct script_reader *s)
{
	if (!s->is_open)
		return 0;
	s->is_open = false;
	int r = walk_stack(s, &s->sample.node);
	if (r == 0)
		r = vec_reserve(s->p->budget, &s->samples, 1);
	if (r < 0)
		return fail_memory(s, r);
	s->samples.data[s->samples.n++] = s->sample;
	return 0;
}

static int find_event(struct script_reader *s, struct str_id name, uint32_t *ret)
{
	uint32_t i = 0;
	while (i < s->n_events && s->events[i].v != name.v)
		i++;
	/* One type is for samples. */
	if (i == PROFILE_MAX_TYPES - 1)
		return error_set(s->err, -E2BIG, "line %" PRIu64 ": more than %d different events", s->line_number,
				 PROFILE_MAX_TYPES - 1);
	if (i == s->n_events)
		s->events[s->n_events++] = name;
	*ret = i;
	return 0;
}

static int label_sample(struct script_reader *s, const struct perf_header *h, struct str_id event)
{
	struct strtab *strings = &s->p->dict.strings;
	struct label set[4] = { 0 };
	uint32_t n = 0;
	if (h->has_pid)
		set[n++] = (struct label){ .key = s->pid_key, .is_num = 1, .num = h->pid };
	if (h->has_tid)
		set[n++] = (struct label){ .key = s->thread_id_key, .is_num = 1, .num = h->tid };
	set[n].key = s->thread_name_key;
	int r = strtab_intern(strings, h->comm, &set[n++].str);
	if (event.v)
		set[n++] = (struct label){ .key = s->event_key, .str = event };
	return r < 0 ? r : profile_labels(s->p, set, n, &s->sample.labels);
}

/* perf ends each sample with an empty line: without, frames may be missing. */
static int close_last_sample(struct script_reader *s)
{
	if (!s->is_open)
		return 0;
	struct label set[LABELS_MAX];
	uint32_t n;
	const struct label *old = profile_label_set(s->p, s->sample.labels, &n);
	memcpy(set, old, n * sizeof(*set));
	set[n] = (struct label){ .key = s->incomplete_key };
	int r = strtab_intern_str(&s->p->dict.strings, "end of file", &set[n++].str);
	if (r == 0)
		r = profile_labels(s->p, set, n, &s->sample.labels);
	return r < 0 ? fail_memory(s, r) : close_sample(s);
}

static void note_time(struct script_reader *s, uint64_t time_ns)
{
	if (!s->has_time || time_ns < s->first_ns)
		s->first_ns = time_ns;
	if (!s->has_time || time_ns > s->last_ns)
		s->last_ns = time_ns;
	s->has_time = true;
}

static int open_sample(struct script_reader *s, const struct perf_header *h)
{
	int r = close_sample(s);
	if (r < 0 || h->is_record)
		return r;
	if (s->samples.n >= s->limits->n_samples)
		return error_set(s->err, -E2BIG, "line %" PRIu64 ": more than %" PRIu32 " samples", s->line_number,
				 s->limits->n_samples);
	struct str_id event = { 0 };
	s->sample = (struct waiting_sample){ .event = UINT32_MAX, .value = h->period ? h->period : 1 };
	if (h->event.size) {
		r = strtab_intern(&s->p->dict.strings, h->event, &event);
		if (r < 0)
			return fail_memory(s, r);
		r = find_event(s, event, &s->sample.event);
		if (r < 0)
			return r;
	}
	r = label_sample(s, h, event);
	if (r < 0)
		return fail_memory(s, r);
	r = check_strings(s);
	if (r < 0)
		return r;
	if (h->has_time)
		note_time(s, h->time_ns);
	s->stack.n = 0;
	s->is_open = true;
	/* Without call chains the one frame stands on the same line; what a
	 * tracepoint says may stand there too. */
	struct perf_frame only;
	bool was_one_line = s->is_one_line;
	s->is_one_line = h->rest.size && perf_frame_parse(h->rest, &only) && only.has_module;
	if (!s->is_one_line)
		return s->is_cut && was_one_line ? fail_line(s, "not a frame", h->rest) : 0;
	r = push_frame(s, h->rest, XXH3_64bits(h->rest.data, h->rest.size));
	return r < 0 ? r : close_sample(s);
}

/* --- lines --- */

static int read_comment(struct script_reader *s, struct slice line)
{
	while (line.size && (line.data[0] == '#' || line.data[0] == ' ' || line.data[0] == '='))
		line = slice_of(line.data + 1, line.size - 1);
	/* Those before the first sample tell of the recording. */
	if (line.size == 0 || s->is_open || s->samples.n)
		return 0;
	if (s->p->comments.n >= s->limits->n_comments)
		return error_set(s->err, -E2BIG, "line %" PRIu64 ": more than %" PRIu32 " comments", s->line_number,
				 s->limits->n_comments);
	int r = profile_add_comment(s->p, line);
	return r < 0 ? fail_memory(s, r) : 0;
}

/* An indented line: a frame, its source, or a header that perf aligned. */
static int read_indented(struct script_reader *s, struct slice line)
{
	struct perf_header h;
	bool may_be_header = !s->is_open || (s->stack.n == 0 && line.data[0] == ' ');
	if (may_be_header && perf_header_parse(line, &h) && (h.event.size || h.is_record))
		return open_sample(s, &h);
	if (!s->is_open)
		return fail_line(s, "a frame outside of a sample", line);
	int r = push_frame(s, line, XXH3_64bits(line.data, line.size));
	struct slice file = { 0 };
	uint32_t number;
	if (r != -EBADMSG)
		return r;
	if (s->stack.n == 0 || !perf_source_parse(line, &file, &number))
		return fail_line(s, "not a frame", line);
	return number ? add_source(s, file, number) : 0;
}

static int read_line(struct script_reader *s, const struct coming_line *l)
{
	if (l->line.size == 0)
		return close_sample(s);
	if (l->frame.size && s->is_open) {
		int r = push_frame(s, l->frame, l->key);
		return r == -EBADMSG ? read_indented(s, l->line) : r;
	}
	if (l->line.data[0] == ' ' || l->line.data[0] == '\t')
		return read_indented(s, l->line);
	if (l->line.data[0] == '#')
		return read_comment(s, l->line);
	struct perf_header h;
	if (!perf_header_parse(l->line, &h))
		return fail_line(s, "neither the header of a sample nor a frame", l->line);
	return open_sample(s, &h);
}

static struct coming_line split_line(struct slice *text)
{
	const uint8_t *end = memchr(text->data, '\n', text->size);
	struct coming_line l = { .line = { text->data, end ? (size_t)(end - text->data) : text->size },
				 .is_cut = !end };
	size_t used = l.line.size + (end != NULL);
	*text = slice_of(text->data + used, text->size - used);
	while (l.line.size && (l.line.data[l.line.size - 1] == '\r' || l.line.data[l.line.size - 1] == ' '))
		l.line.size--;
	if (l.line.size && l.line.data[0] == '\t') {
		size_t at = 1;
		while (at < l.line.size && l.line.data[at] == ' ')
			at++;
		l.frame = slice_of(l.line.data + at, l.line.size - at);
		l.key = XXH3_64bits(l.frame.data, l.frame.size);
	}
	return l;
}

static int read_lines(struct script_reader *s, struct slice text)
{
	struct coming_line coming[AHEAD] = { 0 };
	uint32_t known[AHEAD] = { 0 };
	uint64_t n_split = 0, n_read = 0;
	int r = 0;
	for (; r == 0 && (text.size || n_read < n_split); n_read++) {
		for (; text.size && n_split < n_read + AHEAD; n_split++) {
			coming[n_split % AHEAD] = split_line(&text);
			u64map_prefetch(&s->known_ids, coming[n_split % AHEAD].key);
		}
		uint64_t second = (n_read + AHEAD / 2) % AHEAD, third = (n_read + AHEAD / 4) % AHEAD;
		known[second] = u64map_get(&s->known_ids, coming[second].key);
		if (known[second])
			__builtin_prefetch(&s->known.data[known[second] - 1]);
		if (known[third])
			__builtin_prefetch(s->known.data[known[third] - 1].text);
		s->line_number++;
		s->is_cut = coming[n_read % AHEAD].is_cut;
		r = read_line(s, &coming[n_read % AHEAD]);
	}
	return r < 0 ? r : close_last_sample(s);
}

/* --- the profile --- */

static int add_types(struct script_reader *s)
{
	struct profile *p = s->p;
	int r = profile_add_type(p, slice_str("samples"), slice_str("count"));
	for (uint32_t i = 0; r == 0 && i < s->n_events; i++)
		r = profile_add_type(p, strtab_get(&p->dict.strings, s->events[i]), slice_str("count"));
	p->default_type = p->types[s->n_events ? 1 : 0].type;
	return r;
}

static int add_samples(struct script_reader *s)
{
	int64_t values[PROFILE_MAX_TYPES] = { 1 };
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < s->samples.n; i++) {
		const struct waiting_sample *w = &s->samples.data[i];
		if (w->event != UINT32_MAX)
			values[w->event + 1] = w->value;
		r = profile_add_sample(s->p, w->node, w->labels, values);
		if (w->event != UINT32_MAX)
			values[w->event + 1] = 0;
	}
	return r;
}

static int intern_keys(struct script_reader *s)
{
	struct strtab *t = &s->p->dict.strings;
	int r = strtab_intern_str(t, "pid", &s->pid_key);
	if (r == 0)
		r = strtab_intern_str(t, "thread_id", &s->thread_id_key);
	if (r == 0)
		r = strtab_intern_str(t, "thread_name", &s->thread_name_key);
	if (r == 0)
		r = strtab_intern_str(t, "event", &s->event_key);
	return r < 0 ? r : strtab_intern_str(t, "incomplete", &s->incomplete_key);
}

int perfscript_decode(struct slice text, const struct format_limits *limits, struct profile *p, struct error *err)
{
	_cleanup_(script_reader_done)
	struct script_reader s = { .p = p, .limits = limits, .err = err };
	u64map_init(&s.known_ids, p->budget);
	int r = intern_keys(&s);
	if (r < 0)
		return fail_memory(&s, r);
	s.max_strings = limits_max_strings(limits, strtab_count(&p->dict.strings));
	r = read_lines(&s, text);
	if (r < 0)
		return r;
	if (s.samples.n == 0)
		return error_set(err, -ENODATA, "no sample in %" PRIu64 " lines", s.line_number);
	r = add_types(&s);
	if (r == 0)
		r = add_samples(&s);
	uint64_t span = s.last_ns - s.first_ns;
	p->duration_ns = span > INT64_MAX ? INT64_MAX : (int64_t)span;
	return r < 0 ? fail_memory(&s, r) : 0;
}
