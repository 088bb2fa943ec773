/* answer.c - answers and errors as JSON. */
#include "node/edge/answer.h"

#include <stdlib.h>

#include "node/base/must.h"

void answer_json(struct answer *answer, int code, cJSON *value)
{
    char *text = cJSON_PrintUnformatted(value);
    must(text != NULL);
    cJSON_Delete(value);
    answer->code = code;
    answer->type = "application/json";
    text_add(&answer->body, "%s\n", text);
    cJSON_free(text);
}

void answer_error(struct answer *answer, int code, const char *hint, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *error = text_format_list(format, arguments);
    va_end(arguments);
    cJSON *value = cJSON_CreateObject();
    cJSON_AddStringToObject(value, "error", error);
    cJSON_AddStringToObject(value, "hint", hint);
    free(error);
    answer_json(answer, code, value);
}

void answer_free(struct answer *answer)
{
    free(answer->body.data);
    *answer = (struct answer){0};
}
