/* A configuration file. Lines at its begin that start with `--` are flags. */
#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "fuzz.h"
#include "options.h"

enum { FLAGS_MAX = 8, FLAG_MAX = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool ready;
    if (!ready) {
        FUZZ_MUST(sodium_init() >= 0 && clearenv() == 0);
        ready = true;
    }
    struct eb_str rest = eb_str_n(data, size);
    char path[40], flags[FLAGS_MAX][FLAG_MAX], *argv[FLAGS_MAX + 2];
    int argc = 0;
    for (; argc < FLAGS_MAX && eb_str_starts(rest, EB_STR("--")) && rest.n > 3; argc++) {
        struct eb_str line = eb_str_cut(&rest, '\n');
        /* --config would read files of this machine */
        (void)snprintf(flags[argc], FLAG_MAX, "%.*s", line.n > FLAG_MAX - 1 ? FLAG_MAX - 1 : (int)line.n,
                       line.p);
        if (strncmp(flags[argc], "--config", 8) == 0 || strncmp(flags[argc], "---", 3) == 0)
            flags[argc][2] = '=';
        argv[argc] = flags[argc];
    }
    int fd = memfd_create("config", MFD_CLOEXEC);
    FUZZ_MUST(fd >= 0 && write(fd, rest.p ? rest.p : "", rest.n) == (ssize_t)rest.n);
    (void)snprintf(path, sizeof path, "--config=/proc/self/fd/%d", fd);
    argv[argc++] = path;
    struct eb_config *c = NULL;
    eb_auto_findings struct eb_findings f = {0};
    enum eb_rc rc = eb_config_load(argc, argv, &c, &f);
    (void)close(fd);
    FUZZ_MUST((rc == EB_OK) == (c != NULL) && (rc == EB_OK) == (f.errors == 0));
    for (size_t i = 0; i < f.n; i++)
        FUZZ_MUST(f.items[i].text && f.items[i].text[0]);
    eb_auto_buf struct eb_buf told = {0};
    eb_findings_print(&f, &told);
    if (!c)
        return 0;
    FUZZ_MUST(c->issuer_seeds.n + c->issuer_seed_files.n > 0 && c->nats_url && c->permissions_file &&
              c->log_level);
    FUZZ_MUST(c->queue >= 16 && c->host_port >= 0 && c->host_port <= 65535 && c->session_max_age_ns >= 0 &&
              c->jwks.refresh_ns >= 1000000000);
    eb_auto_buf struct eb_buf restart = {0};
    eb_config_needs_restart(c, c, &restart);
    FUZZ_MUST(restart.n == 0);
    eb_config_free(c);
    return 0;
}
