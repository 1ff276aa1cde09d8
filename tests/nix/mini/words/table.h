#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>

struct word {
    char *text;
    size_t times;
};

struct table {
    struct word *words;
    size_t length;
};

void note(struct table *table, const char *text);
void order(struct table *table);

#endif
