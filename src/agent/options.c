/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/options.h"

#include "agent/control.h"
#include "agent/recording.h"
#include "agent/spool.h"
#include "agent/stopfile.h"
#include "base/settings.h"

#include <errno.h>
#include <string.h>

#define MEMORY_MIN ((uint64_t)4 << 20)

enum option_id {
#define OPTION(id, name, environment, argument, text) OPTION_##id,
#include "agent/option.def"
#undef OPTION
	N_OPTIONS
};

static const struct setting rows[N_OPTIONS] = {
#define OPTION(id, name, environment, argument, text) { name, environment, argument, text },
#include "agent/option.def"
#undef OPTION
};

void agent_options_usage(FILE *out)
{
	settings_usage(rows, N_OPTIONS,
		       "usage: wick-agent [OPTION]...\n"
		       "Samples what this machine runs and sends profiles to a wick server.\n\n",
		       out);
}

static int set_number(const char *setting, const char *text, uint32_t min, uint32_t max, uint32_t *ret,
		      struct error *err)
{
	size_t digits = strlen(text);
	unsigned long v = strtoul(text, NULL, 10);
	if (digits == 0 || digits > 9 || strspn(text, "0123456789") != digits || v < min || v > max)
		return error_set(err, -EINVAL, "%s %s: a number from %u to %u is expected", setting, text, min, max);
	*ret = (uint32_t)v;
	return 0;
}

/* "10m", "512k", "1g" or bytes. */
static int set_size(const char *setting, const char *text, uint64_t min, uint64_t *ret, struct error *err)
{
	static const char units[] = "kmg";
	char *end;
	errno = 0;
	uint64_t v = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
	const char *unit = v && *end ? strchr(units, *end | 0x20) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	bool is_good = v && !errno && (*end == 0 || (unit && end[1] == 0)) && v <= UINT64_MAX >> shift;
	if (!is_good || v << shift < min)
		return error_set(err, -EINVAL, "%s %s: a size of at least %llum is expected, such as 16m", setting,
				 text, (unsigned long long)(min >> 20));
	*ret = v << shift;
	return 0;
}

static int set_cpu(const char *setting, const char *text, double *ret, struct error *err)
{
	char *end;
	double v = strtod(text, &end);
	if (end == text || *end || !(v >= 0.1 && v <= 100))
		return error_set(err, -EINVAL, "%s %s: percent of one core from 0.1 to 100 are expected", setting,
				 text);
	*ret = v;
	return 0;
}

static int set_path(const char *setting, const char *text, char ret[static AGENT_PATH_SIZE], struct error *err)
{
	if (strlen(text) >= AGENT_PATH_SIZE)
		return error_set(err, -EINVAL, "%s: too long a path", setting);
	(void)snprintf(ret, AGENT_PATH_SIZE, "%s", text);
	return 0;
}

static int set_unwind(const char *setting, const char *text, bool *ret, struct error *err)
{
	*ret = strcmp(text, "frame-pointers") == 0;
	if (!*ret && strcmp(text, "auto") != 0)
		return error_set(err, -EINVAL, "%s %s: auto or frame-pointers is expected", setting, text);
	return 0;
}

static int set_label(const char *setting, const char *text, char ret[static LABEL_VALUE_SIZE], struct error *err)
{
	if (strlen(text) >= LABEL_VALUE_SIZE)
		return error_set(err, -EINVAL, "%s: at most %d bytes are taken", setting, LABEL_VALUE_SIZE - 1);
	(void)snprintf(ret, LABEL_VALUE_SIZE, "%s", text);
	return 0;
}

static int set_option(void *arg, unsigned row, const char *setting, const char *value, struct error *err)
{
	struct agent_options *o = arg;
	switch ((enum option_id)row) {
	case OPTION_SERVER:
		o->server = value;
		return 0;
	case OPTION_RATE:
		return set_number(setting, value, RECORD_RATE_MIN, RECORD_RATE_MAX, &o->rate_hz, err);
	case OPTION_WINDOW:
		return set_number(setting, value, 1, 60, &o->window_s, err);
	case OPTION_HOST:
		return set_label(setting, value, o->host, err);
	case OPTION_REGION:
		return set_label(setting, value, o->region, err);
	case OPTION_ZONE:
		return set_label(setting, value, o->zone, err);
	case OPTION_CPU_BUDGET:
		return set_cpu(setting, value, &o->cpu_budget, err);
	case OPTION_MEMORY_BUDGET:
		return set_size(setting, value, MEMORY_MIN, &o->memory, err);
	case OPTION_KERNEL_BUDGET:
		return set_size(setting, value, MEMORY_MIN, &o->kernel_memory, err);
	case OPTION_UNWIND:
		return set_unwind(setting, value, &o->frame_pointers, err);
	case OPTION_STOP_FILE:
		return set_path(setting, value, o->stop_file, err);
	case OPTION_SPOOL:
		return set_path(setting, strcmp(value, "none") == 0 ? "" : value, o->spool, err);
	case OPTION_SPOOL_LIMIT:
		return set_size(setting, value, SPOOL_LIMIT_MIN, &o->spool_limit, err);
	case OPTION_SOCKET:
		return set_path(setting, strcmp(value, "none") == 0 ? "" : value, o->socket, err);
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

/* Where systemd says, else root's own; nobody else has a place that is sure to stay. */
static void default_spool(char ret[static AGENT_PATH_SIZE])
{
	const char *state = getenv("STATE_DIRECTORY");
	ret[0] = 0;
	if (state && state[0] == '/' && !strchr(state, ':'))
		(void)snprintf(ret, AGENT_PATH_SIZE, "%s/spool", state);
	else if (geteuid() == 0)
		(void)snprintf(ret, AGENT_PATH_SIZE, "/var/lib/wick/spool");
}

int agent_options_parse(struct agent_options *o, int argc, char **argv, struct error *err)
{
	*o = (struct agent_options){
		.server = "http://127.0.0.1:4040",
		.rate_hz = RECORD_RATE_DEFAULT,
		.window_s = 10,
		.cpu_budget = 1,
		.memory = (uint64_t)10 << 20,
		.kernel_memory = (uint64_t)32 << 20,
		.spool_limit = (uint64_t)64 << 20,
	};
	default_spool(o->spool);
	stopfile_default_path(o->stop_file, sizeof(o->stop_file));
	control_default_path(o->socket, sizeof(o->socket));
	/* A name of 256 bytes or more: POSIX allows 255. */
	if (gethostname(o->host, sizeof(o->host) - 1) < 0)
		o->host[0] = 0;
	return settings_read(rows, N_OPTIONS, argc, argv, set_option, o, err);
}
