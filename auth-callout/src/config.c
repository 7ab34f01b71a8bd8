#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/doc.h"
#include "base/nearest.h"
#include "base/num.h"
#include "options.h"

#define CONFIG_MAX ((size_t)1 << 20) /* bytes of a configuration file */
enum { KEY_MAX = 128, SECRET_MAX = 65536 };

/* Where a value comes from, for findings. */
struct source {
    const char *file; /* NULL for environment and flags */
    size_t line;
    const char *what; /* "environment", "flag"; NULL for files */
};

static void strs_free(struct eb_strs *s) {
    for (size_t i = 0; i < s->n; i++)
        free(s->v[i]);
    free(s->v);
    *s = (struct eb_strs){0};
}

static bool strs_add(struct eb_strs *s, struct eb_str text) {
    char **v = realloc(s->v, (s->n + 1) * sizeof *v);
    if (!v)
        return false;
    s->v = v;
    s->v[s->n] = eb_str_dup(text);
    return s->v[s->n] != NULL && ++s->n;
}

static void secrets_free(struct eb_secrets *s) {
    for (size_t i = 0; i < s->n; i++)
        eb_secret_free(s->v[i]);
    free(s->v);
    *s = (struct eb_secrets){0};
}

static bool secrets_add(struct eb_secrets *s, struct eb_str text) {
    struct eb_secret **v = realloc(s->v, (s->n + 1) * sizeof *v);
    if (!v)
        return false;
    s->v = v;
    s->v[s->n] = eb_secret_new(text.p, text.n);
    return s->v[s->n] != NULL && ++s->n;
}

static void *field(struct eb_config *c, const struct eb_option *o) {
    return (char *)c + o->at;
}

/* Empties an option, so that a later source replaces an earlier one instead of adding to it. */
static void clear(struct eb_config *c, const struct eb_option *o) {
    void *at = field(c, o);
    switch (o->type) {
    case EB_OPT_TEXT:
    case EB_OPT_PATH:
    case EB_OPT_CHOICE:
        free(*(char **)at);
        *(char **)at = NULL;
        break;
    case EB_OPT_LIST:
    case EB_OPT_PATHS: strs_free(at); break;
    case EB_OPT_SECRET:
        eb_secret_free(*(struct eb_secret **)at);
        *(struct eb_secret **)at = NULL;
        break;
    case EB_OPT_SECRETS: secrets_free(at); break;
    case EB_OPT_BOOL: *(bool *)at = false; break;
    case EB_OPT_INT:
    case EB_OPT_DURATION: *(int64_t *)at = 0; break;
    }
}

void eb_config_free(struct eb_config *c) {
    if (!c)
        return;
    for (size_t i = 0; i < eb_options_n; i++)
        clear(c, &eb_options[i]);
    free(c);
}

static void finding(struct eb_findings *f, const struct source *src, const char *path, const char *mend,
                    const char *text) {
    eb_findings_add(f, EB_ERROR, src->file, src->line, path, mend, "%s%s%s", src->what ? src->what : "",
                    src->what ? ": " : "", text);
}

static bool in_choices(struct eb_str text, const char *choices) {
    struct eb_str rest = eb_str(choices);
    while (rest.p)
        if (eb_str_eq(text, eb_str_cut(&rest, ',')))
            return true;
    return false;
}

/* Takes one value in; false where it does not fit, with *ret_mend saying what would. */
static bool take(struct eb_config *c, const struct eb_option *o, struct eb_str text, const char **ret_mend) {
    void *at = field(c, o);
    switch (o->type) {
    case EB_OPT_CHOICE:
        *ret_mend = o->choices;
        if (!in_choices(text, o->choices))
            return false;
        __attribute__((fallthrough));
    case EB_OPT_TEXT:
    case EB_OPT_PATH:
        free(*(char **)at);
        *(char **)at = eb_str_dup(text);
        return *(char **)at != NULL;
    case EB_OPT_LIST:
    case EB_OPT_PATHS: return strs_add(at, text);
    case EB_OPT_SECRET:
        eb_secret_free(*(struct eb_secret **)at);
        *(struct eb_secret **)at = eb_secret_new(text.p, text.n);
        return *(struct eb_secret **)at != NULL;
    case EB_OPT_SECRETS: return secrets_add(at, text);
    case EB_OPT_BOOL:
        *ret_mend = "write true or false";
        *(bool *)at = eb_str_eqz(text, "true");
        return *(bool *)at || eb_str_eqz(text, "false");
    case EB_OPT_INT:
        *ret_mend = "write a whole number within the limits that --help shows";
        if (o->fallback && eb_str_eqz(text, o->fallback) && eb_str_eqz(text, "auto"))
            return *(int64_t *)at = 0, true;
        return eb_num_i64(text, o->min, o->max, at) == EB_OK;
    case EB_OPT_DURATION:
        *ret_mend = "write a duration such as 30s, 5m or 1h30m, within the limits that the reference names";
        return eb_num_duration(text, at) == EB_OK && *(int64_t *)at >= o->min && *(int64_t *)at <= o->max;
    }
    return false;
}

static bool is_list(const struct eb_option *o) {
    return o->type == EB_OPT_LIST || o->type == EB_OPT_PATHS || o->type == EB_OPT_SECRETS;
}

static void set_one(struct eb_config *c, const struct eb_option *o, struct eb_str text,
                    const struct source *src, struct eb_findings *f) {
    const char *mend = NULL;
    text = eb_str_trim(text);
    if (text.n == 0) {
        finding(f, src, o->key, "remove the key, or give it a value", "the value is empty");
        return;
    }
    if (memchr(text.p, '\0', text.n)) {
        finding(f, src, o->key, NULL, "the value holds a NUL byte");
        return;
    }
    if (take(c, o, text, &mend))
        return;
    eb_auto_buf struct eb_buf why = {0};
    if (eb_option_secret(o))
        eb_buf_z(&why, "not a value that fits");
    else
        eb_buf_printf(&why, "%.*s is no %s that fits", text.n > 80 ? 80 : (int)text.n, text.p,
                      eb_option_type_name(o->type));
    finding(f, src, o->key, mend, why.p ? why.p : "out of memory");
}

/* A text from the environment or a flag: lists are comma separated. */
static void set_text(struct eb_config *c, const struct eb_option *o, struct eb_str text,
                     const struct source *src, struct eb_findings *f) {
    clear(c, o);
    if (!is_list(o)) {
        set_one(c, o, text, src, f);
        return;
    }
    struct eb_str rest = text;
    while (rest.p) {
        struct eb_str piece = eb_str_trim(eb_str_cut(&rest, ','));
        if (piece.n)
            set_one(c, o, piece, src, f);
    }
}

static void unknown_key(struct eb_findings *f, const struct source *src, const char *path) {
    const char *names[128];
    char sections[EB_COUNT_OF(names)]
                 [KEY_MAX]; /* a misspelt section is nearer to another section than to any whole key */
    size_t n = 0;
    for (size_t i = 0; i < eb_options_n && n + 1 < EB_COUNT_OF(names); i++) {
        const char *dot = strchr(eb_options[i].key, '.');
        names[n++] = eb_options[i].key;
        if (dot) {
            (void)snprintf(sections[n], sizeof sections[n], "%.*s", (int)(dot - eb_options[i].key),
                           eb_options[i].key);
            names[n] = sections[n];
            n++;
        }
    }
    const char *near = eb_nearest(eb_str(path), names, n);
    eb_auto_buf struct eb_buf mend = {0};
    if (near)
        eb_buf_printf(&mend, "did you mean %s?", near);
    else
        eb_buf_z(&mend, "`auth-callout generate-config` prints every key");
    finding(f, src, path, mend.p, "unknown key");
}

/* The value of an option in a file: a scalar, or a list of them. null leaves the option as it was. */
static enum eb_rc file_value(struct eb_config *c, struct eb_doc *doc, const struct eb_option *o,
                             const struct eb_doc_event *first, struct eb_findings *f, struct eb_err *err) {
    struct source src = {eb_doc_name(doc), first->line, NULL};
    if (first->kind == EB_DOC_SCALAR) {
        if (eb_doc_is_null(first))
            return EB_OK;
        clear(c, o);
        if (is_list(o) && !first->quoted && eb_str_has(first->text, ','))
            set_text(c, o, first->text, &src, f);
        else
            set_one(c, o, first->text, &src, f);
        return EB_OK;
    }
    if (first->kind != EB_DOC_LIST || !is_list(o)) {
        finding(f, &src, o->key, "write a single value",
                first->kind == EB_DOC_MAP ? "a mapping stands here" : "a list stands here");
        return eb_doc_skip_rest(doc, first, err);
    }
    clear(c, o);
    for (;;) {
        struct eb_doc_event ev;
        enum eb_rc rc = eb_doc_next(doc, &ev, err);
        if (rc != EB_OK || ev.kind == EB_DOC_LIST_END)
            return rc;
        src.line = ev.line;
        if (ev.kind == EB_DOC_SCALAR) {
            set_one(c, o, ev.text, &src, f);
            continue;
        }
        finding(f, &src, o->key, "write a list of plain values", "the list holds a mapping or a list");
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
        struct source src = {eb_doc_name(doc), key.line, NULL};
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
                finding(f, &src, name, "keep one of the two", "the key stands twice");
            *was = true;
            rc = file_value(c, doc, o, &value, f, err);
        } else if (n && is_section(name) && value.kind == EB_DOC_MAP) {
            (void)snprintf(below, sizeof below, "%s.", name);
            rc = file_map(c, doc, below, seen, f, err);
        } else if (n && is_section(name) && eb_doc_is_null(&value)) {
            rc = EB_OK;
        } else {
            unknown_key(f, &src, n ? name : path);
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

static void load_file(struct eb_config *c, const char *path, bool may_be_absent, struct eb_findings *f) {
    if (may_be_absent && access(path, F_OK) != 0)
        return;
    struct eb_err err = {0};
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL;
    struct eb_doc_event first;
    enum eb_rc rc = eb_doc_open(path, CONFIG_MAX, &doc, &err);
    if (rc == EB_OK)
        rc = eb_doc_next(doc, &first, &err);
    if (rc == EB_OK && first.kind == EB_DOC_MAP) {
        bool seen[128] = {false};
        rc = file_map(c, doc, "", seen, f, &err);
        if (rc == EB_OK) /* nothing may follow: a second document would be passed over */
            rc = eb_doc_next(doc, &first, &err);
    } else if (rc == EB_OK && ((first.kind != EB_DOC_END && !eb_doc_is_null(&first)) || has_no_bytes(path))) {
        struct source src = {path, first.line, NULL};
        finding(f, &src, NULL,
                "write `key: value` lines (`auth-callout generate-config` shows them), or {} for no setting",
                "the file holds no mapping");
    }
    if (rc != EB_OK)
        eb_findings_add(f, EB_ERROR, path, 0, NULL, NULL, "%s", eb_err_text(&err, rc));
}

static void load_environment(struct eb_config *c, struct eb_findings *f) {
    for (size_t i = 0; i < eb_options_n; i++) {
        const struct eb_option *o = &eb_options[i];
        eb_auto_buf struct eb_buf name = {0};
        /* The option's own name comes last and wins over its aliases. */
        if (o->alias)
            eb_buf_printf(&name, "%s,", o->alias);
        eb_option_env(o, &name);
        struct eb_str rest = eb_buf_get(&name);
        while (rest.p) {
            eb_auto_free char *one = eb_str_dup(eb_str_cut(&rest, ','));
            const char *value = one ? getenv(one) : NULL;
            if (!value || !*value)
                continue;
            /* Kubernetes sets PORT-like names to tcp://… for services; the full name is ours alone. */
            if (strcmp(one, "PORT") == 0 && !isdigit((unsigned char)*value))
                continue;
            eb_auto_buf struct eb_buf what = {0};
            eb_buf_printf(&what, "environment variable %s", one);
            struct source src = {NULL, 0, what.p};
            set_text(c, o, eb_str(value), &src, f);
        }
    }
}

/* The flag's name without dashes and, in *ret_value, what follows `=` or the next word; moves *i on. */
static struct eb_str flag_at(int argc, char *const *argv, int *i, const char **ret_value) {
    struct eb_str name = eb_str(argv[*i]);
    while (name.n && name.p[0] == '-')
        name.p++, name.n--;
    const char *equals = memchr(name.p, '=', name.n);
    if (equals) {
        *ret_value = equals + 1;
        return eb_str_n(name.p, (size_t)(equals - name.p));
    }
    *ret_value = *i + 1 < argc ? argv[++*i] : NULL;
    return name;
}

static const char *flag_value(int argc, char *const *argv, const char *wanted) {
    const char *found = NULL;
    for (int i = 0; i < argc; i++) {
        const char *value;
        if (eb_str_eqz(flag_at(argc, argv, &i, &value), wanted))
            found = value;
    }
    return found;
}

static void load_flags(struct eb_config *c, int argc, char *const *argv, struct eb_findings *f) {
    for (int i = 0; i < argc; i++) {
        struct source src = {NULL, 0, "flag"};
        const char *value;
        if (strncmp(argv[i], "--", 2) != 0) {
            finding(f, &src, argv[i], "flags begin with --; see --help", "not a flag");
            continue;
        }
        struct eb_str name = flag_at(argc, argv, &i, &value);
        if (eb_str_eqz(name, "config"))
            continue;
        const struct eb_option *o = eb_option_find(name);
        eb_auto_free char *key = eb_str_dup(name);
        if (!o)
            unknown_key(f, &src, key ? key : "");
        else if (eb_option_secret(o))
            finding(f, &src, o->key,
                    "give it by file or environment: arguments are visible to every user of the machine",
                    "a secret cannot be given as a flag");
        else if (!value)
            finding(f, &src, o->key, "write --key=value", "the value is missing");
        else
            set_text(c, o, eb_str(value), &src, f);
    }
}

static void need(struct eb_findings *f, bool ok, const char *path, const char *text, const char *mend) {
    if (!ok)
        eb_findings_add(f, EB_ERROR, NULL, 0, path, mend, "%s", text);
}

/* http to this very host, by a name or address that cannot be another's. */
static bool is_loopback_url(const char *url) {
    if (strncmp(url, "http://", 7) != 0)
        return false;
    struct eb_str rest = eb_str_n(url + 7, strcspn(url + 7, "/?#")), host = rest, port = EB_STR_NONE;
    const char *bracket = rest.n && rest.p[0] == '[' ? memchr(rest.p, ']', rest.n) : NULL;
    const char *colon = bracket ? bracket + 1 : rest.n ? memchr(rest.p, ':', rest.n) : NULL;
    if (colon) {
        host.n = (size_t)(colon - rest.p);
        port = eb_str_n(colon, rest.n - host.n);
    }
    int64_t number;
    if (port.n &&
        (port.p[0] != ':' || eb_num_i64(eb_str_n(port.p + 1, port.n - 1), 1, 65535, &number) != EB_OK))
        return false;
    char text[INET_ADDRSTRLEN];
    struct in_addr v4;
    if (host.n >= sizeof text)
        return false;
    (void)snprintf(text, sizeof text, "%.*s", EB_STR_ARG(host));
    return strcmp(text, "localhost") == 0 || strcmp(text, "[::1]") == 0 ||
           (inet_pton(AF_INET, text, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

/* What no single option can tell. */
static void check_whole(const struct eb_config *c, struct eb_findings *f) {
    int logins = (c->nats_nkey_seed || c->nats_nkey_seed_file) + (c->nats_creds_file != NULL) +
                 (c->nats_token != NULL);
    need(f, logins <= 1, "nats", "more than one login is given",
         "keep one of nats.nkey-seed, nats.creds-file and nats.token");
    need(f, !(c->nats_nkey_seed && c->nats_nkey_seed_file), "nats.nkey-seed",
         "the seed and a seed file are both given", "keep one");
    need(f, c->issuer_seeds.n + c->issuer_seed_files.n > 0, "nats.issuer-seed-file",
         c->nats_creds_file
             ? "missing: a creds file holds a user key, and answers must be signed by an account key"
             : "missing",
         "name a file with the account seed (SA...) whose public key is the server's auth_callout issuer; "
         "the environment variable is "
         "NATS_SIGNING_KEY_FILE");
    need(f, !c->nats_tls_cert == !c->nats_tls_key, "nats.tls", "cert and key belong together",
         "give both or none");
    const struct eb_issuer_config *j = &c->jwks;
    need(f, !(j->url && j->path), "jwks", "url and path are both given", "keep one");
    need(f, !(j->url || j->path) || j->issuer, "jwks.issuer", "missing", "write the exact iss of the tokens");
    if (j->url && strncmp(j->url, "https://", 8) != 0)
        need(f, strncmp(j->url, "http://", 7) == 0 && (j->allow_http || is_loopback_url(j->url)), "jwks.url",
             "neither https nor http to loopback",
             "use https, or set jwks.allow-http: true and accept that keys can be replaced on the way");
    if ((j->url || j->path) && j->audience.n == 0)
        eb_findings_add(f, EB_WARNING, NULL, 0, "jwks.audience",
                        "set it to the audience that the provider writes for this bus",
                        "unset: tokens for any other service of the provider are accepted too");
    for (size_t i = 0; i < c->readiness_require.n; i++)
        need(f, strcmp(c->readiness_require.v[i], "jwks") == 0, "readiness.require", "unknown key source",
             "the known one is jwks");
}

enum eb_rc eb_config_load(int argc, char *const *argv, struct eb_config **ret, struct eb_findings *findings) {
    EB_CLEANUP(eb_config_freep) struct eb_config *c = calloc(1, sizeof *c);
    if (!c)
        return EB_E_NOMEM;
    struct source src = {NULL, 0, "default"};
    for (size_t i = 0; i < eb_options_n; i++)
        if (eb_options[i].fallback)
            set_text(c, &eb_options[i], eb_str(eb_options[i].fallback), &src, findings);
    const char *path = flag_value(argc, argv, "config");
    if (!path)
        path = getenv("AUTH_CALLOUT_CONFIG");
    if (path && *path)
        load_file(c, path, false, findings);
    const char *hot = getenv("AUTH_CALLOUT_HOT_CONFIG");
    if (hot && *hot)
        load_file(c, hot, true, findings);
    load_environment(c, findings);
    load_flags(c, argc, argv, findings);
    check_whole(c, findings);
    if (findings->errors)
        return EB_E_INVALID;
    *ret = EB_TAKE(c);
    return EB_OK;
}

const char *eb_config_env(void *ctx, const char *name, bool *is_secret) {
    (void)ctx;
    for (size_t i = 0; i < eb_options_n; i++) {
        const struct eb_option *o = &eb_options[i];
        if (!eb_option_secret(o))
            continue;
        eb_auto_buf struct eb_buf own = {0};
        eb_option_env(o, &own);
        if (eb_str_eqz(eb_buf_get(&own), name) || (o->alias && in_choices(eb_str(name), o->alias)))
            *is_secret = true;
    }
    /* Not ours, but nobody wants these in a subject or an account either. */
    static const char *const words[] = {"SECRET", "PASSWORD", "PASSWD",    "SEED",
                                        "TOKEN",  "PRIVATE",  "CREDENTIAL"};
    for (size_t i = 0; i < EB_COUNT_OF(words); i++)
        if (strcasestr(name, words[i]))
            *is_secret = true;
    return getenv(name);
}

static bool same_strs(const struct eb_strs *a, const struct eb_strs *b) {
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->v[i], b->v[i]) != 0)
            return false;
    return true;
}

static bool same_secret(const struct eb_secret *a, const struct eb_secret *b) {
    return !a == !b && (!a || eb_str_eq(eb_secret_get(a), eb_secret_get(b)));
}

static bool same(const struct eb_option *o, const struct eb_config *a, const struct eb_config *b) {
    const void *x = (const char *)a + o->at, *y = (const char *)b + o->at;
    switch (o->type) {
    case EB_OPT_TEXT:
    case EB_OPT_PATH:
    case EB_OPT_CHOICE: {
        const char *s = *(char *const *)x, *t = *(char *const *)y;
        return !s == !t && (!s || strcmp(s, t) == 0);
    }
    case EB_OPT_LIST:
    case EB_OPT_PATHS: return same_strs(x, y);
    case EB_OPT_BOOL: return *(const bool *)x == *(const bool *)y;
    case EB_OPT_INT:
    case EB_OPT_DURATION: return *(const int64_t *)x == *(const int64_t *)y;
    case EB_OPT_SECRET: return same_secret(*(struct eb_secret *const *)x, *(struct eb_secret *const *)y);
    case EB_OPT_SECRETS: return true; /* none of them needs a restart */
    }
    return true;
}

void eb_config_needs_restart(const struct eb_config *now, const struct eb_config *next, struct eb_buf *to) {
    for (size_t i = 0; i < eb_options_n; i++)
        if (eb_options[i].restart && !same(&eb_options[i], now, next))
            eb_buf_printf(to, "%s%s", to->n ? ", " : "", eb_options[i].key);
}
