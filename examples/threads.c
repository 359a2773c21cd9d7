/* SPDX-License-Identifier: Apache-2.0 */
/* threads: three named threads that meet after every round, so that their
 * shares do not depend on how many CPUs there are.
 *
 *   thread     function         self
 *   decoder    decode_frame     60 %
 *   mixer      mix_audio        30 %
 *   uploader   upload_chunk     10 %
 *
 * The process uses up to 1.67 CPUs; the main thread waits. */
#include "truth.h"

#include <pthread.h>
#include <stdbool.h>

#define PERCENT 100000 /* steps: the longest round takes about 10 ms */

enum { DECODE_FRAME, MIX_AUDIO, UPLOAD_CHUNK, N_THREADS };

static struct truth truth[N_THREADS] = {
	[DECODE_FRAME] = { .function = "decode_frame" },
	[MIX_AUDIO] = { .function = "mix_audio" },
	[UPLOAD_CHUNK] = { .function = "upload_chunk" },
};

static pthread_barrier_t round_end, round_start;
static int64_t end_ns;
static bool stop; /* written between the barriers by one thread */

static EXAMPLE_FUNCTION void decode_frame(void)
{
	int64_t start = truth_start();
	example_work(60 * PERCENT, 6364136223846793005);
	(void)truth_stop(&truth[DECODE_FRAME], start);
}

static EXAMPLE_FUNCTION void mix_audio(void)
{
	int64_t start = truth_start();
	example_work(30 * PERCENT, 2862933555777941757);
	(void)truth_stop(&truth[MIX_AUDIO], start);
}

static EXAMPLE_FUNCTION void upload_chunk(void)
{
	int64_t start = truth_start();
	example_work(10 * PERCENT, 3202034522624059733);
	(void)truth_stop(&truth[UPLOAD_CHUNK], start);
}

struct job {
	const char *name;
	void (*work)(void);
};

static const struct job jobs[N_THREADS] = {
	[DECODE_FRAME] = { "decoder", decode_frame },
	[MIX_AUDIO] = { "mixer", mix_audio },
	[UPLOAD_CHUNK] = { "uploader", upload_chunk },
};

/* False when the time is up; all threads get the same answer. */
static bool next_round(void)
{
	if (pthread_barrier_wait(&round_end) == PTHREAD_BARRIER_SERIAL_THREAD)
		stop = truth_clock(CLOCK_MONOTONIC) >= end_ns;
	(void)pthread_barrier_wait(&round_start);
	return !stop;
}

static EXAMPLE_FUNCTION void *run(void *arg)
{
	const struct job *job = (const struct job *)arg;
	while (next_round())
		job->work();
	return NULL;
}

int main(int argc, char **argv)
{
	end_ns = truth_clock(CLOCK_MONOTONIC) + example_duration_ns(argc, argv);
	(void)pthread_barrier_init(&round_end, NULL, N_THREADS);
	(void)pthread_barrier_init(&round_start, NULL, N_THREADS);
	pthread_t threads[N_THREADS];
	for (unsigned i = 0; i < N_THREADS; i++) {
		int r = pthread_create(&threads[i], NULL, run, (void *)&jobs[i]);
		if (r) {
			(void)fprintf(stderr, "threads: cannot start a thread: error %d\n", r);
			exit(1);
		}
		(void)pthread_setname_np(threads[i], jobs[i].name);
	}
	for (unsigned i = 0; i < N_THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	truth_print(truth, N_THREADS);
	return 0;
}
