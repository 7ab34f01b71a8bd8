/*
 * The ServiceAccounts of one cluster by namespace and name. Any thread may call anything here: a lock inside
 * is held for a look-up or for one pointer's exchange, never while something is read or built, so nobody
 * waits long. A record that was found stays as it is for as long as it is referenced.
 */
#ifndef EB_KUBE_TABLE_H
#define EB_KUBE_TABLE_H

#include "kube/account.h"

/*
 * Bytes of all records together. Whoever may write annotations could fill them; so small records, which is
 * nearly all, are still taken up to twice that: nobody is kept out by others' long annotations.
 */
#define EB_KUBE_TABLE_MAX ((size_t)256 << 20)
#define EB_KUBE_SMALL_MAX ((size_t)4 << 10) /* bytes of a small record */

struct eb_kube_table;
EB_MUSTCHECK enum eb_rc eb_kube_table_new(struct eb_kube_table **ret, struct eb_err *reterr);
void eb_kube_table_free(struct eb_kube_table *t);
EB_DEFINE_CLEANUP(struct eb_kube_table, eb_kube_table_free);

/* A new reference, to be released with eb_kube_account_unref; NULL where there is none. */
struct eb_kube_account *eb_kube_table_find(struct eb_kube_table *t, struct eb_str ns, struct eb_str name);
size_t eb_kube_table_count(struct eb_kube_table *t);
/* Bytes of memory that its records and its index hold. */
size_t eb_kube_table_bytes(struct eb_kube_table *t);

/* What a put did. SAME: the record that was there stays, nothing is to be logged again. */
enum eb_kube_change { EB_KUBE_SAME, EB_KUBE_NEW, EB_KUBE_CHANGED };

/*
 * Event ADDED or MODIFIED: takes a reference of its own. EB_E_TOO_LARGE over EB_KUBE_TABLE_MAX, EB_E_NOMEM:
 * the older record of that name is removed then, since its rights may be the ones that were just taken away.
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
 * Takes a reference of its own. *ret_change compares with the table as it is. A name that comes twice
 * replaces the first. EB_E_TOO_LARGE: the list is without this one, go on with the others; EB_E_NOMEM: give
 * it up.
 */
EB_MUSTCHECK enum eb_rc eb_kube_relist_add(struct eb_kube_relist *r, struct eb_kube_account *a,
                                           enum eb_kube_change *ret_change, struct eb_err *reterr);
/* Puts the list in force at once; returns how many of the old records are gone. r is empty afterwards. */
size_t eb_kube_relist_commit(struct eb_kube_relist *r);

#endif
