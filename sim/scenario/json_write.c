/* json_write.c - indentation, commas and escapes. */
#include "sim/scenario/json_write.h"

#include "node/cli/text.h"

static void begin(struct json_writer *writer, const char *key);
static void quote(FILE *out, const char *text);

void json_write_start(struct json_writer *writer, FILE *out)
{
    *writer = (struct json_writer){.out = out};
}

void json_write_open(struct json_writer *writer, const char *key, char bracket)
{
    begin(writer, key);
    fputc(bracket, writer->out);
    writer->depth++;
    writer->has_sibling = false;
}

void json_write_close(struct json_writer *writer, char bracket)
{
    writer->depth--;
    if (writer->has_sibling) {
        fprintf(writer->out, "\n%*s", writer->depth * 2, "");
    }
    fputc(bracket, writer->out);
    writer->has_sibling = true;
}

void json_write_string(struct json_writer *writer, const char *key, const char *text)
{
    begin(writer, key);
    if (text == NULL) {
        fputs("null", writer->out);
    } else {
        quote(writer->out, text);
    }
}

void json_write_number(struct json_writer *writer, const char *key, double value)
{
    char text[TEXT_DOUBLE_SIZE];
    text_double(value, text);
    begin(writer, key);
    fputs(text, writer->out);
}

void json_write_bool(struct json_writer *writer, const char *key, bool value)
{
    begin(writer, key);
    fputs(value ? "true" : "false", writer->out);
}

static void begin(struct json_writer *writer, const char *key)
{
    if (writer->has_sibling) {
        fputc(',', writer->out);
    }
    if (writer->depth > 0) {
        fprintf(writer->out, "\n%*s", writer->depth * 2, "");
    }
    if (key != NULL) {
        quote(writer->out, key);
        fputs(": ", writer->out);
    }
    writer->has_sibling = true;
}

static void quote(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char letter = (unsigned char)*text;
        if (letter == '"' || letter == '\\') {
            fprintf(out, "\\%c", letter);
        } else if (letter < 0x20 || letter == 0x7f) {
            fprintf(out, "\\u%04x", letter);
        } else {
            fputc(letter, out);
        }
    }
    fputc('"', out);
}
