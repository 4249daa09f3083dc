/* Records what a process does to the files under one folder, so that a test can rebuild the disk as a power
 * cut at any moment could have left it. Preloaded into the writer; see disk.rs for what is made of the journal.
 *
 * POWERCUT_ROOT     the folder, absolute, without a trailing slash
 * POWERCUT_JOURNAL  where the journal goes; outside of the folder
 * POWERCUT_ACKS     what is written to this path becomes an acknowledgement in the journal, in order with the rest
 * POWERCUT_FAULT    while this file exists, writes fail: it says "ERRNO BYTES", and BYTES more bytes go well
 *
 * The kernel is called directly, not through the next library, so nothing has to be looked up. What a call
 * could have changed is journalled before it, that it has ended after it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITE = 1, WRITTEN, SYNC, SYNCED, RANGE, TRUNCATE, CREATE, MKDIR, RENAME, REMOVE, ACK, UNKNOWN };

/* The head of a record; `first` and then `second` bytes follow. Little-endian, as the machine is. */
struct head {
    uint32_t kind;
    uint32_t synchronous; /* the file has the synchronous flag, or was opened with O_SYNC or O_DSYNC */
    uint64_t inode;
    uint64_t at;    /* an offset, a length, or what a call answered */
    uint64_t token; /* joins the end of a call with its start */
    uint32_t first, second;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root, *acks, *fault;
static size_t root_len;
static int journal = -1;
static uint64_t tokens;

static void die(const char *why) {
    dprintf(2, "powercut: %s: %s\n", why, strerror(errno));
    _exit(97);
}

static void start(void) {
    const char *path = getenv("POWERCUT_JOURNAL");
    root = getenv("POWERCUT_ROOT");
    acks = getenv("POWERCUT_ACKS");
    fault = getenv("POWERCUT_FAULT");
    if (!root) return;
    root_len = strlen(root);
    if (!path) return;
    journal = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (journal < 0) die(path);
}

static int recording(void) {
    pthread_once(&once, start);
    return root != NULL;
}

/* Appends one record; what was said before stays said, whatever errno the caller is about to look at. */
static void say(struct head head, const void *first, const void *second) {
    if (journal < 0) return;
    int before = errno;
    struct iovec parts[3] = {
        {&head, sizeof head}, {(void *)first, head.first}, {(void *)second, head.second}};
    ssize_t all = sizeof head + head.first + head.second;
    pthread_mutex_lock(&lock);
    if (syscall(SYS_writev, journal, parts, 3) != all) die("the journal");
    pthread_mutex_unlock(&lock);
    errno = before;
}

static uint64_t next_token(void) { return __atomic_add_fetch(&tokens, 1, __ATOMIC_RELAXED); }

static int under_root(const char *path) {
    return !strncmp(path, root, root_len) && (path[root_len] == '/' || path[root_len] == 0);
}

/* The path behind a descriptor; an empty text where there is none. */
static void path_of(int fd, char out[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 1);
    out[n < 0 ? 0 : n] = 0;
}

/* A path as the calls with a folder's descriptor take it, made absolute. */
static void resolve(int dir, const char *path, char out[PATH_MAX]) {
    if (path[0] == '/' ) {
        snprintf(out, PATH_MAX, "%s", path);
        return;
    }
    char base[PATH_MAX];
    if (dir == AT_FDCWD) {
        if (syscall(SYS_getcwd, base, sizeof base) < 0) base[0] = 0;
    } else {
        path_of(dir, base);
    }
    if (snprintf(out, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) out[0] = 0;
}

static const char *below_root(const char *path) { return path[root_len] ? path + root_len + 1 : ""; }

/* What is known of a descriptor that is written through. */
struct target {
    enum { OTHER, FILE_UNDER_ROOT, ACKS } what;
    uint64_t inode;
    int synchronous;
    char path[PATH_MAX];
};

static int is_synchronous(int fd) {
    int flags = 0;
    if (syscall(SYS_ioctl, fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_SYNC_FL)) return 1;
    long open_flags = syscall(SYS_fcntl, fd, F_GETFL);
    return open_flags > 0 && (open_flags & (O_SYNC | O_DSYNC));
}

static struct target look(int fd) {
    int before = errno;
    struct target target = {.what = OTHER};
    struct stat stat;
    if (recording() && fd != journal && fstat(fd, &stat) == 0 && (S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode))) {
        path_of(fd, target.path);
        if (under_root(target.path)) {
            target.what = FILE_UNDER_ROOT;
            target.inode = stat.st_ino;
            target.synchronous = is_synchronous(fd);
        } else if (acks && !strcmp(target.path, acks)) {
            target.what = ACKS;
        }
    }
    errno = before;
    return target;
}

/* A call that this library does not follow would make the rebuilt disk wrong: the test is told. */
static void unknown(int fd, const char *call) {
    struct target target = look(fd);
    if (target.what != FILE_UNDER_ROOT) return;
    say((struct head){.kind = UNKNOWN, .first = strlen(call), .second = strlen(target.path)}, call, target.path);
}

/* How many of `n` bytes may be written, or -1 with errno, while the fault is there. */
static ssize_t allowed(size_t n) {
    static pthread_mutex_t budget_lock = PTHREAD_MUTEX_INITIALIZER;
    static struct timespec seen;
    static long long budget;
    struct stat stat_;
    int before = errno;
    if (!fault || stat(fault, &stat_) != 0) {
        errno = before;
        return n;
    }
    int code = EIO;
    long long bytes = 0;
    char text[64] = "";
    int fd = syscall(SYS_openat, AT_FDCWD, fault, O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0) {
        if (syscall(SYS_read, fd, text, sizeof text - 1) > 0) sscanf(text, "%d %lld", &code, &bytes);
        syscall(SYS_close, fd);
    }
    pthread_mutex_lock(&budget_lock);
    if (memcmp(&seen, &stat_.st_mtim, sizeof seen)) seen = stat_.st_mtim, budget = bytes;
    ssize_t may = budget < (long long)n ? budget : (long long)n;
    budget -= may;
    pthread_mutex_unlock(&budget_lock);
    errno = before;
    if (may > 0 || n == 0) return may;
    errno = code;
    return -1;
}

static ssize_t write_at(int fd, const void *data, size_t n, off_t offset, int positioned) {
    struct target target = look(fd);
    if (target.what == ACKS) {
        say((struct head){.kind = ACK, .first = n}, data, NULL);
        return n;
    }
    if (target.what == OTHER)
        return positioned ? syscall(SYS_pwrite64, fd, data, n, offset) : syscall(SYS_write, fd, data, n);
    ssize_t may = allowed(n);
    if (may < 0) return -1;
    if (!positioned) {
        int append = syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND;
        offset = syscall(SYS_lseek, fd, 0, append ? SEEK_END : SEEK_CUR);
    }
    uint64_t token = next_token();
    say((struct head){WRITE, target.synchronous, target.inode, offset, token, may, 0}, data, NULL);
    ssize_t done = positioned ? syscall(SYS_pwrite64, fd, data, may, offset) : syscall(SYS_write, fd, data, may);
    say((struct head){WRITTEN, target.synchronous, target.inode, done < 0 ? 0 : done, token, 0, 0}, NULL, NULL);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t offset) { return write_at(fd, data, n, offset, 1); }
ssize_t pwrite(int fd, const void *data, size_t n, off_t offset) { return write_at(fd, data, n, offset, 1); }
ssize_t write(int fd, const void *data, size_t n) { return write_at(fd, data, n, 0, 0); }

ssize_t writev(int fd, const struct iovec *parts, int n) {
    if (recording()) unknown(fd, "writev");
    return syscall(SYS_writev, fd, parts, n);
}

ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t offset) {
    if (recording()) unknown(fd, "pwritev");
    return syscall(SYS_pwritev, fd, parts, n, offset, 0);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t len) {
    if (recording()) unknown(fd, "fallocate");
    return syscall(SYS_fallocate, fd, mode, offset, len);
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t n, unsigned flags) {
    if (recording()) unknown(out, "copy_file_range");
    return syscall(SYS_copy_file_range, in, from, out, to, n, flags);
}

ssize_t sendfile64(int out, int in, off64_t *from, size_t n) {
    if (recording()) unknown(out, "sendfile");
    return syscall(SYS_sendfile, out, in, from, n);
}

static int sync_file(int fd, long call) {
    struct target target = look(fd);
    uint64_t token = next_token();
    if (target.what == FILE_UNDER_ROOT) {
        if (allowed(1) < 0) return -1;
        say((struct head){SYNC, 0, target.inode, 0, token, 0, 0}, NULL, NULL);
    }
    int answer = syscall(call, fd);
    if (target.what == FILE_UNDER_ROOT && answer == 0)
        say((struct head){SYNCED, 0, target.inode, 0, token, 0, 0}, NULL, NULL);
    return answer;
}

int fsync(int fd) { return sync_file(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_file(fd, SYS_fdatasync); }

/* Starts the writing and waits for it, but flushes no disk cache and no metadata: it makes nothing durable. */
int sync_file_range(int fd, off64_t offset, off64_t n, unsigned flags) {
    struct target target = look(fd);
    if (target.what == FILE_UNDER_ROOT) say((struct head){RANGE, 0, target.inode, offset, n, 0, 0}, NULL, NULL);
    return syscall(SYS_sync_file_range, fd, offset, n, flags);
}

int ftruncate64(int fd, off64_t len) {
    struct target target = look(fd);
    if (target.what == FILE_UNDER_ROOT) say((struct head){TRUNCATE, 0, target.inode, len, 0, 0, 0}, NULL, NULL);
    return syscall(SYS_ftruncate, fd, len);
}
int ftruncate(int fd, off_t len) { return ftruncate64(fd, len); }

static int open_at(int dir, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    struct stat stat_;
    if (!recording() || !(flags & (O_CREAT | O_TRUNC))) return syscall(SYS_openat, dir, path, flags, mode);
    resolve(dir, path, whole);
    if (!under_root(whole)) return syscall(SYS_openat, dir, path, flags, mode);
    int before = errno;
    int existed = stat(whole, &stat_) == 0;
    errno = before;
    int fd = syscall(SYS_openat, dir, path, flags, mode);
    if (fd < 0 || fstat(fd, &stat_) != 0) return fd;
    const char *name = below_root(whole);
    if (!existed) say((struct head){CREATE, 0, stat_.st_ino, 0, 0, strlen(name), 0}, name, NULL);
    else if (flags & O_TRUNC) say((struct head){TRUNCATE, 0, stat_.st_ino, 0, 0, 0, 0}, NULL, NULL);
    return fd;
}

static mode_t mode_in(int flags, va_list list) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
}

#define OPEN(name, params, dir)                                                                                   \
    int name params {                                                                                             \
        va_list list;                                                                                             \
        va_start(list, flags);                                                                                    \
        mode_t mode = mode_in(flags, list);                                                                       \
        va_end(list);                                                                                             \
        return open_at(dir, path, flags, mode);                                                                   \
    }
OPEN(open, (const char *path, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD)
OPEN(openat, (int at, const char *path, int flags, ...), at)
OPEN(openat64, (int at, const char *path, int flags, ...), at)

int mkdirat(int dir, const char *path, mode_t mode) {
    char whole[PATH_MAX];
    int answer = syscall(SYS_mkdirat, dir, path, mode);
    if (answer != 0 || !recording()) return answer;
    struct stat stat_;
    resolve(dir, path, whole);
    if (under_root(whole) && stat(whole, &stat_) == 0) {
        const char *name = below_root(whole);
        say((struct head){MKDIR, 0, stat_.st_ino, 0, 0, strlen(name), 0}, name, NULL);
    }
    return answer;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    char old[PATH_MAX], new[PATH_MAX];
    int answer = syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    if (answer != 0 || !recording()) return answer;
    resolve(from_dir, from, old);
    resolve(to_dir, to, new);
    if (under_root(old) && under_root(new) && !(flags & RENAME_EXCHANGE)) {
        const char *a = below_root(old), *b = below_root(new);
        say((struct head){RENAME, 0, 0, 0, 0, strlen(a), strlen(b)}, a, b);
    } else if (under_root(old) || under_root(new)) {
        say((struct head){UNKNOWN, 0, 0, 0, 0, strlen("rename"), strlen(new)}, "rename", new);
    }
    return answer;
}
int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    return renameat2(from_dir, from, to_dir, to, 0);
}
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int dir, const char *path, int flags) {
    char whole[PATH_MAX];
    int answer = syscall(SYS_unlinkat, dir, path, flags);
    if (answer != 0 || !recording()) return answer;
    resolve(dir, path, whole);
    if (under_root(whole)) {
        const char *name = below_root(whole);
        say((struct head){REMOVE, 0, 0, 0, 0, strlen(name), 0}, name, NULL);
    }
    return answer;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
