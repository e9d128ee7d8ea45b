/*
 * What all yardsticks share: the input, the clock and the conversation.
 *
 *     yardstick INPUT ARGUMENT...
 *
 * For each line "run N" on standard input it does N frames of 20 ms, and answers
 * with the nanoseconds of CPU per frame and a checksum (FNV-1a) of the output of
 * the last frame.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef void frame_function(void);

/* Each yardstick has one of these; it returns what does the next frame. */
static frame_function *setup(char **arguments);

static uint8_t *input;
static size_t input_size, input_at;

/* Output of the last frame: up to 20 ms of 48 kHz, and some. */
static union {
    uint8_t bytes[4096];
    int16_t samples[2048];
} output;
static size_t output_size; /* in bytes */

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

/* The next n bytes of the input, which goes round and round. */
static inline const void *next(size_t n)
{
    const void *p = input + input_at;
    input_at += n;
    if (input_at + n > input_size)
        input_at = 0;
    return p;
}

static void load(const char *name)
{
    FILE *f = fopen(name, "rb");
    if (!f || fseek(f, 0, SEEK_END))
        fail("no input");
    long size = ftell(f);
    rewind(f);
    if (size <= 0 || !(input = malloc(size)) || fread(input, 1, size, f) != (size_t)size)
        fail("no input");
    input_size = size;
    fclose(f);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static uint32_t checksum(void)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < output_size; i++)
        h = (h ^ output.bytes[i]) * 16777619u;
    return h;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        fail("usage: yardstick INPUT ARGUMENT...");
    load(argv[1]);
    frame_function *frame = setup(argv + 2);
    if (!frame)
        fail("unknown argument, or no memory");

    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        long n;
        if (sscanf(line, "run %ld", &n) != 1 || n < 1)
            fail("not understood");
        double start = now();
        for (long i = 0; i < n; i++)
            frame();
        printf("%.3f %08x\n", (now() - start) / n, (unsigned)checksum());
        fflush(stdout);
    }
    return 0;
}
