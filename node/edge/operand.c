/* operand.c - takes the operands of a verb apart. */
#include "node/edge/operand.h"

#include <string.h>

#include "node/base/must.h"

bool operand_next(const char **at, struct operand *operand)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_0123456789";
    const char *from = *at + strspn(*at, " ");
    if (*from == '\0') {
        return false;
    }
    const char *end = strchr(from, *from == '<' ? '>' : ']');
    must((*from == '<' || *from == '[') && end != NULL);
    operand->is_required = *from == '<';
    from++;
    bool is_dashed = strncmp(from, "--", 2) == 0;
    from += is_dashed ? 2 : 0;
    size_t len = strspn(from, letters);
    must(len > 0 && len < sizeof operand->name);
    memcpy(operand->name, from, len);
    operand->name[len] = '\0';
    operand->kind = OPERAND_WORD;
    if (is_dashed) {
        operand->kind = from[len] == ' ' ? OPERAND_OPTION : OPERAND_SWITCH;
    }
    *at = end + 1;
    return true;
}
