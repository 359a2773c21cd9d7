/* SPDX-License-Identifier: Apache-2.0 */
/* A message-processing service and its clients: messages SECONDS RATE
 *
 *   service_cpu_s=3.012 service_rss_kb=2816 sent=30000 p50_us=181 p99_us=402 p999_us=911
 *
 * Clients send by the clock, whether answers came or not, and a message's time
 * runs from when it was due: what holds the service up is seen in all messages
 * that wait. A message is 2 KiB of "key=value;"; the service sorts the pairs and
 * answers a digest. */
#include "base/clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_SIZE 2048
#define PAIRS_MAX    256
#define ROUNDS	     32 /* of digesting, for about 70 us a message */
#define SECOND	     1000000000ll

struct request {
	uint64_t id;
	char text[MESSAGE_SIZE];
};

struct answer {
	uint64_t id, digest;
};

struct pair {
	const char *key, *value;
	size_t key_size, value_size;
};

/* ---- the service --------------------------------------------------------- */

static int pair_compare(const void *va, const void *vb)
{
	const struct pair *a = va, *b = vb;
	size_t n = a->key_size < b->key_size ? a->key_size : b->key_size;
	int c = memcmp(a->key, b->key, n);
	return c ? c : (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

static size_t parse(const char *text, struct pair *pairs)
{
	size_t n = 0;
	for (const char *at = text; n < PAIRS_MAX && *at;) {
		const char *equals = strchr(at, '='), *end = strchr(at, ';');
		if (!equals || !end)
			break;
		pairs[n++] = (struct pair){ at, equals + 1, (size_t)(equals - at), (size_t)(end - equals - 1) };
		at = end + 1;
	}
	return n;
}

static uint64_t digest_text(uint64_t h, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		h = (h ^ (unsigned char)text[i]) * 0x100000001b3ull;
	return h;
}

static uint64_t digest(const struct pair *pairs, size_t n)
{
	uint64_t h = 0xcbf29ce484222325ull;
	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < n; i++)
			h = digest_text(digest_text(h, pairs[i].key, pairs[i].key_size), pairs[i].value,
					pairs[i].value_size);
	return h;
}

static void serve(int fd)
{
	static struct request r;
	struct pair pairs[PAIRS_MAX];
	while (recv(fd, &r, sizeof(r), 0) == sizeof(r)) {
		r.text[MESSAGE_SIZE - 1] = 0;
		size_t n = parse(r.text, pairs);
		qsort(pairs, n, sizeof(pairs[0]), pair_compare);
		struct answer a = { r.id, digest(pairs, n) };
		if (send(fd, &a, sizeof(a), MSG_NOSIGNAL) != sizeof(a))
			return;
	}
}

/* ---- the clients --------------------------------------------------------- */

struct clients {
	int fd;
	uint32_t n;
	int64_t start_ns, period_ns;
	uint32_t *us; /* by message */
};

static int64_t due_ns(const struct clients *c, uint64_t id)
{
	return c->start_ns + (int64_t)id * c->period_ns;
}

static void *receive(void *arg)
{
	struct clients *c = arg;
	struct answer a;
	for (uint32_t i = 0; i < c->n; i++) {
		if (recv(c->fd, &a, sizeof(a), 0) != sizeof(a) || a.id >= c->n)
			return NULL;
		c->us[a.id] = (uint32_t)((clock_mono_ns() - due_ns(c, a.id)) / 1000);
	}
	return c;
}

static void write_message(struct request *r)
{
	size_t n = 0;
	for (uint64_t i = 0; n + 32 < MESSAGE_SIZE; i++)
		n += (size_t)snprintf(r->text + n, MESSAGE_SIZE - n, "k%llu=%llu;",
				      (unsigned long long)((r->id + i) * 2654435761u % 10007),
				      (unsigned long long)(r->id ^ i));
}

static bool send_all(const struct clients *c)
{
	static struct request r;
	for (r.id = 0; r.id < c->n; r.id++) {
		int64_t due = due_ns(c, r.id);
		struct timespec t = { due / SECOND, due % SECOND };
		write_message(&r);
		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		if (send(c->fd, &r, sizeof(r), MSG_NOSIGNAL) != sizeof(r))
			return false;
	}
	return true;
}

static int us_compare(const void *va, const void *vb)
{
	const uint32_t *a = va, *b = vb;
	return (*a > *b) - (*a < *b);
}

static bool run(struct clients *c)
{
	pthread_t receiver;
	void *all = NULL;
	c->start_ns = clock_mono_ns();
	if (pthread_create(&receiver, NULL, receive, c) != 0)
		return false;
	bool is_sent = send_all(c);
	/* The service answers what it has, then ends. */
	(void)shutdown(c->fd, SHUT_WR);
	(void)pthread_join(receiver, &all);
	qsort(c->us, c->n, sizeof(c->us[0]), us_compare);
	return is_sent && all;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	unsigned long length = argc > 2 ? strtoul(argv[1], NULL, 10) : 0,
		      rate = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	int fds[2], status;
	if (length < 1 || length > 3600 || rate < 1 || rate > 100000) {
		(void)fprintf(stderr, "usage: messages SECONDS RATE\n");
		return 2;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) < 0)
		return 1;
	pid_t pid = fork();
	if (pid == 0) {
		(void)close(fds[0]);
		serve(fds[1]);
		_exit(0);
	}
	(void)close(fds[1]);
	struct clients c = { fds[0], (uint32_t)(length * rate), 0, SECOND / (int64_t)rate, NULL };
	c.us = calloc(c.n, sizeof(c.us[0]));
	bool is_good = pid > 0 && c.us && run(&c);
	struct rusage usage;
	if (pid > 0 && wait4(pid, &status, 0, &usage) != pid)
		is_good = false;
	if (!is_good) {
		(void)fprintf(stderr, "messages: the service broke off\n");
		return 1;
	}
	printf("service_cpu_s=%.3f service_rss_kb=%ld sent=%u p50_us=%u p99_us=%u p999_us=%u\n",
	       seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss, c.n, c.us[c.n / 2],
	       c.us[c.n - 1 - c.n / 100], c.us[c.n - 1 - c.n / 1000]);
	return 0;
}
