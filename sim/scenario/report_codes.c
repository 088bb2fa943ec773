/* report_codes.c - the long texts behind the codes: `meshtwin explain MT0103`. */
#include "sim/scenario/report.h"

#include "node/base/must.h"

static const char *const names[REPORT_CODE_COUNT] = {
#define NAME_ROW(number, severity, title) [REPORT_MT##number] = "MT" #number,
    REPORT_CODES(NAME_ROW)
#undef NAME_ROW
};

static const char *const titles[REPORT_CODE_COUNT] = {
#define TITLE_ROW(number, severity, title) [REPORT_MT##number] = (title),
    REPORT_CODES(TITLE_ROW)
#undef TITLE_ROW
};

static const enum report_severity severities[REPORT_CODE_COUNT] = {
#define SEVERITY_ROW(number, severity, title) [REPORT_MT##number] = REPORT_##severity,
    REPORT_CODES(SEVERITY_ROW)
#undef SEVERITY_ROW
};

static const char *const texts[REPORT_CODE_COUNT] = {
    [REPORT_MT0001] =
        "The scenario file does not exist, is a directory, or may not be read. The path is taken\n"
        "as given, relative to the folder the command runs in.\n",
    [REPORT_MT0002] =
        "A scenario is at most 64 MiB. Large data (latency matrices, presence traces) belongs "
        "into\n"
        "CSV files that the scenario names, so a file of this size is most likely the wrong one.\n",
    [REPORT_MT0003] =
        "The file holds nothing but white space and comments. The smallest scenario is:\n\n"
        "  { \"schema_version\": 1, \"name\": \"small\", \"seed\": 1, \"duration\": \"5m\",\n"
        "    \"groups\": [{ \"name\": \"all\", \"count\": 20 }] }\n",
    [REPORT_MT0004] =
        "The file begins with the bytes EF BB BF, a mark some editors put before UTF-8. JSON has "
        "no\n"
        "such mark (RFC 8259, section 8.1). Save the file as \"UTF-8 without BOM\".\n",
    [REPORT_MT0005] = "A scenario is UTF-8 from the first to the last byte. The usual causes are a "
                      "file saved as\n"
                      "Latin-1 or UTF-16, and a file that is no text at all.\n",
    [REPORT_MT0006] = "Bytes below 0x20 are allowed only as line breaks, tabs between values, and "
                      "spaces. Inside\n"
                      "a string write \\t for a tab, \\n for a line break, \\u0007 for others. At "
                      "the beginning of\n"
                      "a file they mean that it is a binary file.\n",
    [REPORT_MT0007] = "A string ends in the line in which it begins, and a /* comment needs its "
                      "*/. The position\n"
                      "is where the open one begins; what follows it was not read.\n",
    [REPORT_MT0008] =
        "After a backslash JSON knows \" \\ / b f n r t and u with four hexadecimal digits. A\n"
        "character above U+FFFF is a pair of two such escapes. \\u0000 is refused, because names\n"
        "end there for every tool written in C. For a backslash itself write two.\n",
    [REPORT_MT0009] =
        "The text ends inside an object or list. Either a closing bracket is missing, or the file\n"
        "was cut off while it was copied. The message says which bracket is still open.\n",
    [REPORT_MT0010] =
        "JSON has no comma behind the last element. Comments are an extension that most editors\n"
        "know; trailing commas are not, so a file that other tools can read must not have them.\n",
    [REPORT_MT0011] =
        "Something stands where JSON's grammar has no place for it. The most common cause is a\n"
        "missing comma or colon just before. Comments begin with // or /*, not with #. Nothing\n"
        "behind this position was checked.\n",
    [REPORT_MT0012] =
        "The same key appears twice in one object. Programs differ in which one they use, so the\n"
        "file would mean different things to different tools. Remove one of the two.\n",
    [REPORT_MT0013] =
        "A number is digits, perhaps a minus sign, a point with digits, an exponent: -0.5, 20, "
        "1e6.\n"
        "No leading zeros, no plus sign, no hexadecimal, no unit. Quantities with a unit are\n"
        "strings (\"250ms\"), and so are hexadecimal seeds (\"0x5EED\").\n",
    [REPORT_MT0014] =
        "The number has so large an exponent that it cannot be told from infinity. No key of a\n"
        "scenario needs such a number.\n",
    [REPORT_MT0015] =
        "JSON tools keep numbers as doubles, which skip integers above 2^53 - 1: the file would\n"
        "change its meaning when an editor saves it. A 64-bit seed is a string: \"0x5EED0001\".\n",
    [REPORT_MT0016] = "At most 64 brackets may be open at once. A scenario needs fewer than ten.\n",
    [REPORT_MT0017] =
        "Only true, false, null and numbers stand without quotes, in lower case. NaN and Infinity\n"
        "are not JSON; leave the key out to get its default. Everything else needs double "
        "quotes.\n",
    [REPORT_MT0018] = "Keys and strings need double quotes: \"name\". Single quotes and bare keys "
                      "are JavaScript,\n"
                      "not JSON.\n",
    [REPORT_MT0019] = "The document was complete, and then more came. Often there is a closing "
                      "bracket too many,\n"
                      "or two scenarios were pasted into one file.\n",
    [REPORT_MT0020] =
        "A scenario has at most a million values. Large tables belong into CSV files.\n",
    [REPORT_MT0101] =
        "No key of this name exists here. Unknown keys are refused and not ignored, because a\n"
        "misspelt key would silently leave its default in place. Keys that begin with \"x-\" are\n"
        "yours: they may hold anything, anywhere. docs/SCENARIOS.md lists all keys.\n",
    [REPORT_MT0102] =
        "A key that has no sensible default is missing from the object at this position. Some "
        "keys\n"
        "are only needed in one variant, for example \"file\" where the model is \"matrix_csv\".\n",
    [REPORT_MT0103] =
        "The value must be one of a few fixed names, and it is none of them. Names are written in\n"
        "lower case. The message lists those that exist.\n",
    [REPORT_MT0104] =
        "The value has another JSON type than the key expects: a list where one object belongs, a\n"
        "string where a number belongs. Probabilities are numbers from 0 to 1, never percent, and\n"
        "null is never a value: leave the key out instead.\n",
    [REPORT_MT0105] =
        "Quantities are strings of a decimal number and a unit, without a space:\n\n"
        "  durations  us ms s m h d         \"250ms\"\n"
        "  sizes      B KiB MiB GiB         \"256KiB\"\n"
        "  bandwidth  bit/s kbit/s Mbit/s Gbit/s   \"20Mbit/s\"\n"
        "  rates      /s /min /h            \"0.5/min\"\n\n"
        "Units are case-sensitive: in a duration m is a minute, in a rate that is min.\n",
    [REPORT_MT0106] =
        "The value has the right type but lies outside of what the simulator accepts. The message\n"
        "and docs/SCENARIOS.md name the limits.\n",
    [REPORT_MT0107] =
        "Time is kept in whole microseconds, sizes in whole bytes, bandwidth in whole bits per\n"
        "second. A value that falls between two of them would have to be rounded, and is refused\n"
        "instead: \"1.5ms\" is fine, \"0.5us\" is not.\n",
    [REPORT_MT0108] = "The key exists, but not for the variant that the object has chosen: "
                      "\"matrix\" belongs to\n"
                      "the latency model \"region_matrix\" and would do nothing for \"constant\". "
                      "Remove the key,\n"
                      "or choose the other variant.\n",
    [REPORT_MT0109] =
        "Names become file names, labels and parts of commands. So they are 1 to 64 lower-case\n"
        "letters, digits, dots, underscores and hyphens and begin with a letter or digit. Regions\n"
        "of an inline matrix have no dots and no hyphens, because \"eu-us\" joins two of them.\n",
    [REPORT_MT0110] =
        "A seed is a string of \"0x\" and 1 to 16 hexadecimal digits, or a whole number from 0 to\n"
        "2^53 - 1.\n",
    [REPORT_MT0111] =
        "Two keys say the same thing in different ways: join_rate and join_ramp, or a presence\n"
        "trace and distributions of session lengths. Keep one of them.\n",
    [REPORT_MT0112] =
        "The list or object must have at least one element. A scenario without groups has no "
        "nodes;\n"
        "a metric with an empty list of thresholds checks nothing and looks as if it did.\n",
    [REPORT_MT0201] =
        "The name refers to a group, and no group has it. Names are case-sensitive.\n",
    [REPORT_MT0202] =
        "The region is not one of the latency model's: those of the pairs in \"matrix\", of the\n"
        "header in the CSV file, or of \"places\". The model \"constant\" has one region, "
        "\"all\".\n",
    [REPORT_MT0203] =
        "A file that the scenario names cannot be read. Relative names begin at the folder of the\n"
        "scenario file, not at the folder the command runs in.\n",
    [REPORT_MT0204] =
        "The shares of a mix should sum to 1. They miss it by a little, as rounded decimals do, "
        "and\n"
        "were scaled; the run is not affected otherwise. Adjust one of them to be rid of this.\n",
    [REPORT_MT0205] =
        "The shares of a mix must sum to 1, and miss it by more than 0.05. That is more than\n"
        "rounding: a share is missing, or they are percentages.\n",
    [REPORT_MT0206] = "Two groups have the same name, or a list of names holds one twice. "
                      "Everything that refers\n"
                      "to the name would be ambiguous.\n",
    [REPORT_MT0207] =
        "Two times do not go together: something is to happen after the run has ended, an end "
        "comes\n"
        "before its beginning, the warm-up lasts as long as the run, or records expire before\n"
        "they are republished.\n",
    [REPORT_MT0208] =
        "A CSV file does not look as it must. A latency matrix:\n\n"
        "  region,weight,berlin,tokyo\n"
        "  berlin,0.7,2.1,231.4\n"
        "  tokyo,0.3,231.6,1.8\n\n"
        "with round trips in milliseconds, rows in the order of the columns, and a weight column\n"
        "that may be left out. A presence trace:\n\n"
        "  node,start_s,end_s\n"
        "  0,0,3600\n\n"
        "with nodes numbered from 0 and stays of one node that do not overlap. Cells have no\n"
        "quotes; lines that begin with # are comments.\n",
    [REPORT_MT0209] =
        "An inline matrix needs the round trip of every pair of its regions exactly once, and "
        "also\n"
        "that of each region with itself: for eu and us, the pairs eu-eu, us-us and eu-us.\n",
    [REPORT_MT0210] =
        "Each value is fine, but they contradict each other. The message names both.\n",
    [REPORT_MT0211] =
        "The key is correct but decides nothing in this scenario: a join ramp, for example, where\n"
        "every node belongs to the bootstrap group, which starts at once, or to a group with a\n"
        "join of its own.\n",
    [REPORT_MT0301] = "No metric has this name, so the threshold could never be checked. `meshtwin "
                      "metrics` lists\n"
                      "all of them with units and meaning.\n",
    [REPORT_MT0302] =
        "A threshold is a statistic, a comparison and a value: \"p95 < 1.2s\", \"mean > 0.97\".\n"
        "Statistics are mean, median, min, max, last, sum, count and percentiles from p0 to p100,\n"
        "also with decimals (p99.9). Comparisons are < <= > >= == and !=.\n",
    [REPORT_MT0303] =
        "The value of a threshold has a unit that the metric does not: metrics in seconds take "
        "us,\n"
        "ms, s, m, h; metrics in bytes take B, KiB, MiB, GiB; all others take a plain number. A\n"
        "number without a unit is in the metric's own.\n",
    [REPORT_MT0401] =
        "An override is a JSON pointer, '=' and a value: --set /network/mtu=1400, --set\n"
        "/duration=5m, --set '/groups/0/churn={\"session\":\"1h\",\"offline\":\"1h\"}'. A value "
        "that is\n"
        "not JSON is taken as a string, but one that begins with a bracket or quote must be "
        "JSON.\n",
    [REPORT_MT0402] =
        "The pointer of an override passes through a value that is neither object nor list, or\n"
        "names an element that the list does not have. Objects that are missing on the way are\n"
        "made; lists do not grow.\n",
};

enum report_severity report_severity(enum report_code code)
{
    must(code < REPORT_CODE_COUNT);
    return severities[code];
}

const char *report_code_name(enum report_code code)
{
    must(code < REPORT_CODE_COUNT);
    return names[code];
}

const char *report_code_title(enum report_code code)
{
    must(code < REPORT_CODE_COUNT);
    return titles[code];
}

const char *report_code_text(enum report_code code)
{
    must(code < REPORT_CODE_COUNT && texts[code] != NULL);
    return texts[code];
}
