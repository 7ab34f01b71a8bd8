/*
 * What a NATS server says of itself to whoever connects, before any login: its first line (INFO), read over a
 * connection of its own.
 */
#ifndef EB_CLI_HELLO_H
#define EB_CLI_HELLO_H

#include <netdb.h>
#include <stdbool.h>

#include "base/err.h"

enum {
    EB_HELLO_CONNECT_MS = 1000, /* for each address of a name */
    EB_HELLO_LINE_MS = 2000,
    EB_HELLO_ADDRESSES = 8, /* more of one name are not tried */
};

struct eb_hello {
    char name[128]; /* these are the server's words: valid UTF-8, cut between characters */
    char id[64];
    char version[48];
    bool clustered;
};

/*
 * Asks the server at url ("nats://host:port", several addresses behind the name are tried in turn). The one
 * whose id is `id` counts; where none has it (several servers behind one address), the first that answered.
 * EB_E_IO with what went wrong at the last address.
 */
EB_MUSTCHECK enum eb_rc eb_hello_ask(const char *url, const char *id, struct eb_hello *ret,
                                     struct eb_err *reterr);
/* The same for addresses that are known; name stands in the error texts. */
EB_MUSTCHECK enum eb_rc eb_hello_from(const struct addrinfo *list, const char *name, const char *id,
                                      struct eb_hello *ret, struct eb_err *reterr);

#endif
