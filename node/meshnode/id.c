/* id.c - `meshnode id`: who a key file makes its node. */
#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/daemon/id_text.h"
#include "node/host/keyfile.h"
#include "node/meshnode/program.h"

struct id_arguments {
    bool help;
    uint64_t port;
    const char *identity;
    const char *passphrase_file;
    bool create;
    bool json;
};

#define AT(field) offsetof(struct id_arguments, field)
static const struct option id_options[] = {
    PROGRAM_HELP_OPTION,
    {'p', "port", "N", OPTION_COUNT, AT(port), NULL, "the node's port, for its files (8468)"},
    {'i', "identity", "FILE", OPTION_TEXT, AT(identity), NULL,
     "key file (default STATE/PORT/identity.key)"},
    {0, "passphrase-file", "FILE", OPTION_TEXT, AT(passphrase_file), NULL,
     "its first line opens the key file, or seals a new one"},
    {0, "create", NULL, OPTION_FLAG, AT(create), NULL, "make the file when it is missing"},
    {0, "json", NULL, OPTION_FLAG, AT(json), NULL, "print JSON"},
};

static int show(const struct id_arguments *arguments, const struct settings *settings);
static enum keyfile_verdict load(const struct id_arguments *arguments, const char *path,
                                 const char *passphrase, uint8_t seed[CRYPTO_SEED_LEN],
                                 char reason[HOST_REASON_SIZE]);
static void print(const uint8_t seed[CRYPTO_SEED_LEN], const char *path, bool as_json);

static int run(int count, char **words)
{
    struct id_arguments arguments = {.port = HOST_PORT};
    struct option_list operands;
    int code;
    if (program_parse(&program_id, count, words, &arguments, &operands, false, &code)) {
        if (operands.count > 0) {
            fprintf(stderr, "meshnode id: one argument too many: \"%s\"\n", operands.items[0]);
            code = EXIT_USAGE;
        } else {
            struct settings settings = {.passphrase_file = arguments.passphrase_file};
            code = show(&arguments, &settings);
        }
    }
    option_list_free(&operands);
    return code;
}

const struct program program_id = {
    .name = "id",
    .operands = "",
    .summary = "Shows the id and public key of a key file.",
    .example = "meshnode id --create --identity node.key",
    .options = id_options,
    .option_count = sizeof id_options / sizeof id_options[0],
    .run = run,
};

static int show(const struct id_arguments *arguments, const struct settings *settings)
{
    char reason[HOST_REASON_SIZE];
    uint8_t seed[CRYPTO_SEED_LEN];
    char *own = NULL;
    const char *path = arguments->identity;
    must(sodium_init() >= 0);
    if (path == NULL) {
        path = own = settings_default_path(arguments->port, "identity.key", reason);
    }
    char *passphrase = path != NULL ? settings_passphrase(settings, reason) : NULL;
    bool ok = path != NULL && (passphrase != NULL || reason[0] == '\0') &&
              load(arguments, path, passphrase, seed, reason) == KEYFILE_OK;
    if (ok) {
        print(seed, path, arguments->json);
    } else {
        fprintf(stderr, "meshnode id: %s\n", reason);
    }
    sodium_memzero(seed, sizeof seed);
    free(passphrase);
    free(own);
    return ok ? EXIT_OK : EXIT_CANNOT_START;
}

static enum keyfile_verdict load(const struct id_arguments *arguments, const char *path,
                                 const char *passphrase, uint8_t seed[CRYPTO_SEED_LEN],
                                 char reason[HOST_REASON_SIZE])
{
    enum keyfile_verdict verdict = keyfile_load(path, passphrase, seed, reason);
    if (verdict == KEYFILE_MISSING && arguments->create) {
        bool is_own = arguments->identity == NULL;
        if (is_own && !settings_make_parent(path, reason)) {
            return KEYFILE_UNREADABLE;
        }
        randombytes_buf(seed, CRYPTO_SEED_LEN);
        verdict = keyfile_create(path, passphrase, seed, reason);
    }
    return verdict;
}

static void print(const uint8_t seed[CRYPTO_SEED_LEN], const char *path, bool as_json)
{
    uint8_t public_key[CRYPTO_PUBLIC_LEN];
    uint8_t secret_key[CRYPTO_SECRET_LEN];
    char id_text[ID_TEXT_SIZE];
    char key_text[2 * CRYPTO_PUBLIC_LEN + 1];
    struct node_id id;
    must(crypto_sign_seed_keypair(public_key, secret_key, seed) == 0);
    sodium_memzero(secret_key, sizeof secret_key);
    contact_id(&id, public_key);
    id_format(&id, id_text);
    hex_format(public_key, sizeof public_key, key_text);
    if (as_json) {
        printf("{\"schema\":\"meshtwin.identity.v1\",\"id\":\"%s\",\"public_key\":\"%s\"}\n",
               id_text, key_text);
    } else {
        printf("id          %s\npublic key  %s\nkept in     %s\n", id_text, key_text, path);
    }
}
