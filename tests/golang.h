/* SPDX-License-Identifier: Apache-2.0 */
/* golang.h: programs of tests/golang, built by the Go of this machine. */
#pragma once

#include "unit.h"

#include <stdbool.h>

static inline bool go_is_here(void)
{
	return system("go version >/dev/null 2>&1") == 0;
}

/* Builds tests/golang/PROGRAM with `settings` in front ("GOARCH=arm64") and
 * `options` behind "go build"; false where that fails, with what go said. */
static inline bool go_build(const char *program, const char *settings, const char *options, const char *out)
{
	char command[8192];
	const char *root = getenv("WICK_SOURCE_ROOT");
	(void)snprintf(
		command, sizeof(command),
		"cd '%s/tests/golang' && env GOFLAGS=-buildvcs=false GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 %s "
		"go build %s -o '%s' ./%s 2>&1 | sed 's/^/# go: /' && test -f '%s'",
		root ? root : ".", settings, options, out, program, out);
	return system(command) == 0;
}
