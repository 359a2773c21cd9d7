/* SPDX-License-Identifier: Apache-2.0 */
/* store_import.c: wick store import: profiles from files into a folder that no server runs on. */
#include "base/clock.h"
#include "cli/profile_file.h"
#include "cli/store_open.h"
#include "format/pprof.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define KEY_SIZE_HEX 40

struct importing {
	struct store *store;
	struct read_options *read;
	const char *service;
	uint64_t n_stored, n_duplicates;
};

/* One profile on its way. */
struct upload {
	struct store_commit commit;
	struct intake_profile profile;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_done;
};

static void on_done(struct store_commit *c)
{
	struct upload *u = (struct upload *)((char *)c - offsetof(struct upload, commit));
	(void)pthread_mutex_lock(&u->lock);
	u->is_done = true;
	(void)pthread_cond_signal(&u->changed);
	(void)pthread_mutex_unlock(&u->lock);
}

static int commit(struct store *s, struct upload *u)
{
	u->is_done = false;
	int r = store_submit(s, &u->commit);
	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&u->lock);
	while (!u->is_done)
		(void)pthread_cond_wait(&u->changed, &u->lock);
	(void)pthread_mutex_unlock(&u->lock);
	return u->commit.result;
}

/* What memory holds is written to a block where it has no room for more. */
static int commit_or_flush(struct store *s, struct upload *u, struct error *err)
{
	int r = commit(s, u);
	if (r == -ENOBUFS || r == -EDQUOT) {
		r = store_flush(s, err);
		if (r < 0)
			return r;
		r = commit(s, u);
	}
	if (r < 0)
		(void)error_set(err, r, "%s", u->commit.err.text[0] ? u->commit.err.text : strerror(-r));
	return r;
}

/* The value of a label that all samples have alike; empty: they have none. -EINVAL: they differ. */
static int common_label(const struct profile *p, const char *name, struct slice *ret)
{
	for (uint32_t i = 0; i < p->node.n; i++) {
		uint32_t n;
		const struct label *set = profile_label_set(p, p->labels.data[i], &n);
		struct slice value = { 0 };
		for (uint32_t k = 0; k < n; k++)
			if (!set[k].is_num && slice_eq(strtab_get(&p->dict.strings, set[k].key), slice_str(name)))
				value = strtab_get(&p->dict.strings, set[k].str);
		if (i > 0 && !slice_eq(value, *ret))
			return -EINVAL;
		*ret = value;
	}
	return 0;
}

/* Labels that tell series apart are those of the whole profile, where it has them. */
static int find_labels(const struct importing *x, const struct profile *p, struct intake *in, struct error *err)
{
	for (int k = 0; k < N_SERIES_LABELS; k++) {
		const char *name = series_label_name((enum series_label)k);
		if (k == SERIES_SERVICE && x->service)
			in->label[k] = slice_str(x->service);
		else if (common_label(p, name, &in->label[k]) < 0 || in->label[k].size > INTAKE_LABEL_MAX)
			in->label[k] = (struct slice){ 0 };
	}
	if (in->label[SERIES_SERVICE].size == 0)
		return error_set(err, -EINVAL,
				 "not all samples have one label \"service\": say whose it is with --service");
	return 0;
}

static int drop_labels(struct profile *p, const struct intake *in)
{
	bool *drop = calloc((size_t)p->label.n + 1, sizeof(*drop));
	if (!drop)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->label.n; i++)
		for (int k = 0; k < N_SERIES_LABELS; k++)
			drop[i] = drop[i] || (in->label[k].size && !p->label.data[i].is_num &&
					      slice_eq(strtab_get(&p->dict.strings, p->label.data[i].key),
						       slice_str(series_label_name((enum series_label)k))));
	int r = profile_drop_labels(p, drop);
	free(drop);
	return r;
}

/* The same file twice, within a day, is the same profile. */
static void make_key(const struct intake *in, struct slice body, char out[static KEY_SIZE_HEX])
{
	XXH128_hash_t h = XXH3_128bits_withSeed(
		body.data, body.size, XXH3_64bits(in->label[SERIES_SERVICE].data, in->label[SERIES_SERVICE].size));
	(void)snprintf(out, KEY_SIZE_HEX, "import-%016" PRIx64 "%016" PRIx64, h.high64, h.low64);
}

static int store_body(struct importing *x, struct intake *in, struct slice body, struct error *err)
{
	struct upload u = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	_cleanup_(buf_done)
	struct buf packed = buf_of(UINT32_MAX);
	char key[KEY_SIZE_HEX];
	make_key(in, body, key);
	in->key = slice_str(key);
	in->received_ms = clock_wall_ns() / 1000000;
	int r = intake_check(in, err);
	if (r == 0)
		r = intake_decode(in, body, &format_limits_default, NULL, &u.profile, err);
	if (r < 0)
		return r;
	u.commit.record.intake = *in;
	u.commit.profile = &u.profile;
	u.commit.done = on_done;
	r = wal_record_set_body(&u.commit.record, body, &packed);
	r = r < 0 ? error_set(err, r, "larger than the limit of 64 MiB for one profile")
		  : commit_or_flush(x->store, &u, err);
	x->n_duplicates += r == 0 && u.commit.duplicate;
	x->n_stored += r == 0 && !u.commit.duplicate;
	intake_profile_done(&u.profile);
	return r;
}

static int take_file(struct importing *x, const char *path, struct error *err)
{
	struct profile p;
	struct intake in = { 0 };
	char text[N_SERIES_LABELS][INTAKE_LABEL_MAX + 1];
	_cleanup_(buf_done)
	struct buf body = buf_of(UINT32_MAX);
	int r = profile_load(path, x->read, &p, err);
	if (r < 0)
		return r;
	r = find_labels(x, &p, &in, err);
	/* Dropping labels makes the profile's strings anew. */
	for (int k = 0; r == 0 && k < N_SERIES_LABELS; k++) {
		(void)snprintf(text[k], sizeof(text[k]), "%.*s", SLICE_FMT(in.label[k]));
		in.label[k] = slice_str(text[k]);
	}
	if (r == 0 && (drop_labels(&p, &in) < 0 || pprof_encode(&p, &body) < 0))
		r = error_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = store_body(x, &in, slice_of(body.data, body.n), err);
	profile_done(&p);
	if (r < 0)
		error_prefix(err, "%s", path);
	return r;
}

static int import_all(struct importing *x, const struct store_place *place, char **paths, struct error *err)
{
	_cleanup_(store_close)
	struct store *store = NULL;
	int r = store_place_open(place, true, &store, err);
	x->store = store;
	for (; r == 0 && *paths; paths++)
		r = take_file(x, *paths, err);
	return r;
}

int store_import_run(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		STORE_PLACE_OPTIONS,
		{ "service", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	_cleanup_(store_place_done)
	struct store_place place = { 0 };
	struct error err = { "" };
	struct read_options read = read_options_default();
	struct importing x = { .read = &read };
	int o;
	opterr = 0;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 's')
			x.service = optarg;
		else if (!store_place_take(&place, o, optarg))
			return command_usage_error(c, "unknown option or missing value: %s", argv[optind - 1]);
	}
	if (optind == argc)
		return command_usage_error(c, "import wants files");
	int r = store_place_find(&place, &err);
	if (r == 0)
		r = import_all(&x, &place, argv + optind, &err);
	(void)printf("stored %" PRIu64 " present %" PRIu64 "\n", x.n_stored, x.n_duplicates);
	return r < 0 ? command_failed(c, r, &err) : 0;
}
