#include "calc.h"

#include <ctype.h>
#include <stdlib.h>

void advance(struct input *in)
{
    while (isspace((unsigned char)*in->text))
        in->text++;
    if (isdigit((unsigned char)*in->text)) {
        char *end;
        in->next.kind = 'n';
        in->next.number = strtod(in->text, &end);
        in->text = end;
        return;
    }
    in->next.kind = *in->text;
    if (*in->text != '\0')
        in->text++;
}
