/*
 * Starts a program and waits until its readiness page says 200, looking every half millisecond.
 *   bench-start --ready 127.0.0.1:8080 --log FILE -- program arguments…
 * Prints pid and time; the program runs on. Status 1, and the program ended, where it is not ready in time.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc.h"
#include "tool.h"
#include "wire.h"

enum { WAIT_MS = 20000 };

static bool says_ready(const struct sockaddr_in *a) {
    static const char ask[] = "GET /readyz HTTP/1.0\r\n\r\n";
    char answer[64] = "";
    struct timeval limit = {1, 0};
    eb_auto_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (fd < 0 || connect(fd, (const struct sockaddr *)a, sizeof *a) != 0 ||
        send(fd, ask, sizeof ask - 1, MSG_NOSIGNAL) < 0)
        return false;
    return recv(fd, answer, sizeof answer - 1, 0) > 12 && strncmp(answer + 8, " 200", 4) == 0;
}

static void run(const char *log, char **command) {
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600), null = open("/dev/null", O_RDWR);
    if (fd < 0 || null < 0 || dup2(null, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(126);
    if (fd > 2)
        (void)close(fd);
    if (null > 2)
        (void)close(null);
    (void)setsid();
    (void)execvp(command[0], command);
    _exit(127);
}

int main(int argc, char **argv) {
    static const char *const names[] = {"ready", "log"};
    int split = 1;
    while (split < argc && strcmp(argv[split], "--") != 0)
        split++;
    if (split + 1 >= argc)
        die("no program behind --");
    const struct flags f = flags_of(split, argv, names, EB_COUNT_OF(names));
    const struct sockaddr_in a = wire_address(flag_text(&f, "ready", NULL));
    const char *log = flag_text(&f, "log", NULL);
    int64_t from = mono_ns();
    pid_t pid = fork();
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (pid == 0)
        run(log, argv + split + 1);
    while (!says_ready(&a)) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            die("%s ended at its start; see %s", argv[split + 1], log);
        if (mono_ns() - from > WAIT_MS * MS_NS) {
            (void)kill(pid, SIGKILL);
            die("%s is not ready after %d ms; see %s", argv[split + 1], WAIT_MS, log);
        }
        (void)usleep(500);
    }
    (void)printf("{\"pid\":%d,\"ready_ms\":%.1f}\n", (int)pid, (double)(mono_ns() - from) / 1e6);
    return 0;
}
