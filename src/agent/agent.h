/* SPDX-License-Identifier: Apache-2.0 */
/* agent.h: the parts of wick-agent, and how they hang together.
 *
 *   stop file, signals -> sampling or not
 *   sampling:  recorder -> shipper -> upload queue -> server
 *                                         '-> spool -'   while it is away
 *   budget:    cost, once a second -> governor -> recorder
 *   control:   local socket -> status
 *
 * One thread. A stop frees the recorder, so that nothing is left in the
 * kernel; what it counted is kept. */
#pragma once

#include "agent/control.h"
#include "agent/cost.h"
#include "agent/governor.h"
#include "agent/options.h"
#include "agent/shipper.h"
#include "agent/stopfile.h"
#include "base/log.h"

struct agent {
	const struct agent_options *options;
	struct recorder *recorder; /* NULL while stopped */
	struct upload *upload;
	struct spool *spool; /* NULL: none */
	struct shipper shipper;
	struct control *control; /* may be NULL */
	struct stopfile stop;
	struct governor governor;

	struct recorder_stats before; /* of recorders that are gone */
	struct cost cost_at_start, cost_at_line, cost_at_window;
	int64_t budget_ns, stop_ns; /* when each is due */
	struct log_gate upload_gate, budget_gate, spool_gate;
	bool kernel_problem_told, server_is_away;

	char last_change[128];	/* of the governor; "" = none */
	int64_t last_change_ns; /* CLOCK_REALTIME */
};

/* Samples, unless a stop file says no. */
int agent_start(struct agent *a, const struct agent_options *o, struct error *err) must_check;
/* The last window, and a bounded time for what is queued. */
int agent_stop(struct agent *a, struct error *err) must_check;
void agent_done(struct agent *a);

#define AGENT_FDS (CONTROL_FDS + 2)
void agent_poll(const struct agent *a, struct pollfd fds[static AGENT_FDS]);
int agent_timeout_ms(const struct agent *a);
int agent_step(struct agent *a, const struct pollfd fds[static AGENT_FDS], struct error *err) must_check;

/* From a signal: puts the stop file there, or takes it away. */
void agent_set_stop(struct agent *a, bool stop);

struct recorder_stats agent_stats(const struct agent *a);
struct cost agent_cost(const struct agent *a);

/* status.c: the answers of the control socket. `arg` is the struct agent. */
bool status_answer(void *arg, struct slice request, struct buf *out);
