/* What the kernel accounts to a process. */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* CPU time of all its threads so far in ns (schedstat of each); 0 where the process is gone. */
int64_t proc_cpu_ns(pid_t pid);
/* VmRSS and VmHWM in KiB, numbers of threads and open files; -1 where they cannot be read. */
struct proc_memory {
    int64_t rss_kib, peak_kib, threads, files;
};
struct proc_memory proc_memory(pid_t pid);
/* Sets the peak back to what is resident now. False where this user may not. */
bool proc_reset_peak(pid_t pid);

#endif
