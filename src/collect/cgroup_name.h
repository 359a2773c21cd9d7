/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_name.h: which unit and which container a process belongs to, told by
 * its cgroup path alone.
 *
 *   /system.slice/nginx.service                              unit nginx
 *   /system.slice/docker-<64 hex>.scope                      container, 12 hex
 *   /kubepods/burstable/pod<uid>/<64 hex>                    container, 12 hex
 *   /lxc.payload.web/system.slice/nginx.service              container web, unit nginx
 *
 * Known: Docker, containerd, CRI-O, kubelet, Podman, ECS, LXC, systemd-nspawn,
 * cgroup v1 and v2. */
#pragma once

#include "base/slice.h"

#define CGROUP_NAME_SIZE 128

struct cgroup_name {
	char unit[CGROUP_NAME_SIZE];	  /* without ".service"; "" = none */
	char container[CGROUP_NAME_SIZE]; /* short id or name; "" = none */
	bool unit_is_inner;		  /* the unit runs inside the container, not around it */
};

/* From the text of /proc/PID/cgroup. Lines that do not parse are skipped. */
void cgroup_name_parse(struct slice text, struct cgroup_name *ret);
