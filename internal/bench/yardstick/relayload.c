/* Both ends of calls that a relay joins: each sends a packet of 172 bytes each 20 ms
 * (20 ms of PCMU), and hears what the other one sends.
 *
 *     relayload CALLS
 *
 * For each call it writes a line with the ports of its ends, and reads one with the
 * ports to send to. For each line "run MILLISECONDS" it sends for that long, and
 * answers with the packets sent, the packets received, and the 50th, 99th, 99.9th and
 * 100th percentile of the time from one end to the other, in microseconds. What comes
 * later than 200 ms after the end is lost. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

enum { SIZE = 172, PERIOD = 20000000, TICK = 1000000, WAIT = 200000000, SLOTS = 500000 };

struct end {
    int socket;
    struct sockaddr_in relay;
    uint32_t source, timestamp;
    uint16_t sequence;
    int64_t next; /* when a packet is due */
};

static struct end *ends;
static int count, poll_fd;
static uint32_t run; /* number of the run, in each packet of it */
static long sent, received;
static long late[SLOTS]; /* packets by their delay in microseconds */

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void send_one(struct end *e)
{
    uint8_t p[SIZE] = {0x80, 0};
    uint16_t sequence = htons(e->sequence++);
    uint32_t timestamp = htonl(e->timestamp), source = htonl(e->source);
    int64_t at = now();
    memcpy(p + 2, &sequence, 2);
    memcpy(p + 4, &timestamp, 4);
    memcpy(p + 8, &source, 4);
    memset(p + 12, 0xff, SIZE - 12);
    memcpy(p + 12, &run, 4);
    memcpy(p + 16, &at, 8);
    e->timestamp += 160;
    if (sendto(e->socket, p, SIZE, 0, (struct sockaddr *)&e->relay, sizeof e->relay) == SIZE)
        sent++;
}

static void receive(int timeout)
{
    struct epoll_event ready[64];
    uint8_t p[2048];
    int n = epoll_wait(poll_fd, ready, 64, timeout);
    for (int i = 0; i < n; i++) {
        struct end *e = ready[i].data.ptr;
        ssize_t size = recv(e->socket, p, sizeof p, 0);
        uint32_t number;
        int64_t at;
        memcpy(&number, p + 12, 4);
        memcpy(&at, p + 16, 8);
        if (size != SIZE || number != run)
            continue; /* RTCP, or late */
        int64_t delay = (now() - at) / 1000;
        late[delay < 0 ? 0 : delay < SLOTS ? delay : SLOTS - 1]++;
        received++;
    }
}

static void send_for(int64_t duration)
{
    int64_t begin = now() + TICK, stop = begin + duration;
    run++;
    sent = received = 0;
    memset(late, 0, sizeof late);
    for (int i = 0; i < count; i++) /* the ends of a call are in no special order in time */
        ends[i].next = begin + (int64_t)PERIOD * ((i * 7919LL) % count) / count;
    for (int64_t tick = begin;; tick += TICK) {
        int64_t t;
        while ((t = now()) < tick)
            receive((tick - t) / 1000000);
        if (t >= stop)
            break;
        for (int i = 0; i < count; i++)
            if (ends[i].next <= t) {
                send_one(&ends[i]);
                ends[i].next += PERIOD;
            }
    }
    while (received < sent && now() < stop + WAIT)
        receive(10);
}

static int percentile(double part)
{
    long seen = 0;
    for (int i = 0; i < SLOTS; i++)
        if ((seen += late[i]) >= part * received)
            return i;
    return SLOTS;
}

int main(int argc, char **argv)
{
    int calls = argc > 1 ? atoi(argv[1]) : 0;
    count = 2 * calls;
    ends = calloc(count + 1, sizeof *ends);
    poll_fd = epoll_create1(0);
    if (calls < 1 || !ends || poll_fd < 0)
        fail("relayload CALLS");
    for (int i = 0; i < count; i++) {
        struct end *e = &ends[i];
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof own;
        int buffer = 256 << 10;
        e->socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (e->socket < 0 || bind(e->socket, (struct sockaddr *)&own, sizeof own) ||
            getsockname(e->socket, (struct sockaddr *)&own, &length) ||
            setsockopt(e->socket, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer) ||
            epoll_ctl(poll_fd, EPOLL_CTL_ADD, e->socket, &(struct epoll_event){.events = EPOLLIN, .data.ptr = e}))
            fail("socket");
        e->relay = own;
        e->source = 0x10000 + i;
        printf(i % 2 ? " %d\n" : "%d", ntohs(own.sin_port));
    }
    fflush(stdout);
    for (int i = 0; i < count; i++) {
        int port;
        if (scanf("%d", &port) != 1)
            fail("a port");
        ends[i].relay.sin_port = htons(port);
    }
    long milliseconds;
    while (scanf(" run %ld", &milliseconds) == 1) {
        send_for(milliseconds * 1000000LL);
        printf("%ld %ld %d %d %d %d\n", sent, received, percentile(0.5), percentile(0.99), percentile(0.999), percentile(1));
        fflush(stdout);
    }
    return 0;
}
