/* nat_classify.h - what kind of box a host is behind, by RFC 4787 and with the means of RFC 5780:
 * servers at two addresses with two ports each.
 *
 *      host -> box -> four servers -> external ends -> mapping, ports
 *      host <- box <- servers not yet spoken to     -> filtering
 *      host -> box -> host                          -> hairpinning
 */
#ifndef TESTS_LIVE_NAT_CLASSIFY_H
#define TESTS_LIVE_NAT_CLASSIFY_H

#include "tests/live/nat_net.h"

enum nat_scope { /* RFC 4787 section 4.1 and section 5. */
                 SCOPE_INDEPENDENT,
                 SCOPE_ADDRESS,
                 SCOPE_ADDRESS_AND_PORT,
};

enum nat_port_choice { /* RFC 4787 section 4.2. */
                       PORTS_PRESERVED,
                       PORTS_SEQUENTIAL,
                       PORTS_RANDOM,
};

enum nat_hairpin { /* RFC 4787 section 6. */
                   HAIRPIN_NO,
                   HAIRPIN_EXTERNAL, /* From the sender's external end, as it should be. */
                   HAIRPIN_INTERNAL,
};

struct classification {
    bool is_blocked; /* Nothing came back: the rest says nothing. */
    bool is_translated;
    enum nat_scope mapping;
    enum nat_scope filtering;
    enum nat_port_choice ports;
    enum nat_hairpin hairpin;
};

/* Host and server are namespaces, `addresses` two of the server's. */
struct classification classify(const char *host, const char *server, const char *const *addresses);

/* One line: "mapping=independent filtering=address_and_port ...". */
void classification_print(const struct classification *found);

#endif /* TESTS_LIVE_NAT_CLASSIFY_H */
