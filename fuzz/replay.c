/* Runs a target over files and the files of folders, without a fuzzer; fails where there is none. */
#include <dirent.h>
#include <sys/stat.h>

#include "base/file.h"
#include "fuzz.h"

#define INPUT_MAX ((size_t)8 << 20)

static size_t replay_file(const char *path) {
    eb_auto_buf struct eb_buf b = {0};
    struct eb_err err = {0};
    if (eb_file_read(path, INPUT_MAX, &b, &err) != EB_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    /* A copy of exactly that size, so that a sanitizer sees reads behind it. */
    uint8_t *exact = malloc(b.n ? b.n : 1);
    if (!exact)
        exit(1);
    if (b.n)
        memcpy(exact, b.p, b.n);
    (void)LLVMFuzzerTestOneInput(exact, b.n);
    free(exact);
    return 1;
}

static size_t replay(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) {
        perror(path);
        exit(1);
    }
    if (!S_ISDIR(st.st_mode))
        return replay_file(path);
    size_t n = 0;
    DIR *dir = opendir(path);
    if (!dir) {
        perror(path);
        exit(1);
    }
    for (const struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        eb_auto_buf struct eb_buf name = {0};
        eb_buf_printf(&name, "%s/%s", path, e->d_name);
        n += replay(name.p);
    }
    (void)closedir(dir);
    return n;
}

int main(int argc, char **argv) {
    size_t n = 0;
    for (int i = 1; i < argc; i++)
        n += replay(argv[i]);
    printf("%zu inputs replayed\n", n);
    return n ? 0 : 1;
}
