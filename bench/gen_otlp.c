/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a large OTLP request (layout since v1.10) as eBPF profilers ship
 * them, always the same for the same arguments:
 * gen_otlp [stacks [hits]] > big.otlp
 *
 *   40 resources (processes), each one profile of samples:count
 *   a sample: a stack, three attributes (thread name, thread id, cpu) and a
 *   time for each hit; no values. Three samples to a stack, depth 20-60,
 *   120 k locations, 60 k functions
 *
 * Three of four samples were hit once, the others up to `hits` times: 190 (the
 * default) makes times as large a part of the whole as they are in the files
 * such profilers wrote here. 120,000 stacks (the default) then make 96 MB.
 * `gen_otlp 450000 1` makes as much of nothing but stacks and samples.
 *
 * Stacks stand in the order in which they were first seen, as an exporter
 * interns them, so that neighbours have little in common. */
#include "format/otlp_wire.h"
#include "format/protobuf.h"
#include "synthetic.h"

#include <stdio.h>

#define N_LOCATIONS	  120000
#define N_FUNCTIONS	  60000
#define N_RESOURCES	  40
#define N_THREADS	  64 /* of one process */
#define N_CPUS		  16
#define SAMPLES_PER_STACK 3
#define START_NS	  UINT64_C(1700000000000000000)
#define MAX_HITS	  1000
#define N_MAX_FRAMES	  60

enum {
	S_NONE,
	S_SAMPLES,
	S_COUNT,
	S_CPU,
	S_NANOSECONDS,
	S_THREAD_NAME,
	S_THREAD_ID,
	S_CPU_ID,
	S_FRAME_TYPE,
	S_NATIVE,
	S_PATH,
	S_FIRST_THREAD,
	S_FIRST_FUNCTION = S_FIRST_THREAD + N_THREADS,
	S_FIRST_FILE = S_FIRST_FUNCTION + N_FUNCTIONS,
	N_STRINGS = S_FIRST_FILE + 1000
};

/* Rows of the attribute table. */
enum {
	A_NONE,
	A_NATIVE,
	A_FIRST_NAME,
	A_FIRST_ID = A_FIRST_NAME + N_THREADS,
	A_FIRST_CPU = A_FIRST_ID + N_RESOURCES * N_THREADS,
	N_ATTRIBUTES = A_FIRST_CPU + N_CPUS
};

static void flush(struct buf *b)
{
	if (b->failed || fwrite(b->data, 1, b->n, stdout) != b->n) {
		(void)fputs("gen_otlp: cannot write\n", stderr);
		exit(1);
	}
	b->n = 0;
}

static void put_message(struct buf *out, uint32_t number, struct buf *message)
{
	pb_put_bytes(out, number, slice_of(message->data, message->n));
	message->n = 0;
}

static void put_packed(struct buf *out, uint32_t number, const uint32_t *values, uint32_t n)
{
	uint8_t bytes[N_MAX_FRAMES * 5];
	size_t size = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t v = values[i];
		for (; v >= 0x80; v >>= 7)
			bytes[size++] = (uint8_t)(v | 0x80);
		bytes[size++] = (uint8_t)v;
	}
	pb_put_bytes(out, number, slice_of(bytes, size));
}

static void put_type(struct buf *out, uint32_t number, uint32_t type, uint32_t unit, struct buf *message)
{
	pb_put_uint(message, OTLP_TYPE_TYPE, type);
	pb_put_uint(message, OTLP_TYPE_UNIT, unit);
	put_message(out, number, message);
}

static void put_sample(struct buf *out, uint32_t resource, uint32_t stack, uint32_t hits, uint64_t *now,
		       struct buf *message)
{
	uint32_t thread = synthetic_any(8) ? synthetic_any(8) : synthetic_any(N_THREADS);
	uint32_t attributes[] = { A_FIRST_NAME + thread, A_FIRST_ID + resource * N_THREADS + thread,
				  A_FIRST_CPU + synthetic_any(N_CPUS) };
	uint64_t times[MAX_HITS];
	uint32_t n_times = synthetic_any(4) ? 1 : 1 + synthetic_any(hits);
	for (uint32_t i = 0; i < n_times; i++)
		times[i] = *now += 1000 * (1 + synthetic_any(1000));
	pb_put_uint(message, OTLP_SAMPLE_STACK, stack);
	put_packed(message, OTLP_SAMPLE_ATTRIBUTES, attributes, ARRAY_SIZE(attributes));
	pb_put_bytes(message, 5, slice_of(times, n_times * sizeof(times[0])));
	put_message(out, OTLP_PROFILE_SAMPLES, message);
}

/* One resource with one scope with one profile; its samples are of stacks
 * that are new or were new lately. */
static void put_resource(struct buf *out, uint32_t resource, uint32_t first_stack, uint32_t end_stack, uint32_t hits)
{
	_cleanup_(buf_done)
	struct buf profile = buf_of(256 << 20), message = buf_of(1 << 20), scope = buf_of(256 << 20);
	_cleanup_(buf_done)
	struct buf whole = buf_of(256 << 20);
	uint64_t now = START_NS;
	put_type(&profile, OTLP_PROFILE_SAMPLE_TYPE, S_SAMPLES, S_COUNT, &message);
	for (uint32_t i = first_stack * SAMPLES_PER_STACK; i < end_stack * SAMPLES_PER_STACK; i++) {
		uint32_t newest = i / SAMPLES_PER_STACK, back = i % SAMPLES_PER_STACK ? synthetic_any(2000) : 0;
		put_sample(&profile, resource, 1 + (back < newest - first_stack ? newest - back : newest), hits, &now,
			   &message);
	}
	pb_put_key(&profile, OTLP_PROFILE_TIME, PB_64);
	buf_add(&profile, &(uint64_t){ START_NS }, 8);
	pb_put_uint(&profile, OTLP_PROFILE_DURATION, now - START_NS);
	put_type(&profile, OTLP_PROFILE_PERIOD_TYPE, S_CPU, S_NANOSECONDS, &message);
	pb_put_uint(&profile, OTLP_PROFILE_PERIOD, 10000000);
	put_message(&scope, SCOPE_PROFILES_PROFILES, &profile);
	char pid[16];
	(void)snprintf(pid, sizeof(pid), "%u", 1000 + resource);
	pb_put_bytes(&message, ANY_STRING, slice_str(pid));
	pb_put_bytes(&profile, KEY_VALUE_KEY, slice_str("process.pid"));
	put_message(&profile, KEY_VALUE_VALUE, &message);
	put_message(&message, RESOURCE_ATTRIBUTES, &profile);
	put_message(&whole, RESOURCE_PROFILES_RESOURCE, &message);
	put_message(&whole, RESOURCE_PROFILES_SCOPE_PROFILES, &scope);
	put_message(out, OTLP_RESOURCE_PROFILES, &whole);
	flush(out);
}

static void put_attribute(struct buf *dictionary, uint32_t key, uint32_t string, uint32_t number, struct buf *value)
{
	_cleanup_(buf_done)
	struct buf row = buf_of(100);
	pb_put_uint(&row, ATTRIBUTE_KEY_STRINDEX, key);
	if (string) {
		pb_put_uint(value, ANY_STRINDEX, string);
	} else {
		pb_put_key(value, ANY_INT, PB_VARINT);
		pb_put_varint(value, number);
	}
	put_message(&row, ATTRIBUTE_VALUE, value);
	put_message(dictionary, DICTIONARY_ATTRIBUTE, &row);
}

static void put_attributes(struct buf *dictionary, struct buf *message)
{
	put_message(dictionary, DICTIONARY_ATTRIBUTE, message);
	put_attribute(dictionary, S_FRAME_TYPE, S_NATIVE, 0, message);
	for (uint32_t i = 0; i < N_THREADS; i++)
		put_attribute(dictionary, S_THREAD_NAME, S_FIRST_THREAD + i, 0, message);
	for (uint32_t i = 0; i < N_RESOURCES * N_THREADS; i++)
		put_attribute(dictionary, S_THREAD_ID, 0, 1000 + i, message);
	for (uint32_t i = 0; i < N_CPUS; i++)
		put_attribute(dictionary, S_CPU_ID, 0, i, message);
}

static void put_locations(struct buf *dictionary, struct buf *message)
{
	_cleanup_(buf_done)
	struct buf line = buf_of(100);
	put_message(dictionary, DICTIONARY_MAPPING, message);
	pb_put_uint(message, OTLP_MAPPING_LIMIT, 0x4000000);
	pb_put_uint(message, OTLP_MAPPING_FILENAME, S_PATH);
	put_message(dictionary, DICTIONARY_MAPPING, message);
	put_message(dictionary, DICTIONARY_LOCATION, message);
	for (uint32_t i = 1; i <= N_LOCATIONS; i++) {
		pb_put_uint(&line, OTLP_LINE_FUNCTION, 1 + (i - 1) / (N_LOCATIONS / N_FUNCTIONS));
		pb_put_uint(&line, OTLP_LINE_LINE, 1 + synthetic_any(3000));
		pb_put_uint(message, OTLP_LOCATION_MAPPING, 1);
		pb_put_uint(message, OTLP_LOCATION_ADDRESS, 0x400000 + UINT64_C(37) * i);
		put_message(message, OTLP_LOCATION_LINES, &line);
		put_packed(message, OTLP_LOCATION_ATTRIBUTES, &(uint32_t){ A_NATIVE }, 1);
		put_message(dictionary, DICTIONARY_LOCATION, message);
	}
	put_message(dictionary, DICTIONARY_FUNCTION, message);
	for (uint32_t i = 1; i <= N_FUNCTIONS; i++) {
		pb_put_uint(message, OTLP_FUNCTION_NAME, S_FIRST_FUNCTION + i - 1);
		pb_put_uint(message, OTLP_FUNCTION_FILENAME, S_FIRST_FILE + i % 1000);
		put_message(dictionary, DICTIONARY_FUNCTION, message);
	}
	put_message(dictionary, DICTIONARY_LINK, message);
}

static void put_strings(struct buf *dictionary)
{
	static const char *const first[] = { "",
					     "samples",
					     "count",
					     "cpu",
					     "nanoseconds",
					     "thread.name",
					     "thread.id",
					     "cpu.logical_number",
					     "profile.frame.type",
					     "native",
					     "/usr/bin/server" };
	for (size_t i = 0; i < ARRAY_SIZE(first); i++)
		pb_put_bytes(dictionary, DICTIONARY_STRING, slice_str(first[i]));
	for (uint32_t i = S_FIRST_THREAD; i < N_STRINGS; i++) {
		char name[80];
		uint32_t k = i - S_FIRST_FUNCTION;
		if (i < S_FIRST_FUNCTION)
			(void)snprintf(name, sizeof(name), "worker-%u", i - S_FIRST_THREAD);
		else if (i < S_FIRST_FILE)
			(void)snprintf(name, sizeof(name), "server::module%u::Handler%u::process_request", k % 97, k);
		else
			(void)snprintf(name, sizeof(name), "src/module%u/handler_%u.cc", i % 97, i - S_FIRST_FILE);
		pb_put_bytes(dictionary, DICTIONARY_STRING, slice_str(name));
	}
}

static void put_stacks(const struct synthetic *t, struct buf *dictionary, struct buf *message)
{
	put_message(dictionary, DICTIONARY_STACK, message);
	for (uint32_t i = 0; i < t->n_leaves; i++) {
		uint32_t codes[N_MAX_FRAMES], n = synthetic_stack(t, t->leaves[i], codes);
		put_packed(message, STACK_LOCATION_INDICES, codes, n);
		put_message(dictionary, DICTIONARY_STACK, message);
	}
}

int main(int argc, char **argv)
{
	unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 120000;
	unsigned long hits = argc > 2 ? strtoul(argv[2], NULL, 10) : 190;
	if (n < N_RESOURCES || n > 5000000 || hits < 1 || hits > MAX_HITS) {
		(void)fputs("usage: gen_otlp [stacks [hits]] > big.otlp\n", stderr);
		return 1;
	}
	struct synthetic t;
	synthetic_init(&t, (struct synthetic_shape){ N_LOCATIONS, 20, N_MAX_FRAMES }, (uint32_t)n);
	for (uint32_t i = 0; i < n; i++)
		(void)synthetic_next(&t);
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 30), dictionary = buf_of(1 << 30), message = buf_of(1 << 20);
	for (uint32_t i = 0; i < N_RESOURCES; i++)
		put_resource(&out, i, (uint32_t)(n * i / N_RESOURCES), (uint32_t)(n * (i + 1) / N_RESOURCES),
			     (uint32_t)hits);
	put_locations(&dictionary, &message);
	put_attributes(&dictionary, &message);
	put_stacks(&t, &dictionary, &message);
	put_strings(&dictionary);
	put_message(&out, OTLP_DICTIONARY, &dictionary);
	flush(&out);
	(void)fprintf(stderr, "gen_otlp: %lu stacks, %lu samples, %u nodes\n", n, n * SAMPLES_PER_STACK, t.n);
	synthetic_done(&t);
	return fflush(stdout) == 0 ? 0 : 1;
}
