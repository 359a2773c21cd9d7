/* SPDX-License-Identifier: Apache-2.0 */
#include "format/perfdata_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define ATTR_MIN     64 /* PERF_ATTR_SIZE_VER0 */
#define HEADER_SIZE  104
#define PIPE_HEADER  16
#define SECTION_SIZE 16
#define MAX_ATTRS    65536

bool perfdata_looks(struct slice bytes)
{
	return slice_has_prefix(bytes, "PERFILE2") || slice_has_prefix(bytes, "2ELIFREP");
}

int perfdata_fail_memory(const struct perfdata *d, int code)
{
	if (code == -ENOBUFS)
		return error_set(d->err, code, "the profile does not fit into the memory allowed for it");
	return error_set(d->err, code, "out of memory");
}

int perfdata_check_strings(const struct perfdata *d)
{
	if (strtab_count(&d->p->dict.strings) <= d->max_strings)
		return 0;
	return error_set(d->err, -E2BIG, "more than %" PRIu32 " strings", d->limits->n_strings);
}

/* --- attributes --- */

/* Bit fields lie the other way round on big-endian machines, byte by byte. */
static uint64_t read_flags(struct perf_bytes *b)
{
	uint64_t v = perf_u64(b), flags = 0;
	if (!b->is_big)
		return v;
	for (unsigned i = 0; i < 64; i++)
		flags |= (v >> (63 - i) & 1) << i;
	return flags;
}

/* Where id and time stand in a sample and in the end of other records. */
static void lay_out(struct perf_attr *a)
{
	uint64_t t = a->sample_type;
	uint32_t at = 0;
	a->id_off = a->time_off = a->id_back = a->time_back = NO_FIELD;
	if (t & SAMPLE_IDENTIFIER) {
		a->id_off = 0;
		at += 8;
	}
	at += t & SAMPLE_IP ? 8 : 0;
	at += t & SAMPLE_TID ? 8 : 0;
	if (t & SAMPLE_TIME) {
		a->time_off = at;
		at += 8;
	}
	at += t & SAMPLE_ADDR ? 8 : 0;
	if (t & SAMPLE_ID && a->id_off == NO_FIELD)
		a->id_off = at;
	if (!(a->flags & ATTR_SAMPLE_ID_ALL))
		return;
	uint32_t back = 0;
	if (t & SAMPLE_IDENTIFIER)
		a->id_back = back += 8;
	back += t & SAMPLE_CPU ? 8 : 0;
	back += t & SAMPLE_STREAM_ID ? 8 : 0;
	if (t & SAMPLE_ID) {
		back += 8;
		if (a->id_back == NO_FIELD)
			a->id_back = back;
	}
	if (t & SAMPLE_TIME)
		a->time_back = back += 8;
	a->trailer_size = back + (t & SAMPLE_TID ? 8 : 0);
}

/* A struct perf_event_attr of any age in `size` bytes. */
static void parse_attr(struct perf_bytes b, struct perf_attr *ret)
{
	struct perf_attr a = { .event = UINT32_MAX };
	a.type = perf_u32(&b);
	perf_skip(&b, 4); /* its size, which the caller knows */
	a.config = perf_u64(&b);
	uint64_t period = perf_u64(&b);
	a.sample_type = perf_u64(&b);
	a.read_format = perf_u64(&b);
	a.flags = read_flags(&b);
	bool is_frequency = a.flags >> 10 & 1;
	a.sample_period = is_frequency ? 1 : period;
	/* wakeup_events, bp_type, config1, config2 */
	perf_skip(&b, 24);
	/* What an old attribute has not got is 0, as in the kernel. */
	a.branch_sample_type = perf_u64(&b);
	a.n_regs_user = (uint32_t)__builtin_popcountll(perf_u64(&b));
	perf_skip(&b, 8); /* sample_stack_user, clockid */
	a.n_regs_intr = (uint32_t)__builtin_popcountll(perf_u64(&b));
	lay_out(&a);
	*ret = a;
}

/* One event: its attribute and the ids of its counters. */
static int add_attr(struct perfdata *d, struct perf_bytes attr, struct perf_bytes ids)
{
	struct perf_attr a;
	parse_attr(attr, &a);
	if (d->attrs.n >= MAX_ATTRS)
		return error_set(d->err, -E2BIG, "more than %d events", MAX_ATTRS);
	int r = vec_reserve(d->p->budget, &d->attrs, 1);
	if (r < 0)
		return perfdata_fail_memory(d, r);
	while (perf_left(&ids) >= 8) {
		uint64_t id = perf_u64(&ids);
		uint32_t *slot = u64map_put(&d->attr_ids, id);
		if (!slot)
			return perfdata_fail_memory(d, -ENOBUFS);
		/* An id that is there twice: the first counts, as perf has it. */
		if (*slot == 0)
			*slot = d->attrs.n + 1;
		if (a.first_id == 0)
			a.first_id = id;
	}
	d->attrs.data[d->attrs.n++] = a;
	return 0;
}

static struct perf_attr *attr_of_id(struct perfdata *d, uint64_t id)
{
	uint32_t i = u64map_get(&d->attr_ids, id);
	return i ? &d->attrs.data[i - 1] : NULL;
}

/* --- texts --- */

static int comment(struct perfdata *d, const char *what, struct slice text)
{
	char line[4096];
	if (text.size == 0)
		return 0;
	(void)snprintf(line, sizeof(line), "%s : %.*s", what, SLICE_FMT(text));
	int r = profile_add_comment(d->p, slice_str(line));
	return r < 0 ? perfdata_fail_memory(d, r) : 0;
}

static struct slice counted_text(struct perf_bytes *b)
{
	return perf_text(b, perf_u32(b));
}

/* The arguments of the command, behind each other with blanks. */
static int read_command_line(struct perfdata *d, struct perf_bytes b)
{
	_cleanup_(buf_done)
	struct buf line = buf_of(64 << 10);
	uint32_t n = perf_u32(&b);
	for (uint32_t i = 0; i < n && !b.failed; i++) {
		struct slice word = counted_text(&b);
		if (i)
			buf_add_byte(&line, ' ');
		buf_add(&line, word.data, word.size);
	}
	return comment(d, "cmdline", slice_of(line.data, line.n));
}

/* --- features --- */

static int name_event(struct perfdata *d, uint64_t id, struct slice name)
{
	struct perf_attr *a = attr_of_id(d, id);
	if (!a || a->name.v || name.size == 0)
		return 0;
	int r = strtab_intern(&d->p->dict.strings, name, &a->name);
	return r < 0 ? perfdata_fail_memory(d, r) : 0;
}

static int read_event_names(struct perfdata *d, struct perf_bytes b)
{
	uint32_t n = perf_u32(&b), attr_size = perf_u32(&b);
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < n && !b.failed; i++) {
		perf_skip(&b, attr_size);
		uint32_t n_ids = perf_u32(&b);
		struct slice name = counted_text(&b);
		struct perf_bytes ids = b;
		perf_skip(&b, (uint64_t)n_ids * 8);
		for (uint32_t k = 0; r == 0 && k < n_ids && !b.failed; k++)
			r = name_event(d, perf_u64(&ids), name);
		/* A single event may do without ids; the order is the attributes'. */
		if (r == 0 && n_ids == 0 && i < d->attrs.n && !b.failed && d->attrs.data[i].name.v == 0)
			r = strtab_intern(&d->p->dict.strings, name, &d->attrs.data[i].name);
	}
	return r;
}

/* struct perf_record_header_build_id behind its header */
static int read_build_id(struct perfdata *d, const struct record_header *h, struct perf_bytes b)
{
	char hex[41];
	perf_skip(&b, 4); /* pid: -1, or a guest's */
	const uint8_t *id = b.at;
	perf_skip(&b, 24);
	struct slice path = perf_text(&b, perf_left(&b));
	if (b.failed || path.size == 0)
		return 0;
	uint32_t size = h->misc & MISC_BUILD_ID_SIZE ? id[20] : 20;
	if (size > 20)
		size = 20;
	for (uint32_t i = 0; i < size; i++)
		(void)snprintf(hex + (size_t)2 * i, 3, "%02x", id[i]);
	struct str_id path_id, hex_id;
	int r = strtab_intern(&d->p->dict.strings, path, &path_id);
	if (r == 0)
		r = strtab_intern(&d->p->dict.strings, slice_of(hex, (size_t)2 * size), &hex_id);
	uint32_t *slot = r == 0 ? u64map_put(&d->build_ids, path_id.v) : NULL;
	if (!slot)
		return perfdata_fail_memory(d, r < 0 ? r : -ENOBUFS);
	*slot = hex_id.v;
	return perfdata_check_strings(d);
}

static int read_build_ids(struct perfdata *d, struct perf_bytes b)
{
	int r = 0;
	while (r == 0 && perf_left(&b) >= RECORD_HEADER_SIZE) {
		struct record_header h = record_header_at(b.at, b.is_big);
		if (h.size < RECORD_HEADER_SIZE || h.size > perf_left(&b))
			break;
		struct perf_bytes body = { b.at + RECORD_HEADER_SIZE, b.at + h.size, b.is_big, false };
		r = read_build_id(d, &h, body);
		perf_skip(&b, h.size);
	}
	return r;
}

static int read_feature(struct perfdata *d, uint64_t feature, struct perf_bytes b)
{
	switch (feature) {
	case FEATURE_BUILD_ID:
		return read_build_ids(d, b);
	case FEATURE_HOSTNAME:
		return comment(d, "hostname", counted_text(&b));
	case FEATURE_OSRELEASE:
		return comment(d, "os release", counted_text(&b));
	case FEATURE_VERSION:
		return comment(d, "perf version", counted_text(&b));
	case FEATURE_ARCH:
		return comment(d, "arch", counted_text(&b));
	case FEATURE_CMDLINE:
		return read_command_line(d, b);
	case FEATURE_EVENT_DESC:
		return read_event_names(d, b);
	default:
		return 0; /* of the machine, or for other tools */
	}
}

int perfdata_read_meta(struct perfdata *d, const struct record_header *h, struct perf_bytes b, uint64_t where)
{
	struct perf_bytes attr = b;
	uint64_t id;
	switch (h->type) {
	case RECORD_HEADER_ATTR: {
		perf_skip(&b, 4);
		uint32_t size = perf_u32(&b);
		if (b.failed || size < ATTR_MIN || size > perf_left(&attr))
			return error_set(d->err, -EBADMSG, WHERE_FMT ": an event's attribute of %" PRIu32 " bytes",
					 WHERE_ARGS(where), size);
		b = attr;
		perf_skip(&b, size);
		attr.end = b.at;
		return add_attr(d, attr, b);
	}
	case RECORD_EVENT_UPDATE:
		if (perf_u64(&b) != 2) /* the name */
			return 0;
		id = perf_u64(&b);
		return name_event(d, id, perf_text(&b, perf_left(&b)));
	case RECORD_HEADER_BUILD_ID:
		return read_build_id(d, h, b);
	case RECORD_HEADER_FEATURE:
		id = perf_u64(&b);
		return b.failed ? 0 : read_feature(d, id, b);
	default:
		return 0;
	}
}

/* --- the head of a file --- */

/* Without it records are only bytes. */
static int ends_in_head(struct perfdata *d)
{
	if (!d->salvage)
		return error_set(d->err, -ENODATA, "ends before its list of events, at byte %zu", d->file.size);
	salvage_end(d->salvage, d->file.size, "its header");
	return error_set(d->err, -ENODATA, "its list of events is missing");
}

struct section {
	uint64_t off, size;
};

static struct section take_section(struct perf_bytes *b)
{
	struct section s;
	s.off = perf_u64(b);
	s.size = perf_u64(b);
	return s;
}

static bool lies_in(const struct perfdata *d, struct section s)
{
	return s.off <= d->file.size && s.size <= d->file.size - s.off;
}

static struct perf_bytes bytes_of(const struct perfdata *d, struct section s)
{
	return (struct perf_bytes){ d->file.data + s.off, d->file.data + s.off + s.size, d->is_big, false };
}

static int read_attrs(struct perfdata *d, struct section attrs, uint64_t attr_size)
{
	if (!lies_in(d, attrs))
		return ends_in_head(d);
	if (attr_size < ATTR_MIN + SECTION_SIZE || attrs.size % attr_size != 0)
		return error_set(d->err, -EBADMSG,
				 "at byte 16: attr_size: %" PRIu64 " bytes for each of %" PRIu64 " bytes of events",
				 attr_size, attrs.size);
	struct perf_bytes b = bytes_of(d, attrs);
	while (perf_left(&b) > 0) {
		struct perf_bytes attr = b, ids;
		perf_skip(&b, attr_size - SECTION_SIZE);
		attr.end = b.at;
		uint64_t at = (uint64_t)(b.at - d->file.data);
		struct section section = take_section(&b);
		if (!lies_in(d, section))
			return error_set(d->err, -EBADMSG,
					 "at byte %" PRIu64 ": the ids of event %" PRIu32 " lie outside of the file",
					 at, d->attrs.n + 1);
		ids = bytes_of(d, section);
		int r = add_attr(d, attr, ids);
		if (r < 0)
			return r;
	}
	return d->attrs.n ? 0 : error_set(d->err, -EBADMSG, "no events in the header");
}

/* The table of sections stands behind the records, one row per bit. */
static int read_features(struct perfdata *d, struct section data, struct perf_bytes bits)
{
	uint64_t set[N_FEATURES / 64];
	struct section table = { data.off + data.size, 0 };
	for (unsigned i = 0; i < N_FEATURES / 64; i++) {
		set[i] = perf_u64(&bits);
		table.size += (uint64_t)__builtin_popcountll(set[i]) * SECTION_SIZE;
	}
	if (!lies_in(d, table)) {
		d->is_cut = true;
		return 0;
	}
	struct perf_bytes rows = bytes_of(d, table);
	int r = 0;
	for (unsigned i = 0; r == 0 && i < N_FEATURES; i++) {
		if (!(set[i / 64] >> (i % 64) & 1))
			continue;
		struct section s = take_section(&rows);
		if (lies_in(d, s))
			r = read_feature(d, i, bytes_of(d, s));
		else
			d->is_cut = true;
	}
	return r;
}

static int read_file_header(struct perfdata *d, struct perf_bytes b)
{
	uint64_t attr_size = perf_u64(&b);
	struct section attrs = take_section(&b), data = take_section(&b);
	(void)take_section(&b); /* event_types, of perf before 2012 */
	if (b.failed)
		return ends_in_head(d);
	int r = read_attrs(d, attrs, attr_size);
	if (r < 0)
		return r;
	if (data.off > d->file.size || data.size == 0)
		d->is_cut = true;
	if (data.off > d->file.size)
		data.off = d->file.size;
	/* perf writes the size last: 0 when it was killed before. */
	bool is_short = data.size > d->file.size - data.off;
	if (is_short || data.size == 0) {
		d->is_cut = true;
		data.size = d->file.size - data.off;
	}
	d->data = slice_of(d->file.data + data.off, (size_t)data.size);
	return d->is_cut ? 0 : read_features(d, data, b);
}

int perfdata_read_header(struct perfdata *d)
{
	d->is_big = d->file.size && d->file.data[0] == '2';
	struct perf_bytes b = { d->file.data, d->file.data + d->file.size, d->is_big, false };
	perf_skip(&b, 8);
	uint64_t size = perf_u64(&b);
	if (b.failed)
		return ends_in_head(d);
	d->is_pipe = size == PIPE_HEADER;
	if (d->is_pipe) {
		d->data = slice_of(b.at, perf_left(&b));
		return 0;
	}
	if (size != HEADER_SIZE)
		return error_set(d->err, -EPROTONOSUPPORT,
				 "at byte 8: a header of %" PRIu64 " bytes; wick knows %d and %d", size, PIPE_HEADER,
				 HEADER_SIZE);
	return read_file_header(d, b);
}

/* --- types --- */

#define TYPE_HARDWARE  0
#define TYPE_SOFTWARE  1
#define SOFTWARE_DUMMY 9

static int name_by_config(struct perfdata *d, struct perf_attr *a)
{
	static const char *const hardware[] = {
		"cycles",	 "instructions", "cache-references",	    "cache-misses",	      "branches",
		"branch-misses", "bus-cycles",	 "stalled-cycles-frontend", "stalled-cycles-backend", "ref-cycles"
	};
	static const char *const software[] = { "cpu-clock",	    "task-clock",   "page-faults",  "context-switches",
						"cpu-migrations",   "minor-faults", "major-faults", "alignment-faults",
						"emulation-faults", "dummy",	    "bpf-output",   "cgroup-switches" };
	char made[64];
	if (a->type == TYPE_HARDWARE && a->config < ARRAY_SIZE(hardware))
		(void)snprintf(made, sizeof(made), "%s", hardware[a->config]);
	else if (a->type == TYPE_SOFTWARE && a->config < ARRAY_SIZE(software))
		(void)snprintf(made, sizeof(made), "%s", software[a->config]);
	else
		(void)snprintf(made, sizeof(made), "event %" PRIu32 ":0x%" PRIx64, a->type, a->config);
	return strtab_intern_str(&d->p->dict.strings, made, &a->name);
}

/* Events of one name share a type, as on machines with two kinds of cores. */
static int add_type(struct perfdata *d, struct perf_attr *a)
{
	struct profile *p = d->p;
	for (uint32_t i = 1; i < p->n_types; i++)
		if (p->types[i].type.v == a->name.v)
			return a->event = i, 0;
	if (p->n_types == PROFILE_MAX_TYPES)
		return error_set(d->err, -E2BIG, "more than %d different events", PROFILE_MAX_TYPES - 1);
	char name[1024];
	(void)snprintf(name, sizeof(name), "%s", strtab_cstr(&p->dict.strings, a->name));
	a->event = p->n_types;
	int r = profile_add_type(p, slice_str(name), slice_str("count"));
	return r < 0 ? perfdata_fail_memory(d, r) : 0;
}

int perfdata_add_types(struct perfdata *d)
{
	int r = profile_add_type(d->p, slice_str("samples"), slice_str("count"));
	if (r < 0)
		return perfdata_fail_memory(d, r);
	for (uint32_t i = 0; r == 0 && i < d->attrs.n; i++) {
		struct perf_attr *a = &d->attrs.data[i];
		if (a->name.v == 0 && (r = name_by_config(d, a)) < 0)
			return perfdata_fail_memory(d, r);
		/* It carries the records that are no samples. */
		if (a->type != TYPE_SOFTWARE || a->config != SOFTWARE_DUMMY)
			r = add_type(d, a);
	}
	d->p->default_type = d->p->types[d->p->n_types > 1 ? 1 : 0].type;
	return r;
}
