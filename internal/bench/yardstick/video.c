/* Packets of video from one socket to another, over loopback: a burst of them, with
 * a sendto for each, and then a recv for each.
 *
 *     video INPUT BURST
 *
 * The input is one packet. */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "yardstick.h"

static int sender, receiver;
static struct sockaddr_in address;
static int burst;

static void send_and_receive(void)
{
    for (int i = 0; i < burst; i++)
        if (sendto(sender, input, input_size, 0, (struct sockaddr *)&address, sizeof address) != (ssize_t)input_size)
            fail("a packet was not sent");
    for (int i = 0; i < burst; i++)
        if (recv(receiver, output.bytes, sizeof output.bytes, 0) != (ssize_t)input_size)
            fail("a packet was not received");
}

static frame_function *setup(char **arguments)
{
    struct timeval patience = {.tv_sec = 2};
    socklen_t length = sizeof address;
    int buffer = 256 << 10; /* as ours */
    output_size = input_size;
    burst = atoi(arguments[0]);
    sender = socket(AF_INET, SOCK_DGRAM, 0);
    receiver = socket(AF_INET, SOCK_DGRAM, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (burst < 1 || sender < 0 || receiver < 0 ||
        bind(receiver, (struct sockaddr *)&address, sizeof address) ||
        getsockname(receiver, (struct sockaddr *)&address, &length) ||
        setsockopt(receiver, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer) ||
        setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience))
        return NULL;
    return send_and_receive;
}
