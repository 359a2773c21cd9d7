/* SPDX-License-Identifier: Apache-2.0 */
#include "server/server.h"

bool waiting_begin(struct server *s, struct http_request *rq)
{
	/* Counted before it is looked at, so that stopping misses nobody. */
	s->n_waiting++;
	if (s->stopping) {
		s->n_waiting--;
		http_answer_error(rq, 503, "too_many_requests", NULL, -1, "the server is stopping; try again");
		return false;
	}
	http_suspend(rq);
	return true;
}

void waiting_end(struct server *s, struct http_request *rq)
{
	http_resume(rq);
	/* Last: the server waits for it before it goes. */
	s->n_waiting--;
}
