/* packet.c - reading and writing of the headers in packet.h. */
#include "node/transport/packet.h"

#include "node/base/must.h"
#include "node/wire/codec.h"

static struct writer header_of(uint8_t *datagram, size_t len, enum packet_type type);

bool packet_read_handshake(struct slice bytes, struct packet_handshake *packet)
{
    struct reader reader = reader_of(bytes);
    bool is_handshake = read_u8(&reader) == PACKET_HANDSHAKE;
    packet->step = read_u8(&reader);
    is_handshake &= packet->step >= PACKET_IK_1 && packet->step <= PACKET_XX_3;
    (void)read_u16(&reader); /* The message id tells apart the fragments of several messages. */
    uint8_t fragment = read_u8(&reader);
    uint8_t fragment_count = read_u8(&reader);
    packet->sender = read_u32(&reader);
    packet->receiver = read_u32(&reader);
    size_t noise_len = read_u16(&reader);
    packet->noise = slice_of(read_bytes(&reader, noise_len), noise_len);
    packet->mac1 = read_bytes(&reader, CRYPTO_MAC_LEN);
    packet->mac2 = read_bytes(&reader, CRYPTO_MAC_LEN);
    packet->before_mac1 = slice_of(bytes.data, PACKET_HANDSHAKE_HEADER_LEN + noise_len);
    packet->before_mac2 = slice_of(bytes.data, packet->before_mac1.len + CRYPTO_MAC_LEN);
    return is_handshake && fragment == 0 && fragment_count == 1 && !reader.bad;
}

bool packet_read_cookie(struct slice bytes, struct packet_cookie *packet)
{
    struct reader reader = reader_of(bytes);
    bool is_cookie = read_u8(&reader) == PACKET_COOKIE;
    packet->receiver = read_u32(&reader);
    packet->counter = read_u64(&reader);
    packet->sealed = slice_of(reader.next, reader_left(&reader));
    return is_cookie && bytes.len == PACKET_COOKIE_LEN;
}

bool packet_read_data(struct slice bytes, struct packet_data *packet)
{
    struct reader reader = reader_of(bytes);
    bool is_data = read_u8(&reader) == PACKET_DATA;
    packet->receiver = read_u32(&reader);
    packet->counter = read_u64(&reader);
    packet->sealed = slice_of(reader.next, reader_left(&reader));
    return is_data && !reader.bad && packet->sealed.len >= CRYPTO_TAG_LEN;
}

uint32_t packet_receiver(struct slice bytes)
{
    struct reader reader = reader_of(bytes);
    uint8_t type = read_u8(&reader);
    if (type == PACKET_HANDSHAKE) {
        (void)read_bytes(&reader, PACKET_HANDSHAKE_RECEIVER - 1);
    }
    uint32_t receiver = read_u32(&reader);
    return reader.bad ? 0 : receiver;
}

void packet_write_handshake(uint8_t *datagram, enum packet_step step, uint32_t sender,
                            uint32_t receiver, size_t noise_len)
{
    struct writer writer = header_of(datagram, PACKET_HANDSHAKE_HEADER_LEN, PACKET_HANDSHAKE);
    write_u8(&writer, (uint8_t)step);
    write_u16(&writer, (uint16_t)sender);
    write_u8(&writer, 0);
    write_u8(&writer, 1);
    write_u32(&writer, sender);
    write_u32(&writer, receiver);
    write_u16(&writer, (uint16_t)noise_len);
    must(!writer.bad && writer.next == writer.end);
}

void packet_write_cookie(uint8_t *datagram, uint32_t receiver, uint64_t counter)
{
    struct writer writer = header_of(datagram, PACKET_DATA_HEADER_LEN, PACKET_COOKIE);
    write_u32(&writer, receiver);
    write_u64(&writer, counter);
    must(!writer.bad && writer.next == writer.end);
}

void packet_write_data(uint8_t *datagram, uint32_t receiver, uint64_t counter)
{
    struct writer writer = header_of(datagram, PACKET_DATA_HEADER_LEN, PACKET_DATA);
    write_u32(&writer, receiver);
    write_u64(&writer, counter);
    must(!writer.bad && writer.next == writer.end);
}

static struct writer header_of(uint8_t *datagram, size_t len, enum packet_type type)
{
    struct writer writer = writer_of(datagram, len);
    write_u8(&writer, (uint8_t)type);
    return writer;
}
