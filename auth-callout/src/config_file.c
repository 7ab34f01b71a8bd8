#include "config_file.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_list.h"

#define CONFIG_MAX ((size_t)1 << 20) /* bytes of a configuration file */
/* Places of `issuers` and `accounts` among the marks of what was seen, behind all options. */
enum { KEY_MAX = 128, SEEN_ISSUERS = EB_OPTIONS_MAX, SEEN_ACCOUNTS, SEEN_MAX };

void eb_config_unknown(struct eb_findings *f, const struct eb_config_source *src, const char *path) {
    eb_auto_buf struct eb_buf mend = {0};
    eb_options_nearest(eb_str(path), &mend);
    eb_config_finding(f, src, path, mend.p, "unknown key");
}

/* The value of an option in a file: a scalar, or a list of them. null leaves the option as it was. */
enum eb_rc eb_config_read_value(void *c, struct eb_doc *doc, const struct eb_option *o,
                                const struct eb_doc_event *first, const char *within, struct eb_findings *f,
                                struct eb_err *err) {
    struct eb_config_source src = {eb_doc_name(doc), first->line, NULL, within};
    if (first->kind == EB_DOC_SCALAR) {
        if (eb_doc_is_null(first))
            return EB_OK;
        eb_config_clear(c, o);
        if (eb_option_list(o) && !first->quoted && eb_str_has(first->text, ','))
            eb_config_set(c, o, first->text, &src, f);
        else
            eb_config_add(c, o, first->text, &src, f);
        return EB_OK;
    }
    if (first->kind != EB_DOC_LIST || !eb_option_list(o)) {
        eb_config_finding(f, &src, o->key, "write a single value",
                          first->kind == EB_DOC_MAP ? "a mapping stands here" : "a list stands here");
        return eb_doc_skip_rest(doc, first, err);
    }
    eb_config_clear(c, o);
    for (;;) {
        struct eb_doc_event ev;
        enum eb_rc rc = eb_doc_next(doc, &ev, err);
        if (rc != EB_OK || ev.kind == EB_DOC_LIST_END)
            return rc;
        src.line = ev.line;
        if (ev.kind == EB_DOC_SCALAR) {
            eb_config_add(c, o, ev.text, &src, f);
            continue;
        }
        eb_config_finding(f, &src, o->key, "write a list of plain values",
                          "the list holds a mapping or a list");
        if ((rc = eb_doc_skip_rest(doc, &ev, err)) != EB_OK)
            return rc;
    }
}

/* True where some option lies below this dotted path. */
static bool is_section(const char *path) {
    size_t n = strlen(path);
    for (size_t i = 0; i < eb_options_n; i++)
        if (strncmp(eb_options[i].key, path, n) == 0 && eb_options[i].key[n] == '.')
            return true;
    return false;
}

/* Reads the mapping whose begin was just read; path is its dotted name with a final dot, "" at the root. */
static enum eb_rc file_map(struct eb_config *c, struct eb_doc *doc, const char *path, bool seen[],
                           struct eb_findings *f, struct eb_err *err) {
    for (;;) {
        struct eb_doc_event key, value;
        enum eb_rc rc = eb_doc_next(doc, &key, err);
        if (rc != EB_OK || key.kind != EB_DOC_SCALAR)
            return rc;
        struct eb_config_source src = {eb_doc_name(doc), key.line, NULL, NULL};
        char name[KEY_MAX], below[KEY_MAX + 1];
        int n = snprintf(name, sizeof name, "%s%.*s", path, key.text.n > KEY_MAX ? KEY_MAX : (int)key.text.n,
                         key.text.p);
        if (n < 0 || n >= KEY_MAX)
            n = 0;
        rc = eb_doc_next(doc, &value, err);
        if (rc != EB_OK)
            return rc;
        const struct eb_option *o = n ? eb_option_find(eb_str(name)) : NULL;
        if (o) {
            bool *was = &seen[o - eb_options];
            if (*was)
                eb_config_finding(f, &src, name, "keep one of the two", "the key stands twice");
            *was = true;
            rc = eb_config_read_value(c, doc, o, &value, NULL, f, err);
        } else if (n && (strcmp(name, "issuers") == 0 || strcmp(name, "accounts") == 0)) {
            bool issuers = name[0] == 'i', *was = &seen[issuers ? SEEN_ISSUERS : SEEN_ACCOUNTS];
            if (*was)
                eb_config_finding(f, &src, name, "keep one of the two", "the key stands twice");
            *was = true;
            rc = issuers ? eb_config_read_issuers(c, doc, &value, f, err)
                         : eb_config_read_accounts(c, doc, &value, f, err);
        } else if (n && is_section(name) && value.kind == EB_DOC_MAP) {
            (void)snprintf(below, sizeof below, "%s.", name);
            rc = file_map(c, doc, below, seen, f, err);
        } else if (n && is_section(name) && eb_doc_is_null(&value)) {
            rc = EB_OK;
        } else {
            eb_config_unknown(f, &src, n ? name : path);
            rc = eb_doc_skip_rest(doc, &value, err);
        }
        if (rc != EB_OK)
            return rc;
    }
}

/* A file without a single byte is half written rather than meant; one of comments is fine. */
static bool has_no_bytes(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && st.st_size == 0;
}

void eb_config_read_file(struct eb_config *c, const char *path, bool may_be_absent, struct eb_findings *f) {
    if (may_be_absent && access(path, F_OK) != 0)
        return;
    struct eb_err err = {0};
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL;
    struct eb_doc_event first;
    enum eb_rc rc = eb_doc_open(path, CONFIG_MAX, &doc, &err);
    if (rc == EB_OK)
        rc = eb_doc_next(doc, &first, &err);
    if (rc == EB_OK && first.kind == EB_DOC_MAP) {
        bool seen[SEEN_MAX] = {false};
        rc = file_map(c, doc, "", seen, f, &err);
        if (rc == EB_OK) /* nothing may follow: a second document would be passed over */
            rc = eb_doc_next(doc, &first, &err);
    } else if (rc == EB_OK && ((first.kind != EB_DOC_END && !eb_doc_is_null(&first)) || has_no_bytes(path))) {
        struct eb_config_source src = {path, first.line, NULL, NULL};
        eb_config_finding(
            f, &src, NULL,
            "write `key: value` lines (`auth-callout generate-config` shows them), or {} for no setting",
            "the file holds no mapping");
    }
    if (rc != EB_OK)
        eb_findings_add(f, EB_ERROR, path, 0, NULL, NULL, "%s", eb_err_text(&err, rc));
}
