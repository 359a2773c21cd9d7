/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: wick-server from its options to its end.
 *
 *   options -> lock, replay -> channel, live, HTTP -> "listening" -> signal
 *   signal -> no new connections -> those open end -> log closed -> exit 0 */
#include "base/clock.h"
#include "base/log.h"
#include "meta/schema.h"
#include "server/eraser.h"
#include "server/server.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>

#define N_CONNECTIONS	 256
#define IDLE_TIMEOUT_S	 30
#define N_LIVE_CLIENTS	 64
#define LIVE_QUEUE_MAX	 ((size_t)256 << 10)
#define PING_S		 15
#define DRAIN_TIMEOUT_NS (10 * INT64_C(1000000000))
#define MAX_THREADS	 16u

static unsigned n_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (unsigned)n;
}

/* Says what holds from now on: a folder that was not sealed becomes so bit by bit. */
static int read_keys(struct server *s, struct error *err)
{
	int r = keyring_load(s->options->encryption_keys, &s->keys, err);
	if (r == 0 && s->keys)
		log_info("profiles are sealed on disk key=%s", keyring_writer(s->keys)->id);
	return r;
}

static int open_store(struct server *s, struct error *err)
{
	const struct options *o = s->options;
	const struct store_options options = {
		.dir = o->data,
		.memory_limit = o->memory_limit,
		.head_memory = HEAD_SHARE(o->memory_limit),
		.tables_memory = TABLES_SHARE(o->memory_limit),
		.build_memory = BUILD_SHARE(o->memory_limit),
		/* Nothing else runs yet: replay may use what queries will have. */
		.decode_memory = WORK_SHARE(o->memory_limit) / n_cpus(),
		.n_threads = n_cpus(),
		.disk_limit = o->disk_limit,
		.disk_reserve = o->disk_reserve,
		.keys = s->keys,
		.raw_age_ms = o->retention_ms,
		.sums_age_ms = o->sums_retention_ms,
		.max_series = o->series_limit,
		.max_values = o->label_values_limit,
		.flush_log = o->flush_size,
		.flush_age_ms = o->flush_age_ms,
	};
	int r = store_open(&options, &s->store, &s->replay, err);
	if (r < 0)
		return r;
	const struct store_replay *p = &s->replay;
	double seconds = (double)p->took_ns / 1e9;
	if (p->log.n_records)
		log_info("replayed profiles=%" PRIu64 " duplicates=%" PRIu64 " segments=%" PRIu64 " bytes=%" PRIu64
			 " seconds=%.3f profiles_per_second=%.0f",
			 p->n_profiles, p->n_duplicates, p->log.n_segments, p->log.n_bytes, seconds,
			 seconds > 0 ? (double)p->log.n_records / seconds : 0);
	if (p->log.torn_bytes)
		log_warn("cut the torn end of the log bytes=%" PRIu64 ": it was never acknowledged", p->log.torn_bytes);
	if (p->log.n_damaged)
		log_warn("skipped damaged places of the log places=%" PRIu64 " bytes=%" PRIu64
			 ": profiles are missing; the rest is served",
			 p->log.n_damaged, p->log.damaged_bytes);
	if (p->blocks.first.text[0])
		log_warn("blocks cannot be read damaged=%u missing=%u manifest_rebuilt=%d: %s; the rest is served",
			 p->blocks.n_damaged, p->blocks.n_missing, p->blocks.is_rebuilt, p->blocks.first.text);
	if (p->blocks.is_rebuilt)
		log_warn("the manifest was made anew from the blocks idempotency_keys=%s kept_records=%" PRIu64
			 ": records of the log that could not be read before, and can be read now, are not in it",
			 p->blocks.is_seed_lost ? "lost" : "recovered", p->n_undecodable);
	if (p->n_keys_lost)
		log_warn("idempotency keys of blocks cannot be read blocks=%u: profiles that are sent again may be "
			 "stored twice",
			 p->n_keys_lost);
	if (p->log.n_unknown || p->n_undecodable)
		log_warn("skipped records that this version cannot read unknown=%" PRIu64 " undecodable=%" PRIu64,
			 p->log.n_unknown, p->n_undecodable);
	struct store_status status;
	store_get_status(s->store, &status);
	if (!status.accepting)
		log_warn("ingest is off: %s", status.reason);
	return 0;
}

static int start_http(struct server *s, struct error *err)
{
	static struct http_route routes[] = {
		{ "POST", "/api/v1/ingest", api_ingest, BODY_MAX, NULL },
		{ "POST", "/v1development/profiles", api_otlp, BODY_MAX, NULL },
		{ "GET", "/api/v1/services", api_services, 0, NULL },
		{ "GET", "/api/v1/types", api_types, 0, NULL },
		{ "GET", "/api/v1/labels", api_labels, 0, NULL },
		{ "GET", "/api/v1/tree", api_tree, 0, NULL },
		{ "GET", "/api/v1/series", api_series, 0, NULL },
		{ "GET", "/api/v1/diff", api_diff, 0, NULL },
		{ "GET", "/api/v1/profiles", api_profiles, 0, NULL },
		{ "GET", "/api/v1/heatmap", api_heatmap, 0, NULL },
		{ "GET", "/api/v1/top", api_top, 0, NULL },
		{ "GET", "/api/v1/debuginfo", api_debuginfo, 0, NULL },
		{ "GET", "/api/v1/debuginfo/", api_debuginfo_get, 0, NULL },
		{ "PUT", "/api/v1/debuginfo/", api_debuginfo_put, SIZE_MAX, &api_debuginfo_stream },
		{ "POST", "/api/v1/debuginfo/", api_debuginfo_put, SIZE_MAX, &api_debuginfo_stream },
		{ "GET", "/api/v1/deletions", api_deletions, 0, NULL },
		{ "POST", "/api/v1/deletions", api_deletions_post, 0, NULL },
		{ "GET", "/api/v1/status", api_status, 0, NULL },
		{ "GET", "/api/v1/live", api_live, 0, NULL },
		{ "GET", "/health", api_health, 0, NULL },
		{ "GET", "/ready", api_health, 0, NULL },
		{ "GET", "/metrics", api_metrics, 0, NULL },
	};
	routes[0].body_max = routes[1].body_max = s->body_max;
	const struct http_channel_options channel = {
		.n_clients = N_LIVE_CLIENTS,
		.queue_max = LIVE_QUEUE_MAX,
		.ping_s = PING_S,
	};
	const struct http_options options = {
		.address = s->options->address,
		.port = s->options->port,
		/* More than CPUs: one may wait for memory while others answer. */
		.n_threads = n_cpus() + 2,
		.n_connections = N_CONNECTIONS,
		.idle_timeout_s = IDLE_TIMEOUT_S,
		.bodies_max = s->bodies_max,
		.answers_max = ANSWERS_SHARE(s->options->memory_limit),
		.routes = routes,
		.n_routes = ARRAY_SIZE(routes),
		.fallback = page_file,
		.ctx = s,
	};
	int r = http_channel_start(&channel, &s->channel, err);
	if (r == 0)
		r = live_start(s, &s->live, err);
	if (r == 0)
		r = namer_start(s, &s->namer, err);
	if (r == 0)
		r = uploads_start(s, &s->uploads, err);
	if (r == 0)
		r = fetcher_start(s, &s->fetcher, err);
	if (r == 0)
		r = eraser_start(s, &s->eraser, err);
	return r < 0 ? r : http_server_start(&options, &s->http, err);
}

static int open_debugstore(struct server *s, struct error *err)
{
	char dir[PATH_MAX];
	const struct options *o = s->options;
	const struct debugstore_options options = {
		.dir = dir,
		.limit = o->debuginfo_limit,
		.file_max = o->debuginfo_file_limit,
		.disk_reserve = o->disk_reserve,
	};
	if (snprintf(dir, sizeof(dir), "%s/debuginfo", o->data) >= (int)sizeof(dir))
		return error_set(err, -ENAMETOOLONG, "data folder %s: the path is too long", o->data);
	return debugstore_open(&options, &s->debugstore, err);
}

/* Requests that are neither answered nor a WebSocket. */
static bool requests_left(struct server *s)
{
	struct http_stats stats;
	struct http_channel_stats channel;
	http_server_stats(s->http, &stats);
	http_channel_stats(s->channel, &channel);
	return stats.n_open > channel.n_clients;
}

static bool all_closed(struct server *s)
{
	struct http_stats stats;
	http_server_stats(s->http, &stats);
	return stats.n_open == 0;
}

/* Those that others speak to only while requests wait for them. */
static void stop_threads(struct server *s)
{
	eraser_stop(s->eraser);
	fetcher_stop(s->fetcher);
	uploads_stop(s->uploads);
	if (s->namer)
		namer_stop(s->namer);
	live_stop(s->live);
}

/* Open requests get their answers, within reason; profiles that wait for the
 * disk always do. What tells others of them goes when they are through. */
static void drain(struct server *s)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	s->stopping = true;
	http_server_quiesce(s->http);
	int64_t until = clock_mono_ns() + DRAIN_TIMEOUT_NS;
	while (s->n_waiting || (requests_left(s) && clock_mono_ns() < until))
		(void)nanosleep(&pause, NULL);
	stop_threads(s);
	http_channel_stop(s->channel);
	while (!all_closed(s) && clock_mono_ns() < until)
		(void)nanosleep(&pause, NULL);
	http_server_stop(s->http);
	http_channel_free(s->channel);
}

static void announce(struct server *s)
{
	char address[96];
	(void)snprintf(address, sizeof(address), "%s:%u", s->options->address, http_server_port(s->http));
	if (s->options->insecure)
		log_warn("--insecure: whoever can reach address=%s can read and write; there is no password", address);
	log_info("listening address=%s", address);
	if (s->options->ready_fd >= 0) {
		if (dprintf(s->options->ready_fd, "http://%s\n", address) < 0)
			log_warn("cannot write to --ready-fd %d: %s", s->options->ready_fd, strerror(errno));
		(void)close(s->options->ready_fd);
	}
}

static void close_stores(struct server *s)
{
	fetcher_free(&s->fetcher);
	debugstore_close(&s->debugstore);
	store_close(&s->store);
	db_free(&s->meta);
}

/* What is written from now on is sealed with the first key of the file as it is now. */
static void read_keys_again(struct server *s)
{
	struct error err;
	if (keyring_reload(s->keys, s->options->encryption_keys, &err) < 0)
		log_warn("the keys stay as they were: %s", err.text);
	else
		log_info("the keys were read again key=%s", keyring_writer(s->keys)->id);
}

/* The signal that ends the server. */
static int wait_for_end(struct server *s, const sigset_t *signals)
{
	int number = 0;
	while (sigwait(signals, &number) == 0 && number == SIGHUP)
		read_keys_again(s);
	return number;
}

static int serve(struct server *s, const sigset_t *signals, struct error *err)
{
	int r = open_store(s, err);
	if (r == 0)
		r = meta_open(s->options->data, &s->meta, err);
	if (r == 0)
		r = open_debugstore(s, err);
	if (r < 0) {
		close_stores(s);
		return r;
	}
	r = start_http(s, err);
	if (r == 0) {
		announce(s);
		int signal_number = wait_for_end(s, signals);
		log_info("stopping signal=%d", signal_number);
		drain(s);
	} else {
		stop_threads(s);
		http_channel_free(s->channel);
	}
	namer_free(&s->namer);
	close_stores(s);
	return r;
}

/* Signals are taken by sigwait() in the main thread only; SIGHUP is one of them where there is a key file to be
 * read again. A limit on file sizes is an error of write(), not the end. */
static void set_signals(sigset_t *ret, bool has_key_file)
{
	(void)sigemptyset(ret);
	(void)sigaddset(ret, SIGTERM);
	(void)sigaddset(ret, SIGINT);
	if (has_key_file)
		(void)sigaddset(ret, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, ret, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
}

/* Large blocks go back to the system as soon as they are free, and threads
 * share two arenas: what is resident follows what is used. */
static void set_allocator(void)
{
	(void)mallopt(M_ARENA_MAX, 2);
	(void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
	(void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

int main(int argc, char **argv)
{
	struct options options;
	struct error err = { "" };
	log_name("wick-server");
	int r = options_parse(&options, argc, argv, &err);
	if (r < 0) {
		(void)fprintf(stderr, "wick-server: %s\n", err.text);
		return error_exit_status(r);
	}
	if (options.help) {
		options_usage(stdout);
		return 0;
	}
	if (options.version) {
		(void)printf("wick-server %s\n", WICK_VERSION);
		return 0;
	}
	set_allocator();
	sigset_t signals;
	set_signals(&signals, options.encryption_keys[0]);
	struct server s = { .options = &options };
	s.bodies_max = BODIES_SHARE(options.memory_limit);
	s.body_max = s.bodies_max < BODY_MAX ? s.bodies_max : BODY_MAX;
	r = workmem_init(&s.work, WORK_SHARE(options.memory_limit));
	if (r == 0)
		r = read_keys(&s, &err);
	if (r == 0)
		r = serve(&s, &signals, &err);
	keyring_free(&s.keys);
	if (r < 0)
		log_error("%s", err.text[0] ? err.text : strerror(-r));
	workmem_done(&s.work);
	return error_exit_status(r);
}
