/* The G.722 of libavcodec 59 (FFmpeg 5), at 64 kbit/s. Of its structs only the
 * first fields are touched, which have not moved for many versions; the rest is
 * set up by decoding a first packet. */
#include "yardstick.h"

typedef struct context context;
typedef struct codec codec;
typedef struct parameters parameters;
typedef struct dictionary dictionary;
struct packet {
    void *buffer;
    int64_t pts, dts;
    uint8_t *data;
    int size;
};
struct picture { /* of sound */
    uint8_t *data[8];
    int line_size[8];
    uint8_t **extended_data;
    int width, height, samples, format;
};
const codec *avcodec_find_decoder_by_name(const char *name);
const codec *avcodec_find_encoder_by_name(const char *name);
context *avcodec_alloc_context3(const codec *c);
int avcodec_open2(context *s, const codec *c, dictionary **options);
int av_opt_set_int(void *s, const char *name, int64_t value, int flags);
parameters *avcodec_parameters_alloc(void);
int avcodec_parameters_from_context(parameters *p, const context *s);
int avcodec_parameters_to_context(context *s, const parameters *p);
int avcodec_send_packet(context *s, const struct packet *p);
int avcodec_receive_packet(context *s, struct packet *p);
int avcodec_send_frame(context *s, const struct picture *f);
int avcodec_receive_frame(context *s, struct picture *f);
struct packet *av_packet_alloc(void);
int av_new_packet(struct packet *p, int size);
void av_packet_unref(struct packet *p);
struct picture *av_frame_alloc(void);
int av_frame_make_writable(struct picture *f);

static context *state;
static struct packet *packet;
static struct picture *pcm;

static void decode(void)
{
    memcpy(packet->data, next(160), 160);
    if (avcodec_send_packet(state, packet) || avcodec_receive_frame(state, pcm))
        fail("cannot decode");
    output_size = 2 * pcm->samples;
    memcpy(output.bytes, pcm->data[0], output_size);
}

static void encode(void)
{
    if (av_frame_make_writable(pcm) < 0)
        fail("no memory");
    memcpy(pcm->data[0], next(640), 640);
    if (avcodec_send_frame(state, pcm) || avcodec_receive_packet(state, packet))
        fail("cannot encode");
    output_size = packet->size;
    memcpy(output.bytes, packet->data, output_size);
    av_packet_unref(packet);
}

static context *open_decoder(void)
{
    const codec *c = avcodec_find_decoder_by_name("g722");
    context *s = c ? avcodec_alloc_context3(c) : NULL;
    if (!s || av_opt_set_int(s, "ar", 16000, 0) || avcodec_open2(s, c, NULL))
        fail("no decoder");
    return s;
}

static frame_function *setup(char **arguments)
{
    packet = av_packet_alloc();
    pcm = av_frame_alloc();
    state = open_decoder();
    if (!packet || !pcm || av_new_packet(packet, 160))
        return NULL;
    if (strcmp(arguments[0], "encode"))
        return decode;

    /* A frame and the parameters of an encoder are those of a decoder. */
    memset(packet->data, 0xff, 160);
    if (avcodec_send_packet(state, packet) || avcodec_receive_frame(state, pcm) || pcm->samples != 320)
        fail("cannot decode");
    av_packet_unref(packet);
    parameters *p = avcodec_parameters_alloc();
    const codec *c = avcodec_find_encoder_by_name("g722");
    if (!p || !c || avcodec_parameters_from_context(p, state) < 0)
        fail("no encoder");
    state = avcodec_alloc_context3(c);
    if (!state || avcodec_parameters_to_context(state, p) < 0 || avcodec_open2(state, c, NULL))
        fail("no encoder");
    return encode;
}
