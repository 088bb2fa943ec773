/* complete.c - candidates, and what all of them have in common. */
#include "node/meshnode/complete.h"

#include <stdlib.h>
#include <string.h>

#include "node/daemon/verb.h"

enum {
    COMPLETE_WAIT_MS = 500, /* The node is on this machine; a person waits. */
    ID_DIGITS = 12,         /* As lists show them. */
};

struct completion {
    const char *word;
    size_t len;
    char *common; /* What all candidates so far begin with; NULL before the first. */
    size_t count;
    struct text *candidates;
};

static void consider(struct completion *completion, const char *candidate, size_t len)
{
    if (len < completion->len || strncmp(candidate, completion->word, completion->len) != 0) {
        return;
    }
    if (completion->count++ == 0) {
        completion->common = text_copy(candidate, len);
    }
    size_t same = 0;
    while (same < len && completion->common[same] == candidate[same]) {
        same++;
    }
    completion->common[same] = '\0';
    text_add(completion->candidates, "%s%.*s", completion->candidates->len > 0 ? "  " : "",
             (int)len, candidate);
}

static void consider_verbs(struct completion *completion)
{
    size_t count;
    const struct verb *verbs = verb_table(&count);
    for (size_t i = 0; i < count; i++) {
        consider(completion, verbs[i].name, strlen(verbs[i].name));
    }
}

static void consider_ids(struct completion *completion, struct client *client)
{
    cJSON *reply = NULL;
    if (!client_ask(client, "peers", NULL, 0) ||
        client_wait(client, -1, COMPLETE_WAIT_MS, &reply) != CLIENT_REPLY) {
        return;
    }
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(reply, "data");
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(data, "peers"))
    {
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(row, "id");
        if (cJSON_IsString(id) && strlen(id->valuestring) >= ID_DIGITS) {
            consider(completion, id->valuestring, ID_DIGITS);
        }
    }
    cJSON_Delete(reply);
}

/* The verb that the line begins with, when its first operand is an id, or help's is a verb. */
static bool wants(const char *line, size_t verb_len, const char *operand)
{
    size_t count;
    const struct verb *verbs = verb_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (strlen(verbs[i].name) == verb_len && strncmp(verbs[i].name, line, verb_len) == 0) {
            return strncmp(verbs[i].operands, operand, strlen(operand)) == 0;
        }
    }
    return false;
}

char *complete_word(const char *line, size_t len, struct client *client, struct text *candidates)
{
    size_t start = len;
    while (start > 0 && line[start - 1] != ' ') {
        start--;
    }
    char *word = text_copy(line + start, len - start);
    struct completion completion = {.word = word, .len = len - start, .candidates = candidates};
    size_t verb_len = strcspn(line, " ");
    bool is_second = verb_len < len && start == verb_len + 1;
    if (start == 0 || (is_second && wants(line, verb_len, "[verb]"))) {
        consider_verbs(&completion);
    } else if (is_second && wants(line, verb_len, "<id>")) {
        consider_ids(&completion, client);
    }
    char *more = completion.count == 0 ? text_copy("", 0)
                                       : text_format("%s%s", completion.common + completion.len,
                                                     completion.count == 1 ? " " : "");
    if (completion.count < 2) {
        text_cut(candidates, 0);
    }
    free(completion.common);
    free(word);
    return more;
}
