/* udp_end.h - plain UDP sockets for the small peer programs of the laboratories.
 *
 * Addresses are struct port_addr on our side and sockaddr on the kernel's; IPv4 is carried
 * v4-mapped. What cannot be opened ends the program.
 *
 *      end_parse -> end_route -> end_bind -> end_send, end_receive
 */
#ifndef TESTS_LIVE_UDP_END_H
#define TESTS_LIVE_UDP_END_H

#include "node/wire/contact.h"

enum { END_DATAGRAM_MAX = 2048 };

/* Of the monotonic clock. */
uint64_t end_now_us(void);

/* False: no address, or no port. */
bool end_parse(struct port_addr *addr, const char *ip, const char *port);

/* "192.0.2.1 3478", until the next call; the address alone for the second. */
const char *end_text(const struct port_addr *addr);
const char *end_ip_text(const struct port_addr *addr);
unsigned end_port(const struct port_addr *addr);

/* The address from which the kernel would send to `to`, with port 0. */
struct port_addr end_route(const struct port_addr *to);

/* A socket; its own address, with the port it has got, is end_name's. */
int end_bind(const struct port_addr *addr);
struct port_addr end_name(int handle);

/* What is lost, or complained about, is as if it had not been sent or received: 0. */
void end_send(int handle, const struct port_addr *to, const void *bytes, size_t len);
size_t end_receive(int handle, uint8_t bytes[END_DATAGRAM_MAX], struct port_addr *from);

#endif /* TESTS_LIVE_UDP_END_H */
