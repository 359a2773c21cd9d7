/* SPDX-License-Identifier: Apache-2.0 */
#include "store/block_part.h"
#include "store/block_scan.h"
#include "store_bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_COLUMNS 6 /* of a piece, at most */

static const char *const section_names[N_SECTIONS] = { "",	   "meta",	"strings",   "nodes",	 "frames",
						       "mappings", "functions", "labelsets", "hosts",	 "sources",
						       "losses",   "series",	"pages",     "postings", "keys" };
static const char *const columns_of[N_PIECES][N_COLUMNS] = {
	{ "from", "duration", "rows", "scale", "total", "profiles" },
	{ "node", "labels", "value" },
	{ "observations", "weight", "time", "rank", "weights" },
};
static const char *const piece_names[N_PIECES] = { "heads", "rows", "times" };

struct counted {
	uint64_t n, stored, plain;
};

struct sizes {
	uint64_t file, n_profiles;
	struct counted section[N_SECTIONS];
	struct counted piece[N_RESOLUTIONS][N_PIECES];
	struct counted column[N_RESOLUTIONS][N_PIECES][N_COLUMNS]; /* stored: what it would be, packed alone */
	uint64_t n_rows[N_RESOLUTIONS];
	struct packer packer;
	struct unpacker unpacker;
};

static void count(struct counted *c, uint64_t stored, uint64_t plain)
{
	c->n++;
	c->stored += stored;
	c->plain += plain;
}

static void count_columns(struct sizes *s, enum resolution res, enum page_piece piece, struct slice bytes)
{
	struct column c;
	for (int i = 0; i < N_COLUMNS && bytes.size && columns_next(&bytes, &c) == 0; i++) {
		struct slice plain = slice_of(c.p, (size_t)(c.end - c.p));
		struct buf out = buf_of(UINT32_MAX);
		count(&s->column[res][piece][i], pack(&s->packer, plain, &out), plain.size);
		buf_done(&out);
		/* A number ends in each byte whose highest bit is clear. */
		for (const uint8_t *p = c.p; piece == PIECE_ROWS && i == 0 && p < c.end; p++)
			s->n_rows[res] += *p < 128;
	}
}

static void count_page(struct sizes *s, const struct block_pages *b, const struct page *page, enum resolution res)
{
	uint64_t off = page->off;
	for (int i = 0; i < N_PIECES; i++) {
		uint8_t *stored = malloc((size_t)page->stored[i] + 1), *plain = malloc((size_t)page->size[i] + 1);
		struct slice bytes = slice_of(stored, page->stored[i]);
		count(&s->piece[res][i], page->stored[i], page->size[i]);
		if (stored && plain && block_file_read(&b->file, off, bytes.size, stored) == 0 &&
		    unpack(&s->unpacker, bytes, plain, page->size[i]) == 0)
			count_columns(s, res, (enum page_piece)i, slice_of(plain, page->size[i]));
		free(stored);
		free(plain);
		off += page->stored[i];
	}
}

static void count_block(struct sizes *s, int dir, const char *name)
{
	struct block_part b;
	struct error err = { "" };
	bench_check(block_part_load(&b, dir, name, NULL, NULL, &err), &err);
	s->file += b.pages.file.meta.size;
	s->n_profiles += b.pages.file.meta.n_profiles;
	for (int i = 1; i < N_SECTIONS; i++)
		if (b.pages.file.section[i].off)
			count(&s->section[i], b.pages.file.section[i].stored_size, b.pages.file.section[i].size);
	for (uint32_t i = 0; i < b.pages.series.n; i++)
		for (int res = 0; res < N_RESOLUTIONS; res++)
			for (uint32_t k = b.pages.series.data[i].first[res]; k < b.pages.series.data[i].first[res + 1];
			     k++)
				count_page(s, &b.pages, &b.pages.pages.data[k], (enum resolution)res);
	block_part_done(&b);
}

static void print_row(const struct sizes *s, const char *name, const struct counted *c, uint64_t n_rows)
{
	if (!c->n)
		return;
	(void)fprintf(stderr, "%-24s %8" PRIu64 " %13" PRIu64 " %13" PRIu64 " %6.2f%% %9.4f", name, c->n, c->plain,
		      c->stored, 100.0 * (double)c->stored / (double)s->file,
		      (double)c->stored / (double)s->n_profiles / 6000);
	if (n_rows)
		(void)fprintf(stderr, " %7.3f", (double)c->stored / (double)n_rows);
	(void)fprintf(stderr, "\n");
}

static void print_pages(const struct sizes *s, int res)
{
	char name[64];
	for (int i = 0; i < N_PIECES; i++) {
		(void)snprintf(name, sizeof(name), "%s %s", resolution_name((enum resolution)res), piece_names[i]);
		print_row(s, name, &s->piece[res][i], s->n_rows[res]);
		for (int k = 0; k < N_COLUMNS && columns_of[i][k]; k++) {
			(void)snprintf(name, sizeof(name), "  %s (alone)", columns_of[i][k]);
			print_row(s, name, &s->column[res][i][k], s->n_rows[res]);
		}
	}
}

int bench_sizes(const char *dir)
{
	char path[4096];
	static struct sizes s;
	(void)snprintf(path, sizeof(path), "%s/blocks", dir);
	bench_check(packer_init(&s.packer, 6), NULL);
	bench_check(unpacker_init(&s.unpacker), NULL);
	DIR *d = opendir(path);
	if (!d)
		bench_check(-errno, NULL);
	for (struct dirent *e; (e = readdir(d));) {
		size_t n = strlen(e->d_name);
		if (n > 4 && strcmp(e->d_name + n - 4, ".blk") == 0)
			count_block(&s, dirfd(d), e->d_name);
	}
	(void)closedir(d);
	(void)fprintf(stderr, "%-24s %8s %13s %13s %7s %9s %7s\n", "what", "n", "plain", "stored", "share", "B/sample",
		      "B/row");
	for (int i = 1; i < N_SECTIONS; i++)
		print_row(&s, section_names[i], &s.section[i], 0);
	for (int res = 0; res < N_RESOLUTIONS; res++)
		print_pages(&s, res);
	(void)fprintf(stderr, "%-24s %8" PRIu64 " %27" PRIu64 "\n", "files: profiles, bytes", s.n_profiles, s.file);
	(void)printf("sizes_file %" PRIu64 "\n", s.file);
	(void)printf("sizes_profiles %" PRIu64 "\n", s.n_profiles);
	packer_done(&s.packer);
	unpacker_done(&s.unpacker);
	return 0;
}

int bench_thin(const char *dir)
{
	struct error err = { "" };
	struct store *s;
	bool more = true;
	const struct store_options options = {
		.dir = dir,
		.memory_limit = BENCH_MEMORY,
		.head_memory = BENCH_MEMORY / 32 * 6,
		.tables_memory = BENCH_MEMORY / 32 * 5,
		.build_memory = BENCH_MEMORY / 32 * 4,
		.decode_memory = BENCH_MEMORY / 16 * 5 / 2,
		.n_threads = 2,
		.disk_limit = (uint64_t)1 << 40,
		.raw_age_ms = BENCH_DAY_MS,
		.sums_age_ms = 4000 * BENCH_DAY_MS,
		.is_idle = true,
	};
	bench_check(store_open(&options, &s, NULL, &err), &err);
	while (more)
		bench_check(store_tidy(s, FLEET_START_MS + 100 * BENCH_DAY_MS, &more, &err), &err);
	store_close(&s);
	return 0;
}
