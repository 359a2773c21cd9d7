/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_debuginfo.c: debug files to a server, each build id once. */
#include "base/filemap.h"
#include "cli/command.h"
#include "cli/debuginfo_list.h"
#include "cli/server_client.h"
#include "object/elf.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <getopt.h>
#include <string.h>

#define ANSWER_MAX ((size_t)64 << 20)
#define PATH_OF	   "/api/v1/debuginfo/"

struct uploader {
	struct http_client *client;
	struct buf answer;
	unsigned n_stored, n_present, n_failed, n_skipped;
	int status; /* exit status of the first failure */
};

/* One file that may be worth an upload. */
struct candidate {
	const char *path;
	char build_id[ELF_BUILD_ID_HEX];
	uint64_t size;
	bool has_dwarf;
};

static void fail(struct uploader *u, const char *path, int code, const struct error *err)
{
	(void)fprintf(stderr, "wick debuginfo: %s: %s\n", path, err->text);
	u->n_failed++;
	if (!u->status)
		u->status = error_exit_status(code);
}

static void tell(const char *what, const struct candidate *c)
{
	(void)printf("%-8s %s %s\n", what, c->build_id, c->path);
	(void)fflush(stdout);
}

/* What the server would say to it, without sending it. -EBADMSG: it is no ELF file. */
static int look_at(const char *path, struct candidate *ret, struct error *err)
{
	struct elf elf;
	_cleanup_(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return error_set(err, -errno, "%s", strerror(errno));
	int r = elf_init(&elf, fd, err);
	if (r < 0)
		return r;
	*ret = (struct candidate){ .path = path, .size = elf.file_size, .has_dwarf = elf.has_dwarf };
	if (elf_build_id_hex(&elf, ret->build_id) == 0)
		return error_set(err, -EPROTONOSUPPORT, "no build id (link with --build-id)");
	if (!elf.has_dwarf && elf.symtab.size == 0)
		return error_set(err, -EPROTONOSUPPORT, "stripped: neither debug information nor a symbol table");
	return 0;
}

/* The server's answer to a request about one file: 0, or the errno its status stands for. */
static int ask(struct uploader *u, const char *method, const struct candidate *c, struct slice body, int *ret_status,
	       struct error *err)
{
	char target[sizeof(PATH_OF) + ELF_BUILD_ID_HEX];
	(void)snprintf(target, sizeof(target), PATH_OF "%s", c->build_id);
	int r = server_ask(u->client, method, target, body, &u->answer, ret_status, err);
	if (r < 0 || *ret_status == 200 || *ret_status == 404)
		return r;
	server_detail(*ret_status, slice_of(u->answer.data, u->answer.n), err);
	return *ret_status == 413 ? -E2BIG : *ret_status == 422 ? -EPROTONOSUPPORT : -EIO;
}

static int send_file(struct uploader *u, const struct candidate *c, struct error *err)
{
	int status;
	_cleanup_(filemap_done)
	struct filemap file;
	int r = filemap_init(&file, c->path, SIZE_MAX / 2, err);
	if (r == 0)
		r = ask(u, "PUT", c, file.bytes, &status, err);
	if (r == 0 && status != 200)
		r = error_set(err, -EIO, "the server takes no debug files (HTTP %d)", status);
	if (r < 0)
		return r;
	tell("stored", c);
	u->n_stored++;
	return 0;
}

/* -ECONNREFUSED and the like: no use to go on. */
static int upload(struct uploader *u, const struct candidate *c)
{
	struct error err;
	int status;
	bool there_has_dwarf = false;
	int r = ask(u, "GET", c, slice_str(""), &status, &err);
	bool is_there = r == 0 && status == 200;
	if (is_there)
		r = debuginfo_read_dwarf(slice_of(u->answer.data, u->answer.n), &there_has_dwarf, &err);
	if (r == 0 && is_there && (there_has_dwarf || !c->has_dwarf)) {
		tell("present", c);
		u->n_present++;
	} else if (r == 0) {
		r = send_file(u, c, &err);
	}
	if (r == 0)
		return 0;
	fail(u, c->path, r, &err);
	/* No answer at all: neither will the next one have one. */
	return status == 0 ? r : 0;
}

/* Named by the caller, it has to be one; in a folder, other files are passed over. */
static int take_file(struct uploader *u, const char *path, bool is_named)
{
	struct candidate c;
	struct error err;
	int r = look_at(path, &c, &err);
	if (r == 0)
		return upload(u, &c);
	bool is_other = r == -EBADMSG || r == -ENODATA || r == -EPROTONOSUPPORT;
	if (is_named || !is_other)
		fail(u, path, r, &err);
	else
		u->n_skipped++;
	return 0;
}

static int walk(struct uploader *u, char **paths)
{
	/* Links are followed where the caller names them, not inside folders. */
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
	int r = 0;
	if (!fts)
		return -errno;
	for (FTSENT *e; r == 0 && (e = fts_read(fts));) {
		struct error err;
		bool is_named = e->fts_level == FTS_ROOTLEVEL;
		switch (e->fts_info) {
		case FTS_F:
			r = take_file(u, e->fts_path, is_named);
			break;
		case FTS_NS:
		case FTS_DNR:
		case FTS_ERR:
			(void)error_set(&err, 0, "%s", strerror(e->fts_errno));
			fail(u, e->fts_path, -e->fts_errno, &err);
			break;
		default:
			break;
		}
	}
	(void)fts_close(fts);
	return r;
}

static int run_upload(const char *url, char **paths)
{
	struct error err;
	struct uploader u = { .answer = buf_of(ANSWER_MAX) };
	_cleanup_(http_client_free)
	struct http_client *client = NULL;
	int r = server_client_new(url, &client, &err);
	if (r < 0)
		return command_failed(&cmd_debuginfo, r, &err);
	u.client = client;
	r = walk(&u, paths);
	buf_done(&u.answer);
	(void)fprintf(stderr, "%u stored, %u present, %u failed", u.n_stored, u.n_present, u.n_failed);
	if (u.n_skipped)
		(void)fprintf(stderr, ", %u without a build id or anything that names code", u.n_skipped);
	(void)fputs("\n", stderr);
	return r < 0 && !u.status ? 1 : u.status;
}

static int run_list(const char *url, bool json)
{
	struct error err;
	int status;
	_cleanup_(buf_done)
	struct buf answer = buf_of(ANSWER_MAX);
	_cleanup_(http_client_free)
	struct http_client *client = NULL;
	int r = server_client_new(url, &client, &err);
	if (r == 0)
		r = server_ask(client, "GET", "/api/v1/debuginfo", slice_str(""), &answer, &status, &err);
	struct slice body = slice_of(answer.data, answer.n);
	if (r == 0 && status != 200) {
		server_detail(status, body, &err);
		r = -EIO;
	}
	if (r == 0 && json)
		(void)printf("%.*s\n", (int)body.size, (const char *)body.data);
	else if (r == 0)
		r = debuginfo_print_list(body, &err);
	return r < 0 ? command_failed(&cmd_debuginfo, r, &err) : 0;
}

static int run_debuginfo(int argc, char **argv)
{
	static const struct option options[] = {
		{ "server", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	const char *url = NULL;
	bool json = false;
	int o;
	opterr = 0;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 's')
			url = optarg;
		else if (o == 'j')
			json = true;
		else
			return command_usage_error(&cmd_debuginfo, "unknown option or missing value: %s",
						   argv[optind - 1]);
	}
	const char *action = optind < argc ? argv[optind++] : "";
	if (strcmp(action, "list") == 0 && optind == argc)
		return run_list(url, json);
	if (strcmp(action, "upload") == 0 && optind < argc && !json)
		return run_upload(url, argv + optind);
	return command_usage_error(&cmd_debuginfo, "wants upload FILE|DIR..., or list");
}

const struct command cmd_debuginfo = {
	.name = "debuginfo",
	.summary = "give a server the debug files it lacks, list those it has",
	.usage = "wick debuginfo upload FILE|DIR... [--server URL]\n"
		 "wick debuginfo list [--json] [--server URL]\n"
		 "upload sends binaries and separate debug files whose build id the server has no debug file of, and "
		 "says\n"
		 "of each: stored, present. Folders are searched; what is no ELF file, has no build id or is stripped "
		 "is\n"
		 "passed over there. Frames stored before get their names, lines and inlined functions then.\n"
		 "list shows the files the server has and the builds it lacks, those with most frames first.\n"
		 "  --server URL  the server ($WICK_SERVER, else http://127.0.0.1:4040)\n",
	.run = run_debuginfo,
};
