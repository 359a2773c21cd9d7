/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a large synthetic pprof profile, always the same for the same
 * arguments: gen_pprof [samples] > big.pb
 *
 * 600,000 samples (the default) make 112 MB: 33 M location references, depth
 * 30-80, 120 k locations, 60 k functions, about 1 M call-tree nodes. */
#include "format/pprof_wire.h"
#include "format/protobuf.h"
#include "synthetic.h"

#include <inttypes.h>
#include <stdio.h>

#define N_LOCATIONS 120000
#define N_FUNCTIONS 60000

static void flush(struct buf *b)
{
	if (b->failed || fwrite(b->data, 1, b->n, stdout) != b->n) {
		(void)fputs("gen_pprof: cannot write\n", stderr);
		exit(1);
	}
	b->n = 0;
}

/* What is seen often has ids as long as anything else. */
static uint32_t location_of(uint32_t code)
{
	return 1 + code * 7919 % N_LOCATIONS;
}

static void put_sample(const struct synthetic *t, uint32_t leaf, struct buf *body, struct buf *inner, struct buf *out)
{
	body->n = inner->n = 0;
	for (uint32_t node = leaf; node; node = t->parent[node])
		pb_put_varint(inner, location_of(t->code[node]));
	pb_put_bytes(body, SAMPLE_LOCATION_ID, slice_of(inner->data, inner->n));
	inner->n = 0;
	uint32_t count = 1 + synthetic_any(3);
	pb_put_varint(inner, count);
	pb_put_varint(inner, count * UINT64_C(10000000));
	pb_put_bytes(body, SAMPLE_VALUE, slice_of(inner->data, inner->n));
	pb_put_bytes(out, PROFILE_SAMPLE, slice_of(body->data, body->n));
	if (out->n > 1 << 20)
		flush(out);
}

static void put_samples(uint32_t n, struct buf *body, struct buf *inner, struct buf *out)
{
	struct synthetic t;
	synthetic_init(&t, (struct synthetic_shape){ N_LOCATIONS, 30, 80 }, n);
	uint64_t n_references = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t leaf = synthetic_next(&t);
		put_sample(&t, leaf, body, inner, out);
		n_references += t.depth[leaf];
	}
	(void)fprintf(stderr, "gen_pprof: %u samples, %" PRIu64 " location references, %u nodes\n", n, n_references,
		      t.n);
	synthetic_done(&t);
}

static void put_locations(struct buf *body, struct buf *inner, struct buf *out)
{
	for (uint32_t i = 1; i <= N_LOCATIONS; i++) {
		body->n = inner->n = 0;
		pb_put_uint(inner, LINE_FUNCTION_ID, 1 + (i - 1) / (N_LOCATIONS / N_FUNCTIONS));
		pb_put_uint(inner, LINE_LINE, 1 + synthetic_any(3000));
		pb_put_uint(body, LOCATION_ID, i);
		pb_put_uint(body, LOCATION_MAPPING_ID, 1);
		pb_put_uint(body, LOCATION_ADDRESS, 0x400000 + UINT64_C(37) * i);
		pb_put_bytes(body, LOCATION_LINE, slice_of(inner->data, inner->n));
		pb_put_bytes(out, PROFILE_LOCATION, slice_of(body->data, body->n));
	}
	for (uint32_t i = 1; i <= N_FUNCTIONS; i++) {
		body->n = 0;
		pb_put_uint(body, FUNCTION_ID, i);
		pb_put_uint(body, FUNCTION_NAME, 6 + i);
		pb_put_uint(body, FUNCTION_SYSTEM_NAME, 6 + i);
		pb_put_uint(body, FUNCTION_FILENAME, 6 + N_FUNCTIONS + 1 + i % 1000);
		pb_put_bytes(out, PROFILE_FUNCTION, slice_of(body->data, body->n));
	}
}

static void put_type(enum profile_field field, uint32_t type, uint32_t unit, struct buf *body, struct buf *out)
{
	body->n = 0;
	pb_put_uint(body, VALUE_TYPE_TYPE, type);
	pb_put_uint(body, VALUE_TYPE_UNIT, unit);
	pb_put_bytes(out, field, slice_of(body->data, body->n));
}

static void put_strings(struct buf *out)
{
	static const char *const first[] = { "", "samples", "count", "cpu", "nanoseconds", "/usr/bin/server", "" };
	for (size_t i = 0; i < ARRAY_SIZE(first); i++)
		pb_put_bytes(out, PROFILE_STRING_TABLE, slice_str(first[i]));
	char name[64];
	for (uint32_t i = 1; i <= N_FUNCTIONS; i++) {
		(void)snprintf(name, sizeof(name), "server::module%u::Handler%u::process_request", i % 97, i);
		pb_put_bytes(out, PROFILE_STRING_TABLE, slice_str(name));
	}
	for (uint32_t i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "src/module%u/handler_%u.cc", i % 97, i);
		pb_put_bytes(out, PROFILE_STRING_TABLE, slice_str(name));
	}
}

int main(int argc, char **argv)
{
	unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 600000;
	if (n == 0 || n > 100000000) {
		(void)fputs("usage: gen_pprof [samples] > big.pb\n", stderr);
		return 1;
	}
	_cleanup_(buf_done)
	struct buf out = buf_of(64 << 20), body = buf_of(1 << 20), inner = buf_of(1 << 20);
	put_type(PROFILE_SAMPLE_TYPE, 1, 2, &body, &out);
	put_type(PROFILE_SAMPLE_TYPE, 3, 4, &body, &out);
	put_samples((uint32_t)n, &body, &inner, &out);
	body.n = 0;
	pb_put_uint(&body, PB_MAPPING_ID, 1);
	pb_put_uint(&body, PB_MAPPING_START, 0x400000);
	pb_put_uint(&body, PB_MAPPING_LIMIT, 0x4000000);
	pb_put_uint(&body, PB_MAPPING_FILENAME, 5);
	pb_put_bytes(&out, PROFILE_MAPPING, slice_of(body.data, body.n));
	put_locations(&body, &inner, &out);
	put_type(PROFILE_PERIOD_TYPE, 3, 4, &body, &out);
	pb_put_uint(&out, PROFILE_PERIOD, 10000000);
	put_strings(&out);
	flush(&out);
	return fflush(stdout) == 0 ? 0 : 1;
}
