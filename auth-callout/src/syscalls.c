#include "syscalls.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>

#include "base/cleanup.h"

/* By name: a call that this machine's architecture or libseccomp does not know is passed over. */
static const char *const allowed[] = {
    /* memory, threads, time */
    "brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "mlock", "mlock2", "munlock", "mincore",
    "futex", "clone", "clone3", "set_robust_list", "get_robust_list", "rseq", "exit", "exit_group",
    "sched_yield", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "set_tid_address",
    "membarrier", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
    "getrandom", "restart_syscall", "getrusage", "sysinfo", "uname", "prlimit64", "prctl", "gettid", "getpid",
    "getppid", "getuid", "geteuid", "getgid", "getegid", "getcpu",
    /* signals */
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "rt_sigpending", "sigaltstack",
    "tgkill",
    /* files */
    "read", "readv", "pread64", "write", "writev", "pwrite64", "openat", "open", "close", "lseek", "fstat",
    "newfstatat", "stat", "lstat", "statx", "fstatfs", "statfs", "access", "faccessat", "faccessat2",
    "readlink", "readlinkat", "getdents64", "getcwd", "fcntl", "ioctl", "dup", "dup2", "dup3", "fsync",
    "fdatasync", "fchmod", "rename", "renameat", "renameat2", "unlink", "unlinkat", "umask",
    /* waiting */
    "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait",
    "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "pipe", "pipe2", "inotify_init1",
    "inotify_add_watch", "inotify_rm_watch", "timerfd_create", "timerfd_settime",
    /* sockets */
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "getsockname", "getpeername",
    "setsockopt", "getsockopt", "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg",
    "shutdown"};

static void release(scmp_filter_ctx *ctx) {
    if (*ctx)
        seccomp_release(*ctx);
}

enum eb_rc eb_seccomp_apply(struct eb_err *reterr) {
    EB_CLEANUP(release) scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!ctx)
        return EB_FAIL(reterr, EB_E_INTERNAL, "seccomp: out of memory");
    for (size_t i = 0; i < EB_COUNT_OF(allowed); i++) {
        int number = seccomp_syscall_resolve_name(allowed[i]);
        if (number != __NR_SCMP_ERROR)
            (void)seccomp_rule_add(ctx, SCMP_ACT_ALLOW, number, 0);
    }
    int e = seccomp_load(ctx);
    return e == 0 ? EB_OK : EB_FAIL(reterr, EB_E_INTERNAL, "seccomp: %s", strerror(-e));
}
