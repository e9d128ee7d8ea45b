/* The G.722 of libspandsp, at 64 kbit/s. */
#include "yardstick.h"

typedef struct coder coder;
coder *g722_encode_init(coder *s, int bit_rate, int options);
coder *g722_decode_init(coder *s, int bit_rate, int options);
int g722_encode(coder *s, uint8_t codes[], const int16_t samples[], int n);
int g722_decode(coder *s, int16_t samples[], const uint8_t codes[], int n);

static coder *state;

static void encode(void)
{
    output_size = g722_encode(state, output.bytes, next(640), 320);
}

static void decode(void)
{
    output_size = 2 * g722_decode(state, output.samples, next(160), 160);
}

static frame_function *setup(char **arguments)
{
    int encoding = !strcmp(arguments[0], "encode");
    state = encoding ? g722_encode_init(NULL, 64000, 0) : g722_decode_init(NULL, 64000, 0);
    return !state ? NULL : encoding ? encode : decode;
}
