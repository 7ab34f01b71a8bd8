/* eventbus key generate */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "command.h"
#include "nkey/nkey.h"
#include "say.h"

enum { FIRST_KIND, OUT = 6 }; /* places in options[] */
static const enum eb_nkey_kind kinds[OUT] = {
    EB_NKEY_USER, EB_NKEY_ACCOUNT, EB_NKEY_OPERATOR, EB_NKEY_SERVER, EB_NKEY_CLUSTER, EB_NKEY_CURVE,
};

static const struct eb_option options[] = {
    {"user", NULL, "A key (SU..., U...) with which a client or a service logs in."},
    {"account", NULL, "A key (SA..., A...) that signs user JWTs: the issuer of the auth callout."},
    {"operator", NULL, "A key (SO..., O...) that signs account JWTs in operator mode."},
    {"server", NULL, "A key (SN..., N...) of a server."},
    {"cluster", NULL, "A key (SC..., C...) of a cluster."},
    {"curve", NULL, "A curve key (SX..., X...), also called xkey, which seals auth callouts."},
    {"out", "FILE",
     "Writes both lines to FILE, readable by its owner alone (mode 0600), and prints only the public key. "
     "FILE "
     "must not exist: keys are never overwritten."},
    {NULL, NULL, NULL},
};

static bool write_all(int fd, struct eb_str bytes) {
    while (bytes.n) {
        ssize_t put = write(fd, bytes.p, bytes.n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        bytes = eb_str_n(bytes.p + put, bytes.n - (size_t)put);
    }
    return true;
}

/* The file appears with all of its bytes or not at all, and never in the place of another: link() does not
 * replace. */
static bool write_new(const struct eb_command *c, const char *path, struct eb_str bytes) {
    eb_auto_buf struct eb_buf temp = {0};
    eb_buf_printf(&temp, "%s.new-%ld", path, (long)getpid());
    if (!eb_buf_ok(&temp))
        return false;
    eb_auto_fd int fd = open(temp.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        eb_say(c, "%s: cannot be written: %s", path, strerror(errno));
        return false;
    }
    bool done = fchmod(fd, 0600) == 0 && write_all(fd, bytes) && fsync(fd) == 0 && link(temp.p, path) == 0;
    int saved = errno;
    (void)unlink(temp.p);
    if (!done && saved == EEXIST)
        eb_say(c, "%s exists and is left as it is: choose another name, or move it away first", path);
    else if (!done)
        eb_say(c, "%s: cannot be written: %s", path, strerror(saved));
    return done;
}

static bool chosen(const struct eb_command *c, const struct eb_args *args, enum eb_nkey_kind *ret) {
    int n = 0;
    for (int i = FIRST_KIND; i < OUT; i++)
        if (args->value[i]) {
            *ret = kinds[i];
            n++;
        }
    if (n != 1)
        eb_say(c, "%s: give one of --user --account --operator --server --cluster --curve",
               n ? "more than one kind of key" : "no kind of key");
    return n == 1;
}

static int run(const struct eb_command *c, const struct eb_args *args) {
    enum eb_nkey_kind kind = EB_NKEY_NONE;
    if (!chosen(c, args, &kind))
        return EB_EXIT_USAGE;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
    enum eb_rc rc = eb_nkey_generate(kind, &k);
    EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = rc == EB_OK ? eb_nkey_seed(k) : NULL;
    eb_auto_buf struct eb_buf lines = {.secret = true};
    eb_auto_buf struct eb_buf public_line = {0};
    if (seed) {
        eb_buf_str(&lines, eb_secret_get(seed));
        eb_buf_printf(&lines, "\n%s\n", eb_nkey_public(k));
        eb_buf_printf(&public_line, "%s\n", eb_nkey_public(k));
    }
    if (!seed || !eb_buf_ok(&lines) || !eb_buf_ok(&public_line)) {
        eb_say(c, "no memory that can be guarded: raise the limit of locked memory (ulimit -l)");
        return EB_EXIT_FAILED;
    }
    const char *out = args->value[OUT];
    if (out && !write_new(c, out, eb_buf_get(&lines)))
        return EB_EXIT_FAILED;
    return eb_say_out(c, eb_buf_get(out ? &public_line : &lines)) ? EB_EXIT_OK : EB_EXIT_FAILED;
}

const struct eb_command eb_key_generate = {
    .words = "key generate",
    .summary = "make a new key",
    .synopsis = "eventbus key generate --user|--account|--operator|--server|--cluster\n"
                "    |--curve [--out FILE]",
    .description = "Makes a key (nkey) from fresh random bytes and prints two lines: the seed, which is the "
                   "secret and begins with S, and the "
                   "public key, which everybody may know. NATS tools read and write the same two lines.\n\n"
                   "Which key a site needs: a user key for the auth-callout service itself (nats.nkey-seed), "
                   "an account key with which it "
                   "signs (nats.issuer-seed), a curve key with which callouts are sealed (nats.xkey-seed), a "
                   "user key for every client that "
                   "logs in by nkey. The servers are given public keys only.",
    .options = options,
    .examples = "eventbus key generate --user --out service.nk\n"
                "eventbus key generate --account --out issuer.nk\n"
                "eventbus key generate --curve",
    .failures = "the key could not be made or written, for instance because FILE exists",
    .run = run,
};
