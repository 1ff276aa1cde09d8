#include "calc.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    char text[64];
    if (argc != 2) {
        fprintf(stderr, "usage: %s EXPRESSION\n", argv[0]);
        return 2;
    }
    struct input in = {argv[1], {0, 0}};
    advance(&in);
    write_value(text, sizeof text, expression(&in));
    printf("%s is %s\n", argv[1], text);
    return 0;
}
