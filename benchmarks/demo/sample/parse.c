#include "calc.h"

#include <math.h>

static double factor(struct input *in)
{
    double value = NAN;
    if (in->next.kind == '-') {
        advance(in);
        return -factor(in);
    }
    if (in->next.kind == 'n') {
        value = in->next.number;
        advance(in);
    } else if (in->next.kind == '(') {
        advance(in);
        value = expression(in);
        if (in->next.kind == ')')
            advance(in);
    }
    if (in->next.kind == '^') {
        advance(in);
        value = pow(value, factor(in));
    }
    return value;
}

static double term(struct input *in)
{
    double value = factor(in);
    while (in->next.kind == '*' || in->next.kind == '/') {
        int kind = in->next.kind;
        advance(in);
        value = kind == '*' ? value * factor(in) : value / factor(in);
    }
    return value;
}

double expression(struct input *in)
{
    double value = term(in);
    while (in->next.kind == '+' || in->next.kind == '-') {
        int kind = in->next.kind;
        advance(in);
        value = kind == '+' ? value + term(in) : value - term(in);
    }
    return value;
}
