#ifndef CALC_H
#define CALC_H

#include <stddef.h>

/* What stands at one place of an expression: a number, or a character of its own. */
struct token {
    int kind; /* 'n' for a number, 0 at the end */
    double number;
};

struct input {
    const char *text;
    struct token next;
};

void advance(struct input *in);
double expression(struct input *in);
size_t write_value(char *buffer, size_t size, double value);

#endif
