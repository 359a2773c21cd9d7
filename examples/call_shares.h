/* SPDX-License-Identifier: Apache-2.0 */
/* call_shares.h: the program that fp.c and nofp.c are, compiled in two ways.
 *
 *   main - run - serve -+- parse_request             60 %
 *                       +- render_page               30 %   10 % of its own
 *                       |    +- escape_html                 20 %
 *                       +- write_log                 10 %
 */
#pragma once

#include "truth.h"

#define PERCENT 10000 /* steps: a round takes about 1 ms */

enum { PARSE_REQUEST, RENDER_PAGE, ESCAPE_HTML, WRITE_LOG, N_FUNCTIONS };

static struct truth truth[N_FUNCTIONS] = {
	[PARSE_REQUEST] = { .function = "parse_request" },
	[RENDER_PAGE] = { .function = "render_page" },
	[ESCAPE_HTML] = { .function = "escape_html" },
	[WRITE_LOG] = { .function = "write_log" },
};

static EXAMPLE_FUNCTION void parse_request(void)
{
	int64_t start = truth_start();
	example_work(60 * PERCENT, 6364136223846793005);
	(void)truth_stop(&truth[PARSE_REQUEST], start);
}

static EXAMPLE_FUNCTION void escape_html(void)
{
	int64_t start = truth_start();
	example_work(20 * PERCENT, 2862933555777941757);
	truth[RENDER_PAGE].callee_ns += truth_stop(&truth[ESCAPE_HTML], start);
}

static EXAMPLE_FUNCTION void render_page(void)
{
	int64_t start = truth_start();
	example_work(5 * PERCENT, 3202034522624059733);
	escape_html();
	example_work(5 * PERCENT, 3202034522624059733);
	(void)truth_stop(&truth[RENDER_PAGE], start);
}

static EXAMPLE_FUNCTION void write_log(void)
{
	int64_t start = truth_start();
	example_work(10 * PERCENT, 3935559000370003845);
	(void)truth_stop(&truth[WRITE_LOG], start);
}

static EXAMPLE_FUNCTION void serve(void)
{
	parse_request();
	render_page();
	write_log();
}

static EXAMPLE_FUNCTION void run(int64_t duration_ns)
{
	int64_t end = truth_clock(CLOCK_MONOTONIC) + duration_ns;
	while (truth_clock(CLOCK_MONOTONIC) < end)
		serve();
}

int main(int argc, char **argv)
{
	run(example_duration_ns(argc, argv));
	truth_print(truth, N_FUNCTIONS);
	return 0;
}
