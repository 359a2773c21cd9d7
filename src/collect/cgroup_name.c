/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/cgroup_name.h"

#include <stdio.h>

#define ID_SIZE	      64 /* sha256 in hex */
#define ID_SHORT_SIZE 12 /* what `docker ps` shows */

static bool has_suffix(struct slice s, const char *suffix)
{
	size_t n = strlen(suffix);
	return s.size >= n && memcmp(s.data + s.size - n, suffix, n) == 0;
}

static struct slice without(struct slice s, size_t front, size_t back)
{
	return slice_of(s.data + front, s.size - front - back);
}

static bool is_hex(struct slice s)
{
	for (size_t i = 0; i < s.size; i++) {
		uint8_t c = s.data[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Copies with systemd's \xHH undone; what is not printable becomes "?". */
static void copy_name(struct slice s, char out[static CGROUP_NAME_SIZE])
{
	size_t n = 0;
	for (size_t i = 0; i < s.size && n < CGROUP_NAME_SIZE - 1; i++) {
		int c = s.data[i];
		if (c == '\\' && s.size - i >= 4 && s.data[i + 1] == 'x') {
			int high = hex_digit(s.data[i + 2]), low = hex_digit(s.data[i + 3]);
			if (high >= 0 && low >= 0) {
				c = high * 16 + low;
				i += 3;
			}
		}
		out[n++] = c > ' ' && c < 0x7f ? (char)c : '?';
	}
	out[n] = 0;
}

/* "<64 hex>", "docker-<64 hex>.scope", "...:cri-containerd:<64 hex>" */
static bool find_id(struct slice part, struct slice *ret)
{
	struct slice s = has_suffix(part, ".scope") ? without(part, 0, strlen(".scope")) : part;
	if (s.size < ID_SIZE)
		return false;
	size_t front = s.size - ID_SIZE;
	struct slice id = without(s, front, 0);
	if (!is_hex(id) || (front && s.data[front - 1] != '-' && s.data[front - 1] != ':'))
		return false;
	/* The process that watches a container is not in it. */
	if (front >= strlen("conmon-") && memcmp(s.data + front - strlen("conmon-"), "conmon-", strlen("conmon-")) == 0)
		return false;
	*ret = slice_of(id.data, ID_SHORT_SIZE);
	return true;
}

/* Fargate: "<32 hex>-<digits>", the container's number within the task. */
static bool is_task_container(struct slice part)
{
	if (part.size < 34 || part.size > 43 || part.data[32] != '-' || !is_hex(slice_of(part.data, 32)))
		return false;
	for (size_t i = 33; i < part.size; i++)
		if (part.data[i] < '0' || part.data[i] > '9')
			return false;
	return true;
}

static bool find_container(struct slice before, struct slice part, struct slice *ret)
{
	if (find_id(part, ret))
		return true;
	*ret = part;
	if (is_task_container(part) || slice_eq(before, slice_str("lxc")) || slice_eq(before, slice_str("lxc.payload")))
		return true;
	if (slice_has_prefix(part, "lxc.payload.")) {
		*ret = without(part, strlen("lxc.payload."), 0);
		return true;
	}
	if (slice_eq(before, slice_str("machine.slice")) && slice_has_prefix(part, "machine-") &&
	    has_suffix(part, ".scope")) {
		*ret = without(part, strlen("machine-"), strlen(".scope"));
		return true;
	}
	return false;
}

/* The user's own service manager is no service of its programs. */
static bool is_unit(struct slice part)
{
	return has_suffix(part, ".service") && part.size > strlen(".service") && !slice_has_prefix(part, "user@");
}

struct found {
	struct slice unit, container;
	bool unit_is_inner;
};

/* The innermost of each kind. */
static struct found parse_path(struct slice path)
{
	struct found found = { 0 };
	struct slice before = { 0 };
	for (size_t from = 0; from < path.size;) {
		size_t end = from;
		while (end < path.size && path.data[end] != '/')
			end++;
		struct slice part = slice_of(path.data + from, end - from), container;
		from = end + 1;
		if (part.size == 0)
			continue;
		if (find_container(before, part, &container) && container.size) {
			found.container = container;
			found.unit_is_inner = false;
		} else if (is_unit(part)) {
			found.unit = without(part, 0, strlen(".service"));
			found.unit_is_inner = found.container.size > 0;
		}
		before = part;
	}
	return found;
}

/* "4:memory:/path" -> "/path" */
static bool path_of_line(struct slice line, struct slice *ret)
{
	size_t i = 0;
	for (int colons = 0; colons < 2; i++) {
		if (i >= line.size)
			return false;
		colons += line.data[i] == ':';
	}
	*ret = without(line, i, 0);
	return true;
}

void cgroup_name_parse(struct slice text, struct cgroup_name *ret)
{
	*ret = (struct cgroup_name){ 0 };
	struct found best = { 0 };
	for (size_t from = 0; from < text.size;) {
		const uint8_t *newline = memchr(text.data + from, '\n', text.size - from);
		size_t end = newline ? (size_t)(newline - text.data) : text.size;
		struct slice path;
		if (path_of_line(slice_of(text.data + from, end - from), &path)) {
			struct found found = parse_path(path);
			/* With cgroup v1 not every hierarchy knows the container. */
			bool better = found.container.size
					      ? !best.container.size || (found.unit_is_inner && !best.unit_is_inner)
					      : !best.container.size && !best.unit.size;
			if (better)
				best = found;
		}
		from = end + 1;
	}
	copy_name(best.unit, ret->unit);
	copy_name(best.container, ret->container);
	ret->unit_is_inner = best.unit_is_inner;
}
