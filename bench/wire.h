/* The NATS client protocol as far as a load generator needs it: one blocking connection, MSG and HMSG. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct wire {
    int fd;
    char *in; /* in_at..in_n is not taken yet */
    size_t in_at, in_n, cap;
    struct eb_buf out;
};
struct wire_msg {
    struct eb_str subject, payload; /* valid until the next wire_fill */
    bool has_headers;
};

/* host:port with a numeric address. Ends the program where it is none. */
struct sockaddr_in wire_address(const char *text);
/* Connects, logs in as user and waits for the server's PONG. Ends the program where it cannot. */
void wire_open(struct wire *w, const char *address, const char *user, const char *password);
void wire_close(struct wire *w);
/* Sends all of w->out. */
void wire_flush(struct wire *w);
/* Waits for bytes, timeout_ms at most; false where none came. */
bool wire_fill(struct wire *w, int timeout_ms);
/* The next message that is complete; false where more bytes are needed. Answers PING, ends the program at
 * -ERR. */
bool wire_next(struct wire *w, struct wire_msg *ret);

#endif
