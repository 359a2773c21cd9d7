/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/profile_file.h"

#include "base/filemap.h"
#include "cli/command.h"
#include "cli/symbolize.h"
#include "format/detect.h"
#include "model/labelgroups.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

/* What a salvaged file lacks goes along with it. */
static int say_loss(const char *path, const struct salvage *salvage, struct profile *p, struct error *err)
{
	char text[sizeof(salvage->end.text) + sizeof(salvage->lost.text) + 32];
	if (!salvage_is_half(salvage))
		return 0;
	(void)snprintf(text, sizeof(text), "salvaged: %s%s%s", salvage->end.text,
		       salvage->lost.text[0] ? "; lost: " : "", salvage->lost.text);
	(void)fprintf(stderr, "wick: %s: %s\n", path, text);
	int r = profile_add_comment(p, slice_str(text));
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

static void say_warnings(const char *path, const struct profile *p)
{
	for (uint32_t i = 0; i < p->warnings.n; i++)
		(void)fprintf(stderr, "wick: %s: %s\n", path,
			      strtab_cstr(&p->dict.strings, p->comments.data[p->warnings.data[i]]));
}

/* Compressed input is let go of as soon as it has been inflated. */
static int decode(const char *path, struct filemap *file, const struct read_options *o, struct profile *p,
		  struct error *err)
{
	struct salvage salvage = { .is_wanted = o->salvage };
	_cleanup_(buf_done)
	struct buf inflated = buf_of(0);
	struct slice plain;
	enum codec codec = codec_of(file->bytes);
	enum format format;
	int r = format_inflate(file->bytes, &o->limits, &salvage, &inflated, &plain, err);
	if (codec != CODEC_RAW)
		filemap_done(file);
	if (r == 0)
		r = format_decode_plain(plain, codec, &o->limits, &salvage, p, &format, err);
	if (r < 0)
		return r;
	say_warnings(path, p);
	/* It holds addresses only. */
	if (format == FORMAT_PERFDATA && !o->no_symbols && (r = profile_symbolize(p, path, &o->dwarf)) < 0)
		return error_set(err, r, "out of memory while naming frames");
	return say_loss(path, &salvage, p, err);
}

/* Whoever writes a profile in place while it is read cuts the map. */
static void on_cut(int signal_number)
{
	static const char text[] = "wick: the file became shorter while it was read\n";
	(void)signal_number;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(EXIT_INPUT);
}

int profile_load(const char *path, struct read_options *o, struct profile *p, struct error *err)
{
	_cleanup_(filemap_done)
	struct filemap file;
	(void)signal(SIGBUS, on_cut);
	int r = filemap_init(&file, path, o->limits.input_size, err);
	if (r < 0)
		return r;
	r = profile_init(p, &o->budget);
	if (r < 0)
		return error_set(err, r, "%s: out of memory", path);
	p->wants_times = o->wants_times;
	r = decode(path, &file, o, p, err);
	if (r < 0) {
		error_prefix(err, "%s", path);
		profile_done(p);
	}
	return r;
}

int profile_choose_type(const struct profile *p, const char *name, const char *file, uint32_t *ret, struct error *err)
{
	if (!name) {
		*ret = profile_default_type(p);
		return 0;
	}
	int r = profile_find_type(p, name, ret, err);
	if (r < 0)
		error_prefix(err, "%s", file);
	return r;
}

static int plain_calltree(const struct profile *p, uint32_t type, const struct calltree_view *view,
			  struct calltree *ret)
{
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	_cleanup_(free_ptr)
	int64_t *self = calloc(dict_n_nodes(&p->dict), sizeof(*self));
	if (!b || !self)
		return -ENOMEM;
	profile_node_values(p, type, self);
	int r = calltree_add(b, &p->dict, self, slice_of("", 0), view);
	return r < 0 ? r : calltree_finish(b, ret);
}

int profile_calltree(const struct profile *p, uint32_t type, const char *by, const struct calltree_view *view,
		     struct calltree *ret)
{
	_cleanup_(labelgroups_done)
	struct labelgroups groups = { 0 };
	int r = by ? labelgroups_init(p, type, by, &groups, NULL) : -ENOENT;
	if (r < 0 && r != -ENOENT)
		return r;
	return groups.n > 1 ? labelgroups_tree(&groups, p, type, "", view, ret) : plain_calltree(p, type, view, ret);
}
