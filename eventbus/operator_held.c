#include "operator_held.h"

#include <stdio.h>
#include <sys/stat.h>

#include "operator_files.h"

bool eb_operator_plain_name(const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
              (name[i] >= '0' && name[i] <= '9') || name[i] == '-' || name[i] == '_'))
            return false;
    return n > 0 && n <= EB_OPERATOR_NAME_MAX && name[0] != '-';
}

const char *eb_operator_sys(const struct eb_store *s) {
    const struct eb_store_account *a = eb_store_account_of(s, s->op.system_account);
    return a ? a->name : EB_OPERATOR_SYS;
}

bool eb_operator_lists(const struct eb_account_claims *service, struct eb_str id) {
    const json_t *list = service->allowed_accounts;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct eb_str one = eb_str(json_string_value(json_array_get(list, i)));
        if (eb_str_eq(one, id) || eb_str_eqz(one, "*"))
            return true;
    }
    return false;
}

bool eb_operator_takes_clients(const struct eb_store *s, const struct eb_store_account *a) {
    const struct eb_store_account *service = eb_store_account(s, EB_OPERATOR_SERVICE);
    return service && a != service && a->claims.jwt.claims &&
           eb_store_account_of(s, a->claims.jwt.sub) == a &&
           !eb_str_eq(a->claims.jwt.sub, s->op.system_account) &&
           !eb_str_eq(a->claims.jwt.sub, service->claims.jwt.sub) && strcmp(a->name, EB_OPERATOR_NACK) != 0 &&
           eb_operator_plain_name(a->name) && eb_operator_lists(&service->claims, a->claims.jwt.sub);
}

void eb_operator_held_name(const char *account, char to[EB_OPERATOR_HELD_NAME]) {
    if (strcmp(account, EB_OPERATOR_SERVICE) == 0)
        (void)snprintf(to, EB_OPERATOR_HELD_NAME, "%s", EB_OPERATOR_HELD_ISSUER);
    else
        (void)snprintf(to, EB_OPERATOR_HELD_NAME, "account-%.*s.seed", EB_OPERATOR_NAME_MAX, account);
}

char *eb_operator_held_path(const struct eb_store *s, const char *name) {
    struct eb_buf path = {0};
    eb_buf_printf(&path, "%s/" EB_OPERATOR_HELD "/%s", s->root, name);
    char *text = eb_buf_ok(&path) ? eb_buf_take(&path) : NULL;
    eb_buf_done(&path);
    return text;
}

enum eb_rc eb_operator_held_key(const struct eb_store *s, const struct eb_store_account *a,
                                struct eb_nkey **ret, struct eb_err *reterr) {
    char name[EB_OPERATOR_HELD_NAME];
    struct stat st;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
    const json_t *scope;
    eb_operator_held_name(a->name, name);
    eb_auto_free char *path = eb_operator_held_path(s, name);
    *ret = NULL;
    if (!path)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    if (lstat(path, &st) < 0)
        return EB_OK;
    enum eb_rc rc = S_ISREG(st.st_mode) ? eb_nkey_from_seed_file(path, EB_NKEY_ACCOUNT, &k, reterr)
                                        : EB_FAIL(reterr, EB_E_IO, "%s: no regular file", path);
    if (rc != EB_OK)
        return rc;
    /* strict: of the account's own key it would be false here, which is what is wanted of it */
    if (eb_account_signs(&a->claims, true, eb_str(eb_nkey_public(k)), &scope) && !scope)
        *ret = EB_TAKE(k);
    return EB_OK;
}
