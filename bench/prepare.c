/* Writes what a bench runs on: keys, the configuration of nats-server and of auth-callout, the permissions
 * document, large ones too. */
#include <sodium.h>
#include <stdio.h>

#include "answer.h"
#include "tool.h"

#define GRANTS                                                                                               \
    "\"account\":\"" BENCH_ACCOUNT "\",\"permissions\":{\"pub\":{\"allow\":" BENCH_PUB                       \
    "},\"sub\":{\"allow\":" BENCH_SUB "}}"

static void add_known(const struct site *s, struct eb_buf *b) {
    eb_buf_z(b, "\"mtls\":{\"bench-mtls\":{\"identity\":\"CN=" BENCH_CN "\"," GRANTS "}},\n");
    eb_buf_printf(b, "\"nkey\":{\"bench-nkey\":{\"public_key\":\"%s\"," GRANTS "}},\n",
                  eb_nkey_public(s->client));
    eb_buf_z(b, "\"noauth\":{" GRANTS "},\n\"oauth2\":{\n\"bench-oauth2\":{\"azp\":\"" BENCH_AZP
                "\",\"required_scope\":\"mqtt\"," GRANTS "}");
}

/* n entries more, each with its own subject and rules; mark makes documents differ. */
static void write_document(const struct site *s, const char *dir, const char *name, int64_t n, char mark) {
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_z(&b, "{\n");
    add_known(s, &b);
    for (int64_t i = 0; i < n; i++)
        eb_buf_printf(&b,
                      ",\n\"u%06lld\":{\"subject\":\"4b0c%06lld-7a1e\",\"account\":\"" BENCH_ACCOUNT
                      "\",\"permissions\":{\"pub\":{\"allow\":[\"hall.%06lld.>\"]},\"sub\":{\"allow\":[\"cmd%"
                      "c.%06lld.>\"]}}}",
                      (long long)i, (long long)i, (long long)i, mark, (long long)i);
    eb_buf_z(&b, "\n}\n}\n");
    if (!eb_buf_ok(&b))
        die("out of memory");
    site_write(dir, name, eb_buf_get(&b));
}

/* As a site has it: callouts arrive in AUTH and are served in AUTHX. Without auth_callout, so that the
 * generator may play the server. */
static void write_server(const struct site *s, const char *dir, const char *address, int64_t port) {
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_printf(
        &b,
        "server_name: bench\nlisten: \"%s:%lld\"\nmax_control_line: 65536\nsystem_account: SYS\naccounts {\n "
        " SYS {}\n"
        "  AUTH {\n    imports: [ { service: { account: AUTHX, subject: \"$SYS.REQ.USER.AUTH\" } } ]\n"
        "    users: [ { user: played, password: played } ]\n  }\n"
        "  AUTHX {\n    exports: [ { service: \"$SYS.REQ.USER.AUTH\", accounts: [ AUTH ] } ]\n"
        "    users: [ { nkey: %s, permissions: { subscribe: { allow: [ \"$SYS.REQ.USER.AUTH\", \"$SRV.>\" ] "
        "}\n"
        "      publish: { deny: [ \">\" ] }, allow_responses: { max: 1, expires: \"110s\" } } } ]\n  }\n}\n",
        address, (long long)port, eb_nkey_public(s->service));
    site_write(dir, "nats.conf", eb_buf_get(&b));
}

struct places {
    const char *address;
    int64_t nats, health, metrics, cluster; /* ports */
};

/* cluster: the service also has an issuer of kind kubernetes, whose API bench-cluster plays. */
static void write_service(const char *dir, const char *name, const char *seeds, const char *document,
                          const struct places *at, bool cluster) {
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_printf(&b,
                  "nats:\n  url: \"nats://%s:%lld\"\n  nkey-seed-file: \"%s/service.nk\"\n  "
                  "issuer-seed-file: \"%s/issuer.nk\"\n"
                  "  xkey-seed-file: \"%s/xkey.nk\"\n",
                  at->address, (long long)at->nats, seeds, seeds, seeds);
    eb_buf_printf(&b,
                  "jwks:\n  path: \"%s/jwks.json\"\n  issuer: \"" BENCH_TOKEN_ISSUER
                  "\"\n  audience: \"" BENCH_AUDIENCE
                  "\"\nmtls:\n  ca-path: \"%s/ca.pem\"\npermissions:\n  file: \"%s/%s\"\n",
                  dir, dir, dir, document);
    eb_buf_printf(&b,
                  "host:\n  name: %s\n  port: %lld\nobservability:\n  metrics:\n    prometheus:\n      name: "
                  "%s\n      port: %lld\n",
                  at->address, (long long)at->health, at->address, (long long)at->metrics);
    if (cluster)
        eb_buf_printf(&b,
                      "kubernetes:\n  api-url: \"http://%s:%lld\"\n  issuer: \"" BENCH_CLUSTER_ISSUER
                      "\"\n  audience: " BENCH_CLUSTER_AUDIENCE "\n  jwks-path: \"%s/cluster-jwks.json\"\n"
                      "  account: " BENCH_ACCOUNT "\n",
                      at->address, (long long)at->cluster, dir);
    site_write(dir, name, eb_buf_get(&b));
}

int main(int argc, char **argv) {
    static const char *const names[] = {"dir",    "seeds",   "address", "nats",
                                        "health", "metrics", "cluster", "entries"};
    const struct flags f = flags_of(argc, argv, names, EB_COUNT_OF(names));
    const char *dir = flag_text(&f, "dir", NULL), *seeds = flag_text(&f, "seeds", dir);
    const struct places at = {flag_text(&f, "address", "127.0.0.1"), flag_int(&f, "nats", 4222, 1, 65535),
                              flag_int(&f, "health", 8080, 1, 65535), flag_int(&f, "metrics", 9090, 1, 65535),
                              flag_int(&f, "cluster", 6443, 1, 65535)};
    if (sodium_init() < 0)
        die("libsodium cannot be initialised");
    struct site s;
    site_open(dir, &s);
    write_server(&s, dir, at.address, at.nats);
    write_document(&s, dir, "permissions.json", 0, 'a');
    write_service(dir, "auth-callout.yaml", seeds, "permissions.json", &at, false);
    write_service(dir, "auth-callout-cluster.yaml", seeds, "permissions.json", &at, true);
    int64_t entries = flag_int(&f, "entries", 0, 0, 1000000);
    if (entries) {
        write_document(&s, dir, "large.json", entries, 'a');
        write_document(&s, dir, "large-next.json", entries, 'b');
        write_service(dir, "auth-callout-large.yaml", seeds, "large.json", &at, false);
    }
    site_done(&s);
    return 0;
}
