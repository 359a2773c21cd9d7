/* SPDX-License-Identifier: Apache-2.0 */
/* load_fleet PORT PID wick|pyroscope COUNT CONNECTIONS RATE [churn]: profiles of the fleet, as gz
 * pprof, into a server on loopback.
 *
 *   BODIES different ones are made beforehand: MINUTES minutes of NODES nodes. They are sent
 *   in order, again and again, each time as of a later minute, the last one as of now.
 *   RATE 0: as fast as answers come; else so many a second, whatever the answers.
 *   churn: all hosts are new ones each hour.
 *
 * Prints "name value" of: bytes sent, seconds, CPU seconds of the server (utime + stime,
 * with the two seconds behind the last answer), ms from the first byte sent to the answer (of
 * all, and the median of each quarter), the most memory it had. Ends with 1 when one was refused. */
#include "base/clock.h"
#include "fleet.h"
#include "format/pprof.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NODES		100
#define MINUTES		20
#define BODIES		(NODES * MINUTES)
#define MAX_CONNECTIONS 128
#define SETTLE_S	2

struct load {
	uint16_t port;
	int pid;
	bool is_pyroscope, churns;
	uint32_t count, n_connections, rate;
	struct buf body[BODIES];
	char service[NODES][32], host[NODES][32];
	int64_t start_ns, start_ms;
	_Atomic uint32_t next, n_refused;
	_Atomic uint64_t n_bytes;
	_Atomic bool is_over;
	uint64_t anon, file; /* the watcher's */
	double *ms;	     /* by profile */
};

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "load_fleet: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void make_bodies(struct load *l)
{
	struct fleet_shape shape = fleet_shape_of(NODES, 1);
	_cleanup_(fleet_free)
	struct fleet *f = fleet_new(&shape);
	uint64_t n_rows = 0, n_bytes = 0;
	uint32_t n_bodies = l->count < BODIES ? l->count : BODIES;
	for (uint32_t i = 0; i < n_bodies; i++) {
		struct profile p;
		l->body[i] = buf_of(16 << 20);
		if (profile_init(&p, NULL) < 0 || fleet_profile(f, i % NODES, i / NODES, &p) < 0 ||
		    pprof_encode_gz(&p, &l->body[i]) < 0)
			die("a profile");
		n_rows += p.node.n;
		n_bytes += l->body[i].n;
		profile_done(&p);
	}
	for (uint32_t i = 0; i < NODES; i++) {
		fleet_service_name(f, i, l->service[i]);
		fleet_host_name(i, l->host[i]);
	}
	(void)fprintf(stderr, "load_fleet: %u profiles of %" PRIu64 " stacks and %" PRIu64 " bytes gz on average\n",
		      n_bodies, n_rows / n_bodies, n_bytes / n_bodies);
}

/* ---- the server ---- */

static double cpu_seconds(int pid)
{
	char path[64], text[1024];
	unsigned long user = 0, system = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		(void)fclose(f);
	text[n] = 0;
	/* Behind the name: state is field 3, utime 14, stime 15. */
	const char *p = strrchr(text, ')');
	if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
		die("the server's CPU time");
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void most(uint64_t *of, const char *line, const char *name)
{
	size_t size = strlen(name);
	uint64_t kib = strncmp(line, name, size) == 0 ? strtoull(line + size, NULL, 10) : 0;
	if (kib > *of)
		*of = kib;
}

static void *watch(void *arg)
{
	struct load *l = arg;
	char path[64], line[256];
	const struct timespec pause = { .tv_nsec = 10000000 };
	(void)snprintf(path, sizeof(path), "/proc/%d/status", l->pid);
	while (!l->is_over) {
		FILE *f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f)) {
			most(&l->anon, line, "RssAnon:");
			most(&l->file, line, "RssFile:");
		}
		if (f)
			(void)fclose(f);
		(void)nanosleep(&pause, NULL);
	}
	return NULL;
}

/* ---- a connection ---- */

static int dial(const struct load *l)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(l->port),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void send_all(int fd, const void *data, size_t size, int flags)
{
	const char *p = data;
	while (size) {
		ssize_t n = send(fd, p, size, MSG_NOSIGNAL | flags);
		if (n <= 0)
			die("send");
		p += n;
		size -= (size_t)n;
	}
}

/* Reads one answer; its status. */
static int read_answer(int fd)
{
	char text[8192];
	size_t n = 0;
	for (;;) {
		ssize_t got = n < sizeof(text) - 1 ? recv(fd, text + n, sizeof(text) - 1 - n, 0) : 0;
		if (got <= 0)
			die("recv");
		n += (size_t)got;
		text[n] = 0;
		const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\ncontent-length:");
		if (end &&
		    n >= (size_t)(end + 4 - text) + (length && length < end ? strtoul(length + 17, NULL, 10) : 0))
			break;
	}
	return atoi(text + 9); /* HTTP/1.1 200 */
}

/* Of profile k: minutes count up to now. */
static int put_request(const struct load *l, uint32_t k, char *out, size_t size)
{
	uint32_t node = k % NODES, back = (l->count - 1) / NODES - k / NODES;
	int64_t to_ms = l->start_ms - back * FLEET_MINUTE_MS, from_ms = to_ms - FLEET_MINUTE_MS;
	size_t body = l->body[k % BODIES].n;
	if (l->is_pyroscope)
		return snprintf(
			out, size,
			"POST /ingest?name=%s%%7Bhost%%3D%s%%7D&format=pprof&from=%" PRId64 "&until=%" PRId64
			"&sampleRate=100&spyName=gospy HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Length: %zu\r\n\r\n",
			l->service[node], l->host[node], from_ms / 1000, to_ms / 1000, l->port, body);
	return snprintf(out, size,
			"POST /api/v1/ingest?service=%s&host=%s.%u&from=%" PRId64 "&to=%" PRId64 "&key=%" PRId64
			"-%u HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Length: %zu\r\n\r\n",
			l->service[node], l->host[node], l->churns ? back / 60 : 0, from_ms, to_ms, l->start_ms, k,
			l->port, body);
}

static void wait_turn(const struct load *l, uint32_t k)
{
	int64_t due = l->start_ns + (int64_t)(1e9 * k / l->rate);
	struct timespec ts = { due / 1000000000, due % 1000000000 };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static void *run(void *arg)
{
	struct load *l = arg;
	int fd = dial(l);
	for (uint32_t k; (k = l->next++) < l->count;) {
		char head[512];
		const struct buf *body = &l->body[k % BODIES];
		int n = put_request(l, k, head, sizeof(head));
		if (l->rate)
			wait_turn(l, k);
		int64_t start = clock_mono_ns();
		send_all(fd, head, (size_t)n, MSG_MORE);
		send_all(fd, body->data, body->n, 0);
		l->n_refused += read_answer(fd) != 200;
		l->ms[k] = (double)(clock_mono_ns() - start) / 1e6;
		l->n_bytes += body->n;
	}
	(void)close(fd);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void load_run(struct load *l)
{
	pthread_t thread[MAX_CONNECTIONS], watcher;
	double cpu = cpu_seconds(l->pid);
	l->start_ns = clock_mono_ns();
	l->start_ms = clock_wall_ns() / 1000000;
	if (pthread_create(&watcher, NULL, watch, l) != 0)
		die("thread");
	for (uint32_t i = 0; i < l->n_connections; i++)
		if (pthread_create(&thread[i], NULL, run, l) != 0)
			die("thread");
	for (uint32_t i = 0; i < l->n_connections; i++)
		(void)pthread_join(thread[i], NULL);
	double seconds = (double)(clock_mono_ns() - l->start_ns) / 1e9;
	(void)sleep(SETTLE_S);
	cpu = cpu_seconds(l->pid) - cpu;
	l->is_over = true;
	(void)pthread_join(watcher, NULL);
	for (uint32_t q = 0; q < 4; q++) {
		uint32_t n = l->count / 4;
		if (n)
			qsort(l->ms + q * n, n, sizeof(*l->ms), compare);
		(void)printf("p50_%u %.2f\n", q + 1, n ? l->ms[q * n + n / 2] : 0);
	}
	qsort(l->ms, l->count, sizeof(*l->ms), compare);
	(void)printf("bytes %" PRIu64 "\nseconds %.3f\ncpu %.2f\n", (uint64_t)l->n_bytes, seconds, cpu);
	(void)printf("p50 %.2f\np99 %.2f\nmax %.2f\n", l->ms[l->count / 2], l->ms[(uint64_t)l->count * 99 / 100],
		     l->ms[l->count - 1]);
	(void)printf("anon %" PRIu64 "\nfile %" PRIu64 "\n", l->anon >> 10, l->file >> 10);
}

static uint32_t number(const char *text)
{
	return (uint32_t)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
	static struct load l;
	l.churns = argc == 8 && strcmp(argv[7], "churn") == 0;
	if (argc != 7 + l.churns || number(argv[4]) == 0 || number(argv[5]) == 0 || number(argv[5]) > MAX_CONNECTIONS) {
		(void)fputs("usage: load_fleet PORT PID wick|pyroscope COUNT CONNECTIONS RATE [churn]\n", stderr);
		return 2;
	}
	l.port = (uint16_t)number(argv[1]);
	l.pid = (int)number(argv[2]);
	l.is_pyroscope = strcmp(argv[3], "pyroscope") == 0;
	l.count = number(argv[4]);
	l.n_connections = number(argv[5]);
	l.rate = number(argv[6]);
	l.ms = calloc(l.count, sizeof(*l.ms));
	if (!l.ms)
		die("memory");
	make_bodies(&l);
	load_run(&l);
	for (uint32_t i = 0; i < BODIES; i++)
		buf_done(&l.body[i]);
	free(l.ms);
	if (l.n_refused)
		(void)fprintf(stderr, "load_fleet: %u refused\n", l.n_refused);
	return l.n_refused ? 1 : 0;
}
