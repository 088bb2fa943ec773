/* must_failed.c - a broken must() in a unit test prints where and aborts. */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/must.h"

_Noreturn void must_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "must failed: %s:%d: %s\n", file, line, condition);
    abort();
}
