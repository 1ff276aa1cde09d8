#include "calc.h"

#include <stdio.h>

size_t write_value(char *buffer, size_t size, double value)
{
    int length = snprintf(buffer, size, "%.12g", value);
    return length < 0 ? 0 : (size_t)length;
}
