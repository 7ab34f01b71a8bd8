/* Changes of files, however they come: rename, in-place write, symlink swap as Kubernetes does it, appearing
 * and vanishing. */
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "fixture.h"
#include "watch.h"

static struct fx_dir dir;
static struct eb_watch *watch;
static _Atomic unsigned seen;
static _Atomic int calls;

static void on_change(void *ctx, unsigned tags) {
    assert_ptr_equal(ctx, &dir);
    atomic_fetch_or(&seen, tags);
    atomic_fetch_add(&calls, 1);
}

static int set_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    atomic_store(&seen, 0);
    atomic_store(&calls, 0);
    struct eb_err err = {0};
    return eb_watch_start(on_change, &dir, &watch, &err) == EB_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    eb_watch_stop(watch);
    fx_dir_remove(&dir);
    return 0;
}

static bool has_tags(void *ctx) {
    return atomic_load(&seen) == *(unsigned *)ctx;
}

/* The change must be told soon (a second is the bar, more is left to a loaded machine), with these tags and
 * no others. */
static void expect(const char *what, unsigned tags) {
    if (!fx_wait(has_tags, &tags, 4000))
        fail_msg("%s: tags %x, wanted %x", what, atomic_load(&seen), tags);
    atomic_store(&seen, 0);
}

static void expect_nothing(const char *what) {
    (void)poll(NULL, 0, 150);
    if (atomic_load(&seen))
        fail_msg("%s: told as %x", what, atomic_load(&seen));
}

static void in_place(const char *name, const char *text, int flags) {
    int fd = open(fx_path(&dir, name), O_WRONLY | O_CREAT | flags, 0600);
    MINT_MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    (void)close(fd);
}

/* A time after which nothing was written yet: what was made before it is not told, for timestamps of files
 * come in steps of some milliseconds. */
static int64_t settled(void) {
    (void)poll(NULL, 0, 25);
    return eb_watch_now_ns();
}

static void plain_files(void **state) {
    (void)state;
    fx_write(&dir, "a", "1");
    fx_write(&dir, "b", "1");
    const struct eb_watched files[] = {
        {fx_path(&dir, "a"), 0}, {fx_path(&dir, "b"), 3}, {fx_path(&dir, "absent"), 5}};
    eb_watch_set(watch, files, EB_COUNT_OF(files), settled());
    expect_nothing("what they are now counts as seen");
    fx_write(&dir, "a", "2");
    expect("rename over", 1U << 0);
    in_place("b", "22", O_TRUNC);
    expect("truncated and written", 1U << 3);
    in_place("b", "3", O_APPEND);
    expect("appended", 1U << 3);
    in_place("b", "9", 0);
    expect("same length", 1U << 3);
    fx_write(&dir, "absent", "1");
    expect("appeared", 1U << 5);
    (void)unlink(fx_path(&dir, "absent"));
    expect("vanished", 1U << 5);
    fx_write(&dir, "other", "1");
    expect_nothing("a file that is not watched");
}

/* Written in pieces by one that keeps the file open, or opens it for each: told once, when it is whole, also
 * where something else in the folder draws a look at it. */
static void in_pieces(void **state) {
    (void)state;
    fx_write(&dir, "a", "1");
    fx_write(&dir, "b", "1");
    const struct eb_watched files[] = {{fx_path(&dir, "a"), 0}, {fx_path(&dir, "b"), 1}};
    eb_watch_set(watch, files, EB_COUNT_OF(files), settled());
    for (int kept_open = 0; kept_open < 2; kept_open++) {
        int before = atomic_load(&calls);
        int fd = open(fx_path(&dir, "a"), O_WRONLY | O_TRUNC);
        MINT_MUST(fd >= 0);
        bool slow = false; /* the machine has other things to do: what was meant as one write is several */
        for (int i = 0; i < 8; i++) {
            int64_t from = eb_mono_ns();
            if (kept_open)
                MINT_MUST(write(fd, "piece", 5) == 5);
            else
                in_place("a", "piece", O_APPEND);
            fx_write(&dir, "other", "1"); /* an event of the folder */
            (void)poll(NULL, 0, 20);
            int now = atomic_load(&calls);
            slow |= eb_mono_ns() - from > INT64_C(50000000);
            if (now != before && !slow)
                fail_msg("told after piece %d", i);
        }
        (void)close(fd);
        expect("whole", 1U << 0);
        if (!slow)
            assert_int_equal(atomic_load(&calls), before + 1);
        (void)poll(NULL, 0, 200);
        atomic_store(&seen, 0);
    }
    /* One that is never quiet is told all the same, and a file that was renamed into place does not wait. */
    int64_t until = eb_mono_ns() + INT64_C(3000000000), told = 0;
    for (int i = 0; eb_mono_ns() < until && !(atomic_load(&seen) & 1U << 0); i++) {
        in_place("a", "x", O_APPEND);
        if (i == 4)
            fx_write(&dir, "b", "2");
        (void)poll(NULL, 0, 10);
        if (!told && atomic_load(&seen) & 1U << 1)
            told = i;
    }
    assert_true(atomic_load(&seen) & 1U << 0);
    assert_in_range(told, 4, 60);
}

static void together(void **state) {
    (void)state;
    fx_write(&dir, "a", "1");
    fx_write(&dir, "b", "1");
    const struct eb_watched files[] = {{fx_path(&dir, "a"), 1}, {fx_path(&dir, "b"), 2}};
    eb_watch_set(watch, files, EB_COUNT_OF(files), settled());
    fx_write(&dir, "a", "2");
    fx_write(&dir, "b", "2");
    expect("both", 1U << 1 | 1U << 2);
}

/* A ConfigMap: files are links into ..data, which is a link to a dated folder and is swapped by a rename. */
static void config_map(void **state) {
    (void)state;
    (void)mkdir(fx_path(&dir, "..1"), 0700);
    (void)mkdir(fx_path(&dir, "..2"), 0700);
    (void)mkdir(fx_path(&dir, "..3"), 0700);
    fx_write(&dir, "..1/doc", "1");
    fx_write(&dir, "..2/doc", "1");
    fx_write(&dir, "..3/doc", "1");
    MINT_MUST(symlink("..1", fx_path(&dir, "..data")) == 0);
    MINT_MUST(symlink("..data/doc", fx_path(&dir, "doc")) == 0);
    const struct eb_watched files[] = {{fx_path(&dir, "doc"), 4}};
    eb_watch_set(watch, files, 1, settled());
    static const char *const next[] = {"..2", "..3", "..2"};
    for (size_t i = 0; i < EB_COUNT_OF(next); i++) {
        MINT_MUST(symlink(next[i], fx_path(&dir, "..tmp")) == 0);
        MINT_MUST(rename(fx_path(&dir, "..tmp"), fx_path(&dir, "..data")) == 0);
        expect("swapped", 1U << 4);
    }
    in_place("..2/doc", "in place behind the links", O_TRUNC);
    expect("written behind the links", 1U << 4);
    /* A folder that the watch has not seen before, made and swapped in at once. */
    (void)mkdir(fx_path(&dir, "..4"), 0700);
    fx_write(&dir, "..4/doc", "4");
    MINT_MUST(symlink("..4", fx_path(&dir, "..tmp")) == 0);
    MINT_MUST(rename(fx_path(&dir, "..tmp"), fx_path(&dir, "..data")) == 0);
    expect("a new folder", 1U << 4);
}

static void new_lists(void **state) {
    (void)state;
    fx_write(&dir, "a", "1");
    fx_write(&dir, "b", "1");
    const struct eb_watched one[] = {{fx_path(&dir, "a"), 0}}, two[] = {{fx_path(&dir, "b"), 1}};
    eb_watch_set(watch, one, 1, settled());
    eb_watch_set(watch, two, 1, settled());
    fx_write(&dir, "a", "2");
    expect_nothing("no longer watched");
    fx_write(&dir, "b", "2");
    expect("the new list", 1U << 1);
    eb_watch_set(watch, NULL, 0, settled());
    fx_write(&dir, "b", "3");
    expect_nothing("an empty list");
}

/*
 * What reads the files does so before the list is set: a change between the two must be told, else what is in
 * force stays behind the file for good.
 */
static void no_change_is_lost_between_reading_and_watching(void **state) {
    (void)state;
    fx_write(&dir, "a", "0");
    const struct eb_watched files[] = {{fx_path(&dir, "a"), 0}};
    for (int i = 0; i < 8; i++) {
        int64_t since = eb_watch_now_ns(); /* now a reader reads */
        fx_write(&dir, "a", i % 2 ? "1" : "2");
        (void)poll(NULL, 0, i * 5);
        if (i == 0)
            eb_watch_set(watch, files, 1, since);
        else
            eb_watch_set(watch, files, 1, eb_watch_now_ns() + 1000000000); /* the list's own memory must do */
        expect("a change just before the list was set", 1U << 0);
        (void)poll(NULL, 0, 40);
        atomic_store(&seen, 0);
    }
}

/* The same where the change is a link that now leads to an older file. */
static void no_swap_is_lost(void **state) {
    (void)state;
    fx_write(&dir, "v1", "1");
    fx_write(&dir, "v2", "2");
    MINT_MUST(symlink("v1", fx_path(&dir, "doc")) == 0);
    const struct eb_watched files[] = {{fx_path(&dir, "doc"), 2}};
    eb_watch_set(watch, files, 1, settled());
    for (int i = 0; i < 4; i++) {
        int64_t since = settled();
        MINT_MUST(symlink(i % 2 ? "v1" : "v2", fx_path(&dir, "tmp")) == 0);
        MINT_MUST(rename(fx_path(&dir, "tmp"), fx_path(&dir, "doc")) == 0);
        eb_watch_set(watch, files, 1, since);
        expect("a swap just before the list was set", 1U << 2);
        (void)poll(NULL, 0, 40);
        atomic_store(&seen, 0);
    }
}

static void stops_at_once(void **state) {
    (void)state;
    struct eb_watch *w = NULL;
    assert_int_equal(eb_watch_start(on_change, &dir, &w, NULL), EB_OK);
    int64_t before = eb_mono_ns();
    eb_watch_stop(w);
    assert_true(eb_mono_ns() - before < INT64_C(1000000000));
    eb_watch_stop(NULL);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(plain_files),     TEST(in_pieces),     TEST(together),
        TEST(config_map),      TEST(new_lists),     TEST(no_change_is_lost_between_reading_and_watching),
        TEST(no_swap_is_lost), TEST(stops_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
