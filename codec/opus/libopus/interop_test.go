//go:build interop

package libopus

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	pion "github.com/pion/opus"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/opus"
)

func need(t testing.TB) {
	t.Helper()
	if err := Available(); err != nil {
		t.Fatalf("%v (Debian package libopus0)", err)
	}
}

var mono48 = audio.Format{Rate: 48000, Channels: 1}

// voice is a voiced sound with a wandering pitch and pauses, which predicts as
// badly as speech does.
func voice(f audio.Format, d time.Duration) []int16 {
	rng := rand.New(rand.NewPCG(1, 2))
	pcm := make([]int16, f.Samples(d))
	phase, noise := 0.0, 0.0
	for i := 0; i < len(pcm); i += f.Channels {
		at := float64(i/f.Channels) / float64(f.Rate)
		phase += (140 + 40*math.Sin(2*math.Pi*0.7*at)) / float64(f.Rate)
		envelope := math.Max(0, math.Sin(2*math.Pi*1.5*at))
		v := 0.0
		for h := 1.0; h < 15; h++ {
			v += math.Sin(2*math.Pi*h*phase) / h
		}
		noise = 0.9*noise + 0.1*rng.NormFloat64()
		for c := range f.Channels {
			pcm[i+c] = int16(5000*envelope*v*(1-0.3*float64(c)) + 300*noise)
		}
	}
	return pcm
}

func encodeAll(t testing.TB, c EncoderConfig, pcm []int16, frame time.Duration) [][]byte {
	t.Helper()
	e, err := NewEncoder(c)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var packets [][]byte
	n := e.Format().Samples(frame)
	for len(pcm) >= n {
		p, err := e.Encode(nil, pcm[:n])
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, p)
		pcm = pcm[n:]
	}
	return packets
}

// snr returns the ratio of the signal to its difference from got, in dB, for
// the best delay up to 15 ms.
func snr(want, got []int16, f audio.Format) float64 {
	best := -100.0
	for delay := 0; delay <= f.Rate*15/1000; delay++ {
		var s, n float64
		for i := f.Rate / 10 * f.Channels; i < len(want)-f.Rate/10*f.Channels; i += 7 {
			if i+delay*f.Channels >= len(got) {
				break
			}
			w, d := float64(want[i]), float64(want[i])-float64(got[i+delay*f.Channels])
			s, n = s+w*w, n+d*d
		}
		best = max(best, 10*math.Log10(s/(n+1)))
	}
	return best
}

// Every mode and frame size is decoded alike by us, by opusdec's library in
// ffmpeg, and by pion/opus where it can.
func TestModesAndFrameSizes(t *testing.T) {
	need(t)
	sizes := []time.Duration{2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond, 60 * time.Millisecond, 120 * time.Millisecond}
	modes := []struct {
		name string
		c    EncoderConfig
		want opus.Mode
	}{
		{"SILK", EncoderConfig{Application: VoIP, Bitrate: 12000, Bandwidth: Wideband}, opus.SILK},
		{"hybrid", EncoderConfig{Application: VoIP, Bitrate: 32000, Bandwidth: Fullband}, opus.Hybrid},
		{"CELT", EncoderConfig{Application: LowDelay, Bitrate: 96000}, opus.CELT},
	}
	for _, m := range modes {
		for _, size := range sizes {
			if size < 10*time.Millisecond && m.want != opus.CELT {
				continue // the modes for speech have no such frames
			}
			for channels := 1; channels <= 2; channels++ {
				t.Run(fmt.Sprintf("%s/%v/%d", m.name, size, channels), func(t *testing.T) {
					f := audio.Format{Rate: 48000, Channels: channels}
					c := m.c
					c.Format = f
					pcm := voice(f, 3*time.Second)
					packets := encodeAll(t, c, pcm, size)
					d, err := NewDecoder(f)
					if err != nil {
						t.Fatal(err)
					}
					var ours []int16
					modes := map[opus.Mode]int{}
					for _, p := range packets {
						info, err := opus.Inspect(p)
						if err != nil || info.Duration() != size {
							t.Fatalf("%+v, %v", info, err)
						}
						modes[info.Mode]++
						if ours, err = d.Decode(ours, p); err != nil {
							t.Fatal(err)
						}
					}
					if modes[m.want] < len(packets)*8/10 {
						t.Errorf("modes %v, want %v", modes, m.want)
					}
					if r := snr(pcm, ours, f); r < 2 {
						t.Errorf("signal to noise %.1f dB", r)
					}
					// ffmpeg's decoder is another implementation: in hybrid
					// stereo it comes within 25 dB, elsewhere 30.
					if r := snr(ours, ffmpegDecode(t, packets, size, f), f); r < 24 {
						t.Errorf("ffmpeg decodes something else: %.1f dB", r)
					}
					if r, err := pionDecode(packets, f); err != nil {
						t.Logf("pion/opus: %v", err)
					} else if r := snr(ours, r, f); r < 20 {
						t.Errorf("pion/opus decodes something else: %.1f dB", r)
					}
				})
			}
		}
	}
}

func pionDecode(packets [][]byte, f audio.Format) ([]int16, error) {
	d, err := pion.NewDecoderWithOutput(f.Rate, f.Channels)
	if err != nil {
		return nil, err
	}
	var pcm []int16
	buf := make([]int16, codec.MaxFrame)
	for _, p := range packets {
		n, err := d.DecodeToInt16(p, buf)
		if err != nil {
			return nil, err
		}
		pcm = append(pcm, buf[:n*f.Channels]...)
	}
	return pcm, nil
}

// ffmpegDecode decodes packets with ffmpeg's own decoder, from an Ogg file.
func ffmpegDecode(t *testing.T, packets [][]byte, frame time.Duration, f audio.Format) []int16 {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.opus")
	if err := os.WriteFile(name, oggOpus(packets, frame, f.Channels), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("ffmpeg", "-v", "error", "-c:a", "opus", "-i", name, "-f", "s16le", "-ar", "48000", "-ac", fmt.Sprint(f.Channels), "-")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg (Debian package ffmpeg): %v\n%s", err, stderr.String())
	}
	pcm := make([]int16, len(out)/2)
	for i := range pcm {
		pcm[i] = int16(out[2*i]) | int16(out[2*i+1])<<8
	}
	return pcm
}

// oggOpus writes packets as an Ogg stream (RFC 3533, RFC 7845), a page each.
func oggOpus(packets [][]byte, frame time.Duration, channels int) []byte {
	var b []byte
	granule, sequence := uint64(0), uint32(0)
	page := func(flags byte, packet []byte) {
		head := []byte{'O', 'g', 'g', 'S', 0, flags}
		head = le(head, granule, 8)
		head = le(head, 7, 4)
		head = le(head, uint64(sequence), 4)
		head = append(head, 0, 0, 0, 0, byte(len(packet)/255+1))
		for n := len(packet); ; n -= 255 {
			head = append(head, byte(min(n, 255)))
			if n < 255 {
				break
			}
		}
		at := len(b)
		b = append(append(b, head...), packet...)
		copy(b[at+22:], le(nil, uint64(oggCRC(b[at:])), 4))
		sequence++
	}
	id := append([]byte("OpusHead"), 1, byte(channels), 0, 0)
	page(2, append(le(id, 48000, 4), 0, 0, 0))
	page(0, append([]byte("OpusTags"), make([]byte, 8)...))
	for i, p := range packets {
		granule += uint64(frame * 48 / time.Millisecond)
		flags := byte(0)
		if i == len(packets)-1 {
			flags = 4
		}
		page(flags, p)
	}
	return b
}

func le(b []byte, v uint64, n int) []byte {
	for range n {
		b = append(b, byte(v))
		v >>= 8
	}
	return b
}

func oggCRC(b []byte) uint32 {
	crc := uint32(0)
	for _, c := range b {
		crc ^= uint32(c) << 24
		for range 8 {
			if crc&0x80000000 != 0 {
				crc = crc<<1 ^ 0x04C11DB7
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// A lost packet comes back better from the copy in the next one than from
// concealment.
func TestFEC(t *testing.T) {
	need(t)
	pcm := voice(mono48, 10*time.Second)
	packets := encodeAll(t, EncoderConfig{Bitrate: 24000, Bandwidth: Wideband, FEC: true, ExpectedLoss: 20}, pcm, 20*time.Millisecond)
	decode := func(lost func([]int16, *Decoder, []byte) []int16) []int16 {
		d, err := NewDecoder(mono48)
		if err != nil {
			t.Fatal(err)
		}
		var out []int16
		for i, p := range packets {
			if i%7 == 3 && i+1 < len(packets) && lost != nil {
				out = lost(out, d, packets[i+1])
				continue
			}
			if out, err = d.Decode(out, p); err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	clean := decode(nil)
	copies := 0
	fec := decode(func(out []int16, d *Decoder, next []byte) []int16 {
		out, ok := d.DecodeFEC(out, next, 960)
		if ok {
			copies++
			return out
		}
		out, _ = d.Conceal(out, 960)
		return out
	})
	concealed := decode(func(out []int16, d *Decoder, _ []byte) []int16 {
		out, err := d.Conceal(out, 960)
		if err != nil {
			t.Fatal(err)
		}
		return out
	})
	with, without := snr(clean, fec, mono48), snr(clean, concealed, mono48)
	t.Logf("14 %% lost: %.1f dB with %d copies, %.1f dB with concealment only", with, copies, without)
	if len(fec) != len(clean) || len(concealed) != len(clean) {
		t.Errorf("%d and %d samples, want %d", len(fec), len(concealed), len(clean))
	}
	if copies < 30 || with < without+3 {
		t.Error("redundancy does not help")
	}
}

func TestSettings(t *testing.T) {
	need(t)
	pcm := voice(mono48, 2*time.Second)
	total := func(c EncoderConfig) (n int) {
		for _, p := range encodeAll(t, c, pcm, 20*time.Millisecond) {
			n += len(p)
		}
		return n * 4 // bits per second
	}
	for _, rate := range []int{8000, 16000, 32000, 64000} {
		if got := total(EncoderConfig{Bitrate: rate, CBR: true}); math.Abs(float64(got-rate)) > float64(rate)/20 {
			t.Errorf("%d b/s asked for, %d sent", rate, got)
		}
	}
	e, err := NewEncoder(EncoderConfig{Bitrate: 64000, CBR: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := errors.Join(e.SetBitrate(16000), e.SetComplexity(3), e.SetBandwidth(Narrowband), e.SetDTX(true), e.Reset()); err != nil {
		t.Error(err)
	}
	p, err := e.Encode(nil, pcm[:960])
	if info, _ := opus.Inspect(p); err != nil || len(p) != 40 || info.Bandwidth != 4000 {
		t.Errorf("after the change: %d bytes, %+v, %v", len(p), info, err)
	}
	if err := e.SetComplexity(11); err == nil {
		t.Error("complexity 11: no error")
	}
	silent, sent := make([]int16, 960), 0
	for range 100 {
		p, err := e.Encode(nil, silent)
		if err != nil {
			t.Fatal(err)
		}
		if len(p) > 0 {
			sent++
		}
	}
	if sent > 40 {
		t.Errorf("DTX sent %d of 100 silent frames", sent)
	}
}

// Nothing is coded that the far end does not play out (RFC 7587, section 6.1).
func TestMaxPlaybackRate(t *testing.T) {
	need(t)
	p := codec.Params{Name: "opus", ClockRate: 48000, Channels: 2}
	c, err := codec.Lookup(p)
	if err != nil {
		t.Fatal(err)
	}
	pcm := voice(mono48, 200*time.Millisecond)
	for fmtp, want := range map[string]int{
		"":                      20000,
		"maxplaybackrate=48000": 20000,
		"maxplaybackrate=44100": 20000,
		"maxplaybackrate=24000": 12000,
		"maxplaybackrate=16000": 8000,
		"maxplaybackrate=12000": 6000,
		"maxplaybackrate=8000":  4000,
	} {
		p.FMTP = "maxaveragebitrate=64000;" + fmtp
		e, err := c.NewEncoder(p)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at+960 <= len(pcm); at += 960 {
			packet, err := e.Encode(nil, pcm[at:at+960])
			if info, _ := opus.Inspect(packet); err != nil || info.Bandwidth != want {
				t.Errorf("%q: %d Hz coded, want %d, %v", fmtp, info.Bandwidth, want, err)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	need(t)
	if _, err := NewEncoder(EncoderConfig{Format: audio.Format{Rate: 44100, Channels: 1}}); !errors.Is(err, audio.ErrFormat) {
		t.Errorf("44100 Hz: %v", err)
	}
	e, _ := NewEncoder(EncoderConfig{})
	for _, n := range []int{0, 1, 159, 961, 48000} {
		if out, err := e.Encode([]byte("x"), make([]int16, n)); !errors.Is(err, audio.ErrFormat) || string(out) != "x" {
			t.Errorf("%d samples: %q, %v", n, out, err)
		}
	}
	d, _ := NewDecoder(mono48)
	for _, bad := range [][]byte{nil, {0xFB}, {0xF9, 1}} {
		if _, err := d.Decode(nil, bad); !errors.Is(err, codec.ErrPayload) {
			t.Errorf("payload %x: %v", bad, err)
		}
	}
	e.Close()
	d.Close()
	e.Close()
	d.Close()
	if _, err := e.Encode(nil, make([]int16, 960)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := d.Decode(nil, []byte{31 << 3, 1, 2}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// States that are dropped are collected.
func TestCollected(t *testing.T) {
	need(t)
	for range 300 {
		if _, err := NewEncoder(EncoderConfig{}); err != nil {
			t.Fatal(err)
		}
		if _, err := NewDecoder(mono48); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
}

func TestNoAllocations(t *testing.T) {
	need(t)
	e, _ := NewEncoder(EncoderConfig{Bitrate: 24000, FEC: true, ExpectedLoss: 10})
	d, _ := NewDecoder(mono48)
	pcm := voice(mono48, 100*time.Millisecond)[960:1920]
	packet := make([]byte, 0, 1500)
	out := make([]int16, 0, 4000)
	step := func() {
		var err error
		if packet, err = e.Encode(packet[:0], pcm); err != nil {
			t.Fatal(err)
		}
		if out, err = d.Decode(out[:0], packet); err != nil {
			t.Fatal(err)
		}
		out, _ = d.Conceal(out[:0], 960)
		out, _ = d.DecodeFEC(out[:0], packet, 960)
	}
	step()
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations per frame, want 0", n)
	}
}

func FuzzDecode(f *testing.F) {
	need(f)
	for _, p := range encodeAll(f, EncoderConfig{Bitrate: 24000, FEC: true, ExpectedLoss: 20}, voice(mono48, 100*time.Millisecond), 20*time.Millisecond) {
		f.Add(p)
	}
	d, err := NewDecoder(audio.Format{Rate: 48000, Channels: 2})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		pcm, err := d.Decode(nil, packet)
		if err != nil && !errors.Is(err, codec.ErrPayload) || len(pcm) > codec.MaxFrame {
			t.Fatalf("%d samples, %v", len(pcm), err)
		}
		if pcm, _ = d.DecodeFEC(nil, packet, 1920); len(pcm) > codec.MaxFrame {
			t.Fatalf("%d samples", len(pcm))
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	need(b)
	e, _ := NewEncoder(EncoderConfig{Bitrate: 24000, Complexity: 5})
	pcm := voice(mono48, time.Second)
	packet := make([]byte, 0, 1500)
	i := 0
	for b.Loop() {
		packet, _ = e.Encode(packet[:0], pcm[i*960:(i+1)*960])
		i = (i + 1) % 50
	}
}

func BenchmarkDecode(b *testing.B) {
	need(b)
	packets := encodeAll(b, EncoderConfig{Bitrate: 24000}, voice(mono48, time.Second), 20*time.Millisecond)
	d, _ := NewDecoder(mono48)
	pcm := make([]int16, 0, 4000)
	i := 0
	for b.Loop() {
		pcm, _ = d.Decode(pcm[:0], packets[i])
		i = (i + 1) % len(packets)
	}
}
