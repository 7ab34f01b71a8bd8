#include "base/json.h"

#include <malloc.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/json_parse.h"
#include "base/num.h"

/* Line and column, in bytes from 1, of a place in text. */
static void place(struct eb_str text, size_t at, size_t *ret_line, size_t *ret_column) {
    size_t line = 1, start = 0;
    for (size_t i = 0; i < at; i++)
        if (text.p[i] == '\n') {
            line++;
            start = i + 1;
        }
    *ret_line = line;
    *ret_column = at - start + 1;
}

static enum eb_rc refuse(struct eb_str text, enum eb_rc rc, size_t at, struct eb_err *reterr) {
    if (rc == EB_E_NOMEM)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    if (rc == EB_E_TOO_LARGE)
        return EB_FAIL(reterr, EB_E_MALFORMED, "JSON nested deeper than %d", EB_JSON_DEPTH);
    size_t line, column;
    place(text, at, &line, &column);
    return EB_FAIL(reterr, EB_E_MALFORMED, "no well-formed JSON at line %zu, column %zu", line, column);
}

typedef enum eb_rc parse_fn(struct eb_str text, unsigned depth, json_t **ret, size_t *ret_at);

static enum eb_rc object_by(parse_fn *parse, struct eb_str text, size_t max, json_t **ret_root,
                            struct eb_err *reterr) {
    if (text.n > max)
        return EB_FAIL(reterr, EB_E_TOO_LARGE, "JSON of %zu bytes, over the limit of %zu", text.n, max);
    if (text.n == 0)
        return EB_FAIL(reterr, EB_E_MALFORMED, "empty where a JSON object is expected");
    json_t *root = NULL;
    size_t at = 0;
    enum eb_rc rc = parse(text, EB_JSON_DEPTH, &root, &at);
    if (rc != EB_OK)
        return refuse(text, rc, at, reterr);
    if (!json_is_object(root)) {
        json_decref(root);
        return EB_FAIL(reterr, EB_E_MALFORMED, "JSON, but no object");
    }
    *ret_root = root;
    return EB_OK;
}

enum eb_rc eb_json_object(struct eb_str text, size_t max, json_t **ret_root, struct eb_err *reterr) {
    return object_by(eb_json_parse, text, max, ret_root, reterr);
}

enum eb_rc eb_json_object_of_peers(struct eb_str text, size_t max, json_t **ret_root, struct eb_err *reterr) {
    return object_by(eb_json_parse_of_peers, text, max, ret_root, reterr);
}

enum eb_json_have eb_json_get_str(const json_t *obj, const char *key, struct eb_str *ret) {
    const json_t *v = json_object_get(obj, key);
    if (!v)
        return EB_JSON_MISSING;
    if (!json_is_string(v))
        return EB_JSON_WRONG_TYPE;
    *ret = eb_str_n(json_string_value(v), json_string_length(v));
    return EB_JSON_OK;
}

struct eb_str eb_json_str(const json_t *obj, const char *key) {
    struct eb_str s = EB_STR_NONE;
    return eb_json_get_str(obj, key, &s) == EB_JSON_OK ? s : EB_STR_NONE;
}

enum eb_json_have eb_json_get_epoch(const json_t *obj, const char *key, int64_t *ret_s) {
    const json_t *v = json_object_get(obj, key);
    if (!v)
        return EB_JSON_MISSING;
    if (json_is_integer(v) && json_integer_value(v) >= 0) {
        *ret_s = (int64_t)json_integer_value(v);
        return EB_JSON_OK;
    }
    return json_is_real(v) && eb_num_epoch(json_real_value(v), ret_s) == EB_OK ? EB_JSON_OK
                                                                               : EB_JSON_WRONG_TYPE;
}

static void free_wiped(void *p) {
    if (p)
        sodium_memzero(p, malloc_usable_size(p));
    free(p);
}

void eb_json_wipe_freed(void) {
    json_set_alloc_funcs(malloc, free_wiped);
}
