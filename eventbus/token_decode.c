/* eventbus token decode */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/base64url.h"
#include "base/json.h"
#include "base/secret.h"
#include "command.h"
#include "say.h"

#define TOKEN_MAX ((size_t)1 << 20)
enum { KEY_COLUMN = 12, MINUTE = 60, HOUR = 3600, DAY = 86400 };

static const struct eb_option options[] = {{NULL, NULL, NULL}};
static const char *const times[] = {"exp", "iat", "nbf", "auth_time", "updated_at"};

/* "3 days 4 hours": the two largest units. */
static void duration(struct eb_buf *to, int64_t s) {
    static const struct {
        int64_t s;
        const char *name;
    } units[] = {{DAY, "day"}, {HOUR, "hour"}, {MINUTE, "minute"}, {1, "second"}};
    int shown = 0;
    for (size_t i = 0; i < EB_COUNT_OF(units) && shown < 2; i++) {
        int64_t n = s / units[i].s;
        s %= units[i].s;
        if (n == 0 && (shown || i + 1 < EB_COUNT_OF(units))) {
            shown += shown > 0;
            continue;
        }
        eb_buf_printf(to, "%s%" PRId64 " %s%s", shown ? " " : "", n, units[i].name, n == 1 ? "" : "s");
        shown++;
    }
}

static void moment(struct eb_buf *to, int64_t at, int64_t now) {
    struct tm tm;
    char text[64];
    time_t t = (time_t)at;
    if (!gmtime_r(&t, &tm) || strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        return;
    eb_buf_printf(to, "  %s, %s", text, at > now ? "in " : "");
    duration(to, at > now ? at - now : now - at);
    eb_buf_z(to, at > now ? "" : " ago");
}

static bool is_time(const char *key) {
    for (size_t i = 0; i < EB_COUNT_OF(times); i++)
        if (strcmp(key, times[i]) == 0)
            return true;
    return false;
}

static void value(struct eb_buf *to, const json_t *v, size_t indent);

static void items(struct eb_buf *to, const json_t *v, size_t indent) {
    bool first = true;
    const char *key;
    size_t i;
    json_t *item;
    if (json_is_array(v)) {
        json_array_foreach((json_t *)(uintptr_t)v, i, item) {
            eb_buf_z(to, first ? "" : ", ");
            first = false;
            value(to, item, indent);
        }
        return;
    }
    while (to->n && to->p[to->n - 1] == ' ')
        to->n--;
    json_object_foreach((json_t *)(uintptr_t)v, key, item) {
        eb_buf_printf(to, "\n%*s", (int)indent, "");
        eb_say_safe(to, eb_str(key));
        eb_buf_z(to, "  ");
        value(to, item, indent + 2);
    }
}

/* Strings without quotes: what is read here is read by people. */
static void value(struct eb_buf *to, const json_t *v, size_t indent) {
    if (json_is_string(v)) {
        eb_say_safe(to, eb_str_n(json_string_value(v), json_string_length(v)));
    } else if (json_is_integer(v)) {
        eb_buf_i64(to, json_integer_value(v));
    } else if (json_is_real(v)) {
        eb_buf_printf(to, "%.17g", json_real_value(v));
    } else if (json_is_boolean(v)) {
        eb_buf_z(to, json_is_true(v) ? "true" : "false");
    } else if (json_is_null(v)) {
        eb_buf_z(to, "null");
    } else if ((json_is_array(v) && json_array_size(v) == 0) ||
               (json_is_object(v) && json_object_size(v) == 0)) {
        eb_buf_z(to, "(empty)");
    } else {
        items(to, v, indent);
    }
}

static void section(struct eb_buf *to, const char *title, json_t *object, int64_t now) {
    const char *key;
    json_t *v;
    eb_buf_printf(to, "%s\n", title);
    json_object_foreach(object, key, v) {
        size_t start = to->n + 2;
        eb_buf_z(to, "  ");
        eb_say_safe(to, eb_str(key));
        do
            eb_buf_ch(to, ' ');
        while (eb_buf_ok(to) && to->n < start + KEY_COLUMN);
        value(to, v, 4);
        int64_t at;
        if (is_time(key) && eb_json_get_epoch(object, key, &at) == EB_JSON_OK)
            moment(to, at, now);
        eb_buf_ch(to, '\n');
    }
}

static void validity(struct eb_buf *to, const json_t *claims, int64_t now) {
    int64_t exp = 0, nbf = 0;
    bool has_exp = eb_json_get_epoch(claims, "exp", &exp) == EB_JSON_OK;
    bool has_nbf = eb_json_get_epoch(claims, "nbf", &nbf) == EB_JSON_OK;
    eb_buf_z(to, "Times\n  ");
    if (has_exp && exp <= now) {
        eb_buf_z(to, "EXPIRED for ");
        duration(to, now - exp);
    } else if (has_nbf && nbf > now) {
        eb_buf_z(to, "NOT YET VALID, for ");
        duration(to, nbf - now);
    } else if (has_exp) {
        eb_buf_z(to, "valid for ");
        duration(to, exp - now);
    } else {
        eb_buf_z(to, "no end (no exp)");
    }
    eb_buf_z(to, "\nSignature\n  NOT checked: anybody can have written this token\n");
}

/* One chunk as a JSON object; NULL after saying why not. */
static json_t *chunk(const struct eb_command *c, const char *what, struct eb_str text) {
    eb_auto_buf struct eb_buf b = {.secret = true};
    size_t cap = eb_base64url_max(text.n), n;
    char *to = eb_buf_reserve(&b, cap);
    json_t *root = NULL;
    struct eb_err err = {0};
    if (!to || eb_base64url_decode(to, cap, text, &n) != EB_OK) {
        eb_say(c, "the %s is no base64url: was the token copied whole?", what);
        return NULL;
    }
    eb_buf_used(&b, n);
    if (eb_json_object(eb_buf_get(&b), TOKEN_MAX, &root, &err) != EB_OK)
        eb_say(c, "the %s: %s", what, err.text);
    return root;
}

static int decode(const struct eb_command *c, struct eb_str text) {
    if (eb_str_starts(text, EB_STR("Bearer ")))
        text = eb_str_trim(eb_str_n(text.p + 7, text.n - 7));
    struct eb_str rest = text;
    struct eb_str header = eb_str_cut(&rest, '.'), payload = rest.p ? eb_str_cut(&rest, '.') : EB_STR_NONE;
    if (!rest.p || eb_str_has(rest, '.') || header.n == 0 || payload.n == 0) {
        eb_say(c, "no JWT: three chunks joined by dots are expected%s",
               eb_str_has(text, '.') ? "" : "; an opaque token can be read by its provider only");
        return EB_EXIT_FAILED;
    }
    eb_auto_json json_t *head = chunk(c, "header", header);
    eb_auto_json json_t *claims = head ? chunk(c, "payload", payload) : NULL;
    if (!claims)
        return EB_EXIT_FAILED;
    eb_auto_buf struct eb_buf out = {0};
    int64_t now = (int64_t)time(NULL);
    section(&out, "Header", head, now);
    section(&out, "Claims", claims, now);
    validity(&out, claims, now);
    if (!eb_buf_ok(&out)) {
        eb_say(c, "out of memory");
        return EB_EXIT_FAILED;
    }
    return eb_say_out(c, eb_buf_get(&out)) ? EB_EXIT_OK : EB_EXIT_FAILED;
}

static int run(const struct eb_command *c, const struct eb_args *args) {
    const char *path = !args->operand || strcmp(args->operand, "-") == 0 ? "/dev/stdin" : args->operand;
    if (strncmp(path, "eyJ", 3) == 0 && strchr(path, '.')) {
        eb_say(c, "a token on the command line can be read by every user of this machine: pipe it in, or "
                  "name a file");
        return EB_EXIT_USAGE;
    }
    EB_CLEANUP(eb_secret_freep) struct eb_secret *bytes = NULL;
    struct eb_err err = {0};
    enum eb_rc rc = eb_secret_read_file(path, TOKEN_MAX, &bytes, &err);
    if (rc != EB_OK) {
        eb_say(c, "%s", eb_err_text(&err, rc));
        return EB_EXIT_FAILED;
    }
    return decode(c, eb_secret_get(bytes));
}

const struct eb_command eb_token_decode = {
    .words = "token decode",
    .summary = "show what is written in a token",
    .synopsis = "eventbus token decode [FILE]\n"
                "eventbus token decode -",
    .description =
        "Prints header and claims of a JWT, with its times in words and how long it is still valid. FILE "
        "holds the token; "
        "without FILE, or where it is -, it is read from standard input. NATS JWTs are read too.\n\n"
        "The signature is not checked: this tells what a token says, not whether it is true. A token that "
        "has expired is "
        "decoded like any other.",
    .options = options,
    .operand = "FILE",
    .examples = "eventbus token --issuer http://127.0.0.1:8180 --client-id mqtt-client \\\n"
                "    --client-secret-file secret.txt | eventbus token decode\n"
                "eventbus token decode /var/run/secrets/kubernetes.io/serviceaccount/token",
    .failures = "the input cannot be read, or is no JWT",
    .run = run,
};
