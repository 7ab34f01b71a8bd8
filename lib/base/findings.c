#include "base/findings.h"

#include <stdarg.h>
#include <stdlib.h>

void eb_findings_done(struct eb_findings *f) {
    for (size_t i = 0; i < f->n; i++) {
        free(f->items[i].file);
        free(f->items[i].path);
        free(f->items[i].text);
        free(f->items[i].mend);
    }
    free(f->items);
    *f = (struct eb_findings){0};
}

void eb_findings_add(struct eb_findings *f, enum eb_severity severity, const char *file, size_t line,
                     const char *path, const char *mend, const char *fmt, ...) {
    if (severity == EB_ERROR)
        f->errors++;
    else
        f->warnings++;
    if (f->n >= EB_FINDINGS_MAX)
        return;
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 8;
        struct eb_finding *items = realloc(f->items, cap * sizeof *items);
        if (!items)
            return;
        f->items = items;
        f->cap = cap;
    }
    eb_auto_buf struct eb_buf text = {0};
    va_list ap;
    va_start(ap, fmt);
    eb_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    f->items[f->n++] = (struct eb_finding){.severity = severity,
                                           .file = file ? eb_str_dup(eb_str(file)) : NULL,
                                           .line = line,
                                           .path = eb_str_dup(eb_str(path ? path : "")),
                                           .text = eb_buf_take(&text),
                                           .mend = eb_str_dup(eb_str(mend ? mend : ""))};
}

void eb_findings_print(const struct eb_findings *f, struct eb_buf *to) {
    for (size_t i = 0; i < f->n; i++) {
        const struct eb_finding *it = &f->items[i];
        if (it->file)
            eb_buf_printf(to, "%s:", it->file);
        if (it->line)
            eb_buf_printf(to, "%zu:", it->line);
        eb_buf_printf(to, "%s%s: ", it->file || it->line ? " " : "",
                      it->severity == EB_ERROR ? "error" : "warning");
        if (it->path && it->path[0])
            eb_buf_printf(to, "%s: ", it->path);
        eb_buf_z(to, it->text ? it->text : "out of memory");
        if (it->mend && it->mend[0])
            eb_buf_printf(to, "; %s", it->mend);
        eb_buf_ch(to, '\n');
    }
    size_t all = f->errors + f->warnings;
    if (all > f->n)
        eb_buf_printf(to, "and %zu more\n", all - f->n);
}
