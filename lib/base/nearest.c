#include "base/nearest.h"

#include <stdlib.h>

enum { NAME_MAX_LEN = 64 };

static size_t min3(size_t a, size_t b, size_t c) {
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein distance; names over NAME_MAX_LEN count as far apart. */
static size_t distance(struct eb_str a, struct eb_str b) {
    if (a.n > NAME_MAX_LEN || b.n > NAME_MAX_LEN)
        return NAME_MAX_LEN;
    size_t row[NAME_MAX_LEN + 1];
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a.p[i - 1] != b.p[j - 1]));
            diagonal = above;
        }
    }
    return row[b.n];
}

const char *eb_nearest(struct eb_str name, const char *const *candidates, size_t n) {
    const char *best = NULL;
    size_t best_distance = NAME_MAX_LEN;
    for (size_t i = 0; i < n; i++) {
        struct eb_str c = eb_str(candidates[i]);
        size_t d = distance(name, c);
        size_t limit = c.n / 3 ? c.n / 3 : 1;
        if (d <= limit && d < best_distance) {
            best = candidates[i];
            best_distance = d;
        }
    }
    return best;
}
