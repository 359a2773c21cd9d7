/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: wick-debuginfod: one look-up for wick-server (debuginfod.h).
 *
 *   wick-debuginfod BUILD-ID MAX-BYTES
 *
 * The file is left where the environment says (DEBUGINFOD_CACHE_PATH); the exit
 * status says whether there is one, stdout why not. Only this program is linked
 * with libdebuginfod. */
#include "debuginfo/debuginfod.h"

#include <elfutils/debuginfod.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* No file of it grows larger, whatever a server said of its size. */
static void limit(uint64_t file_max)
{
	const struct rlimit file = { file_max, file_max }, none = { 0, 0 };
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)setrlimit(RLIMIT_FSIZE, &file);
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int exit_status(int result)
{
	switch (result) {
	case -ENOENT:
		return DEBUGINFOD_EXIT_NONE;
	case -EFBIG:
		return DEBUGINFOD_EXIT_LARGE;
	default:
		return DEBUGINFOD_EXIT_FAILED;
	}
}

int main(int argc, char **argv)
{
	if (argc != 3 || !getenv(DEBUGINFOD_URLS_ENV_VAR) || !getenv(DEBUGINFOD_CACHE_PATH_ENV_VAR)) {
		(void)fputs("wick-debuginfod is started by wick-server to ask debuginfod servers\n", stderr);
		return DEBUGINFOD_EXIT_USAGE;
	}
	limit(strtoull(argv[2], NULL, 10));
	debuginfod_client *client = debuginfod_begin();
	if (!client) {
		(void)puts("libdebuginfod cannot begin");
		return DEBUGINFOD_EXIT_FAILED;
	}
	/* Length 0: the build id is given in hex. */
	int fd = debuginfod_find_debuginfo(client, (const unsigned char *)argv[1], 0, NULL);
	debuginfod_end(client);
	if (fd < 0)
		(void)puts(strerror(-fd));
	(void)fflush(stdout);
	/* Versions of the library keep some memory: nobody needs to be told. */
	_exit(fd < 0 ? exit_status(fd) : 0);
}
