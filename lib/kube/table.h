/*
 * The ServiceAccounts of one cluster by namespace and name. Any thread may call anything here: a lock inside
 * is held for a look-up or for one pointer's exchange, never while something is read or built, so nobody
 * waits long. A record that was found stays as it is for as long as it is referenced.
 */
#ifndef EB_KUBE_TABLE_H
#define EB_KUBE_TABLE_H

#include "kube/account.h"

/*
 * Bytes of all records together, and of one namespace's. Whoever may write annotations, or make
 * ServiceAccounts, in one namespace could fill them; so each namespace has a share, and long records have a
 * part of the whole only: small ones, which is nearly all, and which every record can be cut down to, are
 * taken beyond that. While a list is read the older records are there beside it: twice as much.
 */
#define EB_KUBE_TABLE_MAX ((size_t)64 << 20)
#define EB_KUBE_TABLE_LONG_MAX ((size_t)48 << 20) /* no long record is taken beyond it */
#define EB_KUBE_SHARE_MAX ((size_t)16 << 20)
#define EB_KUBE_SHARE_LONG_MAX ((size_t)8 << 20) /* the same within a namespace's share */
#define EB_KUBE_SMALL_MAX ((size_t)4 << 10)      /* bytes of a small record; what is longer is long */

struct eb_kube_table;
/* rules: what is granted by name to an account for whose annotations there is no room; must outlive the
 * table. NULL: such an account is not taken. */
EB_MUSTCHECK enum eb_rc eb_kube_table_new(const struct eb_kube_rules *rules, struct eb_kube_table **ret,
                                          struct eb_err *reterr);
void eb_kube_table_free(struct eb_kube_table *t);
EB_DEFINE_CLEANUP(struct eb_kube_table, eb_kube_table_free);

/* A new reference, to be released with eb_kube_account_unref; NULL where there is none. */
struct eb_kube_account *eb_kube_table_find(struct eb_kube_table *t, struct eb_str ns, struct eb_str name);
size_t eb_kube_table_count(struct eb_kube_table *t);
/* How many of them are kept by name only, because there was no room for their annotations. */
size_t eb_kube_table_cut(struct eb_kube_table *t);
/* Bytes of memory that its records and its index hold. */
size_t eb_kube_table_bytes(struct eb_kube_table *t);

/* What a put did. SAME: the record that was there stays, nothing is to be logged again. */
enum eb_kube_change { EB_KUBE_SAME, EB_KUBE_NEW, EB_KUBE_CHANGED };

/*
 * Event ADDED or MODIFIED: takes a reference of its own, or, where there is no room for it, keeps
 * eb_kube_account_by_name of it (find it to know). EB_E_TOO_LARGE where there is none for that either,
 * EB_E_NOMEM: the older record of that name is removed then, since its rights may be the ones that were just
 * taken away.
 */
EB_MUSTCHECK enum eb_rc eb_kube_table_put(struct eb_kube_table *t, struct eb_kube_account *a,
                                          enum eb_kube_change *ret_change, struct eb_err *reterr);
/* Event DELETED. False where there was none. */
bool eb_kube_table_remove(struct eb_kube_table *t, struct eb_str ns, struct eb_str name);

/* A list that replaces all: what it does not bring is gone. The table must outlive it. One thread at a time.
 */
struct eb_kube_relist;
EB_MUSTCHECK enum eb_rc eb_kube_relist_new(struct eb_kube_table *t, struct eb_kube_relist **ret,
                                           struct eb_err *reterr);
/* Without a commit the table stays as it was. */
void eb_kube_relist_free(struct eb_kube_relist *r);
EB_DEFINE_CLEANUP(struct eb_kube_relist, eb_kube_relist_free);
/*
 * As eb_kube_table_put, into the list. *ret_change compares with the table as it is. A name that comes twice
 * replaces the first. EB_E_TOO_LARGE: the list is without this one, go on with the others; EB_E_NOMEM: give
 * it up.
 */
EB_MUSTCHECK enum eb_rc eb_kube_relist_add(struct eb_kube_relist *r, struct eb_kube_account *a,
                                           enum eb_kube_change *ret_change, struct eb_err *reterr);
/* Calls fn for each record of the list that is not in the table as it is, before the commit: what changes by
 * it. Borrowed for the call, in which the table must not be asked. */
void eb_kube_relist_each_new(struct eb_kube_relist *r, void (*fn)(void *ctx, const struct eb_kube_account *a),
                             void *ctx);
/* Puts the list in force at once; returns how many of the old records are gone. r is empty afterwards. */
size_t eb_kube_relist_commit(struct eb_kube_relist *r);

#endif
