/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/options.h"

#include "agent/recording.h"
#include "base/settings.h"

#include <errno.h>
#include <string.h>

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

int agent_options_parse(struct agent_options *o, int argc, char **argv, struct error *err)
{
	*o = (struct agent_options){
		.server = "http://127.0.0.1:4040",
		.rate_hz = RECORD_RATE_DEFAULT,
		.window_s = 10,
	};
	/* A name of 256 bytes or more: POSIX allows 255. */
	if (gethostname(o->host, sizeof(o->host) - 1) < 0)
		o->host[0] = 0;
	return settings_read(rows, N_OPTIONS, argc, argv, set_option, o, err);
}
