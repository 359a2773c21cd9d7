/* SPDX-License-Identifier: Apache-2.0 */
/* cpu_list.h: CPUs and how busy they were. */
#pragma once

#include "base/error.h"
#include "base/slice.h"

#define CPUS_MAX 1024

/* "0-3,8,10-11" -> 0 1 2 3 8 10 11, rising. -EBADMSG, -E2BIG past CPUS_MAX. */
int cpu_list_parse(struct slice text, uint32_t ret_cpus[static CPUS_MAX], uint32_t *ret_n) must_check;

/* The CPUs that are online. */
int cpu_list_online(uint32_t ret_cpus[static CPUS_MAX], uint32_t *ret_n, struct error *err) must_check;

/* Time that all CPUs together did not idle since boot, in ns, from the text of
 * /proc/stat and the time since boot. False: not in the expected form. */
bool busy_time_parse(struct slice stat, int64_t boot_ns, uint32_t n_cpus, int64_t *ret_ns);
bool busy_time_read(uint32_t n_cpus, int64_t *ret_ns);
