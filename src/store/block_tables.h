/* SPDX-License-Identifier: Apache-2.0 */
/* block_tables.h: the sections of a block but for META and KEYS. */
#pragma once

#include "store/block_order.h"
#include "store/block_writer.h"

/* Words that the format needs, as strings of the directory. */
struct block_words {
	struct str_id loss[N_LOSSES], label[N_SERIES_LABELS];
	struct str_id source[PART_MAX_SOURCES][2];
};

/* Interns them, before the strings are numbered. -ENOBUFS, -ENOMEM. */
int block_words_init(struct block_words *w, struct part *p) must_check;

/* Names, a directory of hosts and series with strings of its own (its names are
 * not looked at), and where the chunks have been written. Series are written in the order
 * of `series_order`, whose i-th stands for series i of `pages`. */
struct block_tables {
	const struct profile *names;
	const struct part *directory;
	const struct block_words *words;
	struct block_order *order;
	const uint32_t *series_order;
	const struct block_pages *pages;
	struct membudget *budget;
};

/* -ENOBUFS, -ENOMEM. Failed writes are the writer's. */
int block_tables_write(const struct block_tables *t, struct block_writer *w) must_check;
