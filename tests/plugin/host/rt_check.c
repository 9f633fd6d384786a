/* Preloaded into the test host: counts and shows calls that may wait, made by a thread between
 * rt_enter() and rt_leave(), that is in the plug-in's process(). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static __thread int inside __attribute__((tls_model("initial-exec")));
static long found;

void rt_enter(void) { inside = 1; }
void rt_leave(void) { inside = 0; }
long rt_count(void) { return found; }

static void forbidden(const char* what) {
    inside = 0;
    if (__sync_add_and_fetch(&found, 1) <= 20) {
        void* frames[12];
        const int count = backtrace(frames, 12);
        dprintf(2, "%s in process():\n", what);
        backtrace_symbols_fd(frames + 2, count - 2, 2);
    }
    inside = 1;
}

extern void* __libc_malloc(size_t);
extern void __libc_free(void*);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);

void* malloc(size_t size) {
    if (inside) forbidden("malloc");
    return __libc_malloc(size);
}
void free(void* memory) {
    if (inside && memory) forbidden("free");
    __libc_free(memory);
}
void* calloc(size_t count, size_t size) {
    if (inside) forbidden("calloc");
    return __libc_calloc(count, size);
}
void* realloc(void* memory, size_t size) {
    if (inside) forbidden("realloc");
    return __libc_realloc(memory, size);
}

#define WATCHED(result, name, parameters, arguments)          \
    result name parameters {                                  \
        static result(*real) parameters;                      \
        if (!real) real = (result(*) parameters)dlsym(RTLD_NEXT, #name); \
        if (inside) forbidden(#name);                         \
        return real arguments;                                \
    }

/* The mode is there only where a file may be made. */
#define WATCHED_OPEN(name)                                                      \
    int name(const char* path, int flags, ...) {                                \
        static int (*real)(const char*, int, ...);                              \
        if (!real) real = (int (*)(const char*, int, ...))dlsym(RTLD_NEXT, #name); \
        if (inside) forbidden(#name);                                           \
        va_list more;                                                           \
        va_start(more, flags);                                                  \
        const int made = flags & (O_CREAT | __O_TMPFILE);                       \
        const mode_t mode = made ? va_arg(more, mode_t) : 0;                    \
        va_end(more);                                                           \
        return real(path, flags, mode);                                         \
    }

WATCHED_OPEN(open)
WATCHED_OPEN(open64)
WATCHED(int, posix_memalign, (void** m, size_t alignment, size_t size), (m, alignment, size))
WATCHED(int, pthread_mutex_lock, (pthread_mutex_t * m), (m))
WATCHED(int, pthread_cond_wait, (pthread_cond_t * c, pthread_mutex_t* m), (c, m))
WATCHED(int, pthread_cond_timedwait,
        (pthread_cond_t * c, pthread_mutex_t* m, const struct timespec* t), (c, m, t))
WATCHED(int, pthread_cond_clockwait,
        (pthread_cond_t * c, pthread_mutex_t* m, clockid_t k, const struct timespec* t),
        (c, m, k, t))
WATCHED(int, poll, (struct pollfd * f, nfds_t n, int ms), (f, n, ms))
WATCHED(int, usleep, (useconds_t t), (t))
WATCHED(int, nanosleep, (const struct timespec* t, struct timespec* left), (t, left))
WATCHED(ssize_t, read, (int f, void* b, size_t n), (f, b, n))
WATCHED(ssize_t, write, (int f, const void* b, size_t n), (f, b, n))
WATCHED(ssize_t, send, (int f, const void* b, size_t n, int flags), (f, b, n, flags))
WATCHED(ssize_t, recv, (int f, void* b, size_t n, int flags), (f, b, n, flags))
WATCHED(ssize_t, sendto,
        (int f, const void* b, size_t n, int flags, const struct sockaddr* to, socklen_t length),
        (f, b, n, flags, to, length))
WATCHED(ssize_t, recvfrom,
        (int f, void* b, size_t n, int flags, struct sockaddr* from, socklen_t* length),
        (f, b, n, flags, from, length))
