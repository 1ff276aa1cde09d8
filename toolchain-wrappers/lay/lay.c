/* gg-lay: the builder of an exported derivation. It lays out files at their own paths, runs commands there, keeps their outputs.
 *
 * What to do is in the file that the variable planPath names, a word and its arguments a line; in these a backslash, a tab and a
 * line break are \\, \t and \n, and arguments are separated by tabs. In this order:
 *
 *   T TREE          all that is in TREE, at its place below /. What is there already stays: the first counts
 *   I PATH FILE     a file with FILE's bytes and mode
 *   C, P, A, E, M   directory, program, an argument, a variable and a directory to be made, for the next command
 *   R               run it
 *   O PATH NAME     PATH goes to NAME below $out, and must be there; with `o` it need not
 *
 * Whatever fails ends it; a command's own status is passed on. Runs as the first process of nix's sandbox, and nowhere else: it
 * writes over files.
 */
#define _GNU_SOURCE
#include "lay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 65536

/* A big library is only loaded, by the path that it is asked for: a link will do, and costs nothing. Programs look where they
 * are themselves, and headers that are links to one file may be taken for one. */
static int may_be_link(const char *path, const struct stat *st)
{
    return st->st_size > 1 << 20 && strstr(strrchr(path, '/'), ".so") != NULL;
}

static mode_t mode_of(const struct stat *st)
{
    return st->st_mode & S_IXUSR ? 0755 : 0644;
}

/* Links that could not be made because a directory is in their place (the sandbox has a /bin). Files laid out below the target are
 * seen there by a link of its own. */
static struct {
    char *path, *target;
} instead[16];
static size_t instead_count;

static void link_instead(const char *path)
{
    for (size_t i = 0; i < instead_count; i++) {
        size_t size = strlen(instead[i].target);
        if (strncmp(path, instead[i].target, size) != 0 || path[size] != '/')
            continue;
        char *there = joined(instead[i].path, path + size + 1);
        make_above(there);
        if (symlink(path, there) != 0 && errno != EEXIST)
            fail("%s", there);
        free(there);
    }
}

static void lay_link(const char *from, const char *to)
{
    char target[4096];
    ssize_t size = readlink(from, target, sizeof target - 1);
    struct stat st;
    if (size < 0)
        fail("%s", from);
    target[size] = '\0';
    if (symlink(target, to) == 0)
        return;
    if (errno != EEXIST || lstat(to, &st) != 0)
        fail("%s", to);
    if (S_ISDIR(st.st_mode) && instead_count < sizeof instead / sizeof *instead) {
        char *above = copied(to);
        *strrchr(above, '/') = '\0';
        instead[instead_count].path = copied(to);
        instead[instead_count++].target = target[0] == '/' ? copied(target) : joined(above, target);
        free(above);
    }
}

/* Links first: what is laid out afterwards may go through them. */
static void lay_tree(const char *from, const char *to, int links)
{
    struct dirent **entries;
    int count = scandir(from, &entries, is_listed, alphasort);
    if (count < 0)
        fail("%s", from);
    for (int i = 0; i < count; i++) {
        char *source = joined(from, entries[i]->d_name), *place = joined(to, entries[i]->d_name);
        struct stat st, there;
        if (lstat(source, &st) != 0)
            fail("%s", source);
        if (S_ISDIR(st.st_mode)) {
            if (!links && stat(place, &there) != 0 && mkdir(place, 0777) != 0)
                fail("cannot make %s", place);
            lay_tree(source, place, links);
        } else if (S_ISLNK(st.st_mode) && links) {
            make_above(place);
            lay_link(source, place);
        } else if (!S_ISLNK(st.st_mode) && !links && lstat(place, &there) != 0) {
            if (!may_be_link(place, &st))
                copy_file(source, place, mode_of(&st));
            else if (symlink(source, place) != 0)
                fail("%s", place);
            link_instead(place);
        } else if (S_ISREG(st.st_mode) && !links && st.st_mode & S_IXUSR) {
            chmod(place, 0755); /* to the tree that laid it out, it was data */
        }
        free(source);
        free(place);
        free(entries[i]);
    }
    free(entries);
}

static void lay_file(const char *path, const char *from)
{
    struct stat st;
    if (stat(from, &st) != 0)
        fail("%s", from);
    make_above(path);
    unlink(path);
    copy_file(from, path, mode_of(&st));
}

struct command {
    char *directory, *program;
    char *argv[MANY], *env[MANY];
    size_t arguments, variables;
};

static void add(char **list, size_t *count, char *word)
{
    errno = E2BIG;
    if (*count + 2 >= MANY)
        fail("%s", word);
    list[(*count)++] = word;
    list[*count] = NULL;
}

static void run(struct command *command)
{
    char temporary[4096 + 7];
    snprintf(temporary, sizeof temporary, "TMPDIR=%s",
             getenv("NIX_BUILD_TOP") != NULL ? getenv("NIX_BUILD_TOP") : "/tmp");
    add(command->env, &command->variables, temporary);
    char *inside = joined(command->directory, ".");
    make_above(inside);
    free(inside);
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        if (chdir(command->directory) != 0)
            fail("%s", command->directory);
        execve(command->program, command->argv, command->env);
        fail("%s", command->program);
    }
    int status;
    while (waitpid(child, &status, 0) != child)
        if (errno != EINTR)
            fail("waitpid");
    if (WIFSIGNALED(status))
        exit(128 + WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        exit(WEXITSTATUS(status));
    command->arguments = command->variables = 0;
}

static void keep(const char *path, const char *name, int needed)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        if (needed)
            fail("no %s was made", path);
        return;
    }
    const char *out = getenv("out");
    errno = EINVAL;
    if (out == NULL)
        fail("$out is not set");
    char *place = joined(out, name);
    make_above(place);
    copy_file(path, place, mode_of(&st));
    free(place);
}

/* Undoes the escapes of one argument, in place. */
static char *plain(char *text)
{
    char *to = text;
    for (char *from = text; *from != '\0'; from++) {
        if (*from == '\\' && from[1] != '\0') {
            from++;
            *to++ = *from == 'n' ? '\n' : *from == 't' ? '\t' : *from;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return text;
}

static void do_line(char *line, struct command *command)
{
    char *first = line[0] != '\0' && line[1] == ' ' ? line + 2 : line + 1;
    char *second = strchr(first, '\t');
    if (second != NULL)
        *second++ = '\0';
    first = plain(first);
    second = second != NULL ? plain(second) : NULL;
    errno = EINVAL;
    if (strchr("IOo", line[0]) != NULL && second == NULL)
        fail("a line of the plan is cut short: %s", first);
    switch (line[0]) {
    case 'T':
        lay_tree(first, "", 1);
        lay_tree(first, "", 0);
        break;
    case 'I':
        lay_file(first, second);
        break;
    case 'C':
        command->directory = first;
        break;
    case 'P':
        command->program = first;
        break;
    case 'A':
        add(command->argv, &command->arguments, first);
        break;
    case 'E':
        add(command->env, &command->variables, first);
        break;
    case 'M':
        make_above(joined(first, "."));
        break;
    case 'R':
        run(command);
        break;
    case 'O':
    case 'o':
        keep(first, second, line[0] == 'O');
        break;
    default:
        fail("the plan has a line that is not understood: %s", line);
    }
}

int main(void)
{
    static struct command command;
    const char *plan = getenv("planPath");
    FILE *file = plan != NULL ? fopen(plan, "re") : NULL;
    if (file == NULL)
        fail("no plan");
    umask(022);
    errno = EPERM;
    if (getpid() != 1)
        fail("nix's sandbox is off, and commands are to be run at their own paths (sandbox = true)");
    need_own_root();
    char *line = NULL;
    size_t size = 0;
    for (ssize_t n; (n = getline(&line, &size, file)) > 0; line = NULL, size = 0) { /* words of a line are kept */
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        do_line(line, &command);
    }
    fclose(file);
    return 0;
}
