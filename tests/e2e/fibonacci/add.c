/* add FILE FILE: writes the sum of the numbers in two files to `out`. */
#include <stdio.h>

int main(int argc, char *argv[])
{
    unsigned long long sum = 0, number;
    for (int i = 1; i < argc; i++) {
        FILE *in = fopen(argv[i], "r");
        if (in == NULL || fscanf(in, "%llu", &number) != 1 || fclose(in) != 0)
            return 1;
        sum += number;
    }
    FILE *out = fopen("out", "w");
    return out == NULL || fprintf(out, "%llu", sum) < 0 || fclose(out) != 0;
}
