/* SPDX-License-Identifier: Apache-2.0 */
/* api_metrics.c: GET metrics: metric.def as Prometheus text. */
#include "server/server.h"

#include <fcntl.h>
#include <inttypes.h>

struct metrics {
	struct server *server;
	struct store_status store;
	struct http_stats http;
	struct http_channel_stats channel;
	struct debugstore_stats debuginfo;
	struct namer_stats names;
	struct fetcher_stats fetcher;
	uint64_t resident_bytes;
};

static uint64_t resident_bytes(void)
{
	char text[128] = "";
	_cleanup_(close_fd)
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	uint64_t size, resident;
	if (n <= 0 || sscanf(text, "%" SCNu64 " %" SCNu64, &size, &resident) != 2)
		return 0;
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void write_metric(struct buf *out, const char *name, const char *kind, const char *text, uint64_t value)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, text, name, kind, name, value);
}

void api_metrics(struct http_request *rq, void *ctx)
{
	struct metrics snapshot = { .server = ctx, .resident_bytes = resident_bytes() };
	const struct metrics *m = &snapshot;
	store_get_status(snapshot.server->store, &snapshot.store);
	http_server_stats(snapshot.server->http, &snapshot.http);
	http_channel_stats(snapshot.server->channel, &snapshot.channel);
	debugstore_get_stats(snapshot.server->debugstore, &snapshot.debuginfo);
	namer_get_stats(snapshot.server->namer, &snapshot.names);
	fetcher_get_stats(snapshot.server->fetcher, &snapshot.fetcher);
	struct buf out = buf_of(64 << 10);
#define METRIC(name, kind, text, value) write_metric(&out, #name, #kind, text, value);
#include "server/metric.def"
#undef METRIC
	http_answer(rq, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
}
