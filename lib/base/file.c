#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

enum { READ_CHUNK = 65536 };

static enum eb_rc read_all(int fd, const char *path, size_t max, struct eb_buf *b, struct eb_err *reterr) {
    size_t total = 0;
    for (;;) {
        char *to = eb_buf_reserve(b, READ_CHUNK);
        if (!to)
            return EB_FAIL(reterr, EB_E_NOMEM, "%s: out of memory", path);
        ssize_t got = read(fd, to, READ_CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return EB_FAIL(reterr, EB_E_IO, "%s: %s", path, strerror(errno));
        if (got == 0)
            return EB_OK;
        total += (size_t)got;
        if (total > max)
            return EB_FAIL(reterr, EB_E_TOO_LARGE, "%s: larger than %zu bytes", path, max);
        eb_buf_used(b, (size_t)got);
    }
}

enum eb_rc eb_file_read(const char *path, size_t max, struct eb_buf *b, struct eb_err *reterr) {
    eb_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return EB_FAIL(reterr, EB_E_IO, "%s: %s", path, strerror(errno));
    return read_all(fd, path, max, b, reterr);
}

enum eb_rc eb_file_read_own(const char *path, size_t max, struct eb_buf *b, mode_t *ret_mode,
                            struct eb_err *reterr) {
    /* A pipe that nobody writes to would hold an open() without O_NONBLOCK for ever. */
    eb_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    if (fd < 0 && errno == ENOENT) {
        *ret_mode = 0;
        return EB_OK;
    }
    if (fd < 0 || fstat(fd, &st) < 0)
        return EB_FAIL(reterr, EB_E_IO, "%s: %s", path,
                       errno == ELOOP ? "a symbolic link, not a file" : strerror(errno));
    if (!S_ISREG(st.st_mode))
        return EB_FAIL(reterr, EB_E_IO, "%s: %s", path,
                       S_ISDIR(st.st_mode) ? "a folder, not a file" : "no regular file");
    enum eb_rc rc = read_all(fd, path, max, b, reterr);
    if (rc == EB_OK)
        *ret_mode = st.st_mode;
    return rc;
}

static enum eb_rc write_all(int fd, struct eb_str bytes) {
    while (bytes.n) {
        ssize_t put = write(fd, bytes.p, bytes.n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return EB_E_IO;
        bytes = eb_str_n(bytes.p + put, bytes.n - (size_t)put);
    }
    return EB_OK;
}

/* The new name is on the disk once the folder is. 0, or -1 and errno. */
static int sync_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    eb_auto_buf struct eb_buf dir = {0};
    eb_buf_str(&dir, slash ? n ? eb_str_n(path, n) : EB_STR("/") : EB_STR("."));
    if (!eb_buf_ok(&dir)) {
        errno = ENOMEM;
        return -1;
    }
    eb_auto_fd int fd = open(dir.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : -1;              /* one may write to a folder that one may not read */
    return fsync(fd) < 0 && errno != EINVAL ? -1 : 0; /* EINVAL: the file system has no such thing */
}

enum eb_rc eb_file_write(const char *path, struct eb_str bytes, mode_t mode, struct eb_err *reterr) {
    eb_auto_buf struct eb_buf temp = {0};
    /* Process ids come again, in a container at each start, and are the same in two containers on one
     * volume: neither what was left behind nor another's file at work may be met. */
    eb_buf_printf(&temp, "%s.new-%ld-%08lx", path, (long)getpid(), (unsigned long)randombytes_random());
    if (!eb_buf_ok(&temp))
        return EB_FAIL(reterr, EB_E_NOMEM, "%s: out of memory", path);
    eb_auto_fd int fd = open(temp.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return EB_FAIL(reterr, EB_E_IO, "%s: cannot be written: %s", temp.p, strerror(errno));
    if (fchmod(fd, mode) < 0 || write_all(fd, bytes) != EB_OK || fsync(fd) < 0 || rename(temp.p, path) < 0) {
        int saved = errno;
        (void)unlink(temp.p);
        return EB_FAIL(reterr, EB_E_IO, "%s: cannot be written: %s", path, strerror(saved));
    }
    if (sync_folder(path) < 0)
        return EB_FAIL(reterr, EB_E_IO, "%s: is written, but its folder cannot be synced: %s", path,
                       strerror(errno));
    return EB_OK;
}
