#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"

/* The kernel's interface, written out: the headers of older distributions lack the later parts. */
#define CREATE_RULESET_VERSION 1U
enum { RULE_PATH_BENEATH = 1, RULE_NET_PORT = 2 };
#define FS_WRITE_FILE (1ULL << 1)
#define FS_READ_FILE (1ULL << 2)
#define FS_READ_DIR (1ULL << 3)
#define FS_REMOVE_FILE (1ULL << 5)
#define FS_MAKE_REG (1ULL << 8)
#define FS_ALL_1 ((1ULL << 13) - 1)
#define FS_REFER (1ULL << 13)    /* level 2 */
#define FS_TRUNCATE (1ULL << 14) /* level 3 */
#define NET_BIND 1ULL
#define NET_CONNECT 2ULL

struct ruleset_attr {
    uint64_t fs, net;
};
struct path_attr {
    uint64_t access;
    int32_t fd;
} __attribute__((packed));
struct port_attr {
    uint64_t access, port;
};

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

struct eb_landlock {
    int fd, abi;
    bool failed;
};

enum eb_rc eb_landlock_new(struct eb_landlock **ret, int *ret_abi, struct eb_err *reterr) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, CREATE_RULESET_VERSION);
    if (abi < 1)
        return EB_FAIL(reterr, EB_E_INTERNAL, "landlock: the kernel does not offer it (%s)", strerror(errno));
    struct ruleset_attr attr = {.fs = FS_ALL_1 | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0),
                                .net = abi >= 4 ? NET_BIND | NET_CONNECT : 0};
    long fd = syscall(SYS_landlock_create_ruleset, &attr, abi >= 4 ? sizeof attr : sizeof attr.fs, 0U);
    struct eb_landlock *l = fd < 0 ? NULL : calloc(1, sizeof *l);
    if (!l)
        return EB_FAIL(reterr, EB_E_INTERNAL, "landlock: %s", strerror(errno));
    *l = (struct eb_landlock){.fd = (int)fd, .abi = (int)abi};
    *ret_abi = (int)abi;
    *ret = l;
    return EB_OK;
}

void eb_landlock_path(struct eb_landlock *l, const char *path, bool write) {
    eb_auto_fd int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return;
    uint64_t access = FS_READ_FILE;
    if (S_ISDIR(st.st_mode))
        access |= FS_READ_DIR;
    if (write)
        access |= FS_WRITE_FILE | (l->abi >= 3 ? FS_TRUNCATE : 0) |
                  (S_ISDIR(st.st_mode) ? FS_REMOVE_FILE | FS_MAKE_REG : 0);
    struct path_attr attr = {access, fd};
    l->failed |= syscall(SYS_landlock_add_rule, l->fd, RULE_PATH_BENEATH, &attr, 0U) != 0;
}

static void add_port(struct eb_landlock *l, uint16_t port, uint64_t access) {
    struct port_attr attr = {access, port};
    if (l->abi >= 4)
        l->failed |= syscall(SYS_landlock_add_rule, l->fd, RULE_NET_PORT, &attr, 0U) != 0;
}

void eb_landlock_connect(struct eb_landlock *l, uint16_t port) {
    add_port(l, port, NET_CONNECT);
}

void eb_landlock_bind(struct eb_landlock *l, uint16_t port) {
    add_port(l, port, NET_BIND);
}

enum eb_rc eb_landlock_apply(struct eb_landlock *l, struct eb_err *reterr) {
    bool ok = !l->failed && syscall(SYS_landlock_restrict_self, l->fd, 0U) == 0;
    int saved = errno;
    eb_close_fdp(&l->fd);
    free(l);
    return ok ? EB_OK
              : EB_FAIL(reterr, EB_E_INTERNAL, "landlock: the rules were refused (%s)", strerror(saved));
}
