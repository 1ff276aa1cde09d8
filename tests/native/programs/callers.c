/* callers VARIANT PROGRAM: execute PROGRAM with the arguments "one" and "two words" by one function of the C library.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int finish(int error, const pid_t *child)
{
    int status;
    if (error != 0 || waitpid(*child, &status, 0) != *child)
        return 99;
    return WEXITSTATUS(status);
}

/* By a function that glibc has since 2.39, or else by the older one, as programs do that look for it. */
static int by_descriptor(const char *function, char *path, char *const list[])
{
    int (*spawn)(int *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[],
                 char *const[]);
    *(void **)&spawn = dlsym(RTLD_DEFAULT, function);
    int fd;
    int error = spawn == NULL ? ENOSYS : spawn(&fd, path, NULL, NULL, list, environ);
    pid_t child;
    if (error == ENOSYS)
        return finish(posix_spawnp(&child, path, NULL, NULL, list, environ), &child);
    siginfo_t ended;
    return error != 0 || waitid((idtype_t)3, (id_t)fd, &ended, WEXITED) != 0 ? 99 : ended.si_status; /* P_PIDFD */
}

int main(int argc, char *argv[])
{
    if (argc != 3)
        return 98;
    const char *how = argv[1];
    char *path = argv[2], *name = "tool";
    char *list[] = {name, "one", "two words", NULL};
    char *empty[] = {NULL};
    pid_t child = 0;
    if (strcmp(how, "execve") == 0)
        execve(path, list, environ);
    else if (strcmp(how, "execve-empty") == 0)
        execve(path, list, empty);
    else if (strcmp(how, "execv") == 0)
        execv(path, list);
    else if (strcmp(how, "execvp") == 0)
        execvp(path, list);
    else if (strcmp(how, "execvpe") == 0)
        execvpe(path, list, environ);
    else if (strcmp(how, "execl") == 0)
        execl(path, name, "one", "two words", (char *)NULL);
    else if (strcmp(how, "execlp") == 0)
        execlp(path, name, "one", "two words", (char *)NULL);
    else if (strcmp(how, "execle") == 0)
        execle(path, name, "one", "two words", (char *)NULL, environ);
    else if (strcmp(how, "execveat") == 0)
        execveat(AT_FDCWD, path, list, environ, 0);
    else if (strcmp(how, "fexecve") == 0)
        fexecve(open(path, O_RDONLY), list, environ);
    else if (strcmp(how, "posix_spawn") == 0)
        return finish(posix_spawn(&child, path, NULL, NULL, list, environ), &child);
    else if (strcmp(how, "posix_spawnp") == 0)
        return finish(posix_spawnp(&child, path, NULL, NULL, list, environ), &child);
    else if (strncmp(how, "pidfd_spawn", 11) == 0)
        return by_descriptor(how, path, list);
    else if (strcmp(how, "vfork") == 0) {
        child = vfork();
        if (child == 0) {
            execv(path, list);
            _exit(97);
        }
        return finish(0, &child);
    } else if (strcmp(how, "system") == 0) {
        char command[4096];
        snprintf(command, sizeof command, "exec %s one 'two words'", path);
        return WEXITSTATUS(system(command));
    } else if (strcmp(how, "popen") == 0) {
        char command[4096];
        snprintf(command, sizeof command, "exec %s one 'two words'", path);
        FILE *pipe = popen(command, "r");
        return pipe == NULL ? 96 : WEXITSTATUS(pclose(pipe));
    }
    perror(path);
    return 95;
}
