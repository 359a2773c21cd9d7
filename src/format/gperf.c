/* SPDX-License-Identifier: Apache-2.0 */
#include "format/gperf.h"

#include "format/gperf_reader.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

/* --- messages --- */

int gperf_fail(const struct gperf_reader *g, int code, const char *fmt, ...)
{
	char what[384];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (g->line)
		return error_set(g->err, code, "line %" PRIu64 ": %s", g->line, what);
	return error_set(g->err, code, "%s", what);
}

int gperf_fail_memory(const struct gperf_reader *g, int code)
{
	return gperf_fail(g, code,
			  code == -ENOBUFS ? "the profile does not fit into the memory allowed for it"
					   : "out of memory");
}

uint32_t gperf_max_strings(const struct gperf_reader *g)
{
	return limits_max_strings(g->limits, strtab_count(&g->p->dict.strings));
}

int gperf_check_strings(const struct gperf_reader *g, uint32_t max)
{
	if (strtab_count(&g->p->dict.strings) <= max)
		return 0;
	return gperf_fail(g, -E2BIG, "more than %" PRIu32 " strings", g->limits->n_strings);
}

int gperf_number(const struct gperf_reader *g, struct scan *s, const char *what, int64_t *ret)
{
	scan_blanks(s);
	int r = scan_i64(s, ret);
	if (r == -ERANGE)
		return gperf_fail(g, -EBADMSG, "%s does not fit into 63 bits", what);
	return r < 0 ? gperf_fail(g, -EBADMSG, "%s is not a whole number", what) : 0;
}

/* --- lines --- */

bool gperf_next_line(struct gperf_reader *g, struct slice *ret)
{
	if (g->at >= g->bytes.size)
		return false;
	const uint8_t *from = g->bytes.data + g->at;
	const uint8_t *end = memchr(from, '\n', g->bytes.size - g->at);
	size_t size = end ? (size_t)(end - from) : g->bytes.size - g->at;
	struct slice line = slice_trimmed(slice_of(from, size));
	g->at += size + (end != NULL);
	g->line++;
	g->is_cut = !end && line.size > 0;
	if (g->is_cut && g->salvage) {
		salvage_end(g->salvage, g->bytes.size, "line %" PRIu64 "%s", g->line,
			    g->has_words ? " behind the samples" : "");
		return false;
	}
	*ret = line;
	return true;
}

bool gperf_is_comment(struct slice line)
{
	return line.size == 0 || line.data[0] == '#';
}

bool gperf_is_map_start(struct slice line)
{
	return slice_contains(line, "--- Memory map: ---") || slice_contains(line, "MAPPED_LIBRARIES:");
}

/* --- stacks --- */

int gperf_address(struct gperf_reader *g, uint64_t value, uint32_t *ret)
{
	uint32_t *id = u64map_put(&g->address_ids, value);
	if (!id)
		return gperf_fail_memory(g, -ENOBUFS);
	if (*id == 0) {
		*id = g->addresses.n + 1;
		if (g->addresses.n >= g->limits->n_locations)
			return gperf_fail(g, -E2BIG, "more than %" PRIu32 " different addresses",
					  g->limits->n_locations);
		int r = vec_reserve(g->p->budget, &g->addresses, 1);
		if (r < 0)
			return gperf_fail_memory(g, r);
		g->addresses.data[g->addresses.n++] = (struct gperf_address){ .value = value };
	}
	*ret = *id - 1;
	return 0;
}

static uint64_t open_first(const struct gperf_reader *g)
{
	if (g->samples.n == 0)
		return 0;
	const struct gperf_sample *last = &g->samples.data[g->samples.n - 1];
	return last->first + last->n;
}

int gperf_push(struct gperf_reader *g, uint64_t address)
{
	if (g->stacks.n - open_first(g) >= g->limits->depth)
		return gperf_fail(g, -E2BIG, "more than %" PRIu32 " frames", g->limits->depth);
	uint32_t index;
	int r = gperf_address(g, address, &index);
	if (r < 0)
		return r;
	r = vec_reserve(g->p->budget, &g->stacks, 1);
	if (r < 0)
		return gperf_fail_memory(g, r);
	g->stacks.data[g->stacks.n++] = index;
	return 0;
}

int gperf_add_sample(struct gperf_reader *g, const int64_t *values, uint32_t n_values)
{
	if (g->samples.n >= g->limits->n_samples)
		return gperf_fail(g, -E2BIG, "more than %" PRIu32 " samples", g->limits->n_samples);
	int r = vec_reserve(g->p->budget, &g->samples, 1);
	if (r < 0)
		return gperf_fail_memory(g, r);
	struct gperf_sample s = { .first = open_first(g) };
	s.n = (uint32_t)(g->stacks.n - s.first);
	memcpy(s.value, values, n_values * sizeof(*values));
	g->samples.data[g->samples.n++] = s;
	return 0;
}

int gperf_push_stack(struct gperf_reader *g, struct scan *s, int64_t adjust)
{
	for (;;) {
		uint64_t address;
		scan_blanks(s);
		if (scan_done(s))
			return 0;
		int r = scan_text(s, "0x") ? scan_u64(s, 16, &address) : -EBADMSG;
		if (r == 0 && !scan_done(s) && !scan_is_blank(*s->at))
			r = -EBADMSG;
		if (r < 0)
			return gperf_fail(g, -EBADMSG, "not an address: \"%.*s\"", SLICE_FMT(scan_rest(s)));
		r = gperf_push(g, address + (uint64_t)adjust);
		if (r < 0)
			return r;
	}
}

void gperf_drop_double_leaf(struct gperf_reader *g)
{
	for (uint32_t i = 0; i < g->samples.n; i++) {
		struct gperf_sample *s = &g->samples.data[i];
		if (s->n < 2)
			continue;
		uint32_t *stack = g->stacks.data + s->first;
		if (g->addresses.data[stack[0]].value == g->addresses.data[stack[1]].value + 1) {
			stack[1] = stack[0];
			s->first++;
			s->n--;
		}
	}
}

/* --- the map behind the samples --- */

int gperf_read_map(struct gperf_reader *g)
{
	uint32_t max_strings = gperf_max_strings(g);
	struct slice line;
	while (gperf_next_line(g, &line)) {
		int r = memory_map_line(&g->map, line, g->limits);
		if (r == -E2BIG)
			return gperf_fail(g, r, "more than %" PRIu32 " mappings", g->limits->n_locations);
		if (r < 0)
			return gperf_fail_memory(g, r);
		r = gperf_check_strings(g, max_strings);
		if (r < 0)
			return r;
	}
	return 0;
}

int gperf_skip_to_map(struct gperf_reader *g, struct slice line)
{
	do {
		if (gperf_is_map_start(line))
			return gperf_read_map(g);
	} while (gperf_next_line(g, &line));
	return 0;
}

/* --- the profile --- */

int gperf_types(struct gperf_reader *g, const char *const (*types)[2], uint32_t n)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = profile_add_type(g->p, slice_str(types[i][0]), slice_str(types[i][1]));
	return r < 0 ? gperf_fail_memory(g, r) : 0;
}

int gperf_period(struct gperf_reader *g, const char *type, const char *unit, int64_t period)
{
	struct strtab *strings = &g->p->dict.strings;
	g->p->period = period;
	int r = strtab_intern_str(strings, type, &g->p->period_type.type);
	if (r == 0)
		r = strtab_intern_str(strings, unit, &g->p->period_type.unit);
	return r < 0 ? gperf_fail_memory(g, r) : 0;
}

int64_t gperf_to_i64(double v)
{
	if (isnan(v))
		return 0;
	return v >= 0x1p63 ? INT64_MAX : v <= -0x1p63 ? INT64_MIN : (int64_t)v;
}

void gperf_unsample(int64_t rate, int64_t *count, int64_t *size)
{
	if (*count == 0 || *size == 0) {
		*count = *size = 0;
		return;
	}
	if (rate <= 1)
		return;
	double average = (double)*size / (double)*count;
	double scale = 1 / (1 - exp(-average / (double)rate));
	*count = gperf_to_i64((double)*count * scale);
	*size = gperf_to_i64((double)*size * scale);
}

#define LOOK   65536 /* bytes that hold the first line behind comments */
#define NO_ROW UINT32_MAX
#define UNUSED (UINT32_MAX - 1)

/* By address: the row of the map that holds it. Addresses of frames that were
 * stripped from all stacks say nothing of the map. */
static void find_rows(struct gperf_reader *g, uint32_t *row_of)
{
	for (uint32_t i = 0; i < g->addresses.n; i++)
		row_of[i] = UNUSED;
	for (uint32_t i = 0; i < g->samples.n; i++)
		for (uint32_t k = 0; k < g->samples.data[i].n; k++) {
			uint32_t a = g->stacks.data[g->samples.data[i].first + k];
			if (row_of[a] == UNUSED && !g->addresses.data[a].frame)
				row_of[a] = g->addresses.data[a].value
						    ? memory_map_find(&g->map, g->addresses.data[a].value)
						    : NO_ROW;
		}
}

/* Mapping ids of the rows, and behind them of the one for addresses that are
 * in none. */
static int intern_mappings(struct gperf_reader *g, const uint32_t *row_of, struct mapping_id *ids)
{
	int r = memory_map_intern(&g->map, ids);
	bool is_missed = false;
	for (uint32_t i = 0; i < g->addresses.n; i++)
		is_missed = is_missed || (row_of[i] == NO_ROW && g->addresses.data[i].value);
	struct mapping anywhere = { .limit = UINT64_MAX };
	if (r == 0 && is_missed)
		r = dict_mapping(&g->p->dict, &anywhere, &ids[g->map.rows.n]);
	return r;
}

static int intern_frames(struct gperf_reader *g, const uint32_t *row_of, const struct mapping_id *ids)
{
	struct dict *dict = &g->p->dict;
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < g->addresses.n; i++) {
		struct gperf_address *a = &g->addresses.data[i];
		if (row_of[i] == UNUSED)
			continue;
		struct frame frame = { .address = a->value };
		if (a->value)
			frame.mapping = ids[row_of[i] == NO_ROW ? g->map.rows.n : row_of[i]];
		struct str_id path = dict->mappings.data[frame.mapping.v].path;
		frame.kind = (uint8_t)frame_kind_of_path(strtab_get(&dict->strings, path));
		struct frame_id id;
		r = dict_frame(dict, &frame, &id);
		if (r == 0)
			a->frame = id.v;
	}
	return r;
}

static int place_addresses(struct gperf_reader *g)
{
	int r = memory_map_seal(&g->map);
	if (r < 0)
		return r;
	_cleanup_(free_ptr)
	uint32_t *row_of = malloc(((size_t)g->addresses.n + 1) * sizeof(*row_of));
	_cleanup_(free_ptr)
	struct mapping_id *ids = calloc((size_t)g->map.rows.n + 1, sizeof(*ids));
	if (!row_of || !ids)
		return -ENOMEM;
	find_rows(g, row_of);
	r = intern_mappings(g, row_of, ids);
	return r < 0 ? r : intern_frames(g, row_of, ids);
}

static int add_row(struct gperf_reader *g, const struct gperf_sample *s, struct str_id bytes_key)
{
	struct node_id node = { 0 };
	struct labels_id labels = { 0 };
	int r = 0;
	for (uint32_t i = s->n; r == 0 && i-- > 0;)
		r = dict_step(&g->p->dict, &node.v, g->addresses.data[g->stacks.data[s->first + i]].frame);
	struct label bytes = { .key = bytes_key, .is_num = 1, .num = s->block_size };
	if (r == 0 && s->has_block_size)
		r = profile_labels(g->p, &bytes, 1, &labels);
	return r < 0 ? r : profile_add_sample(g->p, node, labels, s->value);
}

/* Says what of the map was not understood. */
static int note_skipped(struct gperf_reader *g)
{
	char text[96];
	if (g->map.n_skipped == 0)
		return 0;
	(void)snprintf(text, sizeof(text), "%" PRIu64 " lines of the memory map say nothing of a mapping",
		       g->map.n_skipped);
	return profile_add_comment(g->p, slice_str(text));
}

static int finish(struct gperf_reader *g)
{
	struct str_id bytes_key;
	g->line = 0;
	int r = place_addresses(g);
	if (r == 0)
		r = strtab_intern_str(&g->p->dict.strings, "bytes", &bytes_key);
	for (uint32_t i = 0; r == 0 && i < g->samples.n; i++)
		r = add_row(g, &g->samples.data[i], bytes_key);
	if (r == 0)
		r = note_skipped(g);
	return r < 0 ? gperf_fail_memory(g, r) : 0;
}

static void reader_done(struct gperf_reader *g)
{
	vec_done(g->p->budget, &g->addresses);
	vec_done(g->p->budget, &g->stacks);
	vec_done(g->p->budget, &g->samples);
	u64map_done(&g->address_ids);
	memory_map_done(&g->map);
}

/* --- which one --- */

typedef int decode_fn(struct gperf_reader *g);

/* "goroutine profile: total 7" */
static bool is_count_header(struct slice line)
{
	struct scan s = scan_of(line);
	uint64_t total;
	return scan_word(&s).size && scan_text(&s, " profile: total ") && scan_u64(&s, 10, &total) == 0 &&
	       scan_done(&s);
}

/* Java's contention profiles say so in one of the lines that follow. */
static bool says_java(struct slice bytes)
{
	struct gperf_reader g = { .bytes = bytes };
	struct slice line;
	for (int i = 0; i < 8 && gperf_next_line(&g, &line); i++)
		if (slice_has_prefix(line, "format") && slice_contains(line, "java"))
			return true;
	return false;
}

static decode_fn *decoder_of(struct slice bytes)
{
	if (gperf_cpu_looks(bytes))
		return gperf_cpu_decode;
	/* A large file of another kind may be a single line. */
	struct gperf_reader g = { .bytes = slice_of(bytes.data, bytes.size < LOOK ? bytes.size : LOOK) };
	struct slice first = { 0 };
	while (gperf_next_line(&g, &first) && gperf_is_comment(first))
		;
	if (slice_has_prefix(first, "heap profile:"))
		return gperf_heap_decode;
	if (slice_has_prefix(first, "--- heapz 1 ---"))
		return gperf_java_decode;
	if (slice_has_prefix(first, "--- contentionz "))
		return says_java(bytes) ? gperf_java_decode : gperf_contention_decode;
	if (slice_has_prefix(first, "--- mutex:") || slice_has_prefix(first, "--- contention:"))
		return gperf_contention_decode;
	if (slice_has_prefix(first, "--- threadz ") || slice_has_prefix(first, "--- Thread "))
		return gperf_thread_decode;
	return is_count_header(first) ? gperf_count_decode : NULL;
}

bool gperf_looks(struct slice bytes)
{
	return decoder_of(bytes) != NULL;
}

int gperf_decode(struct slice bytes, const struct format_limits *limits, struct salvage *salvage, struct profile *p,
		 struct error *err)
{
	if (bytes.size > limits->input_size)
		return error_set(err, -E2BIG, "more than %zu bytes", limits->input_size);
	decode_fn *decode = decoder_of(bytes);
	if (!decode)
		return error_set(err, -EBADMSG, "none of the older forms");
	if (salvage && decode != gperf_cpu_decode && !slice_first(bytes, '\n')) {
		salvage_end(salvage, bytes.size, "line 1");
		return error_set(err, -ENODATA, "no line is whole");
	}
	_cleanup_(reader_done)
	struct gperf_reader g = { .p = p, .limits = limits, .err = err, .salvage = salvage, .bytes = bytes };
	u64map_init(&g.address_ids, p->budget);
	memory_map_init(&g.map, &p->dict);
	int r = decode(&g);
	/* Half a line may read as a shorter one. */
	if (g.is_cut && !salvage && (r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT))
		r = gperf_fail(&g, -ENODATA, "the file ends within this line");
	return r < 0 ? r : finish(&g);
}
