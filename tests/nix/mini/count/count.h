#ifndef COUNT_H
#define COUNT_H

struct table;

/* Letters of the longest word: the library knows no table, so it is asked for each. */
int letters(const char *text);

#define longest(table)                                                                                                 \
    ({                                                                                                                 \
        int most = 0;                                                                                                  \
        for (size_t i = 0; i < (table)->length; i++)                                                                   \
            if (letters((table)->words[i].text) > most)                                                                \
                most = letters((table)->words[i].text);                                                                \
        most;                                                                                                          \
    })

#endif
