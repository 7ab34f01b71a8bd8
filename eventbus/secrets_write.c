#include "secrets_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/buf.h"

/* A folder or a file while it is being written. Only the run that holds the lock has one. */
static const char NEW[] = ".new";

enum { FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

static const char *why(int error) {
    return error == ELOOP || error == ENOTDIR ? "not a folder, or a symbolic link to one" : strerror(error);
}

/* The folder `name` in `at`, made with mode 0700 where it is not there. -1 and errno. */
static int folder(int at, const char *name) {
    bool made = mkdirat(at, name, 0700) == 0;
    if (!made && errno != EEXIST)
        return -1;
    int fd = openat(at, name, FOLDER);
    if (fd >= 0 && made && (fchmod(fd, 0700) < 0 || fsync(at) < 0)) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* mkdir -p: folders above the root are not ours, so they get the usual mode. */
static bool parents(char *root) {
    for (char *p = root + 1; root[0] && *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        bool there = mkdir(root, 0755) == 0 || errno == EEXIST;
        *p = '/';
        if (!there)
            return false;
    }
    return true;
}

int eb_tree_lock(const char *path, struct eb_err *reterr) {
    int fd = -1;
    eb_auto_free char *root = eb_str_dup(eb_tree_plain(path));
    if (!root) {
        (void)EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
        return -1;
    }
    bool made = parents(root) && mkdir(root, 0700) == 0;
    if (made || errno == EEXIST)
        fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int locked = fd < 0 || (made && fchmod(fd, 0700) < 0) ? -1 : 0;
    if (locked == 0)
        while ((locked = flock(fd, LOCK_EX)) < 0 && errno == EINTR)
            ;
    if (locked == 0)
        return fd;
    (void)EB_FAIL(reterr, EB_E_IO, "%s: %s", root, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static void sweep(int at) {
    eb_auto_fd int left = openat(at, NEW, FOLDER);
    if (left >= 0) {
        (void)unlinkat(left, "seed", 0);
        (void)unlinkat(left, "pubkey", 0);
        (void)unlinkat(at, NEW, AT_REMOVEDIR);
    } else if (errno == ENOTDIR || errno == ELOOP) {
        (void)unlinkat(at, NEW, 0);
    }
}

int eb_tree_open_nkeys(int root, const char *site, struct eb_err *reterr) {
    eb_auto_fd int own = folder(root, site);
    int fd = own < 0 ? -1 : folder(own, "nkeys");
    if (fd < 0) {
        (void)EB_FAIL(reterr, EB_E_IO, "%s/nkeys: %s", site, why(errno));
        return fd;
    }
    sweep(fd);
    for (size_t i = 0; i < EB_TREE_COPIES; i++) {
        const char *copies = eb_tree_copies[i].folder;
        eb_auto_fd int at = copies ? openat(fd, copies, FOLDER) : -1;
        if (at >= 0)
            sweep(at);
    }
    return fd;
}

/* 0, or -1 and errno. */
static int file(int at, const char *name, struct eb_str bytes) {
    eb_auto_fd int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fchmod(fd, 0600) < 0)
        return -1;
    while (bytes.n) {
        ssize_t put = write(fd, bytes.p, bytes.n);
        if (put < 0 && errno != EINTR)
            return -1;
        if (put > 0)
            bytes = eb_str_n(bytes.p + put, bytes.n - (size_t)put);
    }
    return fsync(fd);
}

enum eb_rc eb_tree_write_pair(int nkeys, const char *name, unsigned files, const struct eb_secret *seed,
                              const char *public_key, struct eb_err *reterr) {
    eb_auto_fd int dir = folder(nkeys, NEW);
    /* rename() replaces nothing but an empty folder. */
    if (dir < 0 || ((files & EB_SECRET_SEED) && file(dir, "seed", eb_secret_get(seed)) < 0) ||
        ((files & EB_SECRET_PUBKEY) && file(dir, "pubkey", eb_str(public_key)) < 0) || fsync(dir) < 0 ||
        renameat(nkeys, NEW, nkeys, name) < 0 || fsync(nkeys) < 0) {
        int saved = errno;
        sweep(nkeys);
        if (saved == ENOTEMPTY || saved == EEXIST)
            return EB_FAIL(reterr, EB_E_IO, "%s: the folder holds other files: move them away", name);
        return EB_FAIL(reterr, EB_E_IO, "%s: cannot be written: %s", name, why(saved));
    }
    return EB_OK;
}

enum eb_rc eb_tree_write_copy(int nkeys, const struct eb_tree_copy *copy, const struct eb_secret *seed,
                              const char *public_key, struct eb_err *reterr) {
    eb_auto_buf struct eb_buf text = {.secret = true};
    eb_auto_fd int dir = copy->folder ? folder(nkeys, copy->folder) : fcntl(nkeys, F_DUPFD_CLOEXEC, 0);
    eb_buf_str(&text, eb_secret_get(seed));
    if (copy->public_too)
        eb_buf_printf(&text, "\n%s\n", public_key);
    if (!eb_buf_ok(&text))
        return EB_FAIL(reterr, EB_E_NOMEM, "%s: out of memory", copy->file);
    if (dir >= 0)
        sweep(dir);
    /* link() replaces nothing. */
    if (dir < 0 || file(dir, NEW, eb_buf_get(&text)) < 0 || linkat(dir, NEW, dir, copy->file, 0) < 0 ||
        unlinkat(dir, NEW, 0) < 0 || fsync(dir) < 0) {
        int saved = errno;
        if (dir >= 0)
            sweep(dir);
        return EB_FAIL(reterr, EB_E_IO, "%s: cannot be written: %s", copy->file, why(saved));
    }
    return EB_OK;
}
