/* SPDX-License-Identifier: Apache-2.0 */
/* Writes large text profiles, always the same for the same arguments:
 * gen_text KIND [samples] > big.txt
 *
 *   perfscript   as `perf script` prints: address, symbol+offset, module;
 *                14 threads, one event
 *   folded       as stackcollapse scripts write: each stack once, stacks with
 *                a common beginning next to each other
 *   recorded     folded lines in the order of samples: little in common with
 *                the line before
 *   sampled      speedscope, samples and weights in the order of samples
 *   evented      speedscope, the same samples as frames opened and closed
 *
 * 20-60 frames, 30 k functions. The defaults make about 100 MB each. */
#include "base/buf.h"
#include "synthetic.h"

#include <inttypes.h>
#include <stdio.h>

#define N_FUNCTIONS  30000
#define N_MAX_FRAMES 60

static void flush(struct buf *b)
{
	if (b->failed || fwrite(b->data, 1, b->n, stdout) != b->n) {
		(void)fputs("gen_text: cannot write\n", stderr);
		exit(1);
	}
	b->n = 0;
}

/* A seventh of the code is the kernel's. */
static bool is_kernel(uint32_t code)
{
	return code % 7 == 0;
}

static void put_name(struct buf *out, uint32_t code)
{
	if (is_kernel(code))
		buf_printf(out, "do_sys_call_%u", code);
	else
		buf_printf(out, "server::module%u::Handler%u::process", code % 97, code);
}

static void put_script(const struct synthetic *t, struct buf *out)
{
	for (uint32_t i = 0; i < t->n_leaves; i++) {
		uint32_t codes[N_MAX_FRAMES], n = synthetic_stack(t, t->leaves[i], codes), thread = synthetic_any(14);
		buf_printf(out, "worker-%u %7u/%u [%03u] %6u.%06u:   10101010 cpu-clock:pppH: \n", thread, 4000u,
			   4001 + thread, synthetic_any(16), 86400 + i / 1000, i % 1000 * 1000);
		for (uint32_t k = 0; k < n; k++) {
			uint64_t base = is_kernel(codes[k]) ? UINT64_C(0xffffffff81000000) : UINT64_C(0x55d0c0a00000);
			buf_printf(out, "\t%16" PRIx64 " ", base + UINT64_C(97) * codes[k]);
			put_name(out, codes[k]);
			buf_printf(out, "+0x%x (%s)\n", codes[k] % 800,
				   is_kernel(codes[k]) ? "[kernel.kallsyms]" : "/usr/lib/server/libserver.so.3");
		}
		buf_add_byte(out, '\n');
		flush(out);
	}
}

static void put_folded(const struct synthetic *t, uint32_t leaf, uint32_t count, struct buf *out)
{
	uint32_t codes[N_MAX_FRAMES], n = synthetic_stack(t, leaf, codes);
	while (n-- > 0) {
		put_name(out, codes[n]);
		if (is_kernel(codes[n]))
			buf_add_str(out, "_[k]");
		buf_add_byte(out, n ? ';' : ' ');
	}
	buf_printf(out, "%u\n", count);
	flush(out);
}

/* Each leaf once, subtree by subtree. */
static void put_collapsed(const struct synthetic *t, struct buf *out)
{
	uint32_t *count = calloc(t->n, sizeof(*count)), *first = calloc(t->n, sizeof(*first)),
		 *next = calloc(t->n, sizeof(*next));
	if (!count || !first || !next)
		exit(1);
	for (uint32_t i = 0; i < t->n_leaves; i++)
		count[t->leaves[i]]++;
	for (uint32_t i = t->n - 1; i > 0; i--) {
		next[i] = first[t->parent[i]];
		first[t->parent[i]] = i;
	}
	for (uint32_t node = first[0]; node;) {
		if (count[node])
			put_folded(t, node, count[node], out);
		if (first[node]) {
			node = first[node];
			continue;
		}
		while (node && !next[node])
			node = t->parent[node];
		node = next[node];
	}
	free(count);
	free(first);
	free(next);
}

static void put_frames(struct buf *out)
{
	buf_add_str(out,
		    "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"shared\":{\"frames\":[");
	for (uint32_t i = 0; i <= N_FUNCTIONS; i++) {
		buf_add_str(out, i ? ",{\"name\":\"" : "{\"name\":\"");
		put_name(out, i);
		buf_printf(out, "\",\"file\":\"src/module%u/handler.cc\",\"line\":%u}", i % 97, 1 + i % 3000);
	}
	buf_add_str(out, "]},\"profiles\":[{\"name\":\"server\",\"unit\":\"milliseconds\",\"startValue\":0,");
}

static void put_sampled(const struct synthetic *t, struct buf *out)
{
	put_frames(out);
	buf_printf(out, "\"endValue\":%u,\"type\":\"sampled\",\"samples\":[", 10 * t->n_leaves);
	for (uint32_t i = 0; i < t->n_leaves; i++) {
		uint32_t codes[N_MAX_FRAMES], n = synthetic_stack(t, t->leaves[i], codes);
		buf_add_str(out, i ? ",[" : "[");
		while (n-- > 0)
			buf_printf(out, n ? "%u," : "%u]", codes[n]);
		flush(out);
	}
	buf_add_str(out, "],\"weights\":[");
	for (uint32_t i = 0; i < t->n_leaves; i++)
		buf_add_str(out, i ? ",10" : "10");
	buf_add_str(out, "]}]}\n");
	flush(out);
}

static void put_event(char type, uint32_t code, double at, bool first, struct buf *out)
{
	buf_printf(out, "%s{\"type\":\"%c\",\"frame\":%u,\"at\":%.3f}", first ? "" : ",", type, code, at);
}

static void put_evented(const struct synthetic *t, struct buf *out)
{
	uint32_t open[N_MAX_FRAMES], depth = 0;
	double at = 0;
	put_frames(out);
	buf_printf(out, "\"endValue\":%u,\"type\":\"evented\",\"events\":[", 10 * t->n_leaves);
	for (uint32_t i = 0; i <= t->n_leaves; i++) {
		uint32_t codes[N_MAX_FRAMES], n = 0, same = 0;
		if (i < t->n_leaves)
			n = synthetic_stack(t, t->leaves[i], codes);
		while (same < n && same < depth && open[same] == codes[n - 1 - same])
			same++;
		while (depth > same)
			put_event('C', open[--depth], at, false, out);
		for (; depth < n; depth++)
			put_event('O', open[depth] = codes[n - 1 - depth], at, i == 0 && depth == 0, out);
		at += 9.5 + (double)synthetic_any(1000) / 1000;
		flush(out);
	}
	buf_add_str(out, "]}]}\n");
	flush(out);
}

static void put_recorded(const struct synthetic *t, struct buf *out)
{
	for (uint32_t i = 0; i < t->n_leaves; i++)
		put_folded(t, t->leaves[i], 1, out);
}

static const struct {
	const char *name;
	uint32_t n_samples;
	void (*put)(const struct synthetic *, struct buf *);
} kinds[] = {
	{ "perfscript", 27000, put_script }, { "folded", 66000, put_collapsed }, { "recorded", 66000, put_recorded },
	{ "sampled", 430000, put_sampled },  { "evented", 36000, put_evented },
};

int main(int argc, char **argv)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(64 << 20);
	struct synthetic t;
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(argv[1], kinds[i].name) != 0)
			continue;
		uint32_t n = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : kinds[i].n_samples;
		synthetic_init(&t, (struct synthetic_shape){ N_FUNCTIONS, 20, N_MAX_FRAMES }, n);
		for (uint32_t k = 0; k < n; k++)
			(void)synthetic_next(&t);
		kinds[i].put(&t, &out);
		(void)fprintf(stderr, "gen_text: %s: %u samples, %u nodes\n", argv[1], n, t.n);
		synthetic_done(&t);
		return fflush(stdout) == 0 ? 0 : 1;
	}
	(void)fputs("usage: gen_text perfscript|folded|recorded|sampled|evented [samples] > FILE\n", stderr);
	return 1;
}
