/* SPDX-License-Identifier: Apache-2.0 */
/* markup.h: text that is safe between tags and in attributes, in XML 1.0 and
 * HTML alike. */
#pragma once

#include "base/buf.h"

/* Appends `s`: & < > " ' escaped; bytes that are not UTF-8, control
 * characters and the two non-characters XML forbids become U+FFFD. */
void markup_put_text(struct buf *out, struct slice s);
