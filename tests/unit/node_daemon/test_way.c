/* test_way.c - what a person reads of the way to a peer, and of who reaches this node. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "node/daemon/verb_parts.h"

static void expect_text(void (*print)(const cJSON *, struct text *), const char *json,
                        const char *expected)
{
    cJSON *data = cJSON_Parse(json);
    cr_assert_not_null(data, "%s", json);
    struct text out = {0};
    print(data, &out);
    cr_expect_str_eq(out.data != NULL ? out.data : "", expected, "%s", json);
    free(out.data);
    cJSON_Delete(data);
}

Test(way, is_said_with_what_stands_in_the_way_of_a_better_one)
{
    expect_text(verb_print_way, "{\"way\":\"none\"}", "");
    expect_text(verb_print_way, "{\"way\":\"direct\"}", "  is reached directly\n");
    expect_text(verb_print_way, "{\"way\":\"punched\",\"punch_us\":2300,\"punch_rtt_us\":49300}",
                "  is reached directly, by a punch that took 2.30 ms (round trip by the relay "
                "49 ms)\n");
    expect_text(verb_print_way, "{\"way\":\"punched\",\"punch_us\":2300,\"punch_rtt_us\":0}",
                "  is reached directly, by a punch that took 2.30 ms\n");
    expect_text(verb_print_way,
                "{\"way\":\"relayed\",\"relay\":{\"id\":\"3fa2c01b00000000000000000000000000000000"
                "\",\"addr\":\"192.0.2.7:8468\"},\"step\":\"no probe came through\","
                "\"help\":\"open a port\",\"failed_punches\":2,\"again_s\":0}",
                "  is reached through the relay 3fa2c01b0000 at 192.0.2.7:8468\n"
                "  not better: no probe came through; open a port\n");
    expect_text(verb_print_way,
                "{\"way\":\"relayed\",\"step\":\"waiting for the next attempt\","
                "\"help\":\"earlier attempts failed\",\"failed_punches\":0,\"again_s\":90}",
                "  was reached through a relay, whose circuit has ended\n"
                "  not better: waiting for the next attempt; earlier attempts failed\n"
                "  and is tried again in 1 min 30 s at the earliest\n");
    expect_text(verb_print_way,
                "{\"way\":\"none\",\"step\":\"no presence record\",\"help\":\"it may be offline\"}",
                "  is not reached: no presence record; it may be offline\n");
    expect_text(verb_print_way,
                "{\"way\":\"none\",\"step\":\"no circuit\",\"help\":\"the relay is full\","
                "\"port_mapping\":\"granted, behind another box\"}",
                "  is not reached: no circuit; the relay is full\n"
                "  a port asked for at our own router: granted, behind another box\n");
}

Test(way, of_others_to_this_node_names_its_relays)
{
    expect_text(verb_print_nat, "{}", "");
    expect_text(verb_print_nat,
                "{\"nat\":{\"reach\":\"finding out\",\"observed\":null,\"relays\":[]}}",
                "\n  reach     finding out");
    expect_text(
        verb_print_nat,
        "{\"nat\":{\"reach\":\"client\",\"observed\":\"192.0.2.7:8468\",\"relays\":[{\"id\":"
        "\"3fa2c01b00000000000000000000000000000000\",\"addr\":\"198.51.100.1:8468\","
        "\"left_s\":3500}],\"punches_begun\":4,\"punches_won\":3}}",
        "\n  reach     client, seen at 192.0.2.7:8468"
        "\n  relay     3fa2c01b0000 at 198.51.100.1:8468 for another 58 min 20 s"
        "\n  punches   3 of 4 got through");
    expect_text(
        verb_print_nat,
        "{\"nat\":{\"reach\":\"server\",\"relays\":[],\"port_mapping\":{\"state\":\"granted\","
        "\"router\":\"192.168.1.1:5351\",\"protocol\":\"PCP\",\"external\":"
        "\"192.0.2.7:8468\",\"left_s\":3500}}}",
        "\n  reach     server"
        "\n  router    192.168.1.1:5351: a port asked for by PCP, granted: 192.0.2.7:8468 "
        "for another 58 min 20 s");
    expect_text(
        verb_print_nat,
        "{\"nat\":{\"reach\":\"client\",\"relays\":[],\"port_mapping\":{\"state\":\"refused\","
        "\"router\":\"192.168.1.1:5351\",\"protocol\":\"NAT-PMP\",\"reason\":\"no "
        "resources\"}}}",
        "\n  reach     client"
        "\n  router    192.168.1.1:5351: a port asked for by NAT-PMP, refused (no "
        "resources)");
    expect_text(verb_print_nat,
                "{\"nat\":{\"reach\":\"server\",\"relays\":[],\"reservations_given\":9,"
                "\"reservations\":2,\"circuits\":1,\"relayed_bytes\":1234}}",
                "\n  reach     server"
                "\n  relaying  reservations 2, circuits 1, bytes so far 1234");
}
