#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

enum rc_class { DENY, UNDECIDED, LOCAL };

static const struct {
    const char *name, *hint;
    enum rc_class class;
} rcs[EB_RC_MAX_] = {[EB_OK] = {"ok", "", DENY},
#define EB_RC_ROW(code, name_, class_, hint_) [code] = {name_, hint_, class_},
                     EB_RC_LIST(EB_RC_ROW)
#undef EB_RC_ROW
};

const char *eb_rc_name(enum eb_rc rc) {
    return rc < EB_RC_MAX_ ? rcs[rc].name : "internal";
}

const char *eb_rc_hint(enum eb_rc rc) {
    return rc < EB_RC_MAX_ ? rcs[rc].hint : "";
}

bool eb_rc_undecided(enum eb_rc rc) {
    return rc < EB_RC_MAX_ && rcs[rc].class == UNDECIDED;
}

/* What did not fit is gone; half a character at the end goes, too. n: what snprintf said. */
static void mend_end(char *text, size_t size, int n) {
    if (n < 0)
        text[0] = '\0';
    else if ((size_t)n >= size)
        text[eb_utf8_whole((struct eb_str){text, size - 1}).n] = '\0';
}

enum eb_rc eb_err_set(struct eb_err *reterr, enum eb_rc rc, const char *file, int line, const char *fmt,
                      ...) {
    if (!reterr || reterr->rc != EB_OK)
        return rc;
    reterr->rc = rc;
    reterr->file = file;
    reterr->line = line;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(reterr->text, sizeof reterr->text, fmt, ap);
    va_end(ap);
    mend_end(reterr->text, sizeof reterr->text, n);
    return rc;
}

bool eb_rc_local(enum eb_rc rc) {
    return rc < EB_RC_MAX_ && rcs[rc].class == LOCAL;
}

void eb_err_prefix(struct eb_err *reterr, const char *fmt, ...) {
    if (!reterr || reterr->rc == EB_OK)
        return;
    char old[sizeof reterr->text];
    memcpy(old, reterr->text, sizeof old);
    char prefix[sizeof reterr->text];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(prefix, sizeof prefix, fmt, ap);
    va_end(ap);
    int n = snprintf(reterr->text, sizeof reterr->text, "%s: %s", prefix, old);
    mend_end(reterr->text, sizeof reterr->text, n);
}

const char *eb_err_text(const struct eb_err *err, enum eb_rc rc) {
    return err && err->rc != EB_OK && err->text[0] ? err->text : eb_rc_name(rc);
}
