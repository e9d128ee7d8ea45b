package peer

import (
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"
	"pgregory.net/rapid"

	"github.com/parley-media/parley/codec"
)

// Each codec of video has a repair format, on a payload type that no other has.
func TestRepairFormats(t *testing.T) {
	full := []codec.Params{{Name: "VP8", PayloadType: 96, ClockRate: 90000}}
	for n := 97; n < 128; n++ {
		full = append(full, codec.Params{Name: "x", PayloadType: uint8(n)})
	}
	var none []codec.Params
	for n := 35; n < 64; n++ {
		none = append(none, codec.Params{Name: "x", PayloadType: uint8(n)})
	}
	for _, tt := range []struct {
		name   string
		codecs []codec.Params
		want   map[uint8]uint8 // the payload type that each repair format stands for
	}{
		{"default", DefaultCodecs(), map[uint8]uint8{97: 96, 99: 98, 103: 102, 105: 104, 107: 106, 109: 108, 113: 112, 115: 114}},
		{"no video", DefaultCodecs()[:6], map[uint8]uint8{}},
		{"at the end", []codec.Params{{Name: "vp8", PayloadType: 127, ClockRate: 90000}, {Name: "VP9", PayloadType: 96, ClockRate: 90000}}, map[uint8]uint8{97: 127, 98: 96}},
		{"low types only", full, map[uint8]uint8{35: 96}},
		{"no type left", append(none, full...), map[uint8]uint8{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			formats := repairFormats(tt.codecs)
			if got := originals(formats); !maps.Equal(got, tt.want) {
				t.Errorf("formats %v, want %v", got, tt.want)
			}
			for _, f := range formats {
				if f.ClockRate != 90000 || f.MimeType != "video/rtx" {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// What no repair format is, or makes no sense, stands for nothing.
func TestOriginals(t *testing.T) {
	rtx := func(n webrtc.PayloadType, line string) webrtc.RTPCodecParameters {
		return webrtc.RTPCodecParameters{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "video/RTX", SDPFmtpLine: line}, PayloadType: n}
	}
	other := rtx(100, "apt=96")
	other.MimeType = "video/VP8"
	got := originals([]webrtc.RTPCodecParameters{
		rtx(97, "apt=96"), rtx(98, "rtx-time=3000; apt=102"), rtx(99, "apt=128"), rtx(101, "apt="), rtx(102, ""), rtx(103, "apt=-1"), other,
	})
	if want := map[uint8]uint8{97: 96, 98: 102}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if p, ok := plain([]webrtc.RTPCodecParameters{rtx(97, "apt=96"), other}); !ok || p.PayloadType != 100 {
		t.Errorf("the first that is no repair format: %v, %v", p, ok)
	}
	if _, ok := plain([]webrtc.RTPCodecParameters{rtx(97, "apt=96")}); ok {
		t.Error("a repair format is taken for another one")
	}
}

// A sequence knows the same as a set of all numbers would.
func TestSequence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint16().Draw(t, "first")
		var s sequence
		if s.lacks(first) || s.holes() {
			t.Fatal("knows something of nothing")
		}
		s.add(first)
		newest, begin := 1<<16, 1<<16
		seen := map[int]bool{newest: true}
		for range rapid.IntRange(0, 100).Draw(t, "packets") {
			n := newest + rapid.OneOf(rapid.IntRange(-reach+1, 3), rapid.IntRange(1, 300)).Draw(t, "step")
			if n <= max(begin-1, newest-reach) {
				continue // of which it knows nothing
			}
			gap := s.add(first + uint16(n-1<<16))
			if want := n > newest+1; gap != want {
				t.Fatalf("%d after %d: gap %v", n, newest, gap)
			}
			seen[n] = true
			newest = max(newest, n)
			holes := false
			for i := newest - reach - 5; i <= newest+5; i++ {
				known := i > newest-reach && i >= begin && i <= newest
				want := known && !seen[i]
				holes = holes || want
				if got := s.lacks(first + uint16(i-1<<16)); got != want {
					t.Fatalf("%d of up to %d: lacks %v, want %v", i, newest, got, want)
				}
			}
			if s.holes() != holes {
				t.Fatalf("up to %d: holes %v, want %v", newest, s.holes(), holes)
			}
		}
		// Another beginning is believed.
		s.add(uint16(newest) + first + 1<<15)
		if s.holes() || s.lacks(first+uint16(newest)) {
			t.Fatal("remembers what was before another beginning")
		}
	})
}

// A tape is a track that was recorded.
type tape struct {
	packets   []taped
	deadlines []time.Time
}

type taped struct {
	number      uint16
	payloadType uint8
	repair      uint8 // payload type of the repair format; 0: none
	err         error
}

func (p *tape) Read(b []byte) (int, interceptor.Attributes, error) {
	if len(p.packets) == 0 {
		return 0, nil, io.EOF
	}
	x := p.packets[0]
	p.packets = p.packets[1:]
	if x.err != nil {
		return 0, nil, x.err
	}
	b = append(b[:0], 0x80, 0x80|x.payloadType)
	b = binary.BigEndian.AppendUint16(b, x.number)
	b = append(b, make([]byte, 20)...)
	var a interceptor.Attributes
	if x.repair != 0 {
		a = interceptor.Attributes{webrtc.AttributeRtxPayloadType: x.repair}
	}
	return len(b), a, nil
}

func (p *tape) SetReadDeadline(at time.Time) error {
	p.deadlines = append(p.deadlines, at)
	return nil
}

// Of a repair stream only what is missing is given out, once, with the payload type
// that it was sent with first.
func TestMender(t *testing.T) {
	packet := func(n uint16) taped { return taped{number: n, payloadType: 96} }
	again := func(n uint16) taped { return taped{number: n, payloadType: 96, repair: 97} }
	for _, tt := range []struct {
		name string
		in   []taped
		want []uint16
	}{
		{"nothing missing", []taped{packet(1), packet(2), again(1), again(2), again(3)}, []uint16{1, 2}},
		{"one missing", []taped{packet(1), packet(3), again(2), again(2), packet(4)}, []uint16{1, 3, 2, 4}},
		{"repaired in its own stream", []taped{packet(1), packet(3), packet(2), again(2)}, []uint16{1, 3, 2}},
		{"across the wrap", []taped{packet(65534), packet(1), again(65535), again(0), again(65533)}, []uint16{65534, 1, 65535, 0}},
		{"before all", []taped{again(2), packet(3), again(2), packet(4)}, []uint16{3, 4}},
		{"too long ago", []taped{packet(1), packet(3), packet(3 + reach - 1), again(2), packet(3 + reach), again(3), again(5)}, []uint16{1, 3, 3 + reach - 1, 3 + reach, 5}},
		{"of a format that is not agreed on", []taped{packet(1), packet(3), {number: 2, payloadType: 96, repair: 99}}, []uint16{1, 3}},
		{"nothing in time", []taped{packet(1), packet(3), {err: os.ErrDeadlineExceeded}, again(2)}, []uint16{1, 3, 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &mender{track: &tape{packets: tt.in}, originals: map[uint8]uint8{97: 96}}
			var got []uint16
			b := make([]byte, 100)
			for {
				n, err := m.next(b)
				if err != nil {
					if !errors.Is(err, io.EOF) {
						t.Fatal(err)
					}
					break
				}
				if n != 24 || b[1] != 0x80|96 {
					t.Errorf("%d bytes, % x", n, b[:n])
				}
				got = append(got, binary.BigEndian.Uint16(b[2:]))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("gave out %v, want %v", got, tt.want)
			}
		})
	}
}

// The codec of what comes again is the one of before, whichever is sent by now.
func TestMenderKeepsTheCodec(t *testing.T) {
	m := &mender{
		track:     &tape{packets: []taped{{number: 1, payloadType: 96}, {number: 3, payloadType: 98}, {number: 2, payloadType: 98, repair: 97}}},
		originals: map[uint8]uint8{97: 96, 99: 98},
	}
	b := make([]byte, 100)
	var got []uint8
	for range 3 {
		if _, err := m.next(b); err != nil {
			t.Fatal(err)
		}
		got = append(got, b[1]&0x7f)
	}
	if want := []uint8{96, 98, 96}; !slices.Equal(got, want) {
		t.Errorf("payload types %v, want %v", got, want)
	}
}

// Reads are bounded while something is missing, and not for ever.
func TestMenderPace(t *testing.T) {
	track := &tape{}
	m := &mender{track: track}
	now := time.Now()
	at := func(d time.Duration) time.Time { return now.Add(d) }
	pace := func(d time.Duration, want ...time.Time) {
		t.Helper()
		track.deadlines = nil
		if m.pace(at(d)); !slices.Equal(track.deadlines, want) {
			t.Errorf("at %v: deadlines %v, want %v", d, track.deadlines, want)
		}
	}
	m.seen.add(1)
	pace(0)
	m.seen.add(3)
	m.until = at(repairPatience)
	pace(0, at(repairPause))
	pace(10*time.Millisecond, at(10*time.Millisecond+repairPause))
	m.seen.add(2)
	pace(20*time.Millisecond, time.Time{})
	pace(30 * time.Millisecond)
	m.seen.add(5)
	pace(40*time.Millisecond, at(40*time.Millisecond+repairPause))
	pace(repairPatience, time.Time{})
	pace(repairPatience)
}

func TestMenderDoesNotAllocate(t *testing.T) {
	track := &endless{}
	m := &mender{track: track, originals: map[uint8]uint8{97: 96}}
	b := make([]byte, 100)
	if a := testing.AllocsPerRun(1000, func() {
		if _, err := m.next(b); err != nil {
			t.Fatal(err)
		}
	}); a != 0 {
		t.Errorf("%v allocations per packet", a)
	}
	if track.again < 100 {
		t.Errorf("%d packets came again", track.again)
	}
}

// endless is a track of which each fourth packet comes in the repair stream.
type endless struct {
	n, again int
	repair   interceptor.Attributes
}

func (p *endless) Read(b []byte) (int, interceptor.Attributes, error) {
	number := p.n
	var a interceptor.Attributes
	switch p.n % 4 {
	case 2:
		number++
	case 3:
		if number--; p.repair == nil {
			p.repair = interceptor.Attributes{webrtc.AttributeRtxPayloadType: uint8(97)}
		}
		a = p.repair
		p.again++
	}
	p.n++
	b[0], b[1] = 0x80, 96
	binary.BigEndian.PutUint16(b[2:], uint16(number))
	return 20, a, nil
}

func (p *endless) SetReadDeadline(time.Time) error { return nil }

// Whatever comes, nothing of the repair stream is given out that was given out
// shortly before.
func FuzzMender(f *testing.F) {
	f.Add([]byte{0, 1, 0, 3, 1, 2, 1, 2, 0, 4})
	f.Add([]byte{0, 250, 1, 251, 0, 2, 1, 251, 2, 0, 3, 1, 1, 252})
	f.Fuzz(func(t *testing.T, ops []byte) {
		track := &tape{}
		number := uint16(0)
		for ; len(ops) >= 2; ops = ops[2:] {
			p := taped{number: number + uint16(int8(ops[1])), payloadType: 96}
			switch ops[0] % 4 {
			case 0:
				number = p.number
			case 1:
				p.repair = 97
			case 2:
				p.err = os.ErrDeadlineExceeded
			case 3:
				number += uint16(ops[1]) << 8
				p.number = number
			}
			track.packets = append(track.packets, p)
		}
		reads := len(track.packets) + 1
		m := &mender{track: track, originals: map[uint8]uint8{97: 95}}
		b := make([]byte, 100)
		since := map[uint16]int{} // when each number was given out last
		for i := 0; ; i++ {
			if _, err := m.next(b); err != nil {
				break
			}
			n := binary.BigEndian.Uint16(b[2:])
			at, ok := since[n]
			if again := b[1]&0x7f == 95; again && ok && i-at <= 1 {
				t.Fatalf("%d is given out again", n)
			}
			since[n] = i
		}
		if len(track.deadlines) > reads {
			t.Fatalf("%d deadlines for %d reads", len(track.deadlines), reads)
		}
	})
}
