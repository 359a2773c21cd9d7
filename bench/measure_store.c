/* SPDX-License-Identifier: Apache-2.0 */
/* measure_store: the store with a fleet's days in it (fleet.h).
 *
 *   feed DIR NODES DAYS    makes the store: profiles by store_submit(), a block for as much as
 *                          would be 192 MiB of log, compaction after each, at the time it would be
 *   feed_timed DIR NODES DAYS     the same, with the time of each sample
 *   feed_many DIR STACKS SERIES   5 M distinct stacks, 100 k series: no names in common
 *   query DIR NODES DAYS   times of questions, cold and warm
 *   thin DIR               single profiles go, sums stay
 *   sizes DIR              bytes by section and column
 *
 * Prints "name value" on stdout, comments on stderr. Memory is that of a server
 * with --memory-limit 512M. */
#include "store_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t number(const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	if (*end || v == 0 || v > UINT32_MAX) {
		(void)fprintf(stderr, "measure_store: %s: a number is expected\n", text);
		exit(2);
	}
	return (uint32_t)v;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (strcmp(what, "feed") == 0 && argc == 5)
		return bench_feed(argv[2], number(argv[3]), number(argv[4]), false);
	if (strcmp(what, "feed_timed") == 0 && argc == 5)
		return bench_feed(argv[2], number(argv[3]), number(argv[4]), true);
	if (strcmp(what, "feed_many") == 0 && argc == 5)
		return bench_feed_many(argv[2], number(argv[3]), number(argv[4]));
	if (strcmp(what, "query") == 0 && argc == 5)
		return bench_query(argv[2], number(argv[3]), number(argv[4]));
	if (strcmp(what, "thin") == 0 && argc == 3)
		return bench_thin(argv[2]);
	if (strcmp(what, "sizes") == 0 && argc == 3)
		return bench_sizes(argv[2]);
	(void)fputs("usage: measure_store feed DIR NODES DAYS | feed_timed DIR NODES DAYS | feed_many DIR STACKS "
		    "SERIES | query DIR NODES DAYS | "
		    "thin DIR | sizes DIR\n",
		    stderr);
	return 2;
}
