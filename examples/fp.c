/* SPDX-License-Identifier: Apache-2.0 */
/* fp: C with frame pointers. A profiler sees every call of call_shares.h:
 *
 *   function        self    total
 *   parse_request   60 %    60 %
 *   render_page     10 %    30 %
 *   escape_html     20 %    20 %
 *   write_log       10 %    10 %
 *   serve, run, main        100 %
 */
#include "call_shares.h"
