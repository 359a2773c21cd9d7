/* SPDX-License-Identifier: Apache-2.0 */
/* service_name.h: what a process is called in the page.
 *
 *   OTEL_SERVICE_NAME, else WICK_SERVICE in its environment
 *   else the innermost of systemd unit and container
 *   else its command name */
#pragma once

#include "collect/cgroup_name.h"

#define SERVICE_NAME_MAX 256

/* Writes 1 to SERVICE_NAME_MAX bytes of valid UTF-8 without control
 * characters; anything else in the input becomes "?". */
void service_name(struct slice environment, const struct cgroup_name *cgroup, struct slice comm,
		  char ret[static SERVICE_NAME_MAX + 1]);
