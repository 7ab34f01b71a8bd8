/* What is generated from the option tables: YAML, the reference page, --help. */
#include "options.h"

#include <stdio.h>

/* Where a section of the dotted key differs from the one before, opens it. */
static void yaml_sections(struct eb_buf *to, const char *key, const char *before, size_t *ret_depth,
                          const char **ret_leaf) {
    size_t depth = 0;
    bool same = before != NULL;
    const char *at = key;
    for (const char *dot = strchr(at, '.'); dot; dot = strchr(at, '.')) {
        size_t n = (size_t)(dot - key) + 1;
        same = same && strncmp(key, before, n) == 0;
        if (!same)
            eb_buf_printf(to, "%*s%.*s:\n", (int)depth * 2, "", (int)(dot - at), at);
        depth++;
        at = dot + 1;
    }
    *ret_depth = depth;
    *ret_leaf = at;
}

static void yaml_value(struct eb_buf *to, const struct eb_option *o) {
    bool list = eb_option_list(o);
    if (o->fallback && list)
        eb_buf_printf(to, "[%s]", o->fallback);
    else if (o->fallback)
        eb_buf_z(to, o->fallback);
    else
        eb_buf_z(to, list ? "[]" : "");
}

static void trim_blanks(struct eb_buf *to) {
    while (to->n && to->p[to->n - 1] == ' ')
        to->p[--to->n] = '\0';
}

/* As comments behind that many blanks; inside: of a block that is a comment itself. */
static void wrapped_comment(struct eb_buf *to, int indent, const char *inside, const char *text) {
    enum { WIDTH = 100 };
    while (*text) {
        size_t n = strlen(text);
        if (n > WIDTH) {
            n = WIDTH;
            while (n && text[n] != ' ')
                n--;
        }
        eb_buf_printf(to, "%*s%s# %.*s\n", indent, "", inside, (int)n, text);
        text += n;
        while (*text == ' ')
            text++;
    }
}

/* A list or mapping, empty, under comments that show an element of each kind. */
static void yaml_elements(struct eb_buf *to, const struct eb_option_table *tables, size_t n,
                          const char *begin, const char *empty) {
    for (size_t i = 0; i < n; i++) {
        wrapped_comment(to, 0, "", tables[i].doc);
        for (size_t k = 0; k < tables[i].n; k++) {
            const struct eb_option *o = &tables[i].v[k];
            wrapped_comment(to, 0, "#     ", o->doc);
            eb_buf_printf(to, "#%s%s: ", k ? "     " : begin, o->key);
            if (strcmp(o->key, "kind") == 0)
                eb_buf_z(to, i == EB_ISSUER_KUBERNETES ? "kubernetes" : "oauth2");
            else
                yaml_value(to, o);
            trim_blanks(to);
            eb_buf_ch(to, '\n');
        }
    }
    eb_buf_printf(to, "%s\n", empty);
}

void eb_options_yaml(struct eb_buf *to) {
    eb_buf_z(to, "# Configuration of auth-callout: every option with its default. An option without a value "
                 "is unset.\n");
    const char *before = NULL;
    for (size_t i = 0; i < eb_options_n; i++) {
        const struct eb_option *o = &eb_options[i];
        size_t depth;
        const char *leaf;
        yaml_sections(to, o->key, before, &depth, &leaf);
        before = o->key;
        int indent = (int)depth * 2;
        wrapped_comment(to, indent, "", o->doc);
        eb_buf_printf(to, "%*s# Environment: ", indent, "");
        eb_option_env(o, to);
        struct eb_str rest = eb_str(o->alias);
        while (rest.p) {
            struct eb_str name = eb_str_cut(&rest, ',');
            eb_buf_printf(to, ", %.*s", EB_STR_ARG(name));
        }
        if (o->restart)
            eb_buf_z(to, ". Takes effect at a restart");
        eb_buf_z(to, ".\n");
        eb_buf_printf(to, "%*s%s: ", indent, "", leaf);
        yaml_value(to, o);
        trim_blanks(to);
        eb_buf_ch(to, '\n');
    }
    yaml_elements(to, eb_issuer_options, EB_COUNT_OF(eb_issuer_options), "   - ", "issuers: []");
    yaml_elements(to, &eb_account_options, 1, "   NAME:\n#     ", "accounts: {}");
}

static void type_text(struct eb_buf *to, const struct eb_option *o) {
    eb_buf_z(to, eb_option_type_name(o->type));
    if (o->choices)
        eb_buf_printf(to, " %s", o->choices);
    if (o->type == EB_OPT_INT)
        eb_buf_printf(to, " %lld to %lld", (long long)o->min, (long long)o->max);
}

static void markdown_elements(struct eb_buf *to, const struct eb_option_table *t) {
    eb_buf_printf(to, "\n%s\n\n| `%s.` | value | default | when | meaning |\n|---|---|---|---|---|\n", t->doc,
                  t->path);
    for (size_t i = 0; i < t->n; i++) {
        const struct eb_option *o = &t->v[i];
        eb_buf_printf(to, "| `%s` | ", o->key);
        type_text(to, o);
        if (o->fallback)
            eb_buf_printf(to, " | `%s`", o->fallback);
        else
            eb_buf_z(to, " | -");
        eb_buf_printf(to, " | %s | %s |\n", o->restart ? "restart" : "reload", o->doc);
    }
}

void eb_options_markdown(struct eb_buf *to) {
    eb_buf_z(to, "| key | environment | value | default | when | meaning |\n|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < eb_options_n; i++) {
        const struct eb_option *o = &eb_options[i];
        eb_buf_printf(to, "| `%s` | `", o->key);
        eb_option_env(o, to);
        eb_buf_ch(to, '`');
        struct eb_str rest = eb_str(o->alias);
        while (rest.p) {
            struct eb_str name = eb_str_cut(&rest, ',');
            eb_buf_printf(to, " `%.*s`", EB_STR_ARG(name));
        }
        eb_buf_z(to, " | ");
        type_text(to, o);
        if (o->fallback)
            eb_buf_printf(to, " | `%s`", o->fallback);
        else
            eb_buf_z(to, " | -");
        eb_buf_printf(to, " | %s | %s |\n", o->restart ? "restart" : "reload", o->doc);
    }
    for (size_t i = 0; i < EB_COUNT_OF(eb_issuer_options); i++)
        markdown_elements(to, &eb_issuer_options[i]);
    markdown_elements(to, &eb_account_options);
}

void eb_options_help(struct eb_buf *to) {
    for (size_t i = 0; i < eb_options_n; i++) {
        const struct eb_option *o = &eb_options[i];
        if (eb_option_secret(o))
            continue;
        eb_buf_printf(to, "  --%s <", o->key);
        type_text(to, o);
        eb_buf_ch(to, '>');
        if (o->fallback)
            eb_buf_printf(to, " (default %s)", o->fallback);
        eb_buf_printf(to, "\n      %s\n", o->doc);
    }
    eb_buf_z(to, "  Files alone set `issuers` and `accounts`: see generate-config.\n");
}
