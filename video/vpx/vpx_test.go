package vpx

import (
	"errors"
	"image"
	"testing"
	"unsafe"

	"github.com/parley-media/parley/video"
)

// With the library or without: constructors work or say what to install.
func TestWithOrWithoutTheLibrary(t *testing.T) {
	for _, name := range []string{"VP8", "vp9"} {
		d, decErr := NewDecoder(DecoderConfig{Codec: name})
		e, encErr := NewEncoder(EncoderConfig{Codec: name})
		if err := Available(); err != nil {
			if !errors.Is(decErr, ErrUnavailable) || !errors.Is(encErr, ErrUnavailable) || Version() != "" {
				t.Errorf("%s: no library, but: %v, %v, version %q", name, decErr, encErr, Version())
			}
			continue
		}
		if decErr != nil || encErr != nil || Version() == "" {
			t.Fatalf("%s: the library is there, but: %v, %v, version %q", name, decErr, encErr, Version())
		}
		var f video.Frame
		if err := e.Encode(&f, image.NewYCbCr(image.Rect(0, 0, 3, 5), image.YCbCrSubsampleRatio420), 0, false); err != nil || !f.Key {
			t.Errorf("%s: %v, key %v", name, err, f.Key)
		}
		var p image.YCbCr
		if err := d.Decode(&p, &f); err != nil || p.Rect != image.Rect(0, 0, 3, 5) {
			t.Errorf("%s: %v, %v", name, err, p.Rect)
		}
		if err := errors.Join(e.Close(), d.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestRefusedSettings(t *testing.T) {
	for _, name := range []string{"", "AV1", "H264"} {
		_, decErr := NewDecoder(DecoderConfig{Codec: name})
		_, encErr := NewEncoder(EncoderConfig{Codec: name})
		if !errors.Is(decErr, errors.ErrUnsupported) || !errors.Is(encErr, errors.ErrUnsupported) {
			t.Errorf("%q: %v, %v", name, decErr, encErr)
		}
	}
	for _, c := range []EncoderConfig{
		{Bitrate: 999},
		{Bitrate: -1},
		{Bitrate: maxBitrate + 1},
		{FPS: -1},
		{FPS: 1001},
		{KeyInterval: -1},
		{Speed: -1},
		{Speed: 17},
		{Threads: -1},
		{Threads: 17},
	} {
		c.Codec = "VP8"
		if _, err := NewEncoder(c); err == nil || errors.Is(err, ErrUnavailable) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, c := range []DecoderConfig{{Threads: -1}, {Threads: 17}, {MaxPixels: -1}} {
		c.Codec = "VP9"
		if _, err := NewDecoder(c); err == nil || errors.Is(err, ErrUnavailable) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// The places of members, as a C compiler puts them.
func TestLayout(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		if Available() == nil {
			t.Error("used on a system with other structures")
		}
		return
	}
	var s encoderSettings
	var i codecImage
	var p codecPacket
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"g_w", unsafe.Offsetof(s.width), 12},
		{"g_timebase", unsafe.Offsetof(s.timebaseNum), 28},
		{"g_error_resilient", unsafe.Offsetof(s.errorResilient), 36},
		{"g_lag_in_frames", unsafe.Offsetof(s.lag), 44},
		{"rc_dropframe_thresh", unsafe.Offsetof(s.dropThreshold), 48},
		{"rc_resize_allowed", unsafe.Offsetof(s.resizeAllowed), 52},
		{"rc_end_usage", unsafe.Offsetof(s.endUsage), 72},
		{"rc_twopass_stats_in", unsafe.Offsetof(s.stats), 80},
		{"rc_target_bitrate", unsafe.Offsetof(s.targetBitrate), 112},
		{"rc_min_quantizer", unsafe.Offsetof(s.minQuantizer), 116},
		{"rc_undershoot_pct", unsafe.Offsetof(s.undershoot), 124},
		{"rc_buf_sz", unsafe.Offsetof(s.buffer), 132},
		{"rc_buf_optimal_sz", unsafe.Offsetof(s.bufferOptimal), 140},
		{"kf_mode", unsafe.Offsetof(s.keyMode), 160},
		{"kf_max_dist", unsafe.Offsetof(s.keyMax), 168},
		{"ss_number_layers", unsafe.Offsetof(s.spatialLayers), 172},
		{"ts_number_layers", unsafe.Offsetof(s.temporalLayers), 216},
		{"d_w", unsafe.Offsetof(i.shownWidth), 24},
		{"x_chroma_shift", unsafe.Offsetof(i.chromaShiftX), 40},
		{"planes", unsafe.Offsetof(i.planes), 48},
		{"stride", unsafe.Offsetof(i.strides), 80},
		{"bps", unsafe.Offsetof(i.bitsPerSample), 96},
		{"user_priv", unsafe.Offsetof(i.user), 104},
		{"img_data_owner", unsafe.Offsetof(i.dataOwner), 120},
		{"fb_priv", unsafe.Offsetof(i.frameBuffer), 128},
		{"vpx_image_t", unsafe.Sizeof(i), 136},
		{"frame.buf", unsafe.Offsetof(p.data), 8},
		{"frame.sz", unsafe.Offsetof(p.size), 16},
		{"frame.pts", unsafe.Offsetof(p.time), 24},
		{"frame.flags", unsafe.Offsetof(p.flags), 40},
		{"vpx_codec_dec_cfg_t", unsafe.Sizeof(decoderSettings{}), 12},
	} {
		if c.got != c.want {
			t.Errorf("%s at %d, want %d", c.name, c.got, c.want)
		}
	}
	if n := unsafe.Sizeof(s); n < 504 {
		t.Errorf("vpx_codec_enc_cfg_t of %d bytes, want 504 at least", n)
	}
	if n := unsafe.Sizeof(codecContext{}); n < 56 {
		t.Errorf("vpx_codec_ctx_t of %d bytes, want 56 at least", n)
	}
}
