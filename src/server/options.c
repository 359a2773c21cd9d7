/* SPDX-License-Identifier: Apache-2.0 */
#include "server/options.h"

#include "base/settings.h"
#include "store/folder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define MEMORY_LIMIT_MIN ((uint64_t)64 << 20)

enum option_id {
#define OPTION(id, name, environment, argument, text) OPTION_##id,
#include "server/option.def"
#undef OPTION
	N_OPTIONS
};

static const struct setting rows[N_OPTIONS] = {
#define OPTION(id, name, environment, argument, text) { name, environment, argument, text },
#include "server/option.def"
#undef OPTION
};

void options_usage(FILE *out)
{
	settings_usage(rows, N_OPTIONS,
		       "usage: wick-server [OPTION]...\n"
		       "Stores profiles and shows them as live flame graphs.\n\n",
		       out);
}

int options_size(const char *text, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;
	for (; text[i] >= '0' && text[i] <= '9'; i++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v))
			return -EINVAL;
	static const char units[] = "KMGT";
	const char *unit = i && text[i] ? strchr(units, text[i] & ~0x20) : NULL;
	if (i == 0 || (text[i] && (!unit || text[i + 1])))
		return -EINVAL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	if (v > UINT64_MAX >> 1 >> shift)
		return -EINVAL;
	*ret = v << shift;
	return 0;
}

int options_duration(const char *text, int64_t *ret_ms)
{
	static const char units[] = "smhd";
	static const int64_t unit_ms[] = { 1000, 60000, 3600000, 86400000 };
	int64_t v = 0;
	size_t i = 0;
	for (; text[i] >= '0' && text[i] <= '9' && i < 9; i++)
		v = v * 10 + (text[i] - '0');
	const char *unit = i && text[i] ? strchr(units, text[i]) : NULL;
	if (!unit || text[i + 1] || v == 0)
		return -EINVAL;
	*ret_ms = v * unit_ms[unit - units];
	return 0;
}

static int set_size(const char *setting, const char *text, uint64_t min, uint64_t *ret, struct error *err)
{
	uint64_t v;
	if (options_size(text, &v) < 0)
		return error_set(err, -EINVAL, "%s %s: a size such as 512M or 10G is expected", setting, text);
	if (v < min)
		return error_set(err, -EINVAL, "%s %s: at least %lluM is needed", setting, text,
				 (unsigned long long)(min >> 20));
	*ret = v;
	return 0;
}

static int set_duration(const char *setting, const char *text, int64_t *ret_ms, struct error *err)
{
	return options_duration(text, ret_ms) < 0
		       ? error_set(err, -EINVAL, "%s %s: a time such as 90s, 15m, 2h or 1d is expected", setting, text)
		       : 0;
}

static int set_listen(struct options *o, const char *setting, const char *text, struct error *err)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0, digits = colon ? strlen(colon + 1) : 0;
	if (!colon || n == 0 || n >= sizeof(o->address) || digits == 0 || digits > 5 ||
	    strspn(colon + 1, "0123456789") != digits || strtol(colon + 1, NULL, 10) > 65535)
		return error_set(err, -EINVAL, "%s %s: ADDRESS:PORT is expected, as in 127.0.0.1:4040", setting, text);
	(void)snprintf(o->address, sizeof(o->address), "%.*s", (int)n, text);
	if (strcasecmp(o->address, "localhost") == 0)
		(void)snprintf(o->address, sizeof(o->address), "127.0.0.1");
	o->port = (uint16_t)strtol(colon + 1, NULL, 10);
	return 0;
}

static int set_count(const char *setting, const char *text, uint32_t *ret, struct error *err)
{
	size_t digits = strspn(text, "0123456789");
	long n = digits > 0 && digits < 8 && !text[digits] ? strtol(text, NULL, 10) : 0;
	if (n == 0)
		return error_set(err, -EINVAL, "%s %s: a number from 1 to 9999999 is expected", setting, text);
	*ret = (uint32_t)n;
	return 0;
}

static int set_option(void *arg, unsigned row, const char *setting, const char *value, struct error *err)
{
	struct options *o = arg;
	switch ((enum option_id)row) {
	case OPTION_LISTEN:
		return set_listen(o, setting, value, err);
	case OPTION_DATA:
		if (!*value || strlen(value) >= sizeof(o->data))
			return error_set(err, -EINVAL, "%s: a folder is expected", setting);
		(void)snprintf(o->data, sizeof(o->data), "%s", value);
		return 0;
	case OPTION_MEMORY_LIMIT:
		return set_size(setting, value, MEMORY_LIMIT_MIN, &o->memory_limit, err);
	case OPTION_DISK_LIMIT:
		return set_size(setting, value, 0, &o->disk_limit, err);
	case OPTION_RETENTION:
		return set_duration(setting, value, &o->retention_ms, err);
	case OPTION_SUMS_RETENTION:
		return set_duration(setting, value, &o->sums_retention_ms, err);
	case OPTION_SERIES_LIMIT:
		return set_count(setting, value, &o->series_limit, err);
	case OPTION_LABEL_VALUES_LIMIT:
		return set_count(setting, value, &o->label_values_limit, err);
	case OPTION_DISK_RESERVE:
		return set_size(setting, value, 0, &o->disk_reserve, err);
	case OPTION_FLUSH_SIZE:
		return set_size(setting, value, 1, &o->flush_size, err);
	case OPTION_FLUSH_AGE:
		return set_duration(setting, value, &o->flush_age_ms, err);
	case OPTION_ENCRYPTION_KEYS:
		if (!*value || strlen(value) >= sizeof(o->encryption_keys))
			return error_set(err, -EINVAL, "%s: a file of keys is expected", setting);
		(void)snprintf(o->encryption_keys, sizeof(o->encryption_keys), "%s", value);
		return 0;
	case OPTION_DEBUGINFO_LIMIT:
		return set_size(setting, value, 0, &o->debuginfo_limit, err);
	case OPTION_DEBUGINFO_FILE_LIMIT:
		return set_size(setting, value, 1, &o->debuginfo_file_limit, err);
	case OPTION_DEBUGINFOD:
		if (strlen(value) >= sizeof(o->debuginfod))
			return error_set(err, -EINVAL, "%s: longer than %zu bytes", setting, sizeof(o->debuginfod) - 1);
		(void)snprintf(o->debuginfod, sizeof(o->debuginfod), "%s", value);
		return 0;
	case OPTION_INSECURE:
		o->insecure = !value || (*value && strcmp(value, "0") != 0);
		return 0;
	case OPTION_READY_FD:
		if (!*value || strlen(value) > 6 || strspn(value, "0123456789") != strlen(value))
			return error_set(err, -EINVAL, "%s %s: a file descriptor is expected", setting, value);
		o->ready_fd = (int)strtol(value, NULL, 10);
		return 0;
	case OPTION_HELP:
		o->help = true;
		return 0;
	case OPTION_VERSION:
		o->version = true;
		return 0;
	case N_OPTIONS:
		break;
	}
	return -EINVAL;
}

static bool is_loopback(const char *address)
{
	struct in_addr v4;
	if (inet_pton(AF_INET, address, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return strcmp(address, "[::1]") == 0;
}

int options_parse(struct options *o, int argc, char **argv, struct error *err)
{
	*o = (struct options){
		.address = "127.0.0.1",
		.port = 4040,
		.memory_limit = (uint64_t)512 << 20,
		.disk_limit = (uint64_t)10 << 30,
		.disk_reserve = (uint64_t)256 << 20,
		.flush_size = (uint64_t)192 << 20,
		.flush_age_ms = 3600000,
		.debuginfo_limit = (uint64_t)2 << 30,
		.debuginfo_file_limit = (uint64_t)1 << 30,
		.ready_fd = -1,
	};
	int r = settings_read(rows, N_OPTIONS, argc, argv, set_option, o, err);
	if (r == 0 && !o->data[0])
		r = folder_default(o->data, err);
	if (r == 0 && !o->insecure && !is_loopback(o->address))
		r = error_set(err, -EINVAL,
			      "--listen %s:%u is reachable from other machines and there is no password yet: add "
			      "--insecure if that is meant",
			      o->address, o->port);
	return r;
}
