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

/* Levenshtein distance. */
static size_t distance(struct eb_str a, struct eb_str b) {
    size_t row[NAME_MAX_LEN + 1];
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (plain(a.p[i - 1]) != plain(b.p[j - 1])));
            diagonal = above;
        }
    }
    return row[b.n];
}

/* Twice the edits; where one is how the other begins (`publish` means `pub`), between one edit and two. */
static size_t apart(struct eb_str a, struct eb_str b) {
    enum { SHORTEST_START = 3 };
    if (a.n > NAME_MAX_LEN || b.n > NAME_MAX_LEN)
        return SIZE_MAX;
    size_t n = a.n < b.n ? a.n : b.n, edits = 2 * distance(a, b);
    bool begins = n >= SHORTEST_START && distance(eb_str_n(a.p, n), eb_str_n(b.p, n)) == 0;
    return begins && edits > 3 ? 3 : edits;
}

const char *eb_nearest(struct eb_str name, const char *const *candidates, size_t n) {
    const char *best = NULL;
    size_t best_apart = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        struct eb_str c = eb_str(candidates[i]);
        size_t d = apart(name, c);
        if (d < best_apart && d <= (c.n + 1) / 2 * 2) {
            best = candidates[i];
            best_apart = d;
        }
    }
    return best;
}
