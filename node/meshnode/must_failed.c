/* must_failed.c - how this program ends when it finds a bug of its own. */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/must.h"

_Noreturn void must_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "meshnode %s: bug at %s:%d: %s\n", MESHNODE_VERSION, file, line, condition);
    abort();
}
