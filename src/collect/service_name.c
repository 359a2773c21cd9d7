/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/service_name.h"

#include "base/utf8.h"
#include "collect/proc_text.h"

static void copy_clean(struct slice s, char ret[static SERVICE_NAME_MAX + 1])
{
	size_t n = 0;
	for (size_t i = 0; i < s.size;) {
		size_t k = utf8_sequence(s.data + i, s.size - i);
		bool keep = k > 1 || (k == 1 && s.data[i] >= ' ' && s.data[i] != 0x7f);
		size_t step = k ? k : 1;
		if (n + (keep ? step : 1) > SERVICE_NAME_MAX)
			break;
		if (keep)
			memcpy(ret + n, s.data + i, step);
		else
			ret[n] = '?';
		n += keep ? step : 1;
		i += step;
	}
	if (n == 0)
		ret[n++] = '?';
	ret[n] = 0;
}

void service_name(struct slice environment, const struct cgroup_name *cgroup, struct slice comm,
		  char ret[static SERVICE_NAME_MAX + 1])
{
	struct slice name;
	if (!proc_environ_find(environment, "OTEL_SERVICE_NAME", &name) &&
	    !proc_environ_find(environment, "WICK_SERVICE", &name)) {
		if (cgroup->unit[0] && (cgroup->unit_is_inner || !cgroup->container[0]))
			name = slice_str(cgroup->unit);
		else if (cgroup->container[0])
			name = slice_str(cgroup->container);
		else
			name = comm;
	}
	copy_clean(name, ret);
}
