/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/options.h"

#include "agent/recording.h"

#include <errno.h>
#include <string.h>

enum option_id {
#define OPTION(id, name, environment, argument, text) OPTION_##id,
#include "agent/option.def"
#undef OPTION
	N_OPTIONS
};

static const struct option_row {
	const char *name, *environment, *argument, *text;
} rows[N_OPTIONS] = {
#define OPTION(id, name, environment, argument, text) { name, environment, argument, text },
#include "agent/option.def"
#undef OPTION
};

void agent_options_usage(FILE *out)
{
	(void)fprintf(out, "usage: wick-agent [OPTION]...\n"
			   "Samples what this machine runs and sends profiles to a wick server.\n\n");
	for (int i = 0; i < N_OPTIONS; i++) {
		char left[64];
		(void)snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].argument ? " " : "",
			       rows[i].argument ? rows[i].argument : "");
		(void)fprintf(out, "  %-20s %s\n", left, rows[i].text);
	}
	(void)fprintf(out, "\nThe same by environment:");
	for (int i = 0; i < N_OPTIONS; i++)
		if (rows[i].environment)
			(void)fprintf(out, " %s", rows[i].environment);
	(void)fprintf(out, "\n");
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

static int set_option(struct agent_options *o, enum option_id id, const char *setting, const char *value,
		      struct error *err)
{
	switch (id) {
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

/* "--name value" or "--name=value"; *at moves to the last word used. */
static int parse_argument(struct agent_options *o, int argc, char **argv, int *at, struct error *err)
{
	const char *arg = argv[*at];
	for (int i = 0; i < N_OPTIONS; i++) {
		size_t n = strlen(rows[i].name);
		if (strncmp(arg, "--", 2) != 0 || strncmp(arg + 2, rows[i].name, n) != 0 ||
		    (arg[2 + n] && arg[2 + n] != '='))
			continue;
		const char *value = arg[2 + n] ? arg + 3 + n : NULL;
		char setting[32];
		(void)snprintf(setting, sizeof(setting), "--%s", rows[i].name);
		if (!rows[i].argument && value)
			return error_set(err, -EINVAL, "%s takes no value", setting);
		if (rows[i].argument && !value) {
			if (*at + 1 == argc)
				return error_set(err, -EINVAL, "%s needs a value: %s", setting, rows[i].argument);
			value = argv[++*at];
		}
		return set_option(o, (enum option_id)i, setting, value, err);
	}
	return error_set(err, -EINVAL, "unknown option %s; try --help", arg);
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
	for (int i = 0; i < N_OPTIONS; i++) {
		const char *value = rows[i].environment ? getenv(rows[i].environment) : NULL;
		int r = value && *value ? set_option(o, (enum option_id)i, rows[i].environment, value, err) : 0;
		if (r < 0)
			return r;
	}
	for (int i = 1; i < argc; i++) {
		int r = parse_argument(o, argc, argv, &i, err);
		if (r < 0)
			return r;
	}
	return 0;
}
