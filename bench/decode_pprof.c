/* SPDX-License-Identifier: Apache-2.0 */
/* Time and memory from the bytes of a profile to its top table:
 * decode_pprof FILE [rounds]. One line of key=value per round. */
#include "base/clock.h"
#include "base/file.h"
#include "format/detect.h"
#include "format/limits.h"
#include "model/toptable.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/resource.h>

struct round {
	double decode_s, tree_s, top_s;
	uint32_t n_samples, n_nodes, n_tree_nodes, n_rows;
	size_t peak;
};

static double seconds_since(int64_t start)
{
	return (double)(clock_mono_ns() - start) / 1e9;
}

static int run(struct slice bytes, struct round *ret, struct error *err)
{
	struct membudget budget = membudget_of((size_t)4 << 30);
	_cleanup_(profile_done)
	struct profile p;
	_cleanup_(calltree_builder_free)
	struct calltree_builder *builder = NULL;
	_cleanup_(calltree_done)
	struct calltree tree = { .budget = &budget };
	_cleanup_(free_ptr)
	struct top_row *rows = NULL;
	int r = profile_init(&p, &budget);
	if (r < 0)
		return r;
	int64_t start = clock_mono_ns();
	r = format_decode(bytes, &format_limits_default, &p, NULL, err);
	if (r < 0)
		return r;
	ret->decode_s = seconds_since(start);
	ret->n_samples = profile_n_samples(&p);
	ret->n_nodes = dict_n_nodes(&p.dict);
	start = clock_mono_ns();
	_cleanup_(free_ptr)
	int64_t *self = calloc(dict_n_nodes(&p.dict), sizeof(*self));
	builder = calltree_builder_new(&budget);
	if (!self || !builder)
		return -ENOMEM;
	profile_node_values(&p, profile_default_type(&p), self);
	r = calltree_add(builder, &p.dict, self, slice_of("", 0), NULL);
	if (r == 0)
		r = calltree_finish(builder, &tree);
	ret->tree_s = seconds_since(start);
	start = clock_mono_ns();
	if (r == 0)
		r = top_compute(&tree, TOP_BY_SELF, &rows, &ret->n_rows);
	ret->top_s = seconds_since(start);
	ret->n_tree_nodes = tree.n;
	ret->peak = budget.peak;
	return r;
}

int main(int argc, char **argv)
{
	_cleanup_(buf_done)
	struct buf file = buf_of((size_t)2 << 30);
	struct error err = { "out of memory" };
	if (argc < 2) {
		(void)fputs("usage: decode_pprof FILE [rounds]\n", stderr);
		return 2;
	}
	int n = argc > 2 ? atoi(argv[2]) : 1;
	int r = file_read(argv[1], &file, &err);
	for (int i = 0; r == 0 && i < n; i++) {
		struct round round = { 0 };
		r = run(slice_of(file.data, file.n), &round, &err);
		struct rusage usage;
		(void)getrusage(RUSAGE_SELF, &usage);
		if (r == 0)
			(void)printf("bytes=%zu decode_s=%.3f tree_s=%.3f top_s=%.3f total_s=%.3f samples=%" PRIu32
				     " nodes=%" PRIu32 " tree_nodes=%" PRIu32 " rows=%" PRIu32
				     " budget_peak_mb=%.1f rss_peak_mb=%.1f\n",
				     file.n, round.decode_s, round.tree_s, round.top_s,
				     round.decode_s + round.tree_s + round.top_s, round.n_samples, round.n_nodes,
				     round.n_tree_nodes, round.n_rows, (double)round.peak / 1e6,
				     (double)usage.ru_maxrss / 1e3);
	}
	if (r < 0)
		(void)fprintf(stderr, "decode_pprof: %s: %s\n", argv[1], err.text);
	return r < 0;
}
