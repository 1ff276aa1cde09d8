/* fib N: writes the Nth Fibonacci number to `out`, or makes the thunks that will, with gg-create-thunk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HASH 100

/* Run gg-create-thunk, and read the reference that it prints to standard error. */
static void create(char *argv[], char made[HASH])
{
    int ends[2], status;
    if (pipe(ends) != 0)
        exit(1);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        execvp(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    close(ends[1]);
    ssize_t size = 0, n;
    while (size < HASH - 1 && (n = read(ends[0], made + size, (size_t)(HASH - 1 - size))) > 0)
        size += n;
    made[size] = '\0';
    made[strcspn(made, "\n")] = '\0';
    close(ends[0]);
    if (waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "%s\n", made);
        exit(1);
    }
}

static char *joined(const char *head, const char *middle, const char *tail)
{
    char *text = malloc(strlen(head) + strlen(middle) + strlen(tail) + 1);
    if (text == NULL)
        exit(1);
    return strcat(strcat(strcpy(text, head), middle), tail);
}

int main(int argc, char *argv[])
{
    char *fib = getenv("FIB_FUNCTION_HASH"), *add = getenv("ADD_FUNCTION_HASH");
    int number = argc > 1 ? atoi(argv[1]) : -1;
    if (number < 2) {
        FILE *out = fopen("out", "w");
        return out == NULL || fprintf(out, "%d", number) < 0 || fclose(out) != 0;
    }
    if (fib == NULL || add == NULL)
        return 1;
    char *fib_is = joined("FIB_FUNCTION_HASH=", fib, ""), *add_is = joined("ADD_FUNCTION_HASH=", add, "");
    char part[2][HASH], sum[HASH], smaller[16];
    for (int i = 0; i < 2; i++) {
        char *name = i == 0 ? "left" : "right";
        snprintf(smaller, sizeof smaller, "%d", number - 1 - i);
        create((char *[]){"gg-create-thunk", "--envar", fib_is, "--envar", add_is, "--executable", fib, "--executable",
                          add, "--output", "out", "--output", "left", "--output", "right", "--placeholder", name, fib,
                          "fib", smaller, NULL},
               part[i]);
    }
    create((char *[]){"gg-create-thunk", "--executable", add, "--thunk", part[0], "--thunk", part[1], "--output", "out",
                      "--placeholder", "out", add, "add", joined("@{GGHASH:", part[0], "}"),
                      joined("@{GGHASH:", part[1], "}"), NULL},
           sum);
    return 0;
}
