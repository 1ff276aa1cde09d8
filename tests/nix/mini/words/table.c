#include "table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void note(struct table *table, const char *text)
{
    for (size_t i = 0; i < table->length; i++)
        if (!strcmp(table->words[i].text, text)) {
            table->words[i].times++;
            return;
        }
    table->words = realloc(table->words, (table->length + 1) * sizeof *table->words);
    assert(table->words);
    table->words[table->length++] = (struct word){.text = strdup(text), .times = 1};
}
