#include "proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

static void close_dirp(DIR **d) {
    if (*d)
        (void)closedir(*d);
}

static void close_filep(FILE **f) {
    if (*f)
        (void)fclose(*f);
}

int64_t proc_cpu_ns(pid_t pid) {
    char path[300];
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    EB_CLEANUP(close_dirp) DIR *d = opendir(path);
    int64_t sum = 0;
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, e->d_name);
        EB_CLEANUP(close_filep) FILE *f = fopen(path, "re");
        long long on_cpu = 0;
        if (f && fscanf(f, "%lld", &on_cpu) == 1)
            sum += on_cpu;
    }
    return sum;
}

static int64_t count_files(pid_t pid) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    EB_CLEANUP(close_dirp) DIR *d = opendir(path);
    if (!d)
        return -1;
    int64_t n = 0;
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += e->d_name[0] != '.';
    return n;
}

struct proc_memory proc_memory(pid_t pid) {
    struct proc_memory m = {-1, -1, -1, count_files(pid)};
    char path[64], line[256];
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    EB_CLEANUP(close_filep) FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        const struct {
            const char *name;
            int64_t *to;
        } rows[] = {{"VmRSS:", &m.rss_kib}, {"VmHWM:", &m.peak_kib}, {"Threads:", &m.threads}};
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            if (strncmp(line, rows[i].name, strlen(rows[i].name)) == 0)
                *rows[i].to = strtoll(line + strlen(rows[i].name), NULL, 10);
    }
    return m;
}

bool proc_reset_peak(pid_t pid) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/clear_refs", (int)pid);
    eb_auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, "5", 1) == 1;
}
