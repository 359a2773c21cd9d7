/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "cli/profile_file.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

static int run_convert(int argc, char **argv)
{
	static const struct option options[] = {
		{ "type", required_argument, NULL, 't' },
		{ "force", no_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	const char *type = NULL;
	bool force = false;
	int o;
	opterr = 0;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 't')
			type = optarg;
		else if (o == 'f')
			force = true;
		else
			return command_usage_error(&cmd_convert, "unknown option or missing value: %s",
						   argv[optind - 1]);
	}
	if (argc - optind != 2)
		return command_usage_error(&cmd_convert, "wants an input and an output file");
	const char *in = argv[optind], *out = argv[optind + 1];
	struct error err;
	/* Said before a long input is read. */
	int r = profile_check_output(out, force, &err);
	struct profile p;
	if (r == 0)
		r = profile_load(in, &p, &err);
	if (r < 0)
		return command_failed(&cmd_convert, r, &err);
	r = profile_save(&p, out, type, force, &err);
	profile_done(&p);
	return r < 0 ? command_failed(&cmd_convert, r, &err) : 0;
}

const struct command cmd_convert = {
	.name = "convert",
	.summary = "write a profile in another format",
	.usage = "wick convert IN OUT [--type TYPE] [--force]\n"
		 "IN (\"-\": standard input) is told by content: pprof (gzip, zstd, raw) or folded stacks.\n"
		 "OUT by name: .pb.gz .pprof .prof .pb .folded .collapsed .txt .svg .html .slab\n"
		 "--type picks the sample type for formats that hold one.\n",
	.run = run_convert,
};
