/* The table of every option: configuration, --help, generate-config and the reference page come from it. */
#ifndef EB_OPTIONS_H
#define EB_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "config.h"

enum eb_opt_type {
    EB_OPT_TEXT,     /* char * */
    EB_OPT_PATH,     /* char *, a file */
    EB_OPT_CHOICE,   /* char *, one of `choices` (comma separated) */
    EB_OPT_LIST,     /* struct eb_strs */
    EB_OPT_PATHS,    /* struct eb_strs of files */
    EB_OPT_BOOL,     /* bool */
    EB_OPT_INT,      /* int64_t within min..max */
    EB_OPT_DURATION, /* int64_t nanoseconds */
    EB_OPT_RATIO,    /* int64_t, parts of EB_RATIO_ONE */
    EB_OPT_SECRET,   /* struct eb_secret * */
    EB_OPT_SECRETS,  /* struct eb_secrets */
};

struct eb_option {
    const char *key; /* dotted */
    const char
        *alias; /* further names in the environment, comma separated; AUTH_CALLOUT_<KEY> always counts */
    enum eb_opt_type type;
    const char *fallback; /* default as text, NULL for none; "auto" with EB_OPT_INT is 0 */
    const char *choices;
    int64_t min, max;
    bool restart; /* a change takes effect only at a restart */
    size_t at;    /* offset in struct eb_config, or in the element of a list or mapping */
    const char *doc;
};

extern const struct eb_option eb_options[];
extern const size_t eb_options_n;

/* The options of one element of a list or mapping (`issuers[]`, `accounts.NAME`): files alone set them. */
struct eb_option_table {
    const char *path, *doc;
    const struct eb_option *v;
    size_t n;
};
extern const struct eb_option_table eb_issuer_options[2]; /* by enum eb_issuer_kind */
extern const struct eb_option_table eb_account_options;
/* NULL where the table has no such key. */
const struct eb_option *eb_option_table_find(const struct eb_option_table *t, struct eb_str key);

const struct eb_option *eb_option_find(struct eb_str key);
/* "text", "duration", … for people. */
const char *eb_option_type_name(enum eb_opt_type type);
/* True where values must never be shown or given as a flag. */
bool eb_option_secret(const struct eb_option *o);
/* True where several values may be given. */
bool eb_option_list(const struct eb_option *o);
/* Appends what to write instead of a key that no option has. */
void eb_options_nearest(struct eb_str key, struct eb_buf *mend);
/* The same for a key of an element. */
void eb_option_table_nearest(const struct eb_option_table *t, struct eb_str key, struct eb_buf *mend);
/* Appends the AUTH_CALLOUT_… name of an option. */
void eb_option_env(const struct eb_option *o, struct eb_buf *to);

/* Every option with default and comment, as YAML that loads. */
void eb_options_yaml(struct eb_buf *to);
/* The reference page, Markdown. */
void eb_options_markdown(struct eb_buf *to);
/* The flags, for --help. */
void eb_options_help(struct eb_buf *to);

#endif
