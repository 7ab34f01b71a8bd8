/* A creds file: a user JWT and the seed that belongs to it. */
#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "natsjwt/creds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    FUZZ_MUST(sodium_init() >= 0);
    char path[40];
    int fd = memfd_create("creds", MFD_CLOEXEC);
    FUZZ_MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct eb_creds c = {0};
    struct eb_err err = {0};
    enum eb_rc rc = eb_creds_read_file(path, &c, &err);
    (void)close(fd);
    if (rc != EB_OK) {
        FUZZ_MUST(err.text[0]);
        return 0;
    }
    struct eb_natsjwt t;
    FUZZ_MUST(c.key && c.jwt && eb_nkey_kind(c.key) == EB_NKEY_USER);
    FUZZ_MUST(eb_natsjwt_read(eb_str(c.jwt), EB_CREDS_MAX, &t, NULL) == EB_OK &&
              eb_str_eqz(t.sub, eb_nkey_public(c.key)));
    eb_natsjwt_done(&t);
    eb_creds_done(&c);
    return 0;
}
