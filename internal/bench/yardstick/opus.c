/* libopus: encode BITS-PER-SECOND COMPLEXITY, or decode; at 48 kHz, mono. */
#include "yardstick.h"

typedef struct encoder encoder;
typedef struct decoder decoder;
encoder *opus_encoder_create(int32_t rate, int channels, int application, int *error);
int opus_encoder_ctl(encoder *s, int request, ...);
int32_t opus_encode(encoder *s, const int16_t *pcm, int n, uint8_t *packet, int32_t room);
decoder *opus_decoder_create(int32_t rate, int channels, int *error);
int opus_decode(decoder *s, const uint8_t *packet, int32_t size, int16_t *pcm, int room, int fec);

enum { VOIP = 2048, SET_BITRATE = 4002, SET_COMPLEXITY = 4010 };

static encoder *enc;
static decoder *dec;

static void encode(void)
{
    int n = opus_encode(enc, next(2 * 960), 960, output.bytes, sizeof output);
    if (n < 0)
        fail("opus_encode");
    output_size = n;
}

/* The input is cut into slots of 256 bytes: the size of a packet, and the packet. */
static void decode(void)
{
    const uint8_t *slot = next(256);
    int n = opus_decode(dec, slot + 1, slot[0], output.samples, sizeof output / 2, 0);
    if (n < 0)
        fail("opus_decode");
    output_size = 2 * n;
}

static frame_function *setup(char **arguments)
{
    int error = 0;
    if (!strcmp(arguments[0], "decode")) {
        dec = opus_decoder_create(48000, 1, &error);
        return dec ? decode : NULL;
    }
    if (strcmp(arguments[0], "encode") || !arguments[1] || !arguments[2])
        return NULL;
    enc = opus_encoder_create(48000, 1, VOIP, &error);
    if (!enc || opus_encoder_ctl(enc, SET_BITRATE, (int32_t)atoi(arguments[1])) || opus_encoder_ctl(enc, SET_COMPLEXITY, (int32_t)atoi(arguments[2])))
        return NULL;
    return encode;
}
