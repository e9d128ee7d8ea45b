package opus

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

const ms = time.Millisecond

// Table-of-contents bytes of each configuration (RFC 6716, section 3.1).
func TestContents(t *testing.T) {
	tests := []struct {
		config byte
		want   Info
	}{
		{0, Info{Mode: SILK, Bandwidth: 4000, Frame: 10 * ms}},
		{3, Info{Mode: SILK, Bandwidth: 4000, Frame: 60 * ms}},
		{5, Info{Mode: SILK, Bandwidth: 6000, Frame: 20 * ms}},
		{11, Info{Mode: SILK, Bandwidth: 8000, Frame: 60 * ms}},
		{12, Info{Mode: Hybrid, Bandwidth: 12000, Frame: 10 * ms}},
		{15, Info{Mode: Hybrid, Bandwidth: 20000, Frame: 20 * ms}},
		{16, Info{Mode: CELT, Bandwidth: 4000, Frame: 2500 * time.Microsecond}},
		{21, Info{Mode: CELT, Bandwidth: 8000, Frame: 5 * ms}},
		{26, Info{Mode: CELT, Bandwidth: 12000, Frame: 10 * ms}},
		{31, Info{Mode: CELT, Bandwidth: 20000, Frame: 20 * ms}},
	}
	for _, tt := range tests {
		for channels := 1; channels <= 2; channels++ {
			tt.want.Frames, tt.want.Channels = 1, channels
			packet := append([]byte{tt.config<<3 | byte(channels-1)<<2}, 0, 1, 2)
			got, err := Inspect(packet)
			if err != nil || got != tt.want {
				t.Errorf("config %d: %+v, %v, want %+v", tt.config, got, err, tt.want)
			}
		}
	}
	if s := Mode(200).String(); s != "Mode(200)" {
		t.Errorf("no mode is %q", s)
	}
}

func TestFraming(t *testing.T) {
	const toc = 31 << 3 // CELT, 20 ms
	long := bytes.Repeat([]byte{7}, 300)
	tests := []struct {
		name   string
		packet []byte
		want   []int // lengths of the frames; nil: malformed
	}{
		{"nothing", nil, nil},
		{"one empty frame", []byte{toc}, []int{0}},
		{"one frame", []byte{toc, 1, 2, 3}, []int{3}},
		{"two equal", []byte{toc | 1, 1, 2, 3, 4}, []int{2, 2}},
		{"two equal, odd", []byte{toc | 1, 1, 2, 3}, nil},
		{"two", []byte{toc | 2, 1, 9, 8, 7}, []int{1, 2}},
		{"two, long length", append([]byte{toc | 2, 252, 12}, long...), []int{300, 0}},
		{"two, no length", []byte{toc | 2}, nil},
		{"two, length cut off", []byte{toc | 2, 252}, nil},
		{"two, first too long", []byte{toc | 2, 5, 1}, nil},
		{"many, none", []byte{toc | 3, 0}, nil},
		{"many, no count", []byte{toc | 3}, nil},
		{"many, 140 ms", []byte{toc | 3, 7, 1, 2, 3, 4, 5, 6, 7}, nil},
		{"many, equal", []byte{toc | 3, 3, 1, 2, 3, 4, 5, 6}, []int{2, 2, 2}},
		{"many, equal that do not divide", []byte{toc | 3, 3, 1, 2, 3, 4}, nil},
		{"many, variable", []byte{toc | 3, 0x80 | 3, 1, 2, 9, 8, 8, 7}, []int{1, 2, 1}},
		{"many, variable, too long", []byte{toc | 3, 0x80 | 3, 1, 20, 9, 8, 8, 7}, nil},
		{"many, variable, lengths cut off", []byte{toc | 3, 0x80 | 3, 1}, nil},
		{"padding", []byte{toc | 3, 0x40 | 1, 2, 5, 5, 0, 0}, []int{2}},
		{"much padding", append([]byte{toc | 3, 0x40 | 1, 255, 1, 5}, make([]byte, 255)...), []int{1}},
		{"padding too long", []byte{toc | 3, 0x40 | 1, 9, 5, 5}, nil},
		{"padding cut off", []byte{toc | 3, 0x40 | 1, 255}, nil},
		{"1276 bytes", make([]byte, 1277), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			frames, err := AppendFrames(nil, tt.packet)
			if tt.want == nil {
				if !errors.Is(err, codec.ErrPayload) {
					t.Errorf("%d frames, error %v, want ErrPayload", len(frames), err)
				}
				return
			}
			var got []int
			for _, f := range frames {
				got = append(got, len(f))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v, frames (-want +got): %s", err, diff)
			}
		})
	}
}

func TestFMTP(t *testing.T) {
	full := FMTP{48000, 16000, 10, 60, 24000, true, true, true, true, true}
	for _, tt := range []struct {
		fmtp string
		want FMTP
	}{
		{full.String(), full},
		{" minptime = 10; UseInbandFEC=1 ;;x-unknown=7", FMTP{MinPTime: 10, UseInbandFEC: true}},
		{"maxaveragebitrate=512000;stereo=1", FMTP{Stereo: true}},
		{"maxaveragebitrate=5000;minptime=1;maxptime=240;useinbandfec=1", FMTP{UseInbandFEC: true}},
		{"sprop-maxcapturerate=96000;maxplaybackrate=1;cbr=1", FMTP{CBR: true}},
		{"minptime=x;maxptime=;usedtx=true;stereo=2;cbr;maxaveragebitrate=24000", FMTP{MaxAverageBitrate: 24000}},
	} {
		if got := ParseFMTP(tt.fmtp); got != tt.want {
			t.Errorf("%q: %+v, want %+v", tt.fmtp, got, tt.want)
		}
	}
}

func TestRegistered(t *testing.T) {
	p := codec.Params{Name: "OPUS", ClockRate: 48000, Channels: 2}
	c, err := codec.Lookup(p)
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.NewDecoder(p)
	if err != nil {
		t.Fatal(err)
	}
	pcm, err := d.Decode(nil, []byte{31 << 3})
	if err != nil || len(pcm) != 960 {
		t.Errorf("an empty frame: %d samples, %v", len(pcm), err)
	}
	if _, err := codec.Lookup(codec.Params{Name: "opus", ClockRate: 16000, Channels: 1}); !errors.Is(err, audio.ErrFormat) {
		t.Errorf("opus/16000: %v", err)
	}
	if err := codec.NoEncoder(p); c.NewEncoder != nil || !errors.Is(err, codec.ErrUnknown) || !strings.Contains(err.Error(), "import codec/opus/libopus") {
		t.Errorf("the error of one that has to encode: %v", err)
	}
	mono := codec.Params{Name: "opus", PayloadType: 111, ClockRate: 48000}
	if err := codec.NoEncoder(mono); !errors.Is(err, codec.ErrUnknown) || !errors.Is(err, audio.ErrFormat) || strings.Contains(err.Error(), "import") {
		t.Errorf("the error of one that has to encode opus/48000: %v", err)
	}
}

func TestInspectDoesNotAllocate(t *testing.T) {
	packet := []byte{31<<3 | 3, 0x80 | 3, 1, 2, 9, 8, 8, 7}
	if n := testing.AllocsPerRun(100, func() { Inspect(packet) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func FuzzInspect(f *testing.F) {
	f.Add([]byte{31<<3 | 3, 0x80 | 3, 1, 2, 9, 8, 8, 7})
	f.Add([]byte{31<<3 | 3, 0x40 | 1, 2, 5, 5, 0, 0})
	f.Add([]byte{0x48, 0x80, 1, 2, 3})
	f.Fuzz(func(t *testing.T, packet []byte) {
		info, err := Inspect(packet)
		frames, err2 := AppendFrames(nil, packet)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("%v, but %v", err, err2)
		}
		if err != nil {
			return
		}
		total := 0
		for _, fr := range frames {
			total += len(fr)
		}
		if len(frames) != info.Frames || total >= len(packet) || info.Duration() > 120*ms || info.Samples() <= 0 {
			t.Fatalf("%+v, %d frames of %d bytes in %d", info, len(frames), total, len(packet))
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0x48, 0x80, 1, 2, 3}, []byte{31 << 3, 9, 9, 9})
	f.Add([]byte{0x78, 7, 7, 7, 7}, []byte{31<<3 | 1, 1, 2})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d, err := newDecoder(codec.Params{Name: "opus", ClockRate: 48000, Channels: 2, FMTP: "stereo=1"})
		if err != nil {
			t.Fatal(err)
		}
		for _, packet := range [][]byte{first, second} {
			pcm, err := d.Decode(nil, packet)
			if err != nil && (!errors.Is(err, codec.ErrPayload) || len(pcm) != 0) {
				t.Fatalf("%d samples, %v", len(pcm), err)
			}
			if len(pcm) > codec.MaxFrame {
				t.Fatalf("%d samples", len(pcm))
			}
		}
	})
}

func ExampleInspect() {
	packet := []byte{0x7B, 0x83, 1, 2, 0xAA, 0xBB, 0xBB, 0xCC}
	info, err := Inspect(packet)
	fmt.Println(info.Mode, info.Bandwidth, info.Frames, info.Duration(), info.DTX, err)
	// Output: hybrid 20000 3 60ms false <nil>
}

func ExampleParseFMTP() {
	f := ParseFMTP("minptime=10;useinbandfec=1")
	fmt.Println(f.UseInbandFEC, f.MinPTime)
	// Output: true 10
}
