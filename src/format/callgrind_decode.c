/* SPDX-License-Identifier: Apache-2.0 */
#include "format/callgrind.h"

#include "base/saturate.h"
#include "format/scan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#define MAX_EVENTS    (PROFILE_MAX_TYPES - 1)
#define LOOK_SIZE     4096
#define SHOWN_MAX     60 /* bytes of a line in a message */
#define MAX_POSITIONS 2

/* A position of the file and the rows of the dict made from it. */
struct place {
	struct str_id object, file, name;
	struct func_id function;
	struct mapping_id mapping;
	uint32_t kind;
	bool is_made; /* the rows are those of the names */
};

struct callgrind_reader {
	struct profile *p;
	const struct format_limits *limits;
	struct error *err;
	struct salvage *salvage; /* NULL: all must be there */
	struct slice text;
	size_t at;
	uint64_t line;
	bool is_cut; /* the file ends within this line */

	struct u64map objects, files, names; /* number of a name -> string + 1 */
	struct place here, callee;
	bool has_callee_object, has_callee_file;
	uint64_t position[MAX_POSITIONS]; /* of the last cost line */
	uint32_t n_positions;
	bool has_instr, has_line; /* `positions:` */

	uint32_t n_events, n_inclusive; /* n_inclusive <= n_events */
	bool has_calls;
	bool in_call; /* the next cost line is that of a call */
	uint64_t n_calls, target[MAX_POSITIONS];
	int64_t sum[MAX_EVENTS], summary[MAX_EVENTS]; /* of this part */
	bool has_summary, has_totals;
	struct labels_id labels;
	struct label pid, thread;
};

static void reader_done(struct callgrind_reader *c)
{
	u64map_done(&c->objects);
	u64map_done(&c->files);
	u64map_done(&c->names);
}

static int fail(const struct callgrind_reader *c, int code, const char *fmt, ...) printf_like(3, 4);

static int fail(const struct callgrind_reader *c, int code, const char *fmt, ...)
{
	char what[320];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return error_set(c->err, code, "line %" PRIu64 ": %s", c->line, what);
}

static int fail_memory(const struct callgrind_reader *c, int code)
{
	return fail(c, code,
		    code == -ENOBUFS ? "the profile does not fit into the memory allowed for it" : "out of memory");
}

static int fail_shown(const struct callgrind_reader *c, const char *what, struct slice s)
{
	return fail(c, -EBADMSG, "%s: \"%.*s\"", what, s.size > SHOWN_MAX ? SHOWN_MAX : (int)s.size,
		    (const char *)s.data);
}

/* --- numbers and positions --- */

/* "12", "0x1f" */
static int read_number(struct scan *s, uint64_t *ret)
{
	struct scan t = *s;
	if (scan_text(&t, "0x") && scan_u64(&t, 16, ret) == 0) {
		*s = t;
		return 0;
	}
	return scan_u64(s, 10, ret);
}

/* "400", "+3", "-3", "*" for each, against those of the last cost line. */
static int read_positions(const struct callgrind_reader *c, struct scan *s, uint64_t ret[static MAX_POSITIONS])
{
	for (uint32_t i = 0; i < c->n_positions; i++) {
		uint64_t v = 0;
		scan_blanks(s);
		struct slice rest = scan_rest(s);
		bool plus = scan_byte(s, '+'), minus = !plus && scan_byte(s, '-'), same = scan_byte(s, '*');
		if (!same && read_number(s, &v) < 0)
			return fail_shown(c, "not a position", rest);
		ret[i] = same || plus ? c->position[i] + v : minus ? c->position[i] - v : v;
		if (!scan_done(s) && !scan_is_blank(*s->at))
			return fail_shown(c, "not a position", rest);
	}
	return 0;
}

/* Missing costs are 0. */
static int read_costs(const struct callgrind_reader *c, struct scan *s, int64_t *ret)
{
	for (uint32_t i = 0; i < c->n_events; i++)
		ret[i] = 0;
	for (uint32_t i = 0;; i++) {
		uint64_t v;
		scan_blanks(s);
		if (scan_done(s))
			return 0;
		struct slice rest = scan_rest(s);
		if (i == c->n_events)
			return fail(c, -EBADMSG, "more costs than the %" PRIu32 " events", c->n_events);
		if (read_number(s, &v) < 0 || (!scan_done(s) && !scan_is_blank(*s->at)))
			return fail_shown(c, "not a cost", rest);
		if (v > INT64_MAX)
			return fail_shown(c, "a cost that does not fit into 63 bits", rest);
		ret[i] = (int64_t)v;
	}
}

/* --- names --- */

/* "(3) name" gives 3 a name, "(3)" is that name, "name" is one without. */
static int read_name(struct callgrind_reader *c, struct u64map *known, struct slice text, struct str_id *ret)
{
	struct scan s = scan_of(text);
	uint64_t number;
	uint32_t *id = NULL;
	scan_blanks(&s);
	struct scan t = s;
	if (scan_byte(&t, '(') && scan_u64(&t, 10, &number) == 0 && scan_byte(&t, ')')) {
		s = t;
		scan_blanks(&s);
		uint32_t value = u64map_get(known, number);
		if (scan_done(&s)) {
			if (!value)
				return fail(c, -EBADMSG, "(%" PRIu64 ") has no name yet", number);
			ret->v = value - 1;
			return 0;
		}
		if (!value && known->n >= c->limits->n_strings)
			return fail(c, -E2BIG, "more than %" PRIu32 " names", c->limits->n_strings);
		id = u64map_put(known, number);
		if (!id)
			return fail_memory(c, -ENOBUFS);
		*id = 1;
	}
	struct slice name = slice_trimmed(scan_rest(&s));
	bool unknown = known != &c->names && slice_eq(name, slice_str("???"));
	int r = strtab_intern(&c->p->dict.strings, unknown ? slice_of("", 0) : name, ret);
	if (r < 0)
		return fail_memory(c, r);
	if (id)
		*id = ret->v + 1;
	return 0;
}

/* The field's name without '=', or none. */
static int read_place(struct callgrind_reader *c, struct scan *s, bool *ret_is_place)
{
	static const struct {
		const char *key;
		uint32_t which; /* 0 object, 1 file, 2 name */
		bool of_callee;
	} keys[] = {
		{ "fl=", 1, false }, { "fi=", 1, false }, { "fe=", 1, false }, { "fn=", 2, false }, { "ob=", 0, false },
		{ "cfi=", 1, true }, { "cfl=", 1, true }, { "cfn=", 2, true }, { "cob=", 0, true },
	};
	*ret_is_place = true;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!scan_text(s, keys[i].key))
			continue;
		struct place *place = keys[i].of_callee ? &c->callee : &c->here;
		place->is_made = false;
		if (keys[i].of_callee && keys[i].which == 0)
			c->has_callee_object = true;
		if (keys[i].of_callee && keys[i].which == 1)
			c->has_callee_file = true;
		struct slice name = scan_rest(s);
		return keys[i].which == 0   ? read_name(c, &c->objects, name, &place->object)
		       : keys[i].which == 1 ? read_name(c, &c->files, name, &place->file)
					    : read_name(c, &c->names, name, &place->name);
	}
	*ret_is_place = false;
	return 0;
}

/* --- rows --- */

static int make_place(struct callgrind_reader *c, struct place *place)
{
	struct dict *dict = &c->p->dict;
	if (place->is_made)
		return 0;
	struct function function = { .name = place->name, .system_name = place->name, .file = place->file };
	struct mapping mapping = { .path = place->object };
	place->function = (struct func_id){ 0 };
	place->mapping = (struct mapping_id){ 0 };
	int r = function.name.v || function.file.v ? dict_function(dict, &function, &place->function) : 0;
	if (r == 0 && mapping.path.v)
		r = dict_mapping(dict, &mapping, &place->mapping);
	place->kind = (uint32_t)frame_kind_of_path(strtab_get(&dict->strings, mapping.path));
	place->is_made = r == 0;
	return r;
}

static int step(struct callgrind_reader *c, struct place *place, const uint64_t *position, struct node_id *node)
{
	struct dict *dict = &c->p->dict;
	uint64_t line = c->has_line ? position[c->n_positions - 1] : 0;
	if (line > UINT32_MAX)
		return fail(c, -EBADMSG, "line %" PRIu64 " does not fit into 32 bits", line);
	int r = make_place(c, place);
	struct frame frame = { .function = place->function,
			       .mapping = place->mapping,
			       .line = (uint32_t)line,
			       .address = c->has_instr ? position[0] : 0,
			       .kind = (uint8_t)place->kind };
	struct frame_id id;
	if (r == 0)
		r = dict_frame(dict, &frame, &id);
	if (r == 0 && dict->frames.n > c->limits->n_locations)
		return fail(c, -E2BIG, "more than %" PRIu32 " different places", c->limits->n_locations);
	if (r == 0)
		r = dict_node(dict, *node, id, node);
	return r < 0 ? fail_memory(c, r) : 0;
}

static int add_sample(struct callgrind_reader *c, struct node_id node, const int64_t *values)
{
	if (profile_n_samples(c->p) >= c->limits->n_samples)
		return fail(c, -E2BIG, "more than %" PRIu32 " samples", c->limits->n_samples);
	int r = profile_add_sample(c->p, node, c->labels, values);
	return r < 0 ? fail_memory(c, r) : 0;
}

static int add_self(struct callgrind_reader *c, const int64_t *costs)
{
	int64_t values[PROFILE_MAX_TYPES] = { 0 };
	struct node_id node = { 0 };
	bool is_empty = true;
	for (uint32_t i = 0; i < c->n_events; i++) {
		values[i] = costs[i];
		is_empty = is_empty && costs[i] == 0;
		c->sum[i] = i64_add_saturating(c->sum[i], costs[i]);
	}
	if (is_empty)
		return 0;
	int r = step(c, &c->here, c->position, &node);
	return r < 0 ? r : add_sample(c, node, values);
}

static int add_call(struct callgrind_reader *c, const int64_t *costs)
{
	int64_t values[PROFILE_MAX_TYPES] = { 0 };
	struct node_id node = { 0 };
	if (!c->has_callee_object)
		c->callee.object = c->here.object;
	if (!c->has_callee_file)
		c->callee.file = c->here.file;
	c->callee.is_made = false;
	c->has_callee_object = c->has_callee_file = false;
	values[c->n_events] = (int64_t)c->n_calls;
	memcpy(values + c->n_events + 1, costs, c->n_inclusive * sizeof(*values));
	int r = step(c, &c->here, c->position, &node);
	if (r == 0)
		r = step(c, &c->callee, c->target, &node);
	return r < 0 ? r : add_sample(c, node, values);
}

/* --- header --- */

static int add_types(struct callgrind_reader *c, struct slice names)
{
	struct profile *p = c->p;
	struct slice event[MAX_EVENTS];
	struct scan s = scan_of(names);
	uint32_t n = 0;
	for (scan_blanks(&s); !scan_done(&s); scan_blanks(&s)) {
		if (n == MAX_EVENTS)
			return fail(c, -E2BIG, "more than %d events", MAX_EVENTS);
		event[n++] = scan_word(&s);
	}
	if (n == 0)
		return fail(c, -EBADMSG, "no events");
	if (c->n_events) {
		bool same = n == c->n_events;
		for (uint32_t i = 0; same && i < n; i++)
			same = slice_eq(event[i], strtab_get(&p->dict.strings, p->types[i].type));
		return same ? 0 : fail(c, -EBADMSG, "other events than in the part before");
	}
	uint32_t left = PROFILE_MAX_TYPES - 1 - n;
	c->n_events = n;
	c->n_inclusive = c->has_calls ? n < left ? n : left : 0;
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = profile_add_type(p, event[i], slice_str("count"));
	if (r == 0 && c->has_calls)
		r = profile_add_type(p, slice_str("calls"), slice_str("count"));
	for (uint32_t i = 0; r == 0 && i < c->n_inclusive; i++) {
		char name[256];
		(void)snprintf(name, sizeof(name), "inclusive_%.*s", (int)(event[i].size > 200 ? 200 : event[i].size),
			       (const char *)event[i].data);
		r = profile_add_type(p, slice_str(name), slice_str("count"));
	}
	if (r == 0 && c->has_calls && c->n_inclusive < n)
		r = profile_add_comment(p,
					slice_str("inclusive costs of the last events are left out: too many types"));
	p->default_type = p->types[0].type;
	return r < 0 ? fail_memory(c, r) : 0;
}

static int read_position_kinds(struct callgrind_reader *c, struct slice text)
{
	struct scan s = scan_of(text);
	c->has_instr = c->has_line = false;
	for (scan_blanks(&s); !scan_done(&s); scan_blanks(&s)) {
		struct slice word = scan_word(&s);
		if (slice_eq(word, slice_str("instr")) && !c->has_instr && !c->has_line)
			c->has_instr = true;
		else if (slice_eq(word, slice_str("line")) && !c->has_line)
			c->has_line = true;
		else
			return fail_shown(c, "positions are \"instr\", \"line\" or both", text);
	}
	c->n_positions = (uint32_t)c->has_instr + (uint32_t)c->has_line;
	return c->n_positions ? 0 : fail(c, -EBADMSG, "no positions");
}

static int check_totals(struct callgrind_reader *c, struct slice text)
{
	int64_t total[MAX_EVENTS];
	struct scan s = scan_of(text);
	int r = read_costs(c, &s, total);
	for (uint32_t i = 0; r == 0 && i < c->n_events; i++)
		if (total[i] != c->sum[i])
			return fail(c, -EBADMSG, "the total of %s is %" PRId64 ", but its lines add up to %" PRId64,
				    strtab_cstr(&c->p->dict.strings, c->p->types[i].type), total[i], c->sum[i]);
	c->has_totals = true;
	memset(c->sum, 0, sizeof(c->sum));
	return r;
}

static int set_labels(struct callgrind_reader *c)
{
	struct label set[2];
	uint32_t n = 0;
	if (c->pid.key.v)
		set[n++] = c->pid;
	if (c->thread.key.v)
		set[n++] = c->thread;
	int r = profile_labels(c->p, set, n, &c->labels);
	return r < 0 ? fail_memory(c, r) : 0;
}

static int read_label(struct callgrind_reader *c, const char *key, struct slice text, struct label *ret)
{
	struct scan s = scan_of(text);
	struct label label = { .is_num = 1 };
	if (scan_i64(&s, &label.num) < 0 || !scan_done(&s))
		return fail_shown(c, "not a number", text);
	int r = strtab_intern_str(&c->p->dict.strings, key, &label.key);
	if (r < 0)
		return fail_memory(c, r);
	*ret = label;
	return set_labels(c);
}

/* What its header says a part comes to, its lines do not. */
static bool is_part_short(const struct callgrind_reader *c)
{
	return c->has_summary && !c->has_totals && c->sum[0] != c->summary[0];
}

/* A new part begins: what it says is of itself. */
static int begin_part(struct callgrind_reader *c)
{
	if (is_part_short(c) && !c->salvage)
		return fail(c, -ENODATA, "the part before ends early");
	if (is_part_short(c) && !salvage_is_half(c->salvage))
		(void)error_set(&c->salvage->end, 0, "line %" PRIu64 ": the part before ends early", c->line);
	memset(c->sum, 0, sizeof(c->sum));
	c->has_summary = c->has_totals = false;
	return 0;
}

static int keep_comment(struct callgrind_reader *c, struct slice line)
{
	if (c->p->comments.n >= c->limits->n_comments)
		return fail(c, -E2BIG, "more than %" PRIu32 " comments", c->limits->n_comments);
	int r = profile_add_comment(c->p, line);
	return r < 0 ? fail_memory(c, r) : 0;
}

/* "key: value" */
static int read_header(struct callgrind_reader *c, struct slice line, size_t colon)
{
	struct slice key = slice_of(line.data, colon);
	struct slice value = slice_trimmed(slice_of(line.data + colon + 1, line.size - colon - 1));
	if (slice_eq(key, slice_str("events")))
		return add_types(c, value);
	if (slice_eq(key, slice_str("positions")))
		return read_position_kinds(c, value);
	if (slice_eq(key, slice_str("version")))
		return slice_eq(value, slice_str("1"))
			       ? 0
			       : fail(c, -EPROTONOSUPPORT, "version \"%.*s\" is not 1", SLICE_FMT(value));
	if (slice_eq(key, slice_str("pid")))
		return read_label(c, "pid", value, &c->pid);
	if (slice_eq(key, slice_str("thread")))
		return read_label(c, "thread_id", value, &c->thread);
	if (slice_eq(key, slice_str("part")))
		return begin_part(c);
	if (slice_eq(key, slice_str("summary")) || slice_eq(key, slice_str("totals"))) {
		if (c->n_events == 0)
			return fail(c, -EBADMSG, "costs before \"events:\"");
		/* Before the lines, when it is the program's; behind, as totals. */
		struct scan s = scan_of(value);
		if (key.size == 6)
			return check_totals(c, value);
		c->has_summary = true;
		return read_costs(c, &s, c->summary);
	}
	return slice_eq(key, slice_str("event")) ? 0 : keep_comment(c, line);
}

/* --- body --- */

static int read_calls(struct callgrind_reader *c, struct scan *s)
{
	scan_blanks(s);
	if (read_number(s, &c->n_calls) < 0 || c->n_calls > INT64_MAX)
		return fail(c, -EBADMSG, "not a number of calls");
	int r = read_positions(c, s, c->target);
	c->in_call = true;
	return r;
}

static int read_cost_line(struct callgrind_reader *c, struct slice line)
{
	int64_t costs[MAX_EVENTS];
	uint64_t position[MAX_POSITIONS];
	struct scan s = scan_of(line);
	if (c->n_events == 0)
		return fail(c, -EBADMSG, "costs before \"events:\"");
	int r = read_positions(c, &s, position);
	if (r == 0)
		r = read_costs(c, &s, costs);
	if (r < 0)
		return r;
	memcpy(c->position, position, sizeof(position[0]) * c->n_positions);
	if (!c->in_call)
		return add_self(c, costs);
	c->in_call = false;
	return add_call(c, costs);
}

/* Length of the "word" before ':', or 0. */
static size_t header_key(struct slice line)
{
	size_t n = 0;
	while (n < line.size && line.data[n] >= 'a' && line.data[n] <= 'z')
		n++;
	return n < line.size && line.data[n] == ':' ? n : 0;
}

static int read_line(struct callgrind_reader *c, struct slice line)
{
	if (line.size == 0 || line.data[0] == '#')
		return 0;
	uint8_t first = line.data[0];
	if ((first >= '0' && first <= '9') || memchr("+-*", first, 3))
		return read_cost_line(c, line);
	struct scan s = scan_of(line);
	if (c->in_call)
		return fail_shown(c, "not the cost of the call before", line);
	if (scan_text(&s, "calls="))
		return read_calls(c, &s);
	if (scan_text(&s, "jump=") || scan_text(&s, "jcnd="))
		return 0;
	/* Where jumps go is lost, but may be where a file gets its number. */
	struct str_id lost;
	if (scan_text(&s, "jfi="))
		return read_name(c, &c->files, scan_rest(&s), &lost);
	if (scan_text(&s, "jfn="))
		return read_name(c, &c->names, scan_rest(&s), &lost);
	bool is_place;
	int r = read_place(c, &s, &is_place);
	if (r < 0 || is_place)
		return r;
	size_t colon = header_key(line);
	return colon ? read_header(c, line, colon) : fail_shown(c, "neither a cost nor a known field", line);
}

static bool next_line(struct callgrind_reader *c, struct slice *ret)
{
	if (c->at >= c->text.size)
		return false;
	const uint8_t *from = c->text.data + c->at;
	const uint8_t *end = memchr(from, '\n', c->text.size - c->at);
	size_t size = end ? (size_t)(end - from) : c->text.size - c->at;
	struct slice line = slice_trimmed(slice_of(from, size));
	c->at += size + (end != NULL);
	c->line++;
	c->is_cut = !end && line.size > 0;
	/* Half a line may read as another. */
	if (c->is_cut && c->salvage)
		return false;
	*ret = line;
	return true;
}

/* Header lines and comments, with "events:" among them. */
bool callgrind_looks(struct slice bytes)
{
	struct callgrind_reader c = { .text = slice_of(bytes.data, bytes.size < LOOK_SIZE ? bytes.size : LOOK_SIZE) };
	struct slice line;
	while (next_line(&c, &line)) {
		if (slice_has_prefix(line, "events:"))
			return true;
		if (line.size && line.data[0] != '#' && !header_key(line))
			return false;
	}
	return false;
}

/* The file may end within a line, between the two of a call, or before its
 * costs add up. */
static int end_file(struct callgrind_reader *c)
{
	if (c->n_events == 0)
		return error_set(c->err, -ENODATA, "no \"events:\" in %" PRIu64 " lines", c->line);
	if (!c->salvage && c->in_call)
		return fail(c, -ENODATA, "the file ends before the cost of this call");
	if (!c->salvage)
		return begin_part(c);
	if (c->is_cut)
		salvage_end(c->salvage, c->text.size, "line %" PRIu64, c->line);
	else if (c->in_call)
		salvage_end(c->salvage, c->text.size, "a call, behind line %" PRIu64, c->line);
	else if (is_part_short(c))
		salvage_end(c->salvage, c->text.size, "a part, behind line %" PRIu64, c->line);
	return 0;
}

int callgrind_decode(struct slice text, const struct format_limits *limits, struct salvage *salvage, struct profile *p,
		     struct error *err)
{
	if (text.size > limits->input_size)
		return error_set(err, -E2BIG, "more than %zu bytes", limits->input_size);
	_cleanup_(reader_done)
	struct callgrind_reader c = { .p = p, .limits = limits, .err = err, .salvage = salvage, .text = text };
	u64map_init(&c.objects, p->budget);
	u64map_init(&c.files, p->budget);
	u64map_init(&c.names, p->budget);
	c.n_positions = 1;
	c.has_line = true;
	c.has_calls = slice_contains(text, "\ncalls=");
	struct slice line;
	int r = 0;
	while (r == 0 && next_line(&c, &line))
		r = read_line(&c, line);
	if (c.is_cut && !salvage && (r == 0 || r == -EBADMSG))
		return fail(&c, -ENODATA, "the file ends within this line");
	return r < 0 ? r : end_file(&c);
}
