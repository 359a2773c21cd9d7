/* SPDX-License-Identifier: Apache-2.0 */
/* One input is a maps file, a stat line, an environment and a cgroup file at
 * once: whatever a process can make of its /proc folder. */
#include "collect/cpu_list.h"
#include "collect/proc_text.h"
#include "collect/service_name.h"

#include <assert.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int put_map(void *arg, const struct proc_map *m)
{
	const struct slice *all = arg;
	assert(m->start < m->end && m->path.size <= all->size);
	return 0;
}

static void walk_maps(struct slice input)
{
	static int fd = -1;
	if (fd < 0)
		fd = memfd_create("maps", MFD_CLOEXEC);
	if (ftruncate(fd, 0) < 0 || pwrite(fd, input.data, input.size, 0) != (ssize_t)input.size ||
	    lseek(fd, 0, SEEK_SET) < 0)
		return;
	int r = proc_maps_walk(fd, (struct proc_map_sink){ put_map, &input });
	assert(r <= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint32_t cpus[CPUS_MAX];
	struct slice input = slice_of(data, size);
	struct cgroup_name cgroup;
	char service[SERVICE_NAME_MAX + 1];
	uint32_t n_cpus;
	uint64_t start_time;
	int64_t busy_ns;
	walk_maps(input);
	(void)proc_stat_field(input, PROC_STAT_START_TIME, &start_time);
	cgroup_name_parse(input, &cgroup);
	service_name(input, &cgroup, input, service);
	size_t n = strlen(service);
	assert(n >= 1 && n <= SERVICE_NAME_MAX);
	if (cpu_list_parse(input, cpus, &n_cpus) == 0)
		assert(n_cpus <= CPUS_MAX);
	(void)busy_time_parse(input, INT64_MAX / CPUS_MAX, 1, &busy_ns);
	return 0;
}
