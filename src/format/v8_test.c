/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/detect.h"
#include "format/folded.h"
#include "format/v8.h"

#include "base/file.h"

#include <errno.h>

typedef int decoder_fn(struct slice text, const struct format_limits *limits, struct profile *p, struct error *err);

#define FRAME(name) "\"callFrame\":{\"functionName\":\"" name "\",\"url\":\"a.js\",\"lineNumber\":4,\"columnNumber\":1}"
#define ROOT	    "\"callFrame\":{\"functionName\":\"(root)\",\"url\":\"\",\"lineNumber\":-1,\"columnNumber\":-1}"
/* main (2) calls f (3) and "" (4); the root comes last. */
#define NODES                                                                                                          \
	"\"nodes\":[{\"id\":2," FRAME("main") ",\"hitCount\":1,\"children\":[3,4]},{\"id\":3," FRAME(                  \
		"f") ",\"hitCount\":2},{\"id\":4," FRAME("") ",\"hitCount\":1},{\"id\":1," ROOT                        \
							     ",\"hitCount\":0,\"children\":[2]}]"

static int decode(decoder_fn *with, struct slice text, struct profile *p, struct error *err)
{
	assert_int_equal(profile_init(p, NULL), 0);
	return with(text, &format_limits_default, p, err);
}

static void assert_folded(const struct profile *p, uint32_t type, const char *want)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	assert_int_equal(folded_encode(p, type, &out), 0);
	buf_add_byte(&out, 0);
	assert_string_equal((const char *)out.data, want);
}

static void assert_cpu(const char *text, const char *samples, const char *wall)
{
	struct error err = { "" };
	struct profile p;
	if (decode(v8_cpu_decode, slice_str(text), &p, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(p.n_types, 2);
	assert_string_equal(strtab_cstr(&p.dict.strings, p.types[0].type), "samples");
	assert_string_equal(strtab_cstr(&p.dict.strings, p.types[1].type), "wall");
	assert_folded(&p, 0, samples);
	assert_folded(&p, 1, wall);
	profile_done(&p);
}

static void a_sample_lasts_until_the_next(void **state)
{
	(void)state;
	/* At 110, 130, 125 (a clock that stepped back), 145; the end is at 200. */
	assert_cpu("{" NODES ",\"startTime\":100,\"endTime\":200,\"samples\":[2,3,3,4],\"timeDeltas\":[10,20,-5,20]}",
		   "main 1\nmain;f 2\nmain;(anonymous) 1\n", "main 20000\nmain;f 15000\nmain;(anonymous) 55000\n");
	/* The order of keys means nothing. */
	assert_cpu("{\"timeDeltas\":[0],\"samples\":[3],\"endTime\":2,\"startTime\":1," NODES "}", "main;f 1\n",
		   "main;f 1000\n");
}

static void hits_stand_in_for_samples(void **state)
{
	(void)state;
	assert_cpu("{" NODES ",\"startTime\":100,\"endTime\":500}", "main 1\nmain;f 2\nmain;(anonymous) 1\n",
		   "main 100000\nmain;f 200000\nmain;(anonymous) 100000\n");
	assert_cpu("{" NODES "}", "main 1\nmain;f 2\nmain;(anonymous) 1\n", "");
}

static void places_count_from_one(void **state)
{
	(void)state;
	struct profile p;
	assert_int_equal(decode(v8_cpu_decode, slice_str("{" NODES "}"), &p, NULL), 0);
	const struct frame *f = &p.dict.frames.data[p.dict.node_frame.data[p.node.data[0].v].v];
	assert_int_equal(f->line, 5);
	assert_int_equal(f->column, 2);
	assert_int_equal(f->kind, FRAME_JS);
	assert_int_equal(p.dict.functions.data[f->function.v].start_line, 5);
	assert_string_equal(strtab_cstr(&p.dict.strings, p.dict.functions.data[f->function.v].file), "a.js");
	profile_done(&p);
}

#define HEAP                                                                                                           \
	"{\"head\":{\"children\":[{" FRAME("f") ",\"selfSize\":32,\"id\":2,\"children\":[{\"selfSize\":8," FRAME(      \
		"g") ",\"id\":4}]},{" FRAME("h") ",\"selfSize\":64,\"children\":[]}]," ROOT                            \
						 ",\"selfSize\":0},\"samples\":[{\"size\":32,\"nodeId\":2}]}"

static void heaps_are_read_by_size(void **state)
{
	(void)state;
	struct profile p;
	struct error err = { "" };
	if (decode(v8_heap_decode, slice_str(HEAP), &p, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(p.n_types, 1);
	assert_string_equal(strtab_cstr(&p.dict.strings, p.types[0].type), "inuse_space");
	assert_string_equal(strtab_cstr(&p.dict.strings, p.types[0].unit), "bytes");
	assert_folded(&p, 0, "f 32\nf;g 8\nh 64\n");
	profile_done(&p);
}

static void assert_refused(decoder_fn *with, const char *text, int code, const char *message)
{
	struct error err = { "" };
	struct profile p;
	int r = decode(with, slice_str(text), &p, &err);
	assert_string_equal(err.text, message);
	assert_int_equal(r, code);
	profile_done(&p);
}

static void messages_name_what_is_wrong(void **state)
{
	(void)state;
	assert_refused(v8_cpu_decode, "{}", -EBADMSG, "at byte 0: no nodes");
	assert_refused(v8_cpu_decode, "{\"nodes\":[{\"id\":1}]}", -EBADMSG,
		       "at byte 10: a node without id or callFrame");
	assert_refused(v8_cpu_decode, "{\"nodes\":[{\"id\":1," ROOT "},{\"id\":1," ROOT "}]}", -EBADMSG,
		       "at byte 106: node 1 is there twice");
	assert_refused(v8_cpu_decode, "{\"nodes\":[{\"id\":1," ROOT ",\"children\":[7]}]}", -EBADMSG,
		       "at byte 111: a child that is no node");
	assert_refused(v8_cpu_decode, "{\"nodes\":[{\"id\":1," ROOT ",\"children\":[7,7]}]}", -EBADMSG,
		       "at byte 113: node 7 has two parents");
	assert_refused(v8_cpu_decode, "{\"nodes\":[{\"id\":1," ROOT "},{\"id\":2," ROOT "}]}", -EBADMSG,
		       "at byte 100: a second node without parent");
	assert_refused(v8_cpu_decode, "{\"nodes\":[{\"id\":1," ROOT ",\"children\":[1]}]}", -EBADMSG,
		       "at byte 10: a node that is its own ancestor");
	assert_refused(v8_cpu_decode, "{\"samples\":[9],\"timeDeltas\":[1]," NODES "}", -EBADMSG,
		       "at byte 12: node 9 does not exist");
	assert_refused(v8_cpu_decode, "{\"samples\":[2],\"timeDeltas\":[]," NODES "}", -EBADMSG,
		       "at byte 28: fewer timeDeltas than samples");
	assert_refused(v8_heap_decode, "{}", -EBADMSG, "at byte 0: no node with a selfSize");
	assert_refused(v8_heap_decode, "{\"head\":{\"selfSize\":1}}", -EBADMSG, "at byte 20: a node without callFrame");
	assert_refused(v8_heap_decode, "{\"head\":{\"selfSize\":-1}}", -EBADMSG, "at byte 20: a negative count");
}

static void limits_are_named(void **state)
{
	(void)state;
	struct format_limits l = format_limits_default;
	struct error err = { "" };
	struct profile p;
	l.depth = 1;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(v8_cpu_decode(slice_str("{" NODES "}"), &l, &p, &err), -E2BIG);
	assert_string_equal(err.text, "at byte 130: more than 1 frames in one stack");
	profile_done(&p);
	l = format_limits_default;
	l.n_samples = 1;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(v8_cpu_decode(slice_str("{" NODES "}"), &l, &p, &err), -E2BIG);
	assert_string_equal(err.text, "at byte 130: more than 1 samples");
	profile_done(&p);
	l = format_limits_default;
	l.n_strings = 1;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(v8_cpu_decode(slice_str("{" NODES "}"), &l, &p, &err), -E2BIG);
	assert_non_null(strstr(err.text, "more than 1 strings"));
	profile_done(&p);
	l.n_locations = 1;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(v8_heap_decode(slice_str(HEAP), &l, &p, &err), -E2BIG);
	assert_string_equal(err.text, "at byte 21: more than 1 nodes");
	profile_done(&p);
	struct membudget budget = membudget_of(SIZE_MAX);
	assert_int_equal(profile_init(&p, &budget), 0);
	budget.max = budget.used; /* from here on, nothing more */
	assert_int_equal(v8_heap_decode(slice_str(HEAP), &format_limits_default, &p, &err), -ENOBUFS);
	profile_done(&p);
	assert_int_equal(budget.used, 0);
}

static void try_broken(decoder_fn *with, const char *whole)
{
	size_t size = strlen(whole);
	_cleanup_(free_ptr)
	uint8_t *copy = malloc(size);
	assert_non_null(copy);
	for (size_t n = 0; n < size; n++) {
		struct error err = { "" };
		struct profile p;
		memcpy(copy + size - n, whole, n); /* ends where the memory does */
		assert_int_equal(decode(with, slice_of(copy + size - n, n), &p, &err), -ENODATA);
		profile_done(&p);
	}
	memcpy(copy, whole, size);
	for (size_t bit = 0; bit < size * 8; bit++) {
		struct error err = { "" };
		struct profile p;
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		int r = decode(with, slice_of(copy, size), &p, &err);
		assert_true(r == 0 || err.text[0]);
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		profile_done(&p);
	}
}

static void broken_files_end_well(void **state)
{
	(void)state;
	try_broken(v8_cpu_decode, "{" NODES ",\"startTime\":1,\"endTime\":9,\"samples\":[2,3],\"timeDeltas\":[1,2]}");
	try_broken(v8_heap_decode, HEAP);
}

/* What Node writes itself, of a program that burns and allocates. */
static const char script[] = "cd \"$1\" && printf '%s' 'globalThis.keep = []; function burn(n) {"
			     " return n < 2 ? n : burn(n - 1) + burn(n - 2); }"
			     " function grow() { for (let i = 0; i < 60000; i++) keep.push({ i, s: \"x\" + i }); }"
			     " burn(29); grow();' > program.js &&"
			     " node --cpu-prof --cpu-prof-name=cpu --heap-prof --heap-prof-name=heap"
			     " --heap-prof-interval=4096 program.js";

static bool mentions(const struct profile *p, const char *name)
{
	bool found;
	(void)strtab_find(&p->dict.strings, slice_str(name), &found);
	return found;
}

static void read_node_file(const char *folder, const char *name, enum format want, struct profile *p)
{
	char path[4096];
	_cleanup_(buf_done)
	struct buf text = buf_of(64 << 20);
	struct error err = { "" };
	enum format found = FORMAT_UNKNOWN;
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(profile_init(p, NULL), 0);
	if (file_read(path, &text, &err) < 0 ||
	    format_decode(slice_of(text.data, text.n), &format_limits_default, p, &found, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(found, want);
	assert_true(profile_n_samples(p) > 0);
}

static void files_of_node_are_read(void **state)
{
	(void)state;
	if (system("command -v node >/dev/null") != 0)
		skip_because("no node");
	char folder[] = "/tmp/wick-v8-XXXXXX", command[2048];
	assert_non_null(mkdtemp(folder));
	(void)snprintf(command, sizeof(command), "set -- %s; %s", folder, script);
	assert_int_equal(system(command), 0);
	struct profile p;
	read_node_file(folder, "cpu", FORMAT_V8_CPU, &p);
	assert_true(mentions(&p, "burn") && p.duration_ns > 0);
	int64_t wall = 0;
	for (uint32_t i = 0; i < profile_n_samples(&p); i++)
		wall += p.value[1].data[i];
	/* From the first sample to the end: not more than there was. */
	assert_true(wall > 0 && wall <= p.duration_ns);
	profile_done(&p);
	read_node_file(folder, "heap", FORMAT_V8_HEAP, &p);
	assert_true(mentions(&p, "grow"));
	profile_done(&p);
	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sample_lasts_until_the_next), cmocka_unit_test(hits_stand_in_for_samples),
		cmocka_unit_test(places_count_from_one),	 cmocka_unit_test(heaps_are_read_by_size),
		cmocka_unit_test(messages_name_what_is_wrong),	 cmocka_unit_test(limits_are_named),
		cmocka_unit_test(broken_files_end_well),	 cmocka_unit_test(files_of_node_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
