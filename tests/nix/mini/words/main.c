#include "names.h"
#include "table.h"

#include <count.h>
#include <stdio.h>

int main(void)
{
    struct table table = {0};
    char text[256];
    while (scanf("%255s", text) == 1)
        note(&table, text);
    order(&table);
    for (size_t i = 0; i < table.length; i++)
        printf("%s: %zu %s\n", PROGRAM, table.words[i].times, table.words[i].text);
    printf("%s: %d letters in the longest\n", PROGRAM, longest(&table));
    return 0;
}
