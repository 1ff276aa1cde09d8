/* Prints its arguments, each with a NUL behind it; @FILE is what the file holds, quoted as gcc reads it. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expand(const char *argument)
{
    FILE *file = argument[0] == '@' ? fopen(argument + 1, "r") : NULL;
    if (!file) {
        fwrite(argument, 1, strlen(argument) + 1, stdout);
        return;
    }
    char word[65536];
    size_t length = 0;
    int quote = 0, inside = 0, c;
    while ((c = fgetc(file)) != EOF) {
        if (c == '\\') {
            inside = 1;
            if ((c = fgetc(file)) == EOF)
                break;
        } else if (quote ? c == quote : c == '"' || c == '\'') {
            inside = 1;
            quote = quote ? 0 : c;
            continue;
        } else if (!quote && isspace(c)) {
            if (inside) {
                word[length] = 0;
                expand(word);
            }
            length = 0;
            inside = 0;
            continue;
        }
        inside = 1;
        if (length + 1 < sizeof word)
            word[length++] = (char)c;
    }
    if (inside) {
        word[length] = 0;
        expand(word);
    }
    fclose(file);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        expand(argv[i]);
    return 0;
}
