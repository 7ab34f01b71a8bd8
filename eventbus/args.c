#include "args.h"

#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/str.h"
#include "say.h"

static size_t find(const struct eb_command *c, struct eb_str name) {
    size_t i = 0;
    while (c->options[i].name && !eb_str_eqz(name, c->options[i].name))
        i++;
    return i;
}

/* Names that end so stand for several. */
static bool is_many(const char *name) {
    return eb_str_ends(eb_str(name), EB_STR("..."));
}

static void unknown(const struct eb_command *c, struct eb_str name) {
    const char *names[EB_OPTIONS_MAX];
    size_t n = 0;
    for (; c->options[n].name; n++)
        names[n] = c->options[n].name;
    const char *near = eb_nearest(name, names, n);
    eb_say(c, "--%.*s is no option of this command%s%s; see `eventbus %s --help`",
           (int)(name.n < 40 ? name.n : 40), name.p, near ? ": did you mean --" : "", near ? near : "",
           c->words);
}

/* One option at argv[*at], which moves on to its value where that is a word of its own. */
static bool option(const struct eb_command *c, int argc, char **argv, int *at, struct eb_args *ret) {
    const char *text = argv[*at] + 2;
    const char *equals = strchr(text, '=');
    struct eb_str name = equals ? eb_str_n(text, (size_t)(equals - text)) : eb_str(text);
    size_t i = find(c, name);
    const struct eb_option *o = &c->options[i];
    if (!o->name) {
        unknown(c, name);
        return false;
    }
    bool many = o->arg && is_many(o->arg);
    if (ret->value[i] && !many) {
        eb_say(c, "--%s is given twice", o->name);
        return false;
    }
    if (!o->arg) {
        if (equals)
            eb_say(c, "--%s takes no value", o->name);
        ret->value[i] = "";
        return !equals;
    }
    if (!equals && *at + 1 == argc) {
        eb_say(c, "--%s needs a value: --%s %s", o->name, o->name, o->arg);
        return false;
    }
    const char *value = equals ? equals + 1 : argv[++*at];
    if (!ret->value[i])
        ret->value[i] = value;
    ret->given[ret->given_n++] = (struct eb_given){i, value};
    if (*value)
        return true;
    eb_say(c, "--%s is empty: --%s %s", o->name, o->name, o->arg);
    return false;
}

bool eb_args_read(const struct eb_command *c, int argc, char **argv, struct eb_args *ret) {
    bool only_operands = false;
    *ret = (struct eb_args){0};
    ret->operands = calloc((size_t)argc + 1, sizeof *ret->operands);
    ret->given = calloc((size_t)argc + 1, sizeof *ret->given);
    if (!ret->operands || !ret->given) {
        eb_say(c, "out of memory");
        return false;
    }
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (!only_operands && strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (!only_operands && strncmp(word, "--", 2) == 0) {
            if (!option(c, argc, argv, &i, ret))
                return false;
        } else if (!only_operands && word[0] == '-' && word[1]) {
            eb_say(c, "options are written with two dashes; see `eventbus %s --help`", c->words);
            return false;
        } else if (!c->operand || (ret->operand && !is_many(c->operand))) {
            eb_say(c, "%s; see `eventbus %s --help`",
                   c->operand ? "more than one operand" : "takes no operand, only options", c->words);
            return false;
        } else {
            ret->operands[ret->operands_n++] = word;
            ret->operand = ret->operands[0];
        }
    }
    if (c->operand_required && !ret->operand) {
        eb_say(c, "%s is missing: eventbus %s %s", c->operand, c->words, c->operand);
        return false;
    }
    return true;
}

void eb_args_done(struct eb_args *args) {
    free(args->operands);
    free(args->given);
    *args = (struct eb_args){0};
}

const char *eb_args_each(const struct eb_command *c, const struct eb_args *args, const char *name, size_t i) {
    size_t option = find(c, eb_str(name));
    for (size_t at = 0; at < args->given_n; at++)
        if (args->given[at].option == option && i-- == 0)
            return args->given[at].value;
    return NULL;
}
