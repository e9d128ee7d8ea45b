/* The sockets of calls without the calls: one thread, N UDP sockets on loopback in
 * pairs, each of which sends its partner a packet of 172 bytes every 20 ms, as PCMU
 * is, and receives one.
 *
 *     calls N WARM-UP MEASURED
 *
 * Times are in milliseconds. It prints, of the time that is measured: nanoseconds of
 * CPU for a packet that is sent and one that is received, packets sent, packets lost
 * until the end, and how late packets leave, in milliseconds: the median, and what
 * 99 % and 99.9 % do not exceed. A socket's clock is set by the packet of it that
 * left earliest.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define MILLISECOND 1000000L
#define PERIOD (20 * MILLISECOND)
#define PACKET 172

struct end {
    int fd;
    struct sockaddr_in to;
    int64_t due;      /* of the next packet */
    int64_t earliest; /* least lateness, of those measured */
};

static struct end *ends;
static long n;
static int poller;
static long sent, received;

/* Lateness of all packets measured, which leave by turns: first is whose turn it
 * was. */
static int64_t *late;
static long measured, room, first;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static double cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void open_all(void)
{
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    ends = calloc(n, sizeof *ends);
    if (!ends || (poller = epoll_create1(0)) < 0)
        fail("epoll");
    for (long i = 0; i < n; i++) {
        struct end *far = &ends[i ^ 1];
        struct epoll_event readable = {.events = EPOLLIN, .data.u64 = i};
        socklen_t length = sizeof far->to;
        int buffer = 256 << 10; /* as ours */
        ends[i].fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        far->to.sin_family = AF_INET;
        far->to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (ends[i].fd < 0 || bind(ends[i].fd, (struct sockaddr *)&far->to, sizeof far->to) ||
            getsockname(ends[i].fd, (struct sockaddr *)&far->to, &length) ||
            setsockopt(ends[i].fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer) ||
            epoll_ctl(poller, EPOLL_CTL_ADD, ends[i].fd, &readable))
            fail("socket");
    }
}

/* Receives until the given time. */
static void receive_until(int64_t end)
{
    for (;;) {
        int64_t left = end - now();
        struct timespec patience = {0, left > 0 ? left : 0};
        struct epoll_event ready[256];
        int k = epoll_pwait2(poller, ready, 256, &patience, NULL);
        for (int i = 0; i < k; i++) {
            uint8_t packet[2048];
            struct sockaddr_in from;
            socklen_t length = sizeof from;
            if (recvfrom(ends[ready[i].data.u64].fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &length) > 0)
                received++;
        }
        if (left <= 0)
            return;
    }
}

/* Sends all that is due, from one socket after the other. */
static void send_due(int64_t t, int measuring)
{
    static const uint8_t packet[PACKET] = {0x80};
    static long turn;
    for (struct end *e = &ends[turn]; e->due <= t; e = &ends[turn]) {
        sendto(e->fd, packet, PACKET, 0, (struct sockaddr *)&e->to, sizeof e->to);
        sent++;
        if (measuring && measured < room) {
            int64_t lateness = t - e->due;
            if (measured == 0)
                first = turn;
            if (lateness < e->earliest)
                e->earliest = lateness;
            late[measured++] = lateness;
        }
        e->due += PERIOD;
        turn = (turn + 1) % n;
    }
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double quantile(double q) { return measured ? late[(long)(q * (measured - 1))] / 1e6 : 0; }

int main(int argc, char **argv)
{
    if (argc < 4 || (n = atol(argv[1])) < 2 || n % 2)
        return fprintf(stderr, "usage: calls N WARM-UP MEASURED\n"), 2;
    int64_t warm_up = atol(argv[2]) * MILLISECOND, length = atol(argv[3]) * MILLISECOND;
    open_all();
    room = n * (length / PERIOD + 2);
    late = malloc(room * sizeof *late);
    if (!late)
        fail("memory");
    for (long i = 0; i < room; i++)
        late[i] = -1; /* so that its pages are there */

    int64_t begin = now() + 10 * MILLISECOND, start = 0, from = begin + warm_up, to = from + length;
    for (long i = 0; i < n; i++) {
        ends[i].due = begin + i * PERIOD / n;
        ends[i].earliest = INT64_MAX;
    }
    double used = 0;
    long before = 0, pairs = 0;
    for (int64_t t = begin; t < to; t += MILLISECOND) {
        receive_until(t);
        int64_t arrived = now();
        t += (arrived - t) / MILLISECOND * MILLISECOND; /* after a stall of the machine */
        if (!start && t >= from) {
            start = t;
            used = cpu();
            before = sent + received;
        }
        send_due(arrived, start != 0);
    }
    used = cpu() - used;
    pairs = (sent + received - before) / 2;
    receive_until(now() + 20 * MILLISECOND);

    for (long i = 0; i < measured; i++)
        late[i] -= ends[(first + i) % n].earliest;
    qsort(late, measured, sizeof *late, ascending);
    printf("%.1f %ld %ld %.3f %.3f %.3f\n", pairs ? used / pairs : 0, measured, sent - received, quantile(0.5), quantile(0.99), quantile(0.999));
    return 0;
}
