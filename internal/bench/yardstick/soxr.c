/* libsoxr at its default quality, HQ: RATE-IN RATE-OUT. */
#include "yardstick.h"

typedef struct soxr soxr;
struct io {
    int in, out; /* 3: interleaved int16 */
    double scale;
    void *reserved;
    unsigned long flags;
};
soxr *soxr_create(double in, double out, unsigned channels, const char **error, const struct io *, const void *quality, const void *runtime);
const char *soxr_process(soxr *s, const void *in, size_t in_size, size_t *in_done, void *out, size_t out_size, size_t *out_done);

static soxr *state;
static size_t samples;

static void frame(void)
{
    size_t taken, made;
    if (soxr_process(state, next(2 * samples), samples, &taken, output.samples, sizeof output / 2, &made) || taken != samples)
        fail("soxr_process");
    output_size = 2 * made;
}

static frame_function *setup(char **arguments)
{
    struct io io = {3, 3, 1, NULL, 0};
    const char *error = NULL;
    double in = atof(arguments[0]);
    samples = in / 50;
    state = soxr_create(in, atof(arguments[1]), 1, &error, &io, NULL, NULL);
    return state && !error ? frame : NULL;
}
