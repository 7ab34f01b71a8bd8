#include "base/nearest.h"

#include <stdint.h>

enum { NAME_MAX_LEN = 64 };

/* Case does not count, and neither does `-` for `_`. */
static char plain(char c) {
    if (c >= 'A' && c <= 'Z')
        return (char)(c + 32);
    return c == '-' ? '_' : c;
}

static size_t min3(size_t a, size_t b, size_t c) {
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein distance, or some number from most on where it is not below most. */
static size_t distance(struct eb_str a, struct eb_str b, size_t most) {
    size_t row[NAME_MAX_LEN + 1];
    if ((a.n > b.n ? a.n - b.n : b.n - a.n) >= most)
        return most;
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0], least = i;
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (plain(a.p[i - 1]) != plain(b.p[j - 1])));
            diagonal = above;
            least = row[j] < least ? row[j] : least;
        }
        if (least >= most) /* it never shrinks from row to row */
            return most;
    }
    return row[b.n];
}

/* True where one is how the other begins. */
static bool begins(struct eb_str a, struct eb_str b) {
    enum { SHORTEST_START = 3 };
    size_t n = a.n < b.n ? a.n : b.n;
    for (size_t i = 0; i < n; i++)
        if (plain(a.p[i]) != plain(b.p[i]))
            return false;
    return n >= SHORTEST_START;
}

/* Twice the edits; where one is how the other begins (`publish` means `pub`), between one edit and two. Some
 * number from most on where it is not below most. */
static size_t apart(struct eb_str a, struct eb_str b, size_t most) {
    if (a.n > NAME_MAX_LEN || b.n > NAME_MAX_LEN)
        return most;
    size_t edits = 2 * distance(a, b, (most + 1) / 2);
    return edits > 3 && begins(a, b) ? 3 : edits;
}

const char *eb_nearest(struct eb_str name, const char *const *candidates, size_t n) {
    const char *best = NULL;
    size_t best_apart = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        struct eb_str c = eb_str(candidates[i]);
        size_t most = (c.n + 1) / 2 * 2 + 1;
        if (most > best_apart)
            most = best_apart;
        size_t d = apart(name, c, most);
        if (d < most) {
            best = candidates[i];
            best_apart = d;
        }
    }
    return best;
}
