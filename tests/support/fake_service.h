/* fake_service.h - a service that is in whatever state a test wants, for tests of the HTTP edge.
 *
 * Stands in for node/daemon/service.c and verb.c, and for what the edge asks of a host. The node is
 * a real one on a toy port, alone in its mesh; verbs say what they were asked, and those that ask
 * the mesh wait until the test ends them.
 *
 *      test -> fake->state, fake_end, fake_tell -> service_*, verb_* -> edge
 */
#ifndef TESTS_SUPPORT_FAKE_SERVICE_H
#define TESTS_SUPPORT_FAKE_SERVICE_H

#include <uv.h>

#include "node/daemon/verb.h"

enum {
    FAKE_PENDING_MAX = 256,
};

struct fake_pending {
    verb_done_fn done;
    void *arg;
    char verb[32];
};

struct fake {
    enum service_state state;
    bool is_ready;
    const char *mesh_reason; /* "" or why the mesh component is in `state`. */
    bool has_no_node;        /* As at the end of a stop. */
    struct host_view host;
    uv_loop_t *loop;
    struct fake_pending pending[FAKE_PENDING_MAX];
    size_t pending_count;
    struct service_observer *observers;
    char words[4096]; /* Of the last verb, each in brackets. */
};

/* There is one at a time. */
struct fake *fake_open(uv_loop_t *loop);
void fake_close(struct fake *fake); /* Ends what is pending, as a service that closes does. */
struct service *fake_service(struct fake *fake);

/* Ends all verbs that wait, well or with the name of an error ("timeout"). */
void fake_end(struct fake *fake, const char *status);
/* Tells the observers of a message. */
void fake_tell(struct fake *fake, const char *text);
void fake_note(struct fake *fake, const char *text);

#endif /* TESTS_SUPPORT_FAKE_SERVICE_H */
