/* SPDX-License-Identifier: Apache-2.0 */
/* known_stacks.h: which node of a growing dict a stack is, by what it says.
 *
 *   string -> function, mapping -> frame -> node       128 bits of hash for each row, made of those
 *                                            \         of the rows it refers to
 *   a sample's node --hash--> node of the dict that takes it in
 *
 * Most stacks of a profile came before with another one of its service: they
 * are found with one look each, and nothing that they are made of needs to be
 * interned again. The others are, and are known from then on; so are their
 * frames, most of which came before in other stacks. 128 bits of hash stand
 * for a stack or frame; they are seeded, so that chosen ones cannot be made to
 * collide. Not thread-safe. */
#pragma once

#include "model/profile.h"

struct known_row {
	uint64_t high; /* of its hash */
	uint32_t id;   /* in the dict */
};

struct known_rows {
	struct u64map ids; /* low half of the hash, probed onwards -> row + 1 */
	VEC(struct known_row) rows;
};

struct known_stacks {
	uint64_t seed[2];		  /* of the hashes, one for each half */
	struct known_rows stacks, frames; /* nodes, frames */
	struct membudget *budget;
};

/* -EIO: no random numbers. */
int known_stacks_init(struct known_stacks *k, struct membudget *budget) must_check;
void known_stacks_done(struct known_stacks *k);

/* node_map[node of a sample of p] = its node of `dst`, added if new: always the
 * same `dst`, whose nodes stay. The array has dict_n_nodes(&p->dict) entries; those
 * of nodes without a sample mean nothing. -ENOBUFS, -ENOMEM: `dst` may have grown. */
int known_stacks_import(struct known_stacks *k, struct dict *dst, const struct profile *p,
			struct node_id *node_map) must_check;
