/* SPDX-License-Identifier: Apache-2.0 */
/* plugins FILE... SECONDS: loads one after the other, lets it work, unloads it. */
#include "busy.h"

#include <dlfcn.h>

int main(int argc, char **argv)
{
	begin(argc, argv, argc - 1);
	for (int i = 0; !time_is_up(); i = (i + 1) % (argc - 2)) {
		void *library = dlopen(argv[1 + i], RTLD_NOW);
		if (!library) {
			(void)fprintf(stderr, "%s\n", dlerror());
			return 1;
		}
		void (*work)(void) = (void (*)(void))dlsym(library, "work");
		work();
		(void)dlclose(library);
	}
}
