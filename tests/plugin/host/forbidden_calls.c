/* Makes each call that rt_check.c watches, as if in process(); none of them waits. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void rt_enter(void) __attribute__((weak));
void rt_leave(void) __attribute__((weak));

#define WATCHED(call)         \
    do {                      \
        rt_enter();           \
        (void)!(call);        \
        rt_leave();           \
    } while (0)

int main(void) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    const struct timespec past = {0, 0};
    void* volatile memory = NULL;
    void* aligned = NULL;
    WATCHED(memory = malloc(100));
    WATCHED(memory = realloc(memory, 200));
    WATCHED((free(memory), 1));
    WATCHED(memory = calloc(3, 100));
    WATCHED(posix_memalign(&aligned, 64, 100));
    WATCHED(open("/dev/null", O_RDONLY));
    WATCHED(open64("/dev/null", O_RDONLY));
    WATCHED(poll(NULL, 0, 0));
    WATCHED(read(-1, NULL, 0));
    WATCHED(write(-1, NULL, 0));
    WATCHED(send(-1, NULL, 0, 0));
    WATCHED(sendto(-1, NULL, 0, 0, NULL, 0));
    WATCHED(recv(-1, NULL, 0, 0));
    WATCHED(recvfrom(-1, NULL, 0, 0, NULL, NULL));
    WATCHED(usleep(0));
    WATCHED(nanosleep(&past, NULL));
    WATCHED(pthread_mutex_lock(&mutex));
    WATCHED(pthread_cond_timedwait(&condition, &mutex, &past));
    WATCHED(pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &past));
    puts("done");
}
