#include "site/render_mapped.h"

static const struct {
    const char *root, *second; /* first tokens; the second NULL where any will do */
    const char *to;
} mapped[] = {
    {"$JS", "API", "$JS.CSC.API"}, {"$KV", NULL, "$JS.CSC.API.$KV"}, {"$OBJ", NULL, "$JS.CSC.API.$OBJ"}};

static bool is(struct eb_str token, const char *name, bool wildcard) {
    return eb_str_eqz(token, name) || (wildcard && eb_str_eqz(token, "*"));
}

bool eb_render_mapped(struct eb_str rule, bool deny, struct eb_buf *to) {
    for (size_t i = 0; i < EB_COUNT_OF(mapped); i++) {
        struct eb_str queue = rule, rest = eb_str_cut(&queue, ' ');
        struct eb_str first = eb_str_cut(&rest, '.');
        if (!is(first, mapped[i].root, deny) || !rest.p)
            continue;
        if (mapped[i].second) {
            struct eb_str second = eb_str_cut(&rest, '.');
            if (!is(second, mapped[i].second, true) || !rest.p)
                continue; /* `$JS.>` covers the mapped names as it is */
        }
        eb_buf_printf(to, "%s.%.*s", mapped[i].to, EB_STR_ARG(rest));
        if (queue.p)
            eb_buf_printf(to, " %.*s", EB_STR_ARG(queue));
        return true;
    }
    return false;
}

static bool has(const json_t *list, struct eb_str text) {
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) {
        if (json_is_string(item) &&
            eb_str_eq(eb_str_n(json_string_value(item), json_string_length(item)), text))
            return true;
    }
    return false;
}

static bool map_list(json_t *list, bool deny) {
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        eb_auto_buf struct eb_buf to = {0};
        if (!json_is_string(item) ||
            !eb_render_mapped(eb_str_n(json_string_value(item), json_string_length(item)), deny, &to))
            continue;
        if (!eb_buf_ok(&to) ||
            (!has(list, eb_buf_get(&to)) && json_array_append_new(list, json_stringn(to.p, to.n)) != 0))
            return false;
    }
    return true;
}

bool eb_render_map_entry(json_t *entry) {
    static const char *const sides[] = {"pub", "sub"};
    json_t *permissions = json_object_get(entry, "permissions");
    for (size_t i = 0; i < EB_COUNT_OF(sides); i++) {
        json_t *side = json_object_get(permissions, sides[i]);
        if (!map_list(json_object_get(side, "allow"), false) ||
            !map_list(json_object_get(side, "deny"), true))
            return false;
    }
    return true;
}
