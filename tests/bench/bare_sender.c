/* Sends given bytes at given times over connections that are open, and keeps no books but when.
 *
 * What a replay is on this machine that does nothing but its system calls: the floor under the
 * lateness of any sender. Reads from stdin four int64 (port, connections, rows, real time or not),
 * then per row the due time in ns, the connection, where its bytes begin and their size, then the
 * bytes. Writes to stdout, as int64, when each was sent, in ns since due time 0.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, SPIN_NS = 60000, FIRST_AFTER_NS = 200000000, LAST_WAIT_NS = 500000000 };

static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void *of_stdin(int64_t bytes) {
    void *data = malloc(bytes ? bytes : 1);
    if (!data || fread(data, 1, bytes, stdin) != (size_t)bytes) die("too little input");
    return data;
}

static int connection_to(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void hear(int poll, int timeout_ms) {
    static struct epoll_event events[EVENTS];
    static char buffer[65536];
    int found = epoll_wait(poll, events, EVENTS, timeout_ms);
    for (int i = 0; i < found; i++)
        if (recv(events[i].data.fd, buffer, sizeof buffer, MSG_DONTWAIT) < 0 && errno != EAGAIN)
            die("recv");
}

int main(void) {
    int64_t *head = of_stdin(4 * 8), connections = head[1], rows = head[2], size = 0;
    int64_t *due = of_stdin(rows * 8), *lane = of_stdin(rows * 8), *at = of_stdin(rows * 8);
    int64_t *sizes = of_stdin(rows * 8), *sent = calloc(rows, 8);
    for (int64_t i = 0; i < rows; i++) size = at[i] + sizes[i] > size ? at[i] + sizes[i] : size;
    char *bytes = of_stdin(size);
    int poll = epoll_create1(0), *fds = calloc(connections, sizeof *fds);
    for (int64_t i = 0; i < connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i] = connection_to(head[0])};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, fds[i], &event)) die("epoll_ctl");
    }
    struct sched_param first = {.sched_priority = 1};
    if (head[3] && sched_setscheduler(0, SCHED_RR, &first)) die("sched_setscheduler");
    int64_t start = now_ns() + FIRST_AFTER_NS, now, row = 0;
    while (row < rows) {
        for (int turn = 0; turn < 32 && row < rows; turn++, row++) {
            if ((now = now_ns()) < start + due[row]) break;
            sent[row] = now - start;
            if (send(fds[lane[row]], bytes + at[row], sizes[row], MSG_NOSIGNAL) != sizes[row])
                die("send");
        }
        int64_t left = row < rows ? start + due[row] - now_ns() - SPIN_NS : 0;
        hear(poll, left > 1000000 ? left / 1000000 : 0);
    }
    for (int64_t end = now_ns() + LAST_WAIT_NS; now_ns() < end;) hear(poll, 50);
    return fwrite(sent, 8, rows, stdout) == (size_t)rows ? 0 : 1;
}
