#include "table.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    const struct word *one = a, *other = b;
    if (one->times != other->times)
        return one->times < other->times ? 1 : -1;
    return strcmp(one->text, other->text);
}

void order(struct table *table)
{
    qsort(table->words, table->length, sizeof *table->words, compare);
}
