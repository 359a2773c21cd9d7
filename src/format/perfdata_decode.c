/* SPDX-License-Identifier: Apache-2.0 */
#include "format/perfdata_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zstd.h>

static void perfdata_done(struct perfdata *d)
{
	struct membudget *budget = d->p->budget;
	vec_done(budget, &d->attrs);
	u64map_done(&d->attr_ids);
	vec_done(budget, &d->counters);
	u64map_done(&d->counter_ids);
	u64map_done(&d->build_ids);
	buf_done(&d->inflated);
	(void)ZSTD_freeDCtx(d->zstd);
	vec_done(budget, &d->refs);
	map_pool_done(&d->pool);
	vec_done(budget, &d->areas);
	vec_done(budget, &d->processes);
	vec_done(budget, &d->threads);
	u64map_done(&d->process_ids);
	u64map_done(&d->thread_ids);
	vec_done(budget, &d->stack);
	free(d->known);
}

static int perfdata_init(struct perfdata *d)
{
	struct strtab *t = &d->p->dict.strings;
	struct membudget *budget = d->p->budget;
	u64map_init(&d->attr_ids, budget);
	u64map_init(&d->counter_ids, budget);
	u64map_init(&d->build_ids, budget);
	u64map_init(&d->process_ids, budget);
	u64map_init(&d->thread_ids, budget);
	d->inflated = buf_of(SIZE_MAX / 2);
	d->known = calloc(N_KNOWN_FRAMES, sizeof(*d->known));
	int r = d->known ? 0 : -ENOMEM;
	if (r == 0)
		r = map_pool_init(&d->pool, XXH3_64bits(d->file.data, d->file.size), d->limits->n_locations, budget);
	if (r == 0)
		r = strtab_intern_str(t, "pid", &d->pid_key);
	if (r == 0)
		r = strtab_intern_str(t, "thread_id", &d->thread_id_key);
	if (r == 0)
		r = strtab_intern_str(t, "thread_name", &d->thread_name_key);
	if (r == 0)
		r = strtab_intern_str(t, "event", &d->event_key);
	d->max_strings = limits_max_strings(d->limits, strtab_count(t));
	return r < 0 ? r : perfdata_processes_init(d);
}

/* --- one sample --- */

/* Whose addresses follow. */
struct mode {
	uint32_t process;
	enum frame_kind kind;
	bool is_elsewhere; /* a guest or hypervisor: nothing here is mapped there */
};

static struct mode mode_of(uint64_t context, uint32_t process)
{
	switch (context) {
	case MISC_KERNEL:
	case CONTEXT_KERNEL:
		return (struct mode){ 0, FRAME_KERNEL, false };
	case MISC_USER:
	case CONTEXT_USER:
		return (struct mode){ process, FRAME_USER, false };
	default:
		return (struct mode){ process, FRAME_UNKNOWN, true };
	}
}

static int push(struct perfdata *d, const struct mode *m, uint64_t address)
{
	uint32_t frame;
	if (d->stack.n >= d->limits->depth)
		return error_set(d->err, -E2BIG, "more than %" PRIu32 " frames", d->limits->depth);
	int r;
	if (m->is_elsewhere) {
		struct frame row = { .address = address };
		struct frame_id id;
		r = dict_frame(&d->p->dict, &row, &id);
		frame = id.v;
	} else {
		r = perfdata_frame(d, m->process, m->kind, address, &frame);
	}
	if (r == 0)
		r = vec_reserve(d->p->budget, &d->stack, 1);
	if (r == -E2BIG)
		return error_set(d->err, r, "more than %" PRIu32 " different frames", d->limits->n_locations);
	if (r < 0)
		return perfdata_fail_memory(d, r);
	d->stack.data[d->stack.n++] = frame;
	return 0;
}

/* Leaf first; marks among the addresses say whose the next ones are. */
static int push_chain(struct perfdata *d, const struct perf_sample *s, uint16_t misc, uint32_t process)
{
	struct mode mode = mode_of(misc & MISC_CPU_MODE, process);
	const struct mode leaf_mode = mode;
	int r = 0;
	d->stack.n = 0;
	for (uint64_t i = 0; r == 0 && i < s->n_chain; i++) {
		uint64_t address = perf_u64_at(s->chain + 8 * i, d->is_big);
		if (address >= CONTEXT_MAX)
			mode = mode_of(address, process);
		else
			r = push(d, &mode, address);
	}
	/* Not even a frame of its own in the chain, or no chain at all. */
	if (r == 0 && d->stack.n == 0)
		r = push(d, &leaf_mode, s->ip);
	return r;
}

static int label_thread(struct perfdata *d, const struct perf_sample *s, const struct perf_attr *a,
			struct perf_thread *t)
{
	struct label set[4];
	uint32_t n = 0, attr_number = (uint32_t)(a - d->attrs.data) + 1;
	if (t->labels_event == attr_number)
		return 0;
	if (s->pid != UINT32_MAX)
		set[n++] = (struct label){ .key = d->pid_key, .is_num = 1, .num = s->pid };
	if (s->tid != UINT32_MAX)
		set[n++] = (struct label){ .key = d->thread_id_key, .is_num = 1, .num = s->tid };
	struct str_id comm = t->comm;
	if (comm.v == 0) {
		/* As perf shows a thread that it was not told the name of. */
		char name[16];
		(void)snprintf(name, sizeof(name), s->tid ? ":%" PRId32 : "swapper", (int32_t)s->tid);
		int r = strtab_intern_str(&d->p->dict.strings, name, &comm);
		if (r < 0)
			return r;
	}
	set[n++] = (struct label){ .key = d->thread_name_key, .str = comm };
	set[n++] = (struct label){ .key = d->event_key, .str = a->name };
	t->labels_event = attr_number;
	return profile_labels(d->p, set, n, &t->labels);
}

static void note_time(struct perfdata *d, uint64_t time)
{
	if (!d->has_time)
		d->first_ns = time;
	d->has_time = true;
	d->last_ns = time;
}

/* A sample that stands for `period` of an event. */
static int add_row(struct perfdata *d, const struct perf_sample *s, const struct perf_attr *a, uint32_t thread,
		   uint64_t period, struct node_id node)
{
	int64_t values[PROFILE_MAX_TYPES] = { 1 };
	struct perf_thread *t = &d->threads.data[thread];
	if (profile_n_samples(d->p) >= d->limits->n_samples)
		return error_set(d->err, -E2BIG, "more than %" PRIu32 " samples", d->limits->n_samples);
	int r = label_thread(d, s, a, t);
	/* perf script's reader takes a period that is not printed for 1, too. */
	values[a->event] = period > INT64_MAX ? INT64_MAX : period ? (int64_t)period : 1;
	if (r == 0)
		r = profile_add_sample(d->p, node, t->labels, values);
	return r < 0 ? perfdata_fail_memory(d, r) : 0;
}

/* One row for each counter that has gone on. */
static int add_values(struct perfdata *d, const struct perf_sample *s, const struct perf_attr *a, uint32_t thread,
		      struct node_id node)
{
	for (uint64_t i = 0; i < s->n_values; i++) {
		struct perf_value v = perfdata_sample_value(a, s, i, d->is_big);
		const struct perf_attr *member = perfdata_attr_of_id(d, v.id);
		uint64_t delta;
		if (!member || member->event == UINT32_MAX) {
			d->counts.unknown_ids++;
			continue;
		}
		int r = perfdata_counter_delta(d, member, &v, s->tid, &delta);
		if (r < 0)
			return perfdata_fail_memory(d, r);
		r = delta ? add_row(d, s, member, thread, delta, node) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_sample(struct perfdata *d, const struct perf_sample *s, const struct perf_attr *a, uint32_t thread)
{
	uint32_t node = 0;
	int r = 0;
	for (uint32_t i = d->stack.n; r == 0 && i-- > 0;)
		r = dict_step(&d->p->dict, &node, d->stack.data[i]);
	if (r < 0)
		return perfdata_fail_memory(d, r);
	return s->n_values ? add_values(d, s, a, thread, (struct node_id){ node })
			   : add_row(d, s, a, thread, s->period, (struct node_id){ node });
}

static int read_sample(struct perfdata *d, const struct record_header *h, struct perf_bytes body, uint64_t where)
{
	struct perf_sample s;
	uint32_t thread;
	const struct perf_attr *a = perfdata_sample_attr(d, body);
	if (!a || a->event == UINT32_MAX) {
		d->counts.unknown_ids++;
		return 0;
	}
	const char *field = perfdata_sample_parse(a, body, &s);
	if (field)
		return error_set(d->err, -EBADMSG, WHERE_FMT ": a sample of %u bytes has no room for its %s",
				 WHERE_ARGS(where), h->size, field);
	if (a->sample_type & SAMPLE_TIME)
		note_time(d, s.time);
	d->counts.user_stacks += s.has_user_stack;
	int r = perfdata_thread(d, s.pid, s.tid, &thread);
	if (r < 0)
		return perfdata_fail_memory(d, r);
	r = push_chain(d, &s, h->misc, d->threads.data[thread].process);
	if (r == 0)
		r = add_sample(d, &s, a, thread);
	if (r < 0)
		error_prefix(d->err, WHERE_FMT, WHERE_ARGS(where));
	return r;
}

/* --- all of them --- */

static int read_record(struct perfdata *d, uint64_t where)
{
	const uint8_t *base = where & WHERE_INFLATED ? d->inflated.data : d->file.data;
	const uint8_t *at = base + (where & ~WHERE_INFLATED);
	struct record_header h = record_header_at(at, d->is_big);
	struct perf_bytes body = { at + RECORD_HEADER_SIZE, at + h.size, d->is_big, false };
	if (h.type == RECORD_SAMPLE)
		return read_sample(d, &h, body, where);
	return perfdata_read_event(d, &h, body, where);
}

static int say_count(struct perfdata *d, uint64_t n, const char *what)
{
	char text[128];
	if (n == 0)
		return 0;
	(void)snprintf(text, sizeof(text), "perf.data: %" PRIu64 " %s", n, what);
	int r = profile_add_comment(d->p, slice_str(text));
	return r < 0 ? perfdata_fail_memory(d, r) : 0;
}

/* Their stacks look whole but for those who know the program. */
static int warn_of_user_stacks(struct perfdata *d)
{
	char text[256];
	if (d->counts.user_stacks == 0)
		return 0;
	(void)snprintf(text, sizeof(text),
		       "perf.data: %" PRIu64 " of %" PRIu64
		       " samples hold user stacks (--call-graph dwarf), which are not "
		       "unwound: of the program they have the innermost frame only; `perf script` unwinds them",
		       d->counts.user_stacks, d->counts.samples);
	int r = profile_add_warning(d->p, slice_str(text));
	return r < 0 ? perfdata_fail_memory(d, r) : 0;
}

static int say_counts(struct perfdata *d)
{
	int r = say_count(d, d->counts.lost, "events lost while recording");
	if (r == 0)
		r = say_count(d, d->counts.throttled, "times throttled while recording");
	if (r == 0)
		r = say_count(d, d->counts.unknown_ids, "samples of no known event left out");
	if (r == 0)
		r = say_count(d, d->counts.unknown_records, "records of unknown types left out");
	if (r == 0)
		r = say_count(d, d->counts.aux_bytes, "bytes of hardware trace left out");
	return r < 0 ? r : warn_of_user_stacks(d);
}

static int decode(struct perfdata *d)
{
	int r = perfdata_read_header(d);
	if (r == 0)
		r = perfdata_index(d);
	if (r < 0)
		return r;
	if (d->counts.samples == 0)
		return error_set(d->err, -ENODATA, "no samples in %zu bytes", d->file.size);
	r = perfdata_add_types(d);
	for (uint32_t i = 0; r == 0 && i < d->refs.n; i++)
		r = read_record(d, d->refs.data[i].where);
	uint64_t span = d->last_ns - d->first_ns;
	d->p->duration_ns = span > INT64_MAX ? INT64_MAX : (int64_t)span;
	return r < 0 ? r : say_counts(d);
}

int perfdata_decode(struct slice bytes, const struct format_limits *limits, struct salvage *salvage, struct profile *p,
		    struct error *err)
{
	_cleanup_(perfdata_done)
	struct perfdata d = { .p = p, .limits = limits, .salvage = salvage, .err = err, .file = bytes };
	int r = perfdata_init(&d);
	return r < 0 ? perfdata_fail_memory(&d, r) : decode(&d);
}
