// A disk that fails: loaded before the C library, it has calls on files below $EIO_DIRECTORY fail with EIO while the file
// $EIO_FLAG exists; that file's content says which: any of "w" (writing), "s" (synchronising), "r" (reading).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int fails(int file, char kind) {
    const char *flag = getenv("EIO_FLAG"), *directory = getenv("EIO_DIRECTORY");
    char link[64], path[4096], kinds[8];
    int before = errno;
    if (!flag || !directory) return 0;
    int found = open(flag, O_RDONLY | O_CLOEXEC);
    if (found < 0) {
        errno = before;
        return 0;
    }
    ssize_t (*real)(int, void *, size_t) = (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    ssize_t count = real(found, kinds, sizeof kinds - 1);
    close(found);
    kinds[count > 0 ? count : 0] = 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length <= 0 || !strchr(kinds, kind)) return 0;
    path[length] = 0;
    if (strncmp(path, directory, strlen(directory)) != 0) return 0;
    errno = EIO;
    return 1;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t offset) {
    REAL(pwritev);
    return fails(file, 'w') ? -1 : real(file, parts, count, offset);
}

ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t offset) {
    REAL(pwritev64);
    return fails(file, 'w') ? -1 : real(file, parts, count, offset);
}

ssize_t write(int file, const void *bytes, size_t count) {
    REAL(write);
    return fails(file, 'w') ? -1 : real(file, bytes, count);
}

ssize_t pread(int file, void *bytes, size_t count, off_t offset) {
    REAL(pread);
    return fails(file, 'r') ? -1 : real(file, bytes, count, offset);
}

ssize_t pread64(int file, void *bytes, size_t count, off64_t offset) {
    REAL(pread64);
    return fails(file, 'r') ? -1 : real(file, bytes, count, offset);
}

int fdatasync(int file) {
    REAL(fdatasync);
    return fails(file, 's') ? -1 : real(file);
}

int fsync(int file) {
    REAL(fsync);
    return fails(file, 's') ? -1 : real(file);
}
