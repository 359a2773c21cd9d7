/* SPDX-License-Identifier: Apache-2.0 */
#include "base/settings.h"

#include <errno.h>
#include <string.h>

/* "--name value" or "--name=value"; *at moves to the last word used. */
static int read_argument(const struct setting *rows, unsigned n, int argc, char **argv, int *at, settings_take *take,
			 void *arg, struct error *err)
{
	const char *word = argv[*at];
	for (unsigned i = 0; i < n; i++) {
		size_t size = strlen(rows[i].name);
		if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, rows[i].name, size) != 0 ||
		    (word[2 + size] && word[2 + size] != '='))
			continue;
		const char *value = word[2 + size] ? word + 3 + size : NULL;
		char called[64];
		(void)snprintf(called, sizeof(called), "--%s", rows[i].name);
		if (!rows[i].argument && value)
			return error_set(err, -EINVAL, "%s takes no value", called);
		if (rows[i].argument && !value) {
			if (*at + 1 == argc)
				return error_set(err, -EINVAL, "%s needs a value: %s", called, rows[i].argument);
			value = argv[++*at];
		}
		return take(arg, i, called, value, err);
	}
	return error_set(err, -EINVAL, "unknown argument %s; --help lists what there is", word);
}

int settings_read(const struct setting *rows, unsigned n, int argc, char **argv, settings_take *take, void *arg,
		  struct error *err)
{
	int r = 0;
	for (unsigned i = 0; r == 0 && i < n; i++) {
		const char *value = rows[i].environment ? getenv(rows[i].environment) : NULL;
		if (value && *value)
			r = take(arg, i, rows[i].environment, value, err);
	}
	for (int i = 1; r == 0 && i < argc; i++)
		r = read_argument(rows, n, argc, argv, &i, take, arg, err);
	return r;
}

void settings_usage(const struct setting *rows, unsigned n, const char *intro, FILE *out)
{
	(void)fputs(intro, out);
	for (unsigned i = 0; i < n; i++) {
		char left[64];
		(void)snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].argument ? " " : "",
			       rows[i].argument ? rows[i].argument : "");
		(void)fprintf(out, "  %-24s %s\n", left, rows[i].text);
	}
	(void)fprintf(out, "\nThe same by environment:");
	for (unsigned i = 0; i < n; i++)
		if (rows[i].environment)
			(void)fprintf(out, " %s", rows[i].environment);
	(void)fprintf(out, "\n");
}
