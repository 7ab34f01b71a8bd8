#include "site/render_mapped.h"

#include "base/cleanup.h"

#define TO "$JS.CSC.API"

static const struct {
    const char *root, *second; /* first tokens; the second NULL where any will do */
    const char *to;
} mapped[] = {{"$JS", "API", TO}, {"$KV", NULL, TO ".$KV"}, {"$OBJ", NULL, TO ".$OBJ"}};
enum { API = 0 };

/* What follows `$JS.API.` in requests of JetStream. A wildcard there is written out: left as it is, it would
 * also match the names that $KV and $OBJ are mapped to, which a rule for the API says nothing of. */
static const struct {
    const char *token;
    bool more; /* further tokens follow */
} requests[] = {{"INFO", false}, {"STREAM", true}, {"CONSUMER", true}, {"DIRECT", true},
                {"META", true},  {"SERVER", true}, {"ACCOUNT", true}};

static bool is(struct eb_str token, const char *name, bool wildcard) {
    return eb_str_eqz(token, name) || (wildcard && eb_str_eqz(token, "*"));
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

/* Adds `a.b queue` where it is not in the list; b and queue may be empty. */
static bool add(json_t *list, const char *a, struct eb_str b, struct eb_str queue) {
    eb_auto_buf struct eb_buf rule = {0};
    eb_buf_z(&rule, a);
    if (b.n)
        eb_buf_printf(&rule, ".%.*s", EB_STR_ARG(b));
    if (queue.n)
        eb_buf_printf(&rule, " %.*s", EB_STR_ARG(queue));
    return eb_buf_ok(&rule) &&
           (has(list, eb_buf_get(&rule)) || json_array_append_new(list, json_stringn(rule.p, rule.n)) == 0);
}

static bool add_requests(json_t *list, struct eb_str rest, struct eb_str queue) {
    struct eb_str below = rest, first = eb_str_cut(&below, '.');
    bool all = eb_str_eqz(first, ">");
    if (!all && !eb_str_eqz(first, "*"))
        return add(list, TO, rest, queue);
    for (size_t i = 0; i < EB_COUNT_OF(requests); i++) {
        char name[32];
        (void)snprintf(name, sizeof name, TO ".%s", requests[i].token);
        if (requests[i].more ? all || below.p : all || !below.p) {
            if (!add(list, name, requests[i].more ? all ? EB_STR(">") : below : EB_STR_NONE, queue))
                return false;
        }
    }
    return true;
}

bool eb_render_mapped(struct eb_str rule, bool deny, json_t *to) {
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
        if (!(i == API ? add_requests(to, rest, queue) : add(to, mapped[i].to, rest, queue)))
            return false;
    }
    return true;
}

static bool map_list(json_t *list, bool deny) {
    size_t n = json_array_size(list); /* of what the document says: what is added is mapped already */
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        if (json_is_string(item) &&
            !eb_render_mapped(eb_str_n(json_string_value(item), json_string_length(item)), deny, list))
            return false;
    }
    return true;
}

/* True where a rule of the list is for subjects that begin with root, wildcards included. */
static bool reaches(const json_t *list, const char *root) {
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) {
        struct eb_str rest = json_is_string(item) ? eb_str(json_string_value(item)) : EB_STR_NONE;
        struct eb_str first = eb_str_cut(&rest, '.');
        if (is(first, root, true) || eb_str_eqz(first, ">"))
            return true;
    }
    return false;
}

/* `$JS.>` covers the names that $KV and $OBJ are mapped to. Where no rule is for those, none are granted. */
static bool close_rest(json_t *side) {
    json_t *allow = json_object_get(side, "allow"), *deny = json_object_get(side, "deny");
    size_t i, n = json_array_size(allow);
    bool wide = false;
    for (i = 0; i < n; i++) {
        const char *rule = json_string_value(json_array_get(allow, i));
        wide = wide || (rule && (strcmp(rule, "$JS.>") == 0 || strcmp(rule, "$JS.*.>") == 0 ||
                                 strcmp(rule, "$JS.*.*.>") == 0));
    }
    for (i = API + 1; wide && i < EB_COUNT_OF(mapped); i++) {
        if (reaches(allow, mapped[i].root))
            continue;
        if (!deny) {
            deny = json_array();
            if (!deny || json_object_set_new(side, "deny", deny) != 0)
                return false;
        }
        if (!add(deny, mapped[i].to, EB_STR(">"), EB_STR_NONE))
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
            !map_list(json_object_get(side, "deny"), true) || (json_is_object(side) && !close_rest(side)))
            return false;
    }
    return true;
}
