/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/detect.h"
#include "format/folded.h"
#include "format/perfdata_wire.h"
#include "format/testperfdata.h"
#include "format/testprofile.h"

#include <errno.h>
#include <zstd.h>

/* --- a small perf.data --- */

/* With NULs up to the next multiple of 8. */
static void put_text(struct maker *m, const char *s)
{
	size_t size = (strlen(s) + 8) / 8 * 8;
	buf_add(&m->out, s, strlen(s));
	for (size_t i = strlen(s); i < size; i++)
		buf_add_byte(&m->out, 0);
}

static void put_counted(struct maker *m, const char *s)
{
	put32(m, (uint32_t)((strlen(s) + 8) / 8 * 8));
	put_text(m, s);
}

/* IDENTIFIER | IP | TID | TIME | CALLCHAIN | PERIOD; with RAW for event 2 */
#define TYPES (SAMPLE_IDENTIFIER | SAMPLE_IP | SAMPLE_TID | SAMPLE_TIME | SAMPLE_CALLCHAIN | SAMPLE_PERIOD)

static void put_trailer(struct maker *m, uint32_t pid, uint32_t tid, uint64_t time)
{
	put32(m, pid);
	put32(m, tid);
	put64(m, time);
	put64(m, FIRST_ID);
}

static void put_mmap2(struct maker *m, uint32_t pid, uint64_t start, uint64_t offset, const char *path, uint64_t time)
{
	size_t at = begin(m, RECORD_MMAP2, MISC_USER | MISC_MMAP_BUILD_ID);
	put32(m, pid);
	put32(m, pid);
	put64(m, start);
	put64(m, 0x1000);
	put64(m, offset);
	buf_add(&m->out, "\x14\0\0\0", 4);
	buf_add(&m->out, "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67", 20);
	put32(m, 5);
	put32(m, 2);
	put_text(m, path);
	put_trailer(m, pid, pid, time);
	end(m, at);
}

static void put_comm(struct maker *m, uint32_t pid, uint32_t tid, const char *comm, uint32_t misc, uint64_t time)
{
	size_t at = begin(m, RECORD_COMM, misc);
	put32(m, pid);
	put32(m, tid);
	put_text(m, comm);
	put_trailer(m, pid, tid, time);
	end(m, at);
}

static void put_fork(struct maker *m, uint32_t pid, uint32_t parent, uint32_t tid, uint64_t time)
{
	size_t at = begin(m, RECORD_FORK, 0);
	put32(m, pid);
	put32(m, parent);
	put32(m, tid);
	put32(m, parent);
	put64(m, time);
	put_trailer(m, parent, parent, time);
	end(m, at);
}

static void put_kernel(struct maker *m)
{
	size_t at = begin(m, RECORD_MMAP, MISC_KERNEL);
	put32(m, UINT32_MAX);
	put32(m, 0);
	put64(m, 0xffffffff81000000);
	put64(m, 0x1000000);
	put64(m, 0xffffffff81000000);
	put_text(m, "[kernel.kallsyms]_text");
	put_trailer(m, 0, 0, 0);
	end(m, at);
	at = begin(m, RECORD_KSYMBOL, 0);
	put64(m, 0xffffffffc0000000);
	put32(m, 0x100);
	put(m, 1, 2);
	put(m, 0, 2);
	put_text(m, "bpf_prog_12_f");
	put_trailer(m, 0, 0, 0);
	end(m, at);
}

static void put_sample(struct maker *m, uint64_t id, uint32_t pid, uint32_t tid, uint64_t time, uint64_t period,
		       const uint64_t *chain, uint32_t n)
{
	size_t at = begin(m, RECORD_SAMPLE, MISC_USER);
	put64(m, id);
	put64(m, chain[1]);
	put32(m, pid);
	put32(m, tid);
	put64(m, time);
	put64(m, period);
	put64(m, n);
	for (uint32_t i = 0; i < n; i++)
		put64(m, chain[i]);
	if (id == SECOND_ID) {
		put32(m, 4);
		put32(m, 0);
	}
	end(m, at);
}

/* Out of order on purpose, as the buffers of two CPUs are. */
static void put_records(struct maker *m)
{
	static const uint64_t user[] = { CONTEXT_USER, 0x7f0000000010, 0x7f0000000020 };
	static const uint64_t kernel[] = { CONTEXT_KERNEL, 0xffffffff81000123, 0xffffffffc0000008,
					   CONTEXT_USER,   0x7f0000000010,     0x99 };
	put_kernel(m);
	put_comm(m, 100, 100, "shell", 0, 0);
	put_mmap2(m, 100, 0x7f0000000000, 0x2000, "/bin/sh", 0);
	put_sample(m, FIRST_ID, 100, 100, 1000, 7, user, 3);
	/* The child: it runs the parent's code before it has its own. */
	put_sample(m, FIRST_ID, 101, 101, 2100, 7, user, 3);
	put_sample(m, SECOND_ID, 101, 101, 3100, 2, kernel, 6);
	put_fork(m, 101, 100, 101, 2000);
	put_comm(m, 101, 101, "child", MISC_COMM_EXEC, 2500);
	put_mmap2(m, 101, 0x7f0000000000, 0, "/bin/child", 2600);
	put_fork(m, 101, 101, 102, 2700);
	put_sample(m, FIRST_ID, 101, 102, 3200, 7, user, 3);
	put_sample(m, FIRST_ID, 100, 100, 3300, 7, user, 3);
	size_t at = begin(m, RECORD_LOST, 0);
	put64(m, FIRST_ID);
	put64(m, 12);
	put_trailer(m, 0, 0, 3300);
	end(m, at);
}

static void put_event_desc(struct maker *m)
{
	put32(m, 2);
	put32(m, ATTR_SIZE);
	put_attr(m, 0, TYPES);
	put32(m, 1);
	put_counted(m, "cpu-clock:u");
	put64(m, FIRST_ID);
	put_attr(m, 2, TYPES | SAMPLE_RAW);
	put32(m, 1);
	put_counted(m, "faults");
	put64(m, SECOND_ID);
}

static void put_command_line(struct maker *m)
{
	put32(m, 2);
	put_counted(m, "perf");
	put_counted(m, "record");
}

static void put_compressed(struct maker *m, struct slice records)
{
	uint8_t packed[8192];
	size_t n = ZSTD_compress(packed, sizeof(packed), records.data, records.size, 1);
	assert_false(ZSTD_isError(n));
	/* Two pieces, cut anywhere. */
	size_t at = begin(m, RECORD_COMPRESSED, 0);
	buf_add(&m->out, packed, 100);
	end(m, at);
	at = begin(m, RECORD_COMPRESSED2, 0);
	put64(m, n - 100);
	buf_add(&m->out, packed + 100, n - 100);
	end(m, at);
}

static void make_file(struct maker *m, bool is_compressed)
{
	buf_add(&m->out, m->is_big ? "2ELIFREP" : "PERFILE2", 8);
	put64(m, 104);
	put64(m, ATTR_SIZE + 16);
	put64(m, 104 + 16);
	put64(m, 2 * (ATTR_SIZE + 16));
	size_t data = m->out.n;
	put64(m, 0);
	put64(m, 0);
	put64(m, 0);
	put64(m, 0);
	put64(m, 1 << FEATURE_CMDLINE | 1 << FEATURE_EVENT_DESC);
	put64(m, 0);
	put64(m, 0);
	put64(m, 0);
	put64(m, FIRST_ID);
	put64(m, SECOND_ID);
	for (unsigned i = 0; i < 2; i++) {
		put_attr(m, i == 0 ? 0 : 2, i == 0 ? TYPES : TYPES | SAMPLE_RAW);
		put64(m, 104 + 8 * i);
		put64(m, 8);
	}
	size_t start = m->out.n;
	if (is_compressed) {
		struct maker records = { .out = buf_of(1 << 20), .is_big = m->is_big };
		put_records(&records);
		put_compressed(m, slice_of(records.out.data, records.out.n));
		buf_done(&records.out);
	} else {
		put_records(m);
	}
	patch64(m, data, start);
	patch64(m, data + 8, m->out.n - start);
	size_t table = m->out.n;
	for (unsigned i = 0; i < 4; i++)
		put64(m, 0);
	patch64(m, table, m->out.n);
	put_command_line(m);
	patch64(m, table + 8, m->out.n - table - 32);
	patch64(m, table + 16, m->out.n);
	size_t names = m->out.n;
	put_event_desc(m);
	patch64(m, table + 24, m->out.n - names);
}

static void put_pipe_head(struct maker *m)
{
	buf_add(&m->out, m->is_big ? "2ELIFREP" : "PERFILE2", 8);
	put64(m, 16);
	put_attr_record(m, 0, TYPES, FIRST_ID);
	put_attr_record(m, 2, TYPES | SAMPLE_RAW, SECOND_ID);
}

static void make_pipe(struct maker *m)
{
	put_pipe_head(m);
	size_t at = begin(m, RECORD_HEADER_FEATURE, 0);
	put64(m, FEATURE_CMDLINE);
	put_command_line(m);
	end(m, at);
	at = begin(m, RECORD_HEADER_FEATURE, 0);
	put64(m, FEATURE_EVENT_DESC);
	put_event_desc(m);
	end(m, at);
	put_records(m);
}

static void decode_well(struct slice bytes, struct profile *p)
{
	struct error err = { "" };
	if (decode(bytes, NULL, p, &err) < 0)
		fail_msg("%s", err.text);
}

/* --- what it says --- */

static const char *text(const struct profile *p, struct str_id id)
{
	return strtab_cstr(&p->dict.strings, id);
}

static void assert_folded(const struct profile *p, uint32_t type, const char *want)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	assert_int_equal(folded_encode(p, type, &out), 0);
	buf_add_byte(&out, 0);
	assert_string_equal((const char *)out.data, want);
}

static void samples_meet_the_maps_of_their_moment(void **state)
{
	(void)state;
	struct maker m = { .out = buf_of(1 << 20) };
	make_file(&m, false);
	struct profile p;
	decode_well(made(&m), &p);
	assert_int_equal(p.n_types, 3);
	assert_string_equal(text(&p, p.types[0].type), "samples");
	assert_string_equal(text(&p, p.types[1].type), "cpu-clock:u");
	assert_string_equal(text(&p, p.types[2].type), "faults");
	assert_int_equal(profile_default_type(&p), 1);
	assert_int_equal(profile_n_samples(&p), 5);
	assert_int_equal(p.duration_ns, 2300);
	/* Before it ran a program of its own, the child ran the shell's code. */
	assert_folded(&p, 1, "sh+0x2020;sh+0x2010 21\nchild+0x20;child+0x10 7\n");
	assert_folded(&p, 2, "0x99;child+0x10;bpf_prog_12_f_[k];[kernel.kallsyms]+0xffffffff81000123_[k] 2\n");
	const struct mapping *map = &p.dict.mappings.data[p.dict.mappings.n - 1];
	assert_string_equal(text(&p, map->path), "/bin/child");
	assert_string_equal(text(&p, map->build_id), "0123456789abcdef0123456789abcdef01234567");
	assert_int_equal(p.comments.n, 2);
	assert_string_equal(text(&p, p.comments.data[0]), "cmdline : perf record");
	assert_string_equal(text(&p, p.comments.data[1]), "perf.data: 12 events lost while recording");
	profile_done(&p);
	buf_done(&m.out);
}

/* The kernel samples itself in execve() before and after it has mapped the new
 * program; the caller is the old one's until the new one has run. */
static void execve_has_the_old_program_as_caller(void **state)
{
	(void)state;
	static const uint64_t call[] = { CONTEXT_KERNEL, 0xffffffff81000123, CONTEXT_USER, 0x7f0000000010 };
	static const uint64_t fresh[] = { CONTEXT_USER, 0x7f1000000020, 0x7f0000000010 };
	struct maker m = { .out = buf_of(1 << 20) };
	put_pipe_head(&m);
	put_kernel(&m);
	put_mmap2(&m, 100, 0x7f0000000000, 0, "/bin/old", 1);
	put_comm(&m, 100, 100, "new", MISC_COMM_EXEC, 10);
	put_sample(&m, FIRST_ID, 100, 100, 11, 1, call, 4);
	put_mmap2(&m, 100, 0x7f1000000000, 0, "/bin/new", 12);
	put_sample(&m, FIRST_ID, 100, 100, 13, 1, call, 4);
	put_sample(&m, FIRST_ID, 100, 100, 14, 1, fresh, 3);
	put_sample(&m, FIRST_ID, 100, 100, 15, 1, call, 4);
	struct profile p;
	decode_well(made(&m), &p);
	assert_folded(&p, 0,
		      "old+0x10;[kernel.kallsyms]+0xffffffff81000123_[k] 2\n"
		      "0x7f0000000010;new+0x20 1\n"
		      "0x7f0000000010;[kernel.kallsyms]+0xffffffff81000123_[k] 1\n");
	profile_done(&p);
	buf_done(&m.out);
}

/* The label `key` of sample i, as text. */
static void assert_label(const struct profile *p, uint32_t i, const char *key, const char *want)
{
	uint32_t n;
	char number[24];
	const struct label *set = profile_label_set(p, p->labels.data[i], &n);
	for (uint32_t k = 0; k < n; k++) {
		if (strcmp(text(p, set[k].key), key) != 0)
			continue;
		(void)snprintf(number, sizeof(number), "%lld", (long long)set[k].num);
		assert_string_equal(set[k].is_num ? number : text(p, set[k].str), want);
		return;
	}
	fail_msg("sample %u has no label %s", i, key);
}

static void threads_have_the_labels_of_perf_script(void **state)
{
	(void)state;
	static const struct {
		const char *pid, *tid, *comm, *event;
	} want[] = { { "100", "100", "shell", "cpu-clock:u" },
		     { "101", "101", "shell", "cpu-clock:u" },
		     { "101", "101", "child", "faults" },
		     { "101", "102", "child", "cpu-clock:u" },
		     { "100", "100", "shell", "cpu-clock:u" } };
	struct maker m = { .out = buf_of(1 << 20) };
	make_file(&m, false);
	struct profile p;
	decode_well(made(&m), &p);
	for (uint32_t i = 0; i < ARRAY_SIZE(want); i++) {
		assert_label(&p, i, "pid", want[i].pid);
		assert_label(&p, i, "thread_id", want[i].tid);
		assert_label(&p, i, "thread_name", want[i].comm);
		assert_label(&p, i, "event", want[i].event);
	}
	profile_done(&p);
	buf_done(&m.out);
}

static void every_way_of_writing_it_says_the_same(void **state)
{
	(void)state;
	struct profile want, p;
	struct maker file = { .out = buf_of(1 << 20) };
	make_file(&file, false);
	decode_well(made(&file), &want);
	for (unsigned i = 1; i < 6; i++) {
		struct maker m = { .out = buf_of(1 << 20), .is_big = i & 1 };
		if (i / 2 == 0)
			make_file(&m, false);
		else if (i / 2 == 1)
			make_file(&m, true);
		else
			make_pipe(&m);
		enum format format;
		struct error err = { "" };
		assert_int_equal(profile_init(&p, NULL), 0);
		if (format_decode(made(&m), &format_limits_default, &p, &format, &err) < 0)
			fail_msg("way %u: %s", i, err.text);
		assert_int_equal(format, FORMAT_PERFDATA);
		testprofile_assert_same(&want, &p);
		profile_done(&p);
		buf_done(&m.out);
	}
	profile_done(&want);
	buf_done(&file.out);
}

/* A pipe with one event, for samples of other kinds. */
static void put_event_pipe(struct maker *m, uint64_t sample_type)
{
	buf_add(&m->out, "PERFILE2", 8);
	put64(m, 16);
	put_attr_record(m, 0, sample_type, FIRST_ID);
}

static void put_stack_sample(struct maker *m, uint64_t size, uint64_t filled)
{
	size_t at = begin(m, RECORD_SAMPLE, MISC_USER);
	put64(m, 0x1234);
	put64(m, size);
	for (uint64_t i = 0; i < size; i += 8)
		put64(m, 0);
	if (size)
		put64(m, filled);
	end(m, at);
}

/* One frame where there were thirty must not pass for the truth. */
static void user_stacks_are_warned_of(void **state)
{
	(void)state;
	for (int filled = 0; filled < 2; filled++) {
		struct maker m = { .out = buf_of(1 << 20) };
		struct profile p;
		struct error err = { "" };
		put_event_pipe(&m, SAMPLE_IP | SAMPLE_STACK_USER);
		put_stack_sample(&m, 16, filled ? 8 : 0);
		put_stack_sample(&m, 0, 0);
		if (decode(made(&m), NULL, &p, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(p.warnings.n, filled);
		if (filled)
			assert_string_equal(
				strtab_cstr(&p.dict.strings, p.comments.data[p.warnings.data[0]]),
				"perf.data: 1 of 2 samples hold user stacks (--call-graph dwarf), which are not "
				"unwound: of the program they have the innermost frame only; `perf script` unwinds "
				"them");
		profile_done(&p);
		buf_done(&m.out);
	}
}

/* --- damage --- */

static void half_a_file_is_said_and_salvaged(void **state)
{
	(void)state;
	struct maker m = { .out = buf_of(1 << 20) };
	struct profile p;
	struct error err;
	make_file(&m, false);
	uint32_t n_before = 0;
	for (size_t size = 8; size < m.out.n; size++) {
		struct salvage salvage = { 0 };
		/* A copy, so that reading past its end is seen. */
		uint8_t *copy = malloc(size);
		assert_non_null(copy);
		memcpy(copy, m.out.data, size);
		int r = decode(slice_of(copy, size), NULL, &p, &err);
		profile_done(&p);
		assert_int_equal(r, -ENODATA);
		r = decode(slice_of(copy, size), &salvage, &p, &err);
		if (r == 0) {
			assert_true(salvage_is_half(&salvage));
			assert_true(profile_n_samples(&p) >= n_before);
			n_before = profile_n_samples(&p);
		} else {
			assert_int_equal(r, -ENODATA);
			assert_int_equal(n_before, 0);
		}
		profile_done(&p);
		free(copy);
	}
	assert_int_equal(n_before, 5);
	assert_int_equal(decode(slice_of(m.out.data, 900), NULL, &p, &err), -ENODATA);
	assert_string_equal(err.text, "ends in the middle of a sample, at byte 900");
	profile_done(&p);
	buf_done(&m.out);
}

static void one_flipped_bit_never_crashes(void **state)
{
	(void)state;
	for (unsigned form = 0; form < 3; form++) {
		struct maker m = { .out = buf_of(1 << 20) };
		if (form == 2)
			make_pipe(&m);
		else
			make_file(&m, form);
		for (size_t i = 0; i < m.out.n; i++) {
			struct profile p;
			struct error err = { "" };
			m.out.data[i] ^= (uint8_t)(1 << i % 8);
			int r = decode(made(&m), NULL, &p, &err);
			assert_true(r == 0 || err.text[0]);
			profile_done(&p);
			m.out.data[i] ^= (uint8_t)(1 << i % 8);
		}
		buf_done(&m.out);
	}
}

static void assert_refused(struct slice bytes, const struct format_limits *limits, int code, const char *want)
{
	struct profile p;
	struct error err = { "" };
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(perfdata_decode(bytes, limits, NULL, &p, &err), code);
	assert_string_equal(err.text, want);
	profile_done(&p);
}

#define FIRST_RECORD (104 + 16 + 2 * (ATTR_SIZE + 16))

static void what_is_wrong_is_named(void **state)
{
	(void)state;
	struct maker m = { .out = buf_of(1 << 20) };
	const struct format_limits *limits = &format_limits_default;
	make_file(&m, false);
	patch64(&m, 8, 105);
	assert_refused(made(&m), limits, -EPROTONOSUPPORT, "at byte 8: a header of 105 bytes; wick knows 16 and 104");
	patch64(&m, 8, 104);
	patch64(&m, 16, 80 + 1);
	assert_refused(made(&m), limits, -EBADMSG, "at byte 16: attr_size: 81 bytes for each of 256 bytes of events");
	patch64(&m, 16, UINT64_C(1) << 63);
	assert_refused(made(&m), limits, -EBADMSG,
		       "at byte 16: attr_size: 9223372036854775808 bytes for each of 256 bytes of events");
	patch64(&m, 16, ATTR_SIZE + 16);
	patch64(&m, 32, UINT64_C(1) << 63);
	assert_refused(made(&m), limits, -ENODATA, "ends before its list of events, at byte 1780");
	patch64(&m, 32, 2 * (ATTR_SIZE + 16));
	m.out.data[FIRST_RECORD + 6] = 7;
	assert_refused(made(&m), limits, -EBADMSG, "at byte 376: size: a record of type 1 and 7 bytes");
	buf_done(&m.out);
}

static void limits_are_named(void **state)
{
	(void)state;
	struct maker m = { .out = buf_of(1 << 20) };
	struct format_limits limits = format_limits_default;
	make_file(&m, false);
	limits.n_samples = 3;
	assert_refused(made(&m), &limits, -E2BIG, "at byte 1224: more than 3 samples");
	limits = format_limits_default;
	limits.depth = 1;
	assert_refused(made(&m), &limits, -E2BIG, "at byte 680: more than 1 frames");
	limits = format_limits_default;
	limits.n_locations = 2;
	assert_refused(made(&m), &limits, -E2BIG, "at byte 576: more than 2 mappings");
	limits = format_limits_default;
	limits.n_strings = 4;
	assert_refused(made(&m), &limits, -E2BIG, "at byte 376: more than 4 strings");
	buf_done(&m.out);
	struct membudget budget = membudget_of(8000);
	struct profile p;
	struct error err = { "" };
	m = (struct maker){ .out = buf_of(1 << 20) };
	make_file(&m, false);
	assert_int_equal(profile_init(&p, &budget), 0);
	assert_int_equal(perfdata_decode(made(&m), &format_limits_default, NULL, &p, &err), -ENOBUFS);
	assert_string_equal(err.text, "the profile does not fit into the memory allowed for it");
	profile_done(&p);
	assert_int_equal(budget.used, 0);
	buf_done(&m.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_meet_the_maps_of_their_moment),
		cmocka_unit_test(execve_has_the_old_program_as_caller),
		cmocka_unit_test(threads_have_the_labels_of_perf_script),
		cmocka_unit_test(every_way_of_writing_it_says_the_same),
		cmocka_unit_test(user_stacks_are_warned_of),
		cmocka_unit_test(half_a_file_is_said_and_salvaged),
		cmocka_unit_test(one_flipped_bit_never_crashes),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(limits_are_named),
	};
	return cmocka_run_group_tests_name("perfdata", tests, NULL, NULL);
}
