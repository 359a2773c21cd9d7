/* SPDX-License-Identifier: Apache-2.0 */
/* listing.h: what there is to choose from: services, label values. Added up
 * part by part; strings are the listing's own. */
#pragma once

#include "query/select.h"

/* ---- services ---- */

struct service_row {
	struct str_id service, type;
	int64_t total;	     /* of this type within the range */
	int64_t service_cpu; /* the service's CPU time within the range: the sort key */
	int64_t last_ms;     /* end of the service's last profile */
};

struct service_list {
	struct strtab strings;
	VEC(struct service_row) rows;
	struct u64map ids; /* service << 32 | type -> row + 1 */
	struct membudget *budget;
};

int service_list_init(struct service_list *l, struct membudget *budget) must_check;
void service_list_done(struct service_list *l);
/* -ENOBUFS, -ENOMEM. */
int service_list_add(struct service_list *l, const struct selection *s) must_check;
/* One row per service and type with a profile in the range: services by
 * falling CPU time, then by name; their types by name. */
void service_list_finish(struct service_list *l);

/* ---- labels ---- */

struct label_row {
	int series_label; /* enum series_label, or -1 */
	struct str_id name, value;
	bool is_num;
	int64_t total;
};

struct label_list {
	struct strtab strings;
	VEC(struct label_row) rows;
	struct u64map ids; /* row + 1; probed onwards where numbers clash */
	struct membudget *budget;
};

int label_list_init(struct label_list *l, struct membudget *budget) must_check;
void label_list_done(struct label_list *l);
int label_list_add(struct label_list *l, const struct selection *s) must_check;
/* Series labels first, then sample labels by name; values of one label by
 * falling total. */
void label_list_finish(struct label_list *l);
