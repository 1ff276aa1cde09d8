/* What a hostile command does on a worker, for tests/aws/test_intruder.py.
 *
 *   intruder do TRICK [ARGUMENT…]     does it, and prints whatever it could read that is not its own; 9: it could not try
 *   intruder look OBJECT…             prints whatever is there that is neither its own nor the worker's, nothing if all is well
 *
 * First it leaves the path map: it is started again by the same loader, without LD_PRELOAD. So all paths are the worker's.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define OBJECTS "/tmp/gg/objects/"
#define RUN "/tmp/gg/run/"
#define NAME "gg-intruder"
#define PATH 4096

static char **words;
static int count;

static void try(int ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "cannot try: %s: %s\n", what, strerror(errno));
        exit(9);
    }
}

static int is_given(const char *name) {
    for (int i = 0; i < count; i++)
        if (strncmp(name, words[i], strlen(words[i])) == 0)
            return 1;
    return 0;
}

static void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    try(fd >= 0 && write(fd, text, strlen(text)) >= 0, path);
    close(fd);
}

/* Looking */

static const int KEYRINGS[] = {KEY_SPEC_SESSION_KEYRING, KEY_SPEC_USER_KEYRING, KEY_SPEC_USER_SESSION_KEYRING};
#define LONG_AGO 1234567
#define FLAGS (FS_NOATIME_FL | FS_NODUMP_FL)

static int flags_of(int fd) {
    int flags = 0;
    return ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 ? flags : 0;
}

/* What of a file or a directory is neither its name nor its bytes. */
static int is_marked(const char *path) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_NOFOLLOW);
    int marked = fd >= 0 && ((flags_of(fd) & FLAGS) != 0 || flistxattr(fd, NULL, 0) > 0);
    marked |= lstat(path, &info) == 0 && (info.st_mtime == LONG_AGO || info.st_atime == LONG_AGO);
    if (fd >= 0)
        close(fd);
    return marked;
}

static void find_in(const char *directory, int (*fine)(const char *directory, const char *name)) {
    DIR *open_directory = opendir(directory);
    if (open_directory == NULL) {
        printf("%s: %s\n", directory, strerror(errno));
        return;
    }
    for (struct dirent *entry; (entry = readdir(open_directory)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && !fine(directory, entry->d_name))
            printf("%s/%s\n", directory, entry->d_name);
    closedir(open_directory);
}

static int of_tmp(const char *directory, const char *name) {
    (void)directory;
    return strcmp(name, "gg") == 0;
}

static int of_worker(const char *directory, const char *name) {
    (void)directory;
    return strcmp(name, "objects") == 0 || strcmp(name, "libraries") == 0 || strcmp(name, "run") == 0;
}

static int of_run(const char *directory, const char *name) {
    (void)directory;
    return strcmp(name, "w") == 0 || strcmp(name, "gone") == 0 || strcmp(name, "tmp") == 0 || strcmp(name, "map") == 0;
}

static int of_objects(const char *directory, const char *name) {
    char path[PATH];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return is_given(name) && lstat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1 && !is_marked(path) &&
           (info.st_mode & 0222) == 0;
}

static int of_libraries(const char *directory, const char *name) {
    char path[PATH], target[PATH] = "";
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return readlink(path, target, sizeof target - 1) > 0 && strncmp(target, OBJECTS, strlen(OBJECTS)) == 0 &&
           is_given(target + strlen(OBJECTS));
}

static int directory_of_libraries(const char *directory, const char *name) {
    char path[PATH];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    find_in(path, of_libraries);
    return 1;
}

static int of_processes(const char *directory, const char *name) {
    (void)directory;
    int pid = atoi(name);
    return pid <= 1 || pid == getpid() || pid == getppid();
}

static int of_descriptors(const char *directory, const char *name) {
    char path[PATH], target[PATH] = "";
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return atoi(name) <= 2 || (readlink(path, target, sizeof target - 1) > 0 && strstr(target, "/fd") != NULL);
}

static void look_at_ipc(void) {
    const char *files[] = {"/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg"};
    char line[1024];
    for (int i = 0; i < 3; i++) {
        FILE *file = fopen(files[i], "r");
        for (int n = 0; file != NULL && fgets(line, sizeof line, file) != NULL; n++)
            if (n > 0)
                printf("%s: %s", files[i], line);
        if (file != NULL)
            fclose(file);
    }
    if (mq_open("/" NAME, O_RDWR) >= 0)
        printf("a message queue\n");
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0" NAME};
    if (connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&address, sizeof(sa_family_t) + 1 + strlen(NAME)) == 0)
        printf("an abstract socket\n");
}

static void look_at_keys(void) {
    for (int i = 0; i < 3; i++)
        if (syscall(SYS_keyctl, KEYCTL_SEARCH, KEYRINGS[i], "user", NAME, 0) > 0)
            printf("a key in ring %d\n", KEYRINGS[i]);
    if (syscall(SYS_request_key, "user", NAME, NULL, 0) > 0)
        printf("a key\n");
}

static void look_at_input(void) {
    if ((fcntl(0, F_GETFL) & (O_APPEND | O_NONBLOCK)) != 0 || fcntl(0, F_GETOWN) != 0 || fcntl(0, F_GETSIG) != 0)
        printf("standard input has flags %x, owner %d\n", fcntl(0, F_GETFL), fcntl(0, F_GETOWN));
    if (flock(open("/dev/null", O_RDONLY), LOCK_EX | LOCK_NB) != 0)
        printf("/dev/null is locked\n");
}

static void look_at_worker(void) { /* whose standing is inherited */
    const char *files[][2] = {{"oom_score_adj", "777"}, {"coredump_filter", "00000007"}, {"autogroup", "nice 7"}};
    char path[PATH], text[256] = "";
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (int parent = 0; parent < 2; parent++) {
            snprintf(path, sizeof path, "/proc/%d/%s", parent ? getppid() : getpid(), files[i][0]);
            int fd = open(path, O_RDONLY);
            if (fd >= 0 && read(fd, text, sizeof text - 1) > 0 && strstr(text, files[i][1]) != NULL)
                printf("%s: %s", path, text);
            memset(text, 0, sizeof text);
        }
    if (prctl(PR_GET_TIMERSLACK) == 777)
        printf("timers have slack\n");
}

static void look_at_standing(void) {
    struct rlimit limit;
    struct stat info;
    cpu_set_t set, first;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 64)
        printf("%d descriptors\n", (int)limit.rlim_cur);
    getrlimit(RLIMIT_FSIZE, &limit);
    if (limit.rlim_cur != RLIM_INFINITY)
        printf("files of %lld bytes\n", (long long)limit.rlim_cur);
    if (getpriority(PRIO_PROCESS, 0) != getpriority(PRIO_PROCESS, 1)) /* the environment's first process has its first standing */
        printf("nice %d\n", getpriority(PRIO_PROCESS, 0));
    if (sched_getaffinity(0, sizeof set, &set) == 0 && sched_getaffinity(1, sizeof first, &first) == 0 &&
        CPU_COUNT(&set) < CPU_COUNT(&first))
        printf("%d processors\n", CPU_COUNT(&set));
    if (stat("/tmp", &info) != 0 || (info.st_mode & 0700) != 0700 || listxattr("/tmp", NULL, 0) > 0)
        printf("/tmp of mode %o\n", info.st_mode);
    const char *places[] = {"/tmp", "/tmp/gg", "/tmp/gg/objects", "/tmp/gg/libraries", "/tmp/gg/run", "/tmp/gg/run/tmp"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (is_marked(places[i]))
            printf("%s has attributes, flags or times\n", places[i]);
    if ((fcntl(1, F_GETFL) & (O_APPEND | O_NONBLOCK)) != 0)
        printf("standard output has flags %x\n", fcntl(1, F_GETFL));
}

/* Reading what the worker or others keep to themselves */

static void find_secret(const char *path) {
    static char data[1 << 20];
    int fd = open(path, O_RDONLY);
    ssize_t size = fd < 0 ? 0 : read(fd, data, sizeof data - 1);
    for (ssize_t i = 0; i + 21 < size; i++)
        if (memcmp(data + i, "AWS_SECRET_ACCESS_KEY", 21) == 0 && data[i + 22] != 0)
            printf("%s: %.40s\n", path, data + i);
    if (fd >= 0)
        close(fd);
}

static void read_environments(void) {
    DIR *processes = opendir("/proc");
    char path[PATH];
    for (struct dirent *entry; (entry = readdir(processes)) != NULL;) {
        if (atoi(entry->d_name) <= 0)
            continue;
        const char *names[] = {"environ", "cmdline"};
        for (int i = 0; i < 2; i++) {
            snprintf(path, sizeof path, "/proc/%s/%s", entry->d_name, names[i]);
            find_secret(path);
        }
    }
    closedir(processes);
}

static void read_memory(void) {
    char path[PATH], data[16];
    int worker = getppid();
    const char *names[] = {"mem", "environ", "maps", "syscall", "stack", "auxv", "io"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", worker, names[i]);
        int fd = open(path, O_RDONLY);
        if (fd >= 0 && pread(fd, data, sizeof data, 0) > 0)
            printf("%s can be read\n", path);
    }
    const char *links[] = {"exe", "cwd", "root", "fd/0", "fd/1"};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", worker, links[i]);
        if (readlink(path, data, sizeof data) > 0)
            printf("%s can be followed\n", path);
    }
    struct iovec here = {data, sizeof data}, there = {&errno, sizeof data};
    if (process_vm_readv(worker, &here, 1, &there, 1, 0) > 0)
        printf("its memory can be read\n");
    if (ptrace(PTRACE_SEIZE, worker, 0, 0) == 0)
        printf("it can be traced\n");
    if (syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, worker, 0), 0, 0) >= 0)
        printf("its descriptors can be taken\n");
}

/* Changing what the next command gets */

static void object(char *path, const char *name) {
    snprintf(path, PATH, OBJECTS "%s.x", name);
}

static void poison(const char *name) { /* the same size, inode and times, but for ctime */
    char path[PATH];
    struct stat info;
    object(path, name);
    try(stat(path, &info) == 0 && chmod(path, 0700) == 0, path);
    int fd = open(path, O_RDWR);
    try(fd >= 0 && pwrite(fd, "\177EVL", 4, 0) == 4, "pwrite");
    close(fd);
    struct timespec times[2] = {info.st_atim, info.st_mtim};
    try(chmod(path, info.st_mode) == 0 && utimensat(AT_FDCWD, path, times, 0) == 0, "utimensat");
}

static void swap(const char *name) { /* another file of the same size, with its times */
    char path[PATH];
    struct stat info;
    object(path, name);
    try(stat(path, &info) == 0, path);
    write_file("/tmp/evil", "#!/bin/sh\necho evil\n");
    struct timespec times[2] = {info.st_atim, info.st_mtim};
    try(truncate("/tmp/evil", info.st_size) == 0 && chmod("/tmp/evil", 0555) == 0, "truncate");
    try(utimensat(AT_FDCWD, "/tmp/evil", times, 0) == 0 && rename("/tmp/evil", path) == 0, "rename");
}

static void replace(const char *name) { /* by a directory that nobody may enter */
    char path[PATH], inner[PATH + 8];
    object(path, name);
    try(unlink(path) == 0 && mkdir(path, 0700) == 0, path);
    snprintf(inner, sizeof inner, "%s/x", path);
    write_file(inner, "x");
    try(chmod(path, 0) == 0, "chmod");
}

static void plant(const char *name) { /* links where the worker writes next */
    char path[PATH];
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof path, OBJECTS "aside%d", i);
        try(symlink("/tmp/gg/objects/victim", path) == 0 || errno == EEXIST, path);
    }
    snprintf(path, sizeof path, OBJECTS "%s.x.aside", name);
    try(symlink("/tmp/gg/objects/victim", path) == 0, path);
}

static void leave_files(void) {
    write_file("/tmp/left", "x");
    write_file("/tmp/new\nline\xff", "x");
    try(mkfifo("/tmp/fifo", 0600) == 0 && symlink("/proc/self", "/tmp/link") == 0, "mkfifo");
    try(mkdir("/tmp/closed", 0700) == 0 && chdir("/tmp/closed") == 0, "mkdir");
    for (int i = 0; i < 3000; i++)
        try(mkdir("a-name-that-is-rather-long", 0700) == 0 && chdir("a-name-that-is-rather-long") == 0, "deep");
    write_file("x", "x");
    try(chmod(".", 0) == 0 && chdir("/tmp") == 0 && chmod("/tmp/closed", 0) == 0, "chmod");
    write_file("/tmp/gg/left", "x");
    write_file(RUN "left", "x");
    write_file(RUN "tmp/left", "x");
    write_file("/tmp/gg/libraries/left", "x");
}

static void change_modes(void) {
    static const unsigned char acl[] = {2, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255, 4, 0, 0, 0, 255, 255, 255, 255,
                                        32, 0, 0, 0, 255, 255, 255, 255};
    if (setxattr("/tmp/gg/objects", "system.posix_acl_default", acl, sizeof acl, 0) != 0)
        setxattr("/tmp", "user.left", "x", 1, 0);
    try(chmod("/tmp/gg/objects", 0) == 0 && chmod("/tmp/gg", 0) == 0 && chmod("/tmp", 0) == 0, "chmod");
}

static void change_libraries(void) {
    DIR *top = opendir("/tmp/gg/libraries");
    char path[PATH];
    for (struct dirent *entry; (entry = readdir(top)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/tmp/gg/libraries/%s/libc.so.6", entry->d_name);
        try(unlink(path) == 0 && symlink("/dev/null", path) == 0, path);
    }
}

static void link_map(const char *name) { /* the next map would be written over the object */
    char path[PATH];
    object(path, name);
    try(chmod(path, 0755) == 0 && unlink(RUN "map") == 0 && link(path, RUN "map") == 0, path);
}

static void leave_ipc(void) {
    try(shmget(4711, 100, IPC_CREAT | 0600) >= 0, "shmget");
    try(semget(4711, 1, IPC_CREAT | 0600) >= 0 && msgget(4711, IPC_CREAT | 0600) >= 0, "semget");
}

static void leave_queue(void) {
    struct rlimit more = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MSGQUEUE, &more);
    if (mq_open("/" NAME, O_RDWR | O_CREAT, 0600, NULL) < 0 && errno == ENOSYS)
        exit(9);
}

static void leave_keys(void) {
    int made = 0;
    for (int i = 0; i < 3; i++)
        made += syscall(SYS_add_key, "user", NAME, "x", 1, KEYRINGS[i]) > 0;
    if (made == 0)
        exit(9);
}

static void change_input(void) { /* of which the worker may have a descriptor too */
    try(fcntl(0, F_SETFL, O_APPEND | O_NONBLOCK) == 0 && flock(0, LOCK_EX | LOCK_NB) == 0, "stdin");
    fcntl(0, F_SETOWN, getpid());
    fcntl(0, F_SETSIG, SIGUSR1);
}

static void mark(const char *path) { /* what says nothing of its bytes */
    const struct timespec times[2] = {{LONG_AGO, 0}, {LONG_AGO, 0}};
    int fd = open(path, O_RDONLY), flags = flags_of(fd) | FLAGS;
    ioctl(fd, FS_IOC_SETFLAGS, &flags);
    close(fd);
    try(utimensat(AT_FDCWD, path, times, 0) == 0, path);
}

static void mark_all(const char *name) {
    char path[PATH];
    object(path, name);
    mark(path);
    try(setxattr(path, "user.left", "x", 1, 0) == 0 || errno == ENOTSUP || errno == EACCES, "setxattr");
    try(chmod(path, 0755) == 0, "chmod");
    mark("/tmp/gg/objects");
    mark("/tmp/gg/libraries");
    mark("/tmp/gg/run/tmp");
    mark("/tmp/gg/run");
    mark("/tmp/gg");
    mark("/tmp");
}

/* Outliving the command */

static void become_daemon(void) {
    if (fork() != 0)
        exit(0);
    setsid();
    if (fork() != 0)
        _exit(0);
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_IGN);
    for (int fd = 0; fd < 64; fd++)
        close(fd);
}

static void outlive(void) {
    become_daemon();
    for (;;)
        sleep(1);
}

static void outrun(void) { /* each is gone before anybody can have killed it */
    become_daemon();
    for (int i = 0; i < 6; i++)
        fork();
    for (;;)
        if (fork() != 0)
            _exit(0);
}

static void multiply(void) {
    become_daemon();
    for (int i = 0; i < 5; i++)
        if (fork() == 0)
            setsid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (;;)
        pause();
}

static void listen_on(void) {
    become_daemon();
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0" NAME};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bind(fd, (void *)&address, sizeof(sa_family_t) + 1 + strlen(NAME));
    listen(fd, 5);
    for (;;)
        pause();
}

static void poison_later(const char *name) { /* by a descriptor that is open already */
    char path[PATH];
    object(path, name);
    try(chmod(path, 0700) == 0, path);
    int fd = open(path, O_RDWR);
    try(fd >= 0 && chmod(path, 0555) == 0 && dup2(fd, 100) == 100, path);
    become_daemon();
    usleep(20000);
    for (;;)
        if (pwrite(100, "\177EVL", 4, 0) != 4)
            _exit(1);
}

static void evade(void) { /* the deadline kills the group that it was started in */
    int other = fork();
    if (other == 0) {
        setpgid(0, 0);
        for (;;)
            pause();
    }
    usleep(100000);
    try(setpgid(0, other) == 0, "setpgid");
    for (;;)
        pause();
}

/* The worker's own hand: it looks at what a command has left */

static void say_written(void) {
    int fd = open(RUN "map", O_WRONLY);
    try(fd >= 0 && pwrite(fd, "\1", 1, 20) == 1, "map");
}

static void lead_out(void) { /* through a directory that is a link */
    char cwd[PATH], path[2 * PATH];
    try(getcwd(cwd, sizeof cwd) != NULL, "getcwd");
    say_written();
    try(symlink("/proc/self", "leads-out") == 0, "symlink");
    snprintf(path, sizeof path, "%s/leads-out/environ", strstr(cwd, RUN "w") == cwd ? cwd + strlen(RUN "w") : cwd);
    try(symlink(path, "out") == 0 && symlink("leads-out/status", "out2") == 0, "symlink");
}

static void replace_overlay(void) {
    say_written();
    try(rename(RUN "w", RUN "old") == 0 && symlink("/proc/self", RUN "w") == 0, "rename");
}

static void replace_report(void) {
    unlink(RUN "report");
    try(mkfifo(RUN "report", 0600) == 0, "report");
}

static void replace_map(void) {
    try(unlink(RUN "map") == 0 && mkfifo(RUN "map", 0600) == 0, "map");
}

static void lie_in_report(void) {
    unlink(RUN "report");
    write_file(RUN "report", "Zunknown");
    try(truncate(RUN "report", 1L << 36) == 0, "truncate");
}

static void say_much(void) {
    try(ftruncate(1, 1L << 40) == 0, "ftruncate");
}

static void write_much(void) {
    say_written();
    write_file("out", "x");
    try(truncate("out", 1L << 40) == 0, "truncate");
}

static void move_away(void) {
    try(rename("/tmp/gg", "/tmp/old") == 0 && mkdir("/tmp/gg", 0700) == 0, "rename");
    try(symlink("/tmp/old/objects", "/tmp/gg/objects") == 0, "symlink");
}

static void move_objects(void) { /* so that what is put back is not what the worker uses */
    try(rename("/tmp/gg/objects", "/tmp/gg/old") == 0 && mkdir("/tmp/gg/objects", 0700) == 0, "rename");
    write_file(OBJECTS "left", "x");
}

/* The worker itself */

static void limit_hard(void) { /* nothing that the worker would end of by itself */
    struct rlimit some = {1L << 30, 1L << 30};
    try(prlimit(getppid(), RLIMIT_FSIZE, &some, NULL) == 0, "prlimit");
}

static void limit_soft(void) {
    struct rlimit none = {0, RLIM_INFINITY};
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    try(prlimit(getppid(), RLIMIT_FSIZE, &none, NULL) == 0, "prlimit");
    try(sched_setaffinity(getppid(), sizeof one, &one) == 0, "sched_setaffinity");
}

static void slow_down(void) {
    try(setpriority(PRIO_PROCESS, getppid(), 19) == 0, "setpriority");
}

static void share_output(void) {
    try(fcntl(1, F_SETFL, O_APPEND | O_NONBLOCK) == 0 && flock(1, LOCK_EX) == 0, "fcntl");
    fcntl(1, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK);
}

static void change_worker(void) { /* by its files in /proc */
    char path[PATH];
    const char *files[][2] = {{"oom_score_adj", "777"}, {"coredump_filter", "0x7"}, {"autogroup", "7"}, {"timerslack_ns", "777"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", getppid(), files[i][0]);
        int fd = open(path, O_WRONLY);
        if (fd >= 0 && write(fd, files[i][1], strlen(files[i][1])) > 0)
            close(fd);
    }
    const char *other[] = {"comm", "uid_map", "attr/current", "loginuid", "mem", "setgroups"};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", getppid(), other[i]);
        int fd = open(path, O_WRONLY);
        if (fd >= 0 && write(fd, "1", 1) > 0)
            printf("%s can be written\n", path);
    }
}

static const struct trick {
    const char *name;
    void (*plain)(void);
    void (*with)(const char *name);
} tricks[] = {
    {"environments", read_environments, NULL},
    {"memory", read_memory, NULL},
    {"poison", NULL, poison},
    {"swap", NULL, swap},
    {"replace", NULL, replace},
    {"plant", NULL, plant},
    {"files", leave_files, NULL},
    {"modes", change_modes, NULL},
    {"libraries", change_libraries, NULL},
    {"map-link", NULL, link_map},
    {"ipc", leave_ipc, NULL},
    {"queue", leave_queue, NULL},
    {"keys", leave_keys, NULL},
    {"input", change_input, NULL},
    {"marks", NULL, mark_all},
    {"worker-files", change_worker, NULL},
    {"outlive", outlive, NULL},
    {"outrun", outrun, NULL},
    {"multiply", multiply, NULL},
    {"listen", listen_on, NULL},
    {"poison-later", NULL, poison_later},
    {"evade", evade, NULL},
    {"lead-out", lead_out, NULL},
    {"overlay", replace_overlay, NULL},
    {"report", replace_report, NULL},
    {"lie", lie_in_report, NULL},
    {"map", replace_map, NULL},
    {"say-much", say_much, NULL},
    {"write-much", write_much, NULL},
    {"move-away", move_away, NULL},
    {"move-objects", move_objects, NULL},
    {"limit-hard", limit_hard, NULL},
    {"limit-soft", limit_soft, NULL},
    {"slow-down", slow_down, NULL},
    {"output", share_output, NULL},
};

/* The same program again, started by the same loader, which the path map does not see. */
static void escape(void) {
    static char line[1 << 16], loader[PATH];
    char *argv[512], *envp[] = {NULL};
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY), n = 0;
    ssize_t size = syscall(SYS_read, fd, line, sizeof line - 1);
    try(size > 0 && syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", loader, sizeof loader - 1) > 0, "escape");
    syscall(SYS_close, fd);
    for (char *at = line; at < line + size && n < 511; at += strlen(at) + 1)
        argv[n++] = at;
    argv[n] = NULL;
    syscall(SYS_execve, loader, argv, envp);
    try(0, "execve");
}

int main(int argc, char **argv) {
    if (getenv("GG_MAP") != NULL)
        escape();
    words = argv + 2;
    count = argc - 2;
    if (argc > 1 && strcmp(argv[1], "look") == 0) {
        look_at_standing();
        find_in("/tmp", of_tmp);
        find_in("/tmp/gg", of_worker);
        find_in("/tmp/gg/run", of_run);
        find_in("/tmp/gg/objects", of_objects);
        find_in("/tmp/gg/libraries", directory_of_libraries);
        find_in("/proc", of_processes);
        find_in("/proc/self/fd", of_descriptors);
        look_at_ipc();
        look_at_keys();
        look_at_worker();
        look_at_input();
        read_environments();
        return 0;
    }
    for (size_t i = 0; argc > 2 && i < sizeof tricks / sizeof *tricks; i++)
        if (strcmp(argv[2], tricks[i].name) == 0) {
            tricks[i].plain != NULL ? tricks[i].plain() : tricks[i].with(argv[3]);
            return 0;
        }
    return 9;
}
