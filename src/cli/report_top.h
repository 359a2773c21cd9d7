/* SPDX-License-Identifier: Apache-2.0 */
/* report_top.h: functions by their own value or their total. With a label,
 * one table for each of its values. */
#pragma once

#include "cli/report_view.h"

/* 0 or -ENOMEM. */
int report_top(const struct report *r) must_check;
