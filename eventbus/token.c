/* eventbus token: the client credentials grant (RFC 6749 s4.4), with discovery (RFC 8414, OpenID Connect
 * Discovery). */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/secret.h"
#include "command.h"
#include "http.h"
#include "say.h"

#define ANSWER_MAX ((size_t)1 << 20)
#define SECRET_MAX 4096
#define SECRET_ENV "EVENTBUS_CLIENT_SECRET"
#define WELL_KNOWN "/.well-known/openid-configuration"

enum {
    URL,
    ISSUER,
    CLIENT_ID,
    SECRET_FILE,
    SCOPE,
    AUDIENCE,
    BASIC,
    CA,
    ALLOW_HTTP
}; /* places in options[] */

static const struct eb_option options[] = {
    [URL] = {"url", "TOKEN_URL", "The provider's token endpoint."},
    [ISSUER] = {"issuer", "URL",
                "The provider's issuer URL; the token endpoint is read from its discovery document."},
    [CLIENT_ID] = {"client-id", "ID", "Who asks. Required."},
    [SECRET_FILE] = {"client-secret-file", "FILE",
                     "File with the client's secret, - for standard input. Without it, the environment "
                     "variable " SECRET_ENV " holds the secret."},
    [SCOPE] = {"scope", "WORDS", "Scopes to ask for, with blanks between them."},
    [AUDIENCE] = {"audience", "TEXT", "Audience to ask for, where the provider takes one."},
    [BASIC] = {"basic", NULL, "Sends id and secret by HTTP Basic; default is in the form."},
    [CA] = {"ca", "FILE",
            "CA certificates (PEM) that the provider's certificate must lead to; default is the system's."},
    [ALLOW_HTTP] = {"allow-http", NULL,
                    "Sends the secret unencrypted to another machine too, if the URL says http. To this "
                    "machine it always may."},
    {NULL, NULL, NULL},
};

/* application/x-www-form-urlencoded */
static void encode(struct eb_buf *to, struct eb_str s) {
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        bool plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
                     (ch && strchr("-._~", ch));
        if (plain) {
            eb_buf_ch(to, (char)ch);
        } else {
            const char escaped[3] = {'%', hex[ch >> 4], hex[ch & 15]};
            eb_buf_add(to, escaped, sizeof escaped);
        }
    }
}

static void field(struct eb_buf *to, const char *name, struct eb_str value) {
    eb_buf_printf(to, "%s%s=", to->n ? "&" : "", name);
    encode(to, value);
}

static struct eb_secret *client_secret(const struct eb_command *c, const struct eb_args *args) {
    const char *file = args->value[SECRET_FILE], *env = getenv(SECRET_ENV);
    struct eb_secret *s = NULL;
    if (file) {
        struct eb_err err = {0};
        enum eb_rc rc =
            eb_secret_read_file(strcmp(file, "-") == 0 ? "/dev/stdin" : file, SECRET_MAX, &s, &err);
        if (rc != EB_OK)
            eb_say(c, "the client's secret: %s", eb_err_text(&err, rc));
        return s;
    }
    if (!env || !*env) {
        eb_say(c, "no client secret: name a file with --client-secret-file FILE (- is standard input), or "
                  "set " SECRET_ENV);
        return NULL;
    }
    s = eb_secret_new(env, strlen(env));
    if (!s)
        eb_say(c, "out of memory");
    return s;
}

/* What the provider says about a failure: RFC 6749 s5.2, else the first line of whatever it sent. */
static void say_refusal(const struct eb_command *c, const char *url, long status, struct eb_str body) {
    json_t *root = NULL;
    (void)!eb_json_object(body, ANSWER_MAX, &root, NULL);
    struct eb_str code = eb_json_str(root, "error"), why = eb_json_str(root, "error_description");
    if (code.p) {
        eb_say(c, "the identity provider refused (HTTP %ld): %.*s%s%.*s", status,
               (int)(code.n < 80 ? code.n : 80), code.p, why.n ? ": " : "", (int)(why.n < 300 ? why.n : 300),
               why.p ? why.p : "");
        if (eb_str_eqz(code, "invalid_client"))
            eb_say(c, "check --client-id and the secret; some providers want --basic");
    } else {
        struct eb_str line = eb_str_trim(body);
        line = eb_str_cut(&line, '\n');
        eb_say(c, "%.200s answered HTTP %ld and no OAuth2 error: %.*s", url, status,
               (int)(line.n < 120 ? line.n : 120), line.p ? line.p : "");
    }
    json_decref(root);
}

/* The token endpoint of the issuer's discovery document; caller frees. */
static char *discover(const struct eb_command *c, const struct eb_args *args) {
    struct eb_str issuer = eb_str(args->value[ISSUER]);
    while (eb_str_ends(issuer, EB_STR("/")))
        issuer.n--;
    eb_auto_buf struct eb_buf url = {0};
    eb_auto_buf struct eb_buf body = {0};
    eb_buf_str(&url, issuer);
    eb_buf_z(&url, WELL_KNOWN);
    if (!eb_buf_ok(&url))
        return NULL;
    const struct eb_http_request r = {
        .url = url.p, .ca = args->value[CA], .allow_http = args->value[ALLOW_HTTP] != NULL};
    long status = 0;
    if (!eb_http_send(c, &r, &status, &body))
        return NULL;
    eb_auto_json json_t *root = NULL;
    struct eb_err err = {0};
    if (status != 200 || eb_json_object(eb_buf_get(&body), ANSWER_MAX, &root, &err) != EB_OK) {
        eb_say(c, "%.200s: %s (HTTP %ld): is --issuer right? Or give the token endpoint with --url", url.p,
               status == 200 ? err.text : "no discovery document", status);
        return NULL;
    }
    struct eb_str named = eb_json_str(root, "issuer"), endpoint = eb_json_str(root, "token_endpoint");
    while (eb_str_ends(named, EB_STR("/")))
        named.n--;
    if (!eb_str_eq(named, issuer)) {
        eb_say(c, "the discovery document is of another issuer: %.*s", (int)(named.n < 200 ? named.n : 200),
               named.p ? named.p : "none");
        return NULL;
    }
    if (endpoint.n == 0) {
        eb_say(c, "the discovery document names no token_endpoint: give it with --url");
        return NULL;
    }
    return eb_str_dup(endpoint);
}

static int print_token(const struct eb_command *c, const char *url, struct eb_str body) {
    eb_auto_json json_t *root = NULL;
    struct eb_err err = {0};
    if (eb_json_object(body, ANSWER_MAX, &root, &err) != EB_OK) {
        eb_say(c, "%.200s: the answer: %s", url, err.text);
        return EB_EXIT_FAILED;
    }
    struct eb_str token = eb_json_str(root, "access_token"), type = eb_json_str(root, "token_type");
    eb_auto_buf struct eb_buf line = {.secret = true};
    eb_say_safe(&line, token);
    if (token.n == 0 || line.n != token.n || eb_str_has(token, ' ')) {
        eb_say(c, "%.200s: the answer holds no access_token", url);
        return EB_EXIT_FAILED;
    }
    if (type.p && !(type.n == 6 && strncasecmp(type.p, "bearer", 6) == 0))
        eb_say(c, "warning: the token is of type %.*s, the bus takes bearer tokens",
               (int)(type.n < 40 ? type.n : 40), type.p);
    eb_buf_ch(&line, '\n');
    return eb_buf_ok(&line) && eb_say_out(c, eb_buf_get(&line)) ? EB_EXIT_OK : EB_EXIT_FAILED;
}

static int ask(const struct eb_command *c, const struct eb_args *args, const char *url,
               const struct eb_secret *secret) {
    eb_auto_buf struct eb_buf form = {.secret = true};
    eb_auto_buf struct eb_buf user = {0};
    eb_auto_buf struct eb_buf password = {.secret = true};
    eb_auto_buf struct eb_buf body = {.secret = true};
    field(&form, "grant_type", EB_STR("client_credentials"));
    if (args->value[BASIC]) {
        encode(&user, eb_str(args->value[CLIENT_ID]));
        encode(&password, eb_secret_get(secret));
    } else {
        field(&form, "client_id", eb_str(args->value[CLIENT_ID]));
        field(&form, "client_secret", eb_secret_get(secret));
    }
    if (args->value[SCOPE])
        field(&form, "scope", eb_str(args->value[SCOPE]));
    if (args->value[AUDIENCE])
        field(&form, "audience", eb_str(args->value[AUDIENCE]));
    if (!eb_buf_ok(&form) || !eb_buf_ok(&user) || !eb_buf_ok(&password)) {
        eb_say(c, "out of memory");
        return EB_EXIT_FAILED;
    }
    const struct eb_http_request r = {.url = url,
                                      .form = eb_buf_get(&form),
                                      .user = user.p,
                                      .password = password.p,
                                      .ca = args->value[CA],
                                      .allow_http = args->value[ALLOW_HTTP] != NULL};
    long status = 0;
    if (!eb_http_send(c, &r, &status, &body))
        return EB_EXIT_FAILED;
    if (status == 200)
        return print_token(c, url, eb_buf_get(&body));
    say_refusal(c, url, status, eb_buf_get(&body));
    return EB_EXIT_FAILED;
}

static int run(const struct eb_command *c, const struct eb_args *args) {
    if (!args->value[URL] == !args->value[ISSUER]) {
        eb_say(c, "%s",
               args->value[URL] ? "--url and --issuer are alternatives: give one of them"
                                : "where to ask? Give --url TOKEN_URL or --issuer URL");
        return EB_EXIT_USAGE;
    }
    if (!args->value[CLIENT_ID]) {
        eb_say(c, "who asks? Give --client-id ID");
        return EB_EXIT_USAGE;
    }
    EB_CLEANUP(eb_secret_freep) struct eb_secret *secret = client_secret(c, args);
    if (!secret)
        return args->value[SECRET_FILE] ? EB_EXIT_FAILED : EB_EXIT_USAGE;
    eb_auto_free char *found = args->value[ISSUER] ? discover(c, args) : NULL;
    const char *url = args->value[URL] ? args->value[URL] : found;
    return url ? ask(c, args, url, secret) : EB_EXIT_FAILED;
}

const struct eb_command eb_token = {
    .words = "token",
    .summary = "get an access token from an identity provider",
    .synopsis = "eventbus token --url TOKEN_URL|--issuer URL --client-id ID\n"
                "    [--client-secret-file FILE] [--scope WORDS] [--audience TEXT] [--basic]\n"
                "    [--ca FILE] [--allow-http]",
    .description = "Asks an OAuth2 identity provider for an access token by the client credentials grant and "
                   "prints it. Clients of the "
                   "bus log in with it: MQTT clients as the password, NATS clients as the token.\n\n"
                   "The secret comes from a file, standard input or the environment, never from the command "
                   "line. Redirects are not "
                   "followed: they could carry the secret elsewhere.",
    .options = options,
    .examples = "echo mqtt-client-secret | eventbus token --issuer http://127.0.0.1:8180 \\\n"
                "    --client-id mqtt-client --client-secret-file - --scope mqtt\n"
                "mosquitto_pub -h 127.0.0.1 -u oauthtoken -t test/x -m hello \\\n"
                "    -P \"$(eventbus token --issuer https://idp.example --client-id dev-1 \\\n"
                "          --client-secret-file dev-1.secret)\"",
    .failures = "the provider refused, cannot be reached, or sent no token",
    .run = run,
};
