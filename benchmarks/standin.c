/* A stand-in for compilers, linkers and archivers. It stands on PATH under their names, notes each call, and then
   becomes the real tool, or, as a null tool, only creates the outputs.

   GG_COMMAND_LOG=FILE  Each call appends one record in a single write, so that parallel builds do not mix:
                          u32 length of what follows (host order), then strings each ended by NUL: the directory,
                          argv[0], argv[1], ...
   GG_NULL_TOOLS=1      Compiles, links and archives create their outputs and the dependency file and read nothing:
                        the floor of what a build costs without its tools. Questions (--version, -E, -M, -print-*,
                        conftest.*, a source on standard input) still go to the real tool.

   The real tool is the next one of that name on PATH, and runs with a PATH that has no directory of ours: what it
   starts itself (gcc runs as and ld through PATH) is neither noted nor replaced. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void die(const char *what) {
    fprintf(stderr, "stand-in: %s: %s\n", what, strerror(errno));
    exit(127);
}

static int starts(const char *text, const char *prefix) { return !strncmp(text, prefix, strlen(prefix)); }

static int ends(const char *text, const char *suffix) {
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && !strcmp(text + n - m, suffix);
}

static void note(const char *file, char **argv) {
    char cwd[PATH_MAX];
    if (!getcwd(cwd, sizeof cwd)) die("getcwd");
    size_t size = sizeof(uint32_t) + strlen(cwd) + 1;
    for (char **arg = argv; *arg; arg++) size += strlen(*arg) + 1;
    char *record = malloc(size), *at = record + sizeof(uint32_t);
    if (!record) die("malloc");
    uint32_t length = (uint32_t)(size - sizeof length);
    memcpy(record, &length, sizeof length);
    at = stpcpy(at, cwd) + 1;
    for (char **arg = argv; *arg; arg++) at = stpcpy(at, *arg) + 1;
    int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, record, size) != (ssize_t)size) die(file);
    close(fd);
}

/* PATH without the directories in which `name` is this very program: gcc looks itself up there to find cc1. */
static char *path_without_us(const char *path, const char *name) {
    struct stat self, found;
    if (stat("/proc/self/exe", &self)) die("/proc/self/exe");
    char *kept = calloc(1, strlen(path) + 2), *end = kept;
    if (!kept) die("calloc");
    for (const char *dir = path, *next; *dir; dir = *next ? next + 1 : next) {
        char candidate[PATH_MAX];
        next = dir + strcspn(dir, ":");
        snprintf(candidate, sizeof candidate, "%.*s/%s", (int)(next - dir), dir, name);
        if (!stat(candidate, &found) && found.st_dev == self.st_dev && found.st_ino == self.st_ino) continue;
        end += sprintf(end, "%s%.*s", end == kept ? "" : ":", (int)(next - dir), dir);
    }
    return kept;
}

static void create(const char *path, const char *content, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0 || write(fd, content, strlen(content)) < 0) die(path);
    close(fd);
}

static int is_source(const char *name) {
    static const char *const known[] = {".c", ".cc",  ".cpp", ".cxx", ".c++", ".C", ".S",
                                        ".s", ".asm", ".m",   ".mm",  ".i",   ".ii"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof known / sizeof *known; i++)
        if (!strcmp(dot, known[i])) return 1;
    return 0;
}

struct call {
    const char *output, *depfile, *target, *source;
    int compile, depend, objects, question;
};

static void look_at(struct call *call, char **argv) {
    static const char *const valued[] = {"-MT", "-MQ", "-include", "-imacros", "-isystem", "-idirafter", "-iquote",
                                         "-x", "-I", "-D", "-U", "-L", "-l", "-T", "-u", "-z", "-Xlinker", "-soname",
                                         "--param", "-h", "-P", "-p", "-f", "-F"};
    for (char **arg = argv + 1; *arg; arg++) {
        char *text = *arg;
        if (strstr(text, "conftest") || !strcmp(text, "-") || starts(text, "-print") || starts(text, "--version") ||
            starts(text, "-dump") || !strcmp(text, "-E") || !strcmp(text, "-M") || !strcmp(text, "-MM") ||
            !strcmp(text, "-v") || !strcmp(text, "-V") || !strcmp(text, "-###") || starts(text, "--help"))
            call->question = 1;
        else if (!strcmp(text, "-o") && arg[1]) call->output = *++arg;
        else if (starts(text, "-o") && text[2]) call->output = text + 2;
        else if (!strcmp(text, "-MF") && arg[1]) call->depfile = *++arg;
        else if (!strcmp(text, "-MD") || !strcmp(text, "-MMD")) call->depend = 1;
        else if (!strcmp(text, "-c") || !strcmp(text, "-S")) call->compile = 1;
        else if (text[0] == '-') {
            for (size_t i = 0; i < sizeof valued / sizeof *valued; i++)
                if (!strcmp(text, valued[i]) && arg[1]) {
                    if (starts(text, "-M")) call->target = arg[1];
                    arg++;
                    break;
                }
        } else if (is_source(text)) call->source = text;
        else call->objects++;
    }
    if (!call->source && !call->objects) call->question = 1;
}

/* `name` with its directory and extension taken off and `extension` put on, as a compiler names its output. */
static const char *derived(const char *name, const char *extension) {
    static char out[PATH_MAX];
    const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name, *dot = strrchr(base, '.');
    snprintf(out, sizeof out, "%.*s%s", (int)(dot ? dot - base : (long)strlen(base)), base, extension);
    return out;
}

static void make_dependencies(const struct call *call, const char *output) {
    char path[PATH_MAX], rule[3 * PATH_MAX];
    const char *dot = strrchr(output, '.');
    snprintf(path, sizeof path, "%.*s.d", (int)(dot && !strchr(dot, '/') ? dot - output : (long)strlen(output)), output);
    snprintf(rule, sizeof rule, "%s: %s\n", call->target ? call->target : output, call->source);
    create(call->depfile ? call->depfile : path, rule, 0666);
}

/* Creates what the tool would; 0 when the real one must answer. */
static int only_outputs(const char *name, char **argv) {
    struct call call = {0};
    if (strstr(name, "ranlib")) return 1;
    if (ends(name, "nm") || strstr(name, "obj") || ends(name, "cpp")) return 0;
    look_at(&call, argv);
    if (ends(name, "strip")) {
        if (call.output) create(call.output, "#!/bin/sh\nexit 0\n", 0777);
        return 1;
    }
    if (call.question && !ends(name, "ar")) return 0;
    if (ends(name, "ar")) {
        if (!argv[1] || !argv[2] || strchr(argv[1], 't') || strchr(argv[1], 'x')) return 0;
        create(argv[2], "!<arch>\n", 0666);
        return 1;
    }
    int assembles = ends(name, "as") || ends(name, "asm"), links = !call.compile && !assembles;
    const char *output = call.output ? call.output : links ? "a.out" : derived(call.source, ".o");
    create(output, links ? "#!/bin/sh\nexit 0\n" : "", links ? 0777 : 0666);
    if ((call.depend || call.depfile) && call.source) make_dependencies(&call, output);
    return 1;
}

int main(int argc, char **argv) {
    (void)argc;
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0], *path = getenv("PATH");
    const char *log = getenv("GG_COMMAND_LOG");
    if (log) note(log, argv);
    if (getenv("GG_NULL_TOOLS") && only_outputs(name, argv)) return 0;
    setenv("PATH", path_without_us(path ? path : "/usr/bin:/bin", name), 1);
    argv[0] = (char *)name;
    execvp(name, argv);
    die(name);
}
