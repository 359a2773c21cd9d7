/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/cpu_list.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>

static bool take_u64(struct slice *s, uint64_t *ret)
{
	uint64_t v = 0;
	size_t n = 0;
	for (; n < s->size && s->data[n] >= '0' && s->data[n] <= '9'; n++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(s->data[n] - '0'), &v))
			return false;
	*s = slice_of(s->data + n, s->size - n);
	*ret = v;
	return n > 0;
}

static bool take_char(struct slice *s, char c)
{
	if (!s->size || s->data[0] != (uint8_t)c)
		return false;
	*s = slice_of(s->data + 1, s->size - 1);
	return true;
}

int cpu_list_parse(struct slice text, uint32_t ret_cpus[static CPUS_MAX], uint32_t *ret_n)
{
	struct slice s = text;
	uint32_t n = 0;
	while (s.size && s.data[0] != '\n') {
		uint64_t first, last;
		if (!take_u64(&s, &first))
			return -EBADMSG;
		last = first;
		if (take_char(&s, '-') && !take_u64(&s, &last))
			return -EBADMSG;
		if (last < first)
			return -EBADMSG;
		if (last - first >= CPUS_MAX - n)
			return -E2BIG;
		if (last > UINT32_MAX)
			return -EBADMSG;
		for (uint64_t cpu = first; cpu <= last; cpu++)
			ret_cpus[n++] = (uint32_t)cpu;
		if (s.size && s.data[0] != '\n' && !take_char(&s, ','))
			return -EBADMSG;
	}
	*ret_n = n;
	return n ? 0 : -EBADMSG;
}

int cpu_list_online(uint32_t ret_cpus[static CPUS_MAX], uint32_t *ret_n, struct error *err)
{
	static const char path[] = "/sys/devices/system/cpu/online";
	_cleanup_(buf_done)
	struct buf text = buf_of(64 << 10);
	int r = file_read(path, &text, err);
	if (r < 0)
		return r;
	r = cpu_list_parse(slice_of(text.data, text.n), ret_cpus, ret_n);
	return r < 0 ? error_set(err, r, "%s: not a list of at most %d CPUs", path, CPUS_MAX) : 0;
}

/* "cpu  USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL ..." in ticks. Idle
 * time is measured, busy time only counted by ticks: so take the rest. */
bool busy_time_parse(struct slice stat, int64_t boot_ns, uint32_t n_cpus, int64_t *ret_ns)
{
	if (!slice_has_prefix(stat, "cpu "))
		return false;
	struct slice s = slice_of(stat.data + 4, stat.size - 4);
	uint64_t field[8];
	for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
		while (take_char(&s, ' '))
			;
		if (!take_u64(&s, &field[i]))
			return false;
	}
	uint64_t tick_ns = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK), idle_ns;
	if (__builtin_mul_overflow(field[3] + field[4] + field[7], tick_ns, &idle_ns) || idle_ns > INT64_MAX)
		return false;
	*ret_ns = boot_ns * n_cpus - (int64_t)idle_ns;
	return true;
}

bool busy_time_read(uint32_t n_cpus, int64_t *ret_ns)
{
	_cleanup_(buf_done)
	struct buf text = buf_of(1 << 20);
	if (file_read("/proc/stat", &text, NULL) < 0)
		return false;
	return busy_time_parse(slice_of(text.data, text.n), clock_ns(CLOCK_BOOTTIME), n_cpus, ret_ns);
}
