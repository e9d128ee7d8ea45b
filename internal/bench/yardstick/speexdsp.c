/* The resampler of libspeexdsp: RATE-IN RATE-OUT QUALITY. */
#include "yardstick.h"

typedef struct resampler resampler;
resampler *speex_resampler_init(uint32_t channels, uint32_t in, uint32_t out, int quality, int *error);
int speex_resampler_process_int(resampler *s, uint32_t channel, const int16_t *in, uint32_t *in_size, int16_t *out, uint32_t *out_size);

static resampler *state;
static uint32_t samples;

static void frame(void)
{
    uint32_t n = samples, room = sizeof output / 2;
    if (speex_resampler_process_int(state, 0, next(2 * samples), &n, output.samples, &room) || n != samples)
        fail("speex_resampler_process_int");
    output_size = 2 * room;
}

static frame_function *setup(char **arguments)
{
    int in = atoi(arguments[0]), error = 0;
    samples = in / 50;
    state = speex_resampler_init(1, in, atoi(arguments[1]), atoi(arguments[2]), &error);
    return state ? frame : NULL;
}
