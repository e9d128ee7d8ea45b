/* Forwards packets between the two ends of calls, on one thread: a recv and a sendto
 * for each packet whose socket epoll reports, and nothing else.
 *
 *     relay CALLS
 *
 * For each call it reads a line with the ports of the two ends, and answers with the
 * ports that these have to send to. It runs until the end of standard input. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct leg {
    int socket;
    struct leg *other;
    struct sockaddr_in end;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* open_leg returns the port of the leg. */
static int open_leg(struct leg *l, int port)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof own;
    int buffer = 256 << 10; /* as ours */
    l->end = own;
    l->end.sin_port = htons(port);
    l->socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (l->socket < 0 || bind(l->socket, (struct sockaddr *)&own, sizeof own) ||
        getsockname(l->socket, (struct sockaddr *)&own, &length) ||
        setsockopt(l->socket, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer))
        fail("socket");
    return ntohs(own.sin_port);
}

int main(int argc, char **argv)
{
    int calls = argc > 1 ? atoi(argv[1]) : 0;
    struct leg *legs = calloc(2 * calls + 1, sizeof *legs);
    int poll = epoll_create1(0);
    if (calls < 1 || !legs || poll < 0)
        fail("relay CALLS");
    for (int i = 0; i < calls; i++) {
        struct leg *a = &legs[2 * i], *b = a + 1;
        int x, y;
        if (scanf("%d %d", &x, &y) != 2)
            fail("two ports");
        a->other = b;
        b->other = a;
        x = open_leg(a, x);
        y = open_leg(b, y);
        printf("%d %d\n", x, y);
        for (struct leg *l = a; l <= b; l++)
            if (epoll_ctl(poll, EPOLL_CTL_ADD, l->socket, &(struct epoll_event){.events = EPOLLIN, .data.ptr = l}))
                fail("epoll_ctl");
    }
    fflush(stdout);
    if (epoll_ctl(poll, EPOLL_CTL_ADD, STDIN_FILENO, &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL}))
        fail("epoll_ctl");

    struct epoll_event ready[64];
    char packet[2048];
    for (;;) {
        int n = epoll_wait(poll, ready, 64, -1);
        for (int i = 0; i < n; i++) {
            struct leg *l = ready[i].data.ptr;
            if (!l)
                return 0;
            ssize_t size = recv(l->socket, packet, sizeof packet, 0);
            struct leg *o = l->other;
            if (size > 0)
                sendto(o->socket, packet, size, 0, (struct sockaddr *)&o->end, sizeof o->end);
        }
    }
}
