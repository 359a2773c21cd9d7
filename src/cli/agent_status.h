/* SPDX-License-Identifier: Apache-2.0 */
/* agent_status.h: an agent's answers as text, on stdout. */
#pragma once

#include <jansson.h>

void agent_status(const json_t *status);
void agent_status_unwind(const json_t *unwind);
