/* err.c - texts of the error numbers. */
#include "node/base/err.h"

const char *err_text(int code)
{
    switch (code) {
#define ERR_CASE(name, value, text)                                                                \
    case (value):                                                                                  \
        return (text);
        ERRORS(ERR_CASE)
#undef ERR_CASE
    default:
        return "unknown error";
    }
}
