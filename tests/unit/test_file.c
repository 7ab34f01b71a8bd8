#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/file.h"
#include "base/secret.h"

static char folder[] = "/tmp/eb-file-XXXXXX";
static char path[64], temp[96];

/* Whether a file is there beside path that is being written; what somebody else left as temp is not ours. */
static int unfinished(void) {
    int n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (const struct dirent *e = readdir(d); e; e = readdir(d))
        n += strstr(e->d_name, ".new-") != NULL;
    (void)closedir(d);
    struct stat st;
    return n - (lstat(temp, &st) == 0);
}

static int set_up(void **state) {
    (void)state;
    if (sodium_init() < 0 || !mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/file", folder);
    (void)snprintf(temp, sizeof temp, "%s.new-%ld", path, (long)getpid());
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    (void)unlink(path);
    (void)unlink(temp);
    return rmdir(folder); /* nothing else may be left */
}

static void writes_and_reads(void **state) {
    (void)state;
    static const mode_t modes[] = {0600, 0644, 0400};
    mode_t old = umask(0077);
    for (size_t i = 0; i < EB_COUNT_OF(modes); i++) {
        eb_auto_buf struct eb_buf b = {0};
        struct stat st;
        assert_int_equal(eb_file_write(path, eb_str_n("a\0b\n", 4), modes[i], NULL), EB_OK);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, modes[i]); /* whatever the umask */
        eb_buf_z(&b, "before ");
        assert_int_equal(eb_file_read(path, 4, &b, NULL), EB_OK);
        assert_int_equal(b.n, 11);
        assert_memory_equal(b.p, "before a\0b\n", 11);
        assert_int_equal(unfinished(), 0);
    }
    (void)umask(old);
}

static void limits(void **state) {
    (void)state;
    static char big[200000];
    memset(big, 'x', sizeof big);
    eb_auto_buf struct eb_buf b = {0};
    assert_int_equal(eb_file_write(path, eb_str_n(big, sizeof big), 0600, NULL), EB_OK);
    assert_int_equal(eb_file_read(path, sizeof big, &b, NULL), EB_OK);
    assert_int_equal(b.n, sizeof big);
    eb_buf_reset(&b);
    struct eb_err err = {0};
    assert_int_equal(eb_file_read(path, sizeof big - 1, &b, &err), EB_E_TOO_LARGE);
    assert_non_null(strstr(err.text, path));
}

static void failures_name_the_path(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf b = {0};
    struct eb_err err = {0};
    assert_int_equal(eb_file_read("/nonexistent/f", 10, &b, &err), EB_E_IO);
    assert_non_null(strstr(err.text, "/nonexistent/f: No such file"));
    err = (struct eb_err){0};
    assert_int_equal(eb_file_read(folder, 10, &b, &err), EB_E_IO);
    assert_non_null(strstr(err.text, folder));
    err = (struct eb_err){0};
    assert_int_equal(eb_file_write("/nonexistent/f", EB_STR("x"), 0600, &err), EB_E_IO);
    assert_non_null(strstr(err.text, "/nonexistent/f"));
}

static void a_failed_write_leaves_the_old_file(void **state) {
    (void)state;
    assert_int_equal(eb_file_write(path, EB_STR("old"), 0600, NULL), EB_OK);
    char below[100];
    (void)snprintf(below, sizeof below, "%s/x", path); /* a file is no folder */
    assert_int_equal(eb_file_write(below, EB_STR("new"), 0600, NULL), EB_E_IO);
    eb_auto_buf struct eb_buf b = {0};
    assert_int_equal(eb_file_read(path, 10, &b, NULL), EB_OK);
    assert_string_equal(b.p, "old");
}

/* In a container the process id is the same after each restart: what a killed process left behind must not
 * stop its successor. */
static void leftovers_do_no_harm(void **state) {
    (void)state;
    FILE *f = fopen(temp, "w");
    assert_non_null(f);
    (void)fputs("half", f);
    (void)fclose(f);
    assert_int_equal(eb_file_write(path, EB_STR("new"), 0600, NULL), EB_OK);
    eb_auto_buf struct eb_buf b = {0};
    assert_int_equal(eb_file_read(path, 10, &b, NULL), EB_OK);
    assert_string_equal(b.p, "new");
    assert_int_equal(unfinished(), 0);
    /* It may be another container's with the same process id, at work on the same volume. */
    eb_buf_reset(&b);
    assert_int_equal(eb_file_read(temp, 10, &b, NULL), EB_OK);
    assert_string_equal(b.p, "half");
    assert_int_equal(unlink(temp), 0);
    /* Nor a link that somebody laid there. */
    assert_int_equal(symlink("/nonexistent/target", temp), 0);
    assert_int_equal(eb_file_write(path, EB_STR("newer"), 0600, NULL), EB_OK);
    assert_int_equal(unlink(temp), 0);
}

/* The calls of the code under test, to see them: the linker hands them here (--wrap). */
int __real_fsync(int fd);
int __wrap_fsync(int fd);
static int synced_folders, refuse_folders;
int __wrap_fsync(int fd) {
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    if (!S_ISDIR(st.st_mode))
        return __real_fsync(fd);
    synced_folders++;
    assert_int_equal(unfinished(), 0); /* after the rename */
    errno = refuse_folders;
    return refuse_folders ? -1 : __real_fsync(fd);
}

static void the_folder_is_synced(void **state) {
    (void)state;
    synced_folders = 0;
    assert_int_equal(eb_file_write(path, EB_STR("old"), 0600, NULL), EB_OK);
    assert_int_equal(synced_folders, 1);
    refuse_folders = EINVAL; /* of file systems that have no such thing */
    assert_int_equal(eb_file_write(path, EB_STR("new"), 0600, NULL), EB_OK);
    struct eb_err err = {0};
    refuse_folders = EIO;
    assert_int_equal(eb_file_write(path, EB_STR("newer"), 0600, &err), EB_E_IO);
    refuse_folders = 0;
    assert_non_null(strstr(err.text, "is written, but its folder cannot be synced"));
    eb_auto_buf struct eb_buf b = {0};
    assert_int_equal(eb_file_read(path, 10, &b, NULL), EB_OK);
    assert_string_equal(b.p, "newer");
    /* a name without a folder is in the current one */
    char *here = getcwd(NULL, 0);
    assert_int_equal(chdir(folder), 0);
    synced_folders = 0;
    assert_int_equal(eb_file_write("file", EB_STR("x"), 0600, NULL), EB_OK);
    assert_int_equal(synced_folders, 1);
    assert_int_equal(chdir(here), 0);
    free(here);
}

static void its_own_files_only(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf b = {0};
    mode_t mode = 1;
    (void)unlink(path);
    assert_int_equal(eb_file_read_own(path, 10, &b, &mode, NULL), EB_OK);
    assert_int_equal(mode, 0);
    assert_int_equal(b.n, 0);
    assert_int_equal(eb_file_write(path, EB_STR("text"), 0640, NULL), EB_OK);
    assert_int_equal(eb_file_read_own(path, 4, &b, &mode, NULL), EB_OK);
    assert_true(S_ISREG(mode));
    assert_int_equal(mode & 07777, 0640);
    assert_string_equal(b.p, "text");
    assert_int_equal(eb_file_read_own(path, 3, &b, &mode, NULL), EB_E_TOO_LARGE);
    struct eb_err err = {0};
    assert_int_equal(eb_file_read_own(folder, 10, &b, &mode, &err), EB_E_IO);
    assert_non_null(strstr(err.text, "a folder, not a file"));
    err = (struct eb_err){0};
    assert_int_equal(symlink(path, temp), 0);
    assert_int_equal(eb_file_read_own(temp, 10, &b, &mode, &err), EB_E_IO);
    assert_non_null(strstr(err.text, "a symbolic link, not a file"));
    assert_int_equal(unlink(temp), 0);
    err = (struct eb_err){0};
    assert_int_equal(mkfifo(temp, 0600), 0); /* nobody writes to it */
    assert_int_equal(eb_file_read_own(temp, 10, &b, &mode, &err), EB_E_IO);
    assert_non_null(strstr(err.text, "no regular file"));
    assert_int_equal(unlink(temp), 0);
}

static void secrets(void **state) {
    (void)state;
    static const struct {
        const char *text, *want; /* NULL = refused */
    } rows[] = {{"seed", "seed"},
                {" \r\n seed \n\n", "seed"},
                {"two words\nlines\n", "two words\nlines"},
                {"", NULL},
                {" \n\t", NULL}};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        EB_CLEANUP(eb_secret_freep) struct eb_secret *s = NULL;
        struct eb_err err = {0};
        assert_int_equal(eb_file_write(path, eb_str(rows[i].text), 0600, NULL), EB_OK);
        enum eb_rc rc = eb_secret_read_file(path, 100, &s, &err);
        assert_int_equal(rc, rows[i].want ? EB_OK : EB_E_INVALID);
        if (rows[i].want)
            assert_true(eb_str_eqz(eb_secret_get(s), rows[i].want));
        else
            assert_non_null(strstr(err.text, path));
    }
    struct eb_secret *s = NULL;
    struct eb_err err = {0};
    assert_int_equal(eb_file_write(path, EB_STR("0123456789"), 0600, NULL), EB_OK);
    assert_int_equal(eb_secret_read_file(path, 9, &s, &err), EB_E_TOO_LARGE);
    assert_null(strstr(err.text, "0123"));
    assert_int_equal(eb_secret_read_file("/nonexistent/s", 9, &s, NULL), EB_E_IO);
    assert_null(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_reads),       cmocka_unit_test(limits),
        cmocka_unit_test(failures_name_the_path), cmocka_unit_test(a_failed_write_leaves_the_old_file),
        cmocka_unit_test(leftovers_do_no_harm),   cmocka_unit_test(secrets),
        cmocka_unit_test(the_folder_is_synced),   cmocka_unit_test(its_own_files_only),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
