/* SPDX-License-Identifier: Apache-2.0 */
/* store_open.h: a data folder opened as a server does it, which none may be meanwhile. */
#pragma once

#include "cli/store_command.h"
#include "store/store.h"

/* -ENOENT: no store is there, unless `create`; -EBUSY: a server runs on it. */
int store_place_open(const struct store_place *p, bool create, struct store **ret, struct error *err) must_check;
