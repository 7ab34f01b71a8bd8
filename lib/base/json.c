#include "base/json.h"

#include "base/num.h"

/* jansson's own nesting limit is 2048 frames; ours is small and is checked before it recurses. */
static bool too_deep(struct eb_str text) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > EB_JSON_DEPTH)
                return true;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return false;
}

enum eb_rc eb_json_object(struct eb_str text, size_t max, json_t **ret_root, struct eb_err *reterr) {
    if (text.n > max)
        return EB_FAIL(reterr, EB_E_TOO_LARGE, "JSON of %zu bytes, over the limit of %zu", text.n, max);
    if (text.n == 0)
        return EB_FAIL(reterr, EB_E_MALFORMED, "empty where a JSON object is expected");
    if (too_deep(text))
        return EB_FAIL(reterr, EB_E_MALFORMED, "JSON nested deeper than %d", EB_JSON_DEPTH);
    json_error_t e;
    json_t *root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &e);
    if (!root) {
        if (json_error_code(&e) == json_error_out_of_memory)
            return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
        return EB_FAIL(reterr, EB_E_MALFORMED, "no well-formed JSON at line %d, column %d", e.line, e.column);
    }
    if (!json_is_object(root)) {
        json_decref(root);
        return EB_FAIL(reterr, EB_E_MALFORMED, "JSON, but no object");
    }
    *ret_root = root;
    return EB_OK;
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
    return json_is_real(v) && eb_num_epoch(json_real_value(v), ret_s) == EB_OK ? EB_JSON_OK : EB_JSON_WRONG_TYPE;
}
