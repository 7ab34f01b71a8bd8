#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "base/utf8.h"
#include "policy/impl.h"

#define SECTIONS 4

const char *eb_quote(char to[100], struct eb_str s) {
    const size_t max = 80;
    size_t n = s.n < max ? s.n : max, at = 0;
    while (n < s.n && n && ((unsigned char)s.p[n] & 0xC0) == 0x80)
        n--;
    bool clean = eb_utf8_valid((struct eb_str){s.p, n});
    to[at++] = '`';
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        to[at++] = c < 0x20 || c == 0x7f || (c >= 0x80 && !clean) ? '?' : (char)c;
    }
    memcpy(to + at, s.n > n ? "…`" : "`", s.n > n ? sizeof "…`" : sizeof "`");
    return to;
}

const char *eb_key_path(char to[100], struct eb_str key) {
    size_t n = strlen(eb_quote(to, key));
    memmove(to, to + 1, n - 2);
    to[n - 2] = '\0';
    return to;
}

void eb_load_report(struct eb_load *l, enum eb_severity severity, size_t line, const char *where,
                    const char *mend, const char *fmt, ...) {
    if (severity == EB_ERROR)
        l->draft.bad = true;
    char path[sizeof l->entry + 128], text[512];
    (void)snprintf(path, sizeof path, "%s%s%s%s%s", l->section ? l->section : "", l->entry[0] ? "." : "",
                   l->entry, l->section && where && where[0] ? "." : "", where ? where : "");
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    eb_findings_add(l->findings, severity, eb_doc_name(l->doc), line, path, mend, "%s", text);
}

bool eb_load_nomem(struct eb_load *l) {
    if (l->rc == EB_OK) {
        l->rc = EB_E_NOMEM;
        eb_findings_add(l->findings, EB_ERROR, eb_doc_name(l->doc), 0, "", NULL, "out of memory");
    }
    return false;
}

/* The reader's own errors begin with "line N: ", which a finding has a field for. */
static bool reader_failed(struct eb_load *l, enum eb_rc rc) {
    int64_t line = 0;
    struct eb_str rest = eb_str(l->err.text), head = rest;
    if (eb_str_starts(rest, EB_STR("line "))) {
        head = eb_str_cut(&rest, ':');
        if (!rest.p || eb_num_i64((struct eb_str){head.p + 5, head.n - 5}, 1, INT32_MAX, &line) != EB_OK)
            rest = eb_str(l->err.text);
    }
    rest = eb_str_trim(rest);
    l->rc = rc;
    eb_findings_add(l->findings, EB_ERROR, eb_doc_name(l->doc), (size_t)line, "", NULL, "%.*s",
                    EB_STR_ARG(rest));
    return false;
}

bool eb_load_next(struct eb_load *l, struct eb_doc_event *ev) {
    l->err.rc = EB_OK;
    enum eb_rc rc = eb_doc_next(l->doc, ev, &l->err);
    return rc == EB_OK || reader_failed(l, rc);
}

bool eb_load_skip(struct eb_load *l, const struct eb_doc_event *ev) {
    l->err.rc = EB_OK;
    enum eb_rc rc = eb_doc_skip_rest(l->doc, ev, &l->err);
    return rc == EB_OK || reader_failed(l, rc);
}

bool eb_load_intern(struct eb_load *l, struct eb_str s, eb_ref *ret) {
    struct eb_policy *p = l->policy;
    uint64_t hash = eb_policy_hash(p, EB_HASH_TEXT, 0, s);
    uint32_t at = eb_index_start(&l->interned, hash), ref;
    while ((ref = eb_index_next(&l->interned, hash, &at)) != 0) {
        if (eb_str_eq(eb_policy_str(p, ref), s)) {
            *ret = ref;
            return true;
        }
    }
    return (eb_arena_add(&p->arena, s, ret) && eb_index_add(&l->interned, hash, *ret)) || eb_load_nomem(l);
}

static void set_entry(struct eb_load *l, struct eb_str name) {
    size_t n = name.n < EB_POLICY_NAME_MAX ? name.n : EB_POLICY_NAME_MAX;
    while (n < name.n && n && ((unsigned char)name.p[n] & 0xC0) == 0x80)
        n--;
    for (size_t i = 0; i < n; i++)
        l->entry[i] = (unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f ? '?' : name.p[i];
    if (n == 0)
        memcpy(l->entry, "\"\"", 2), n = 2;
    l->entry[n] = '\0';
}

static bool read_entry(struct eb_load *l, struct eb_str name, enum eb_policy_method method, size_t line,
                       const struct eb_doc_event *value) {
    eb_draft_reset(&l->draft, method);
    l->draft.entry_line = line;
    eb_buf_str(&l->draft.name, name);
    if (!eb_buf_ok(&l->draft.name))
        return eb_load_nomem(l);
    return eb_draft_read(l, value) && (l->draft.no_mapping || eb_draft_commit(l));
}

/* oauth2, mtls and nkey: a mapping of names to entries. */
static bool read_section(struct eb_load *l, enum eb_policy_method method, const struct eb_doc_event *first) {
    struct eb_doc_event ev = *first;
    if (eb_doc_is_null(&ev))
        return true;
    if (ev.kind != EB_DOC_MAP) {
        eb_load_report(l, EB_ERROR, ev.line, NULL, "write a mapping: { <name>: { … } }",
                       "no mapping of names to entries");
        return eb_load_skip(l, &ev);
    }
    eb_auto_buf struct eb_buf name = {0};
    for (;;) {
        if (!eb_load_next(l, &ev))
            return false;
        if (ev.kind != EB_DOC_SCALAR)
            return true; /* the mapping's end */
        size_t line = ev.line;
        eb_buf_reset(&name);
        eb_buf_str(&name, ev.text); /* the next event takes the text away */
        if (!eb_buf_ok(&name))
            return eb_load_nomem(l);
        set_entry(l, eb_buf_get(&name));
        if (!eb_load_next(l, &ev) || !read_entry(l, eb_buf_get(&name), method, line, &ev))
            return false;
        l->entry[0] = '\0';
    }
}

static bool read_document(struct eb_load *l) {
    static const char *const sections[SECTIONS] = {"oauth2", "mtls", "nkey", "noauth"};
    size_t seen[SECTIONS] = {0};
    struct eb_doc_event ev;
    if (!eb_load_next(l, &ev))
        return false;
    if (ev.kind != EB_DOC_MAP) {
        bool empty = ev.kind == EB_DOC_END || eb_doc_is_null(&ev);
        eb_load_report(l, EB_ERROR, ev.line, NULL,
                       "write a mapping with oauth2, mtls, nkey, noauth, or {} to refuse everybody",
                       empty ? "the document is empty" : "the document is no mapping");
        return ev.kind == EB_DOC_END || eb_load_skip(l, &ev);
    }
    for (;;) {
        if (!eb_load_next(l, &ev))
            return false;
        if (ev.kind != EB_DOC_SCALAR)
            return true;
        unsigned m = 0;
        while (m < SECTIONS && !eb_str_eqz(ev.text, sections[m]))
            m++;
        if (m == SECTIONS || seen[m]) {
            char quoted[100], key[100];
            eb_auto_buf struct eb_buf mend = {0};
            if (m == SECTIONS)
                eb_nearest_mend(ev.text, sections, SECTIONS, &mend);
            eb_load_report(l, EB_ERROR, ev.line, eb_key_path(key, ev.text),
                           m == SECTIONS ? mend.p : "write all of it under one key",
                           m == SECTIONS ? "unknown key %s" : "%s is here a second time",
                           eb_quote(quoted, ev.text));
            if (!eb_load_next(l, &ev) || !eb_load_skip(l, &ev))
                return false;
            continue;
        }
        l->section = sections[m];
        seen[m] = ev.line;
        if (!eb_load_next(l, &ev))
            return false;
        if (m != EB_POLICY_NOAUTH
                ? !read_section(l, (enum eb_policy_method)m, &ev)
                : !eb_doc_is_null(&ev) && !read_entry(l, EB_STR("noauth"), EB_POLICY_NOAUTH, seen[m], &ev))
            return false;
        l->section = NULL;
    }
}

static bool read_all(struct eb_load *l) {
    struct eb_doc_event ev;
    if (!read_document(l))
        return false;
    do
        if (!eb_load_next(l, &ev))
            return false;
    while (ev.kind != EB_DOC_END);
    return eb_client_ids_check(l);
}

static enum eb_rc new_policy(const struct eb_policy_options *opt, struct eb_policy **ret) {
    EB_CLEANUP(eb_policy_unrefp) struct eb_policy *p = calloc(1, sizeof *p);
    if (!p || sodium_init() < 0)
        return EB_E_NOMEM;
    atomic_init(&p->refs, 1);
    randombytes_buf(p->key, sizeof p->key);
    p->issuers = calloc(opt->issuers_n + 1, sizeof *p->issuers);
    if (!p->issuers)
        return EB_E_NOMEM;
    for (size_t i = 0; i < opt->issuers_n; i++, p->issuers_n++)
        if (!eb_arena_add(&p->arena, opt->issuers[i], &p->issuers[i]))
            return EB_E_NOMEM;
    *ret = EB_TAKE(p);
    return EB_OK;
}

static void load_done(struct eb_load *l) {
    eb_index_done(&l->names);
    eb_index_done(&l->interned);
    eb_draft_done(&l->draft);
    eb_policy_unref(l->policy);
}

enum eb_rc eb_policy_load(struct eb_doc *doc, const struct eb_policy_options *opt, struct eb_policy **ret,
                          struct eb_findings *findings) {
    EB_CLEANUP(load_done) struct eb_load l = {.doc = doc, .opt = opt, .findings = findings};
    size_t before = findings->errors;
    if (opt->issuers_n >= UINT16_MAX) {
        eb_load_report(&l, EB_ERROR, 0, NULL, "configure fewer", "%zu issuers", opt->issuers_n);
        return EB_E_INVALID;
    }
    if (new_policy(opt, &l.policy) != EB_OK) {
        (void)eb_load_nomem(&l);
        return l.rc;
    }
    if (!read_all(&l))
        return l.rc;
    if (findings->errors != before)
        return EB_E_INVALID;
    if (l.policy->n == 0 && !opt->others) {
        l.section = NULL;
        eb_load_report(&l, EB_WARNING, 1, NULL, "add entries for those who shall get in",
                       "no entries: every client is refused");
    }
    *ret = EB_TAKE(l.policy);
    return EB_OK;
}
