#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>

struct eb_secret {
    size_t n;
    unsigned char *p;
};

static struct eb_secret *secret_alloc(size_t n) {
    struct eb_secret *s = malloc(sizeof *s);
    unsigned char *p = s && n ? sodium_malloc(n) : NULL;
    if (!p) {
        free(s);
        return NULL;
    }
    *s = (struct eb_secret){n, p};
    return s;
}

struct eb_secret *eb_secret_new(const void *p, size_t n) {
    struct eb_secret *s = secret_alloc(n);
    if (!s)
        return NULL;
    memcpy(s->p, p, n);
    (void)sodium_mprotect_readonly(s->p);
    return s;
}

void eb_secret_free(struct eb_secret *s) {
    if (!s)
        return;
    sodium_free(s->p);
    free(s);
}

struct eb_str eb_secret_get(const struct eb_secret *s) {
    return s ? eb_str_n(s->p, s->n) : EB_STR_NONE;
}

static void sodium_freep(unsigned char **p) {
    sodium_free(*p);
}

enum eb_rc eb_secret_read_file(const char *path, size_t max, struct eb_secret **ret, struct eb_err *reterr) {
    eb_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return EB_FAIL(reterr, EB_E_IO, "%s: %s", path, strerror(errno));
    EB_CLEANUP(sodium_freep) unsigned char *p = sodium_malloc(max + 1);
    if (!p)
        return EB_FAIL(reterr, EB_E_NOMEM, "%s: out of memory", path);
    size_t n = 0;
    while (n <= max) {
        ssize_t got = read(fd, p + n, max + 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return EB_FAIL(reterr, EB_E_IO, "%s: %s", path, strerror(errno));
        if (got == 0)
            break;
        n += (size_t)got;
    }
    if (n > max)
        return EB_FAIL(reterr, EB_E_TOO_LARGE, "%s: longer than %zu bytes, too long for what it should hold",
                       path, max);
    struct eb_str text = eb_str_trim(eb_str_n(p, n));
    if (text.n == 0)
        return EB_FAIL(reterr, EB_E_INVALID, "%s: the file is empty", path);
    struct eb_secret *s = eb_secret_new(text.p, text.n);
    if (!s)
        return EB_FAIL(reterr, EB_E_NOMEM, "%s: out of memory", path);
    *ret = s;
    return EB_OK;
}
