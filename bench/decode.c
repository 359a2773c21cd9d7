/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a profile of any format is decoded, its bytes being in memory:
 * decode FILE [rounds [times]]: with the times of samples, if it is 1. Prints MB of the file per second of CPU time
 * (user and system), the median of the rounds (default 5). A small file is decoded as often in one round as makes 20
 * MB. */
#include "base/file.h"
#include "format/detect.h"
#include "format/limits.h"

#include <sys/resource.h>

#define ROUND_SIZE 20e6
#define ROUNDS_MAX 99

static double cpu_seconds(void)
{
	struct rusage u;
	(void)getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int decode(struct slice bytes, bool wants_times, struct error *err)
{
	struct membudget budget = membudget_of((size_t)4 << 30);
	_cleanup_(profile_done)
	struct profile p;
	int r = profile_init(&p, &budget);
	p.wants_times = wants_times;
	return r < 0 ? r : format_decode(bytes, &format_limits_default, &p, NULL, err);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	_cleanup_(buf_done)
	struct buf file = buf_of((size_t)2 << 30);
	struct error err = { "out of memory" };
	int n = argc > 2 ? atoi(argv[2]) : 5;
	bool wants_times = argc > 3 && strcmp(argv[3], "1") == 0;
	if (argc < 2 || n < 1 || n > ROUNDS_MAX) {
		(void)fputs("usage: decode FILE [rounds [times]]\n", stderr);
		return 2;
	}
	double rate[ROUNDS_MAX];
	int r = file_read(argv[1], &file, &err);
	for (int i = 0; r == 0 && i < n; i++) {
		double start = cpu_seconds(), size = 0;
		do {
			r = decode(slice_of(file.data, file.n), wants_times, &err);
			size += (double)file.n;
		} while (r == 0 && size < ROUND_SIZE);
		rate[i] = size / 1e6 / (cpu_seconds() - start);
	}
	if (r < 0) {
		(void)fprintf(stderr, "decode: %s: %s\n", argv[1], err.text);
		return 1;
	}
	qsort(rate, (size_t)n, sizeof(rate[0]), compare);
	(void)printf("%.0f\n", rate[n / 2]);
	return 0;
}
