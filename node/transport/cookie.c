/* cookie.c - MACs, cookies and path nonces, all made of the node's one secret and the clock. */
#include "node/transport/cookie.h"

#include "node/base/must.h"
#include "node/port/crypto_calls.h"
#include "node/transport/session.h"
#include "node/wire/codec.h"

enum purpose {
    PURPOSE_COOKIE = 1,
    PURPOSE_PATH = 2,
};

static void named_key(const struct transport *transport, const char *name,
                      const uint8_t *public_key, uint8_t key[CRYPTO_HASH_LEN]);
static void address_mac(const struct transport *transport, enum purpose purpose, uint64_t epoch,
                        uint32_t session, const struct port_addr *addr,
                        uint8_t mac[CRYPTO_MAC_LEN]);
static bool mac_equal(const uint8_t *a, const uint8_t *b);
static uint64_t path_nonce(const struct transport *transport, uint64_t epoch, uint32_t session,
                           const struct port_addr *addr);

void cookie_mac_key(const struct transport *transport, const uint8_t *receiver_public,
                    uint8_t key[CRYPTO_HASH_LEN])
{
    named_key(transport, "meshtwin mac1", receiver_public, key);
}

void cookie_seal(const struct transport *transport, uint8_t *datagram, size_t len,
                 const uint8_t key[CRYPTO_HASH_LEN], const uint8_t *cookie)
{
    struct port *port = transport->core->port;
    uint8_t *mac1 = datagram + len;
    uint8_t *mac2 = mac1 + CRYPTO_MAC_LEN;
    port_mac(port, mac1, slice_of(datagram, len), key);
    memset(mac2, 0, CRYPTO_MAC_LEN);
    if (cookie != NULL) {
        uint8_t cookie_key[CRYPTO_HASH_LEN] = {0};
        memcpy(cookie_key, cookie, CRYPTO_MAC_LEN);
        port_mac(port, mac2, slice_of(datagram, len + CRYPTO_MAC_LEN), cookie_key);
    }
}

bool cookie_mac1_is_valid(const struct transport *transport, const struct packet_handshake *packet,
                          const uint8_t key[CRYPTO_HASH_LEN])
{
    uint8_t expected[CRYPTO_MAC_LEN];
    port_mac(transport->core->port, expected, packet->before_mac1, key);
    return mac_equal(expected, packet->mac1);
}

bool cookie_mac2_is_valid(const struct transport *transport, const struct packet_handshake *packet,
                          const struct port_addr *from)
{
    uint64_t epoch = core_now(transport->core) / COOKIE_LIFE_US;
    uint8_t cookie_key[CRYPTO_HASH_LEN] = {0};
    address_mac(transport, PURPOSE_COOKIE, epoch, 0, from, cookie_key);
    uint8_t expected[CRYPTO_MAC_LEN];
    port_mac(transport->core->port, expected, packet->before_mac2, cookie_key);
    return mac_equal(expected, packet->mac2);
}

void cookie_reply(struct transport *transport, const struct packet_handshake *packet,
                  const struct port_addr *to, const uint8_t *own_public)
{
    struct port *port = transport->core->port;
    uint64_t counter;
    port->ops->entropy(port, &counter, sizeof counter);
    uint8_t key[CRYPTO_HASH_LEN];
    named_key(transport, "meshtwin cookie", own_public, key);

    uint8_t datagram[PACKET_COOKIE_LEN];
    uint8_t *sealed = datagram + PACKET_DATA_HEADER_LEN;
    uint64_t epoch = core_now(transport->core) / COOKIE_LIFE_US;
    packet_write_cookie(datagram, packet->sender, counter);
    address_mac(transport, PURPOSE_COOKIE, epoch, 0, to, sealed);
    port_seal(port, sealed, slice_of(sealed, CRYPTO_MAC_LEN),
              slice_of(packet->mac1, CRYPTO_MAC_LEN), counter, key);
    traffic_sent(&transport->traffic, TRAFFIC_COOKIE);
    struct transport_way way = {.addr = *to, .path = transport->path};
    session_transmit(transport, &way, slice_of(datagram, sizeof datagram));
}

bool cookie_open(const struct transport *transport, const struct packet_cookie *packet,
                 const uint8_t *peer_public, const uint8_t mac1[CRYPTO_MAC_LEN],
                 uint8_t cookie[CRYPTO_MAC_LEN])
{
    uint8_t key[CRYPTO_HASH_LEN];
    named_key(transport, "meshtwin cookie", peer_public, key);
    must(packet->sealed.len == CRYPTO_MAC_LEN + CRYPTO_TAG_LEN);
    return port_unseal(transport->core->port, cookie, packet->sealed,
                       slice_of(mac1, CRYPTO_MAC_LEN), packet->counter, key);
}

uint64_t cookie_path_nonce(const struct transport *transport, uint32_t session,
                           const struct port_addr *addr)
{
    return path_nonce(transport, core_now(transport->core) / COOKIE_PATH_LIFE_US, session, addr);
}

bool cookie_path_nonce_is_valid(const struct transport *transport, uint32_t session,
                                const struct port_addr *addr, uint64_t nonce)
{
    uint64_t epoch = core_now(transport->core) / COOKIE_PATH_LIFE_US;
    return nonce == path_nonce(transport, epoch, session, addr) ||
           (epoch > 0 && nonce == path_nonce(transport, epoch - 1, session, addr));
}

static void named_key(const struct transport *transport, const char *name,
                      const uint8_t *public_key, uint8_t key[CRYPTO_HASH_LEN])
{
    uint8_t label[24] = {0};
    struct writer writer = writer_of(label, sizeof label);
    write_bytes(&writer, name, strlen(name));
    writer.next = label + sizeof label - 8;
    write_u64(&writer, transport->config->network_id);
    must(!writer.bad);
    port_hash(transport->core->port, key, slice_of(label, sizeof label),
              slice_of(public_key, public_key != NULL ? CRYPTO_AGREE_LEN : 0));
}

static void address_mac(const struct transport *transport, enum purpose purpose, uint64_t epoch,
                        uint32_t session, const struct port_addr *addr, uint8_t mac[CRYPTO_MAC_LEN])
{
    uint8_t text[1 + 8 + 4 + sizeof *addr];
    struct writer writer = writer_of(text, sizeof text);
    write_u8(&writer, (uint8_t)purpose);
    write_u64(&writer, epoch);
    write_u32(&writer, session);
    write_bytes(&writer, addr, sizeof *addr);
    must(!writer.bad);
    port_mac(transport->core->port, mac, slice_of(text, sizeof text), transport->secret);
}

/* Takes as long for any two. */
static bool mac_equal(const uint8_t *a, const uint8_t *b)
{
    unsigned different = 0;
    for (int i = 0; i < CRYPTO_MAC_LEN; i++) {
        different |= (unsigned)(a[i] ^ b[i]);
    }
    return different == 0;
}

static uint64_t path_nonce(const struct transport *transport, uint64_t epoch, uint32_t session,
                           const struct port_addr *addr)
{
    uint8_t mac[CRYPTO_MAC_LEN];
    address_mac(transport, PURPOSE_PATH, epoch, session, addr, mac);
    struct reader reader = reader_of(slice_of(mac, sizeof mac));
    return read_u64(&reader);
}
