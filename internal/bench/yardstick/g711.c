/* G.711 as loops over tables: of 16 KiB (mu-law) and 4 KiB (A-law), as few as
 * hold every sample that the law tells apart, and of 256 samples. */
#include "yardstick.h"

#define FRAME 160

static uint8_t mu_codes[1 << 14], a_codes[1 << 12];
static int16_t mu_samples[256], a_samples[256];

/* G.711, table 2: segments that double in size, each of 16 steps. */
static void make_mu_law(void)
{
    for (int v = 0; v < 1 << 13; v++) {
        int m = v + 33 > 8191 ? 8191 : v + 33, segment = 0;
        while (m >> (segment + 6))
            segment++;
        int code = segment << 4 | (m >> (segment + 1) & 15);
        mu_codes[v] = ~code;
        mu_codes[(1 << 14) - 1 - v] = ~code & 0x7f;
    }
    for (int code = 0; code < 128; code++) {
        int v = (((2 * (code & 15) + 33) << (code >> 4)) - 33) * 4;
        mu_samples[~code & 0xff] = v;
        mu_samples[~code & 0x7f] = -v;
    }
}

/* G.711, table 1, with the even bits inverted. */
static void make_a_law(void)
{
    for (int v = 0; v < 1 << 11; v++) {
        int segment = 0;
        while (v >> (segment + 5))
            segment++;
        int code = segment ? (segment + 1) << 4 | (v >> segment & 15) : v;
        a_codes[v] = (code | 0x80) ^ 0x55;
        a_codes[(1 << 12) - 1 - v] = code ^ 0x55;
    }
    for (int code = 0; code < 128; code++) {
        int segment = code >> 4, v = 2 * (code & 15) + 1;
        if (segment)
            v = (v + 32) << (segment - 1);
        a_samples[(code | 0x80) ^ 0x55] = v * 8;
        a_samples[code ^ 0x55] = -v * 8;
    }
}

static void encode_mu_law(void)
{
    const int16_t *in = next(2 * FRAME);
    for (int i = 0; i < FRAME; i++)
        output.bytes[i] = mu_codes[(uint16_t)in[i] >> 2];
}

static void encode_a_law(void)
{
    const int16_t *in = next(2 * FRAME);
    for (int i = 0; i < FRAME; i++)
        output.bytes[i] = a_codes[(uint16_t)in[i] >> 4];
}

static void decode_mu_law(void)
{
    const uint8_t *in = next(FRAME);
    for (int i = 0; i < FRAME; i++)
        output.samples[i] = mu_samples[in[i]];
}

static void decode_a_law(void)
{
    const uint8_t *in = next(FRAME);
    for (int i = 0; i < FRAME; i++)
        output.samples[i] = a_samples[in[i]];
}

static frame_function *setup(char **arguments)
{
    static const struct {
        const char *name;
        frame_function *frame;
        size_t size;
    } all[] = {
        {"encode-pcmu", encode_mu_law, FRAME},
        {"decode-pcmu", decode_mu_law, 2 * FRAME},
        {"encode-pcma", encode_a_law, FRAME},
        {"decode-pcma", decode_a_law, 2 * FRAME},
    };
    make_mu_law();
    make_a_law();
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (!strcmp(arguments[0], all[i].name)) {
            output_size = all[i].size;
            return all[i].frame;
        }
    return NULL;
}
