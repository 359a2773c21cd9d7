/* SPDX-License-Identifier: Apache-2.0 */
/* listing.h: what there is to choose from: services, types, label values. */
#pragma once

#include "query/select.h"

struct service_row {
	struct str_id service, type;
	int64_t total;	     /* of this type within the range */
	int64_t service_cpu; /* the service's CPU time within the range: the sort key */
	int64_t last_ms;     /* end of the service's last profile */
};

/* One row per service and type with a profile in the range: services by
 * falling CPU time, then by name; their types by name. *ret is malloc()ed. */
int list_services(const struct selection *s, struct membudget *budget, struct service_row **ret,
		  uint32_t *ret_n) must_check;

/* The types of all series, by name. *ret is malloc()ed. */
int list_types(const struct head *h, struct str_id **ret, uint32_t *ret_n) must_check;

struct label_row {
	int series_label;   /* enum series_label, or -1 */
	struct label label; /* of a sample label; of a series label only .str */
	int64_t total;
};

/* Label values of the selection: series labels first, then sample labels by
 * name; values of one label by falling total. *ret is malloc()ed. */
int list_labels(const struct selection *s, struct membudget *budget, struct label_row **ret,
		uint32_t *ret_n) must_check;

/* Name of the row's label. */
struct slice label_row_name(const struct head *h, const struct label_row *row);
