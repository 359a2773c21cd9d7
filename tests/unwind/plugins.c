/* SPDX-License-Identifier: Apache-2.0 */
/* plugins [--unlinked] FILE... SECONDS: loads one after the other, lets it
 * work, unloads it. Unlinked: none of them has a name while it works. */
#include "busy.h"

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

/* dlopen() tells libraries apart by file, so of each there is one at a time. */
static void *load(const char *path, int is_unlinked)
{
	char name[4096];
	(void)snprintf(name, sizeof(name), "%s.%d", path, getpid());
	if (!is_unlinked)
		return dlopen(path, RTLD_NOW);
	if (link(path, name) < 0) {
		perror(name);
		exit(1);
	}
	void *library = dlopen(name, RTLD_NOW);
	(void)unlink(name);
	return library;
}

int main(int argc, char **argv)
{
	begin(argc, argv, argc - 1);
	int first = strcmp(argv[1], "--unlinked") == 0 ? 2 : 1;
	for (int i = first; !time_is_up(); i = i + 1 < argc - 1 ? i + 1 : first) {
		void *library = load(argv[i], first == 2);
		if (!library) {
			(void)fprintf(stderr, "%s\n", dlerror());
			return 1;
		}
		void (*work)(void) = (void (*)(void))dlsym(library, "work");
		work();
		(void)dlclose(library);
	}
}
