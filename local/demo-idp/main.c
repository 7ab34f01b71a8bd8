/* demo-idp: an OAuth2 identity provider for trying out the bus on one machine. For evaluation only. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/num.h"
#include "http.h"

#define CLIENTS_MAX (1 << 20)

static const char USAGE[] =
    "usage: demo-idp --state DIR [options]\n"
    "\n"
    "A small OAuth2 identity provider: POST /token (client credentials), GET /jwks.json,\n"
    "GET /.well-known/openid-configuration. FOR EVALUATION ONLY: its client secrets are public.\n"
    "\n"
    "  --state DIR       folder of its signing keys, made if absent; the same keys after a restart\n"
    "  --listen ADDR     IPv4 address to listen on (127.0.0.1)\n"
    "  --port N          port (8180); 0 takes a free one; the address is printed on standard output\n"
    "  --issuer URL      iss of the tokens (http://ADDR:PORT)\n"
    "  --audience TEXT   aud of the tokens (dsx-exchange)\n"
    "  --scope WORDS     scopes that may be asked for, and the default (mqtt)\n"
    "  --lifetime N      seconds that a token is valid (300)\n"
    "  --clients FILE    JSON {\"<id>\": {\"secret\": \"...\", \"sub\": \"...\", \"alg\": \"ES256\"}}, sub "
    "and alg optional;\n"
    "                    default: the clients of the demo sites, each with the secret <id>-secret\n"
    "  --enable-test-api also POST /rotate[?drop_old=1], POST /test?delay_ms=N&status=N&bytes=N (answers "
    "with faults),\n"
    "                    and at /token x_<claim>=VALUE (JSON or text; empty: left out; now, now-10, now+10 "
    "for times),\n"
    "                    x_header={...} (merged into the token's header), x_pad=BYTES\n"
    "\n"
    "At /token: grant_type=client_credentials, client_id, client_secret (or HTTP Basic), scope, "
    "alg=RS256|ES256.\n";

static int fail(const char *what, const struct eb_err *err) {
    (void)fprintf(stderr, "demo-idp: %s: %s\n", what, err->text);
    return 1;
}

static json_t *read_clients(const char *path, struct eb_err *reterr) {
    eb_auto_buf struct eb_buf text = {.secret = true};
    json_t *root = NULL;
    if (eb_file_read(path, CLIENTS_MAX, &text, reterr) != EB_OK ||
        eb_json_object(eb_buf_get(&text), CLIENTS_MAX, &root, reterr) != EB_OK)
        return NULL;
    return root;
}

static bool number_flag(const char *name, const char *text, int64_t min, int64_t max, int64_t *ret) {
    if (eb_num_i64(eb_str(text), min, max, ret) == EB_OK)
        return true;
    (void)fprintf(stderr, "demo-idp: --%s %s: write a number from %lld to %lld\n", name, text, (long long)min,
                  (long long)max);
    return false;
}

/* Fills set and the two paths from the flags. 0: go on; else 1 + the exit code. */
static int read_flags(int argc, char **argv, struct idp_http_settings *set, const char **state,
                      const char **clients) {
    static const struct option options[] = {
        {"state", required_argument, NULL, 's'},
        {"listen", required_argument, NULL, 'l'},
        {"port", required_argument, NULL, 'p'},
        {"issuer", required_argument, NULL, 'i'},
        {"audience", required_argument, NULL, 'a'},
        {"scope", required_argument, NULL, 'S'},
        {"lifetime", required_argument, NULL, 't'},
        {"clients", required_argument, NULL, 'c'},
        {"enable-test-api", no_argument, NULL, 'T'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int64_t port = 8180;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 's': *state = optarg; break;
        case 'l': set->listen = optarg; break;
        case 'p':
            if (!number_flag("port", optarg, 0, 65535, &port))
                return 3;
            break;
        case 'i': set->issuer = optarg; break;
        case 'a': set->audience = optarg; break;
        case 'S': set->scope = optarg; break;
        case 't':
            if (!number_flag("lifetime", optarg, 1, 31536000, &set->lifetime_s))
                return 3;
            break;
        case 'c': *clients = optarg; break;
        case 'T': set->test_api = true; break;
        case 'h': (void)fputs(USAGE, stdout); return 1;
        default: (void)fputs("demo-idp: see --help\n", stderr); return 3;
        }
    }
    set->port = (unsigned)port;
    if (optind == argc && *state)
        return 0;
    (void)fputs(*state ? "demo-idp: takes flags only; see --help\n"
                       : "demo-idp: --state DIR is needed; see --help\n",
                stderr);
    return 3;
}

int main(int argc, char **argv) {
    struct idp_http_settings set = {
        .listen = "127.0.0.1", .audience = "dsx-exchange", .scope = "mqtt", .lifetime_s = 300};
    const char *state = NULL, *clients_path = NULL;
    const int stop = read_flags(argc, argv, &set, &state, &clients_path);
    if (stop)
        return stop - 1;

    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals,
                          NULL); /* before any thread, so that only sigwait below gets them */
    (void)signal(SIGPIPE, SIG_IGN);

    struct eb_err err = {0};
    eb_auto_json json_t *clients = clients_path ? read_clients(clients_path, &err) : idp_demo_clients();
    if (!clients)
        return fail("clients", &err);
    EB_CLEANUP(idp_keys_freep) struct idp_keys *keys = NULL;
    if (idp_keys_open(state, &keys, &err) != EB_OK)
        return fail("keys", &err);
    set.clients = clients;
    set.keys = keys;
    EB_CLEANUP(idp_http_freep) struct idp_http *http = NULL;
    if (idp_http_start(&set, &http, &err) != EB_OK)
        return fail("start", &err);

    (void)fputs("**********************************************************************\n"
                "*  demo identity provider: FOR EVALUATION ONLY, its secrets are public\n"
                "**********************************************************************\n",
                stderr);
    if (set.test_api)
        (void)fputs("demo-idp: the test API is on: anybody who reaches it gets tokens with any claim and "
                    "rotates keys\n",
                    stderr);
    (void)printf("listening on %s\n", idp_http_base(http));
    (void)fflush(stdout);
    int got = 0;
    (void)sigwait(&signals, &got);
    return 0;
}
