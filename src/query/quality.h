/* SPDX-License-Identifier: Apache-2.0 */
/* quality.h: how far an answer can be trusted: what was lost on the hosts
 * asked about and which share of it has no names. */
#pragma once

#include "model/calltree.h"
#include "query/select.h"

struct quality {
	uint64_t n_samples; /* taken by the windows of the selected hosts */
	uint64_t lost[N_LOSSES];
	uint64_t lost_total; /* samples that are missing whole */
	uint64_t truncated;  /* samples whose stack is cut or unreadable */
	double unnamed_share;
	uint32_t n_unnamed_frames;		 /* different ones */
	struct source sources[PART_MAX_SOURCES]; /* of those windows, each once */
	uint32_t n_sources;
};

/* Adds what a part's windows say. */
void quality_add(struct quality *q, const struct selection *s);

/* The part of the tree's value whose leaf has no name, and how many of its
 * frames have none; before pruning. */
void quality_of_names(const struct calltree *t, struct quality *q);
