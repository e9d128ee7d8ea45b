package stream

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
	"pgregory.net/rapid"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/video"
)

var vp8 = codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000}

// camera is a scripted far end with video: frames of VP8 in packets of 20 bytes.
type camera struct {
	t    testing.TB
	r    *VideoReceiver
	seq  uint16
	ts   uint32
	sent int
}

func newCamera(t testing.TB, c VideoReceiverConfig) *camera {
	t.Helper()
	if c.Codecs == nil {
		c.Codecs = []codec.Params{vp8}
	}
	r, err := NewVideoReceiver(c)
	if err != nil {
		t.Fatal(err)
	}
	return &camera{t: t, r: r, seq: 65530, ts: 1<<32 - 4500}
}

// shoot makes the packets of a frame: a key frame of 16 × 16 for 'k', one that
// no other needs for 'd', and any other for 'p'. Its data ends with its number.
func (c *camera) shoot(kind byte, packets int) []*rtp.Packet {
	data := []byte{1, 0, 0}
	if kind == 'k' {
		data = []byte{0, 0, 0, 0x9d, 1, 0x2a, 16, 0, 16, 0}
	}
	data = append(data, make([]byte, 20*packets-len(data)-1)...)
	data = append(data, byte(c.sent))
	c.sent++
	var all []*rtp.Packet
	for i := range packets {
		descriptor := byte(0)
		if i == 0 {
			descriptor = 0x10
		}
		if kind == 'd' {
			descriptor |= 0x20
		}
		all = append(all, &rtp.Packet{
			Header:  rtp.Header{Version: 2, PayloadType: 96, SSRC: 1, SequenceNumber: c.seq, Timestamp: c.ts, Marker: i == packets-1},
			Payload: append([]byte{descriptor}, data[20*i:][:20]...),
		})
		c.seq++
	}
	c.ts += 3000
	return all
}

var videoBegin = time.Now()

// push delivers packets at one time.
func (c *camera) push(at time.Duration, packets ...*rtp.Packet) {
	for _, p := range packets {
		c.r.Push(videoBegin.Add(at), p)
	}
}

// see pulls all frames that there are, and describes them by number, and their
// kind if it is a key frame.
func (c *camera) see(at time.Duration) string {
	var words []string
	var f video.Frame
	for c.r.Pull(videoBegin.Add(at), &f) {
		word := fmt.Sprint(f.Data[len(f.Data)-1])
		if f.Key {
			word += fmt.Sprintf("k%dx%d", f.Width, f.Height)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func (c *camera) wantSeen(at time.Duration, want string) {
	c.t.Helper()
	if got := c.see(at); got != want {
		c.t.Errorf("at %v: saw %q, want %q", at, got, want)
	}
}

func (c *camera) stats() (s VideoReceiverStats) {
	c.r.Stats(&s)
	return s
}

func (c *camera) next() time.Duration {
	if n := c.r.Next(); !n.IsZero() {
		return n.Sub(videoBegin)
	}
	return -1
}

func TestVideo(t *testing.T) {
	c := newCamera(t, VideoReceiverConfig{})
	key := c.shoot('k', 3)
	c.push(0, key[:2]...)
	c.wantSeen(0, "")
	if c.next() >= 0 {
		t.Errorf("something to do at %v", c.next())
	}
	c.push(1*ms, key[2])
	if c.next() > 1*ms || c.next() < 0 {
		t.Errorf("next at %v", c.next())
	}
	c.wantSeen(1*ms, "0k16x16")
	for n := range 9 {
		c.push(time.Duration(n)*33*ms, c.shoot('p', 2)...)
	}
	c.wantSeen(300*ms, "1 2 3 4 5 6 7 8 9")
	if s := c.stats(); s.Frames != 10 || s.KeyFrames != 1 || s.Received != 21 || s.Octets != 21*21 || s.Broken+s.Skipped+s.Lost+s.Discarded != 0 {
		t.Errorf("%+v", s)
	}
	if c.r.KeyFrames().Wanted() {
		t.Error("asks for a key frame")
	}
}

// Any two packets that are swapped, within a frame and between frames: nothing
// is lost, and nobody asks for a key frame.
func TestVideoReordered(t *testing.T) {
	for a := range 14 {
		for b := a + 1; b < 14; b++ {
			if a < 2 && b > a+1 {
				continue // the first two that follow each other begin what is heard
			}
			c := newCamera(t, VideoReceiverConfig{})
			packets := c.shoot('k', 5)
			for range 3 {
				packets = append(packets, c.shoot('p', 3)...)
			}
			packets[a], packets[b] = packets[b], packets[a]
			var seen []string
			for i, p := range packets {
				at := time.Duration(i) * 10 * ms
				c.push(at, p)
				seen = append(seen, c.see(at))
			}
			if got := strings.Join(strings.Fields(strings.Join(seen, " ")), " "); got != "0k16x16 1 2 3" || c.r.KeyFrames().Wanted() {
				t.Errorf("packets %d and %d swapped: saw %q", a, b, got)
			}
		}
	}
}

// What is missing is waited for, and what comes in time is used.
func TestVideoWaits(t *testing.T) {
	c := newCamera(t, VideoReceiverConfig{Wait: 100 * ms})
	c.push(0, c.shoot('k', 3)...)
	c.wantSeen(0, "0k16x16")
	p := c.shoot('p', 3)
	q := c.shoot('p', 2)
	c.push(33*ms, p[0], p[2])
	c.push(66*ms, q...)
	c.wantSeen(132*ms, "")
	if c.next() != 133*ms {
		t.Errorf("gives up at %v", c.next())
	}
	c.push(132*ms, p[1])
	c.wantSeen(132*ms, "1 2")
	// The next one comes too late.
	p, q = c.shoot('p', 3), c.shoot('p', 2)
	c.push(200*ms, p[0], p[2])
	c.push(233*ms, q...)
	c.wantSeen(299*ms, "")
	if c.r.KeyFrames().Wanted() {
		t.Error("asks for a key frame too early")
	}
	c.wantSeen(300*ms, "")
	if at := c.r.KeyFrames().Next(); !at.Equal(videoBegin.Add(300 * ms)) {
		t.Errorf("asks for a key frame %v late", at.Sub(videoBegin)-300*ms)
	}
	c.push(301*ms, p[1])
	if s := c.stats(); s.Late != 1 || s.Broken != 1 || s.Skipped != 1 {
		t.Errorf("%+v", s)
	}
	c.push(333*ms, c.shoot('p', 1)...)
	c.push(366*ms, c.shoot('k', 2)...)
	c.push(400*ms, c.shoot('p', 2)...)
	c.wantSeen(400*ms, "6k16x16 7")
	if c.r.KeyFrames().Wanted() {
		t.Error("asks for what has come")
	}
}

// Two gaps at once are waited for side by side, not one after the other.
func TestVideoGapsWaitTogether(t *testing.T) {
	c := newCamera(t, VideoReceiverConfig{Wait: 100 * ms})
	c.push(0, c.shoot('k', 1)...)
	for n := 1; n <= 4; n++ {
		p := c.shoot('p', 3)
		c.push(time.Duration(n)*10*ms, p[0], p[2])
	}
	c.push(50*ms, c.shoot('k', 1)...)
	c.wantSeen(109*ms, "0k16x16")
	c.wantSeen(139*ms, "")
	c.wantSeen(140*ms, "5k16x16")
	if s := c.stats(); s.Broken != 4 {
		t.Errorf("%+v", s)
	}
}

// A frame that no other one needs may be lost, in any of its packets, as long
// as it is sure that nothing else was.
func TestVideoDiscardable(t *testing.T) {
	for lost, want := range map[int]string{-1: "0k16x16 1 2 3 4", 1: "0k16x16 1 3 4", 2: "0k16x16 1 3 4", 0: "0k16x16 1", 3: "0k16x16 1"} {
		c := newCamera(t, VideoReceiverConfig{})
		c.push(0, c.shoot('k', 3)...)
		c.push(0, c.shoot('p', 2)...)
		for i, p := range c.shoot('d', 4) {
			if i != lost {
				c.push(0, p)
			}
		}
		c.push(0, c.shoot('p', 2)...)
		c.push(0, c.shoot('p', 2)...)
		if got := c.see(time.Second); got != want {
			t.Errorf("packet %d of it lost: saw %q, want %q", lost, got, want)
		}
		if wanted := c.r.KeyFrames().Wanted(); wanted != (lost == 0 || lost == 3) {
			t.Errorf("packet %d of it lost: asks for a key frame: %v", lost, wanted)
		}
	}
}

// Whoever joins late asks for a key frame, and begins there.
func TestVideoBeginsAtAKeyFrame(t *testing.T) {
	c := newCamera(t, VideoReceiverConfig{})
	p := c.shoot('p', 3)
	c.push(0, p[1:]...)
	c.push(33*ms, c.shoot('p', 2)...)
	c.wantSeen(33*ms, "")
	if !c.r.KeyFrames().Wanted() {
		t.Error("does not ask for a key frame")
	}
	c.push(66*ms, c.shoot('k', 2)...)
	c.wantSeen(66*ms, "2k16x16")
	if s := c.stats(); s.Broken != 1 || s.Skipped != 1 || s.Frames != 1 {
		t.Errorf("%+v", s)
	}
}

// Without markers a frame ends where the next one begins, padding belongs to
// none, and another source or another codec begins with a key frame.
// Another codec begins at a key frame too, though nothing was lost.
func TestVideoOfAnotherCodec(t *testing.T) {
	vp9 := codec.Params{Name: "VP9", PayloadType: 98, ClockRate: 90000}
	c := newCamera(t, VideoReceiverConfig{Codecs: []codec.Params{vp8, vp9}})
	as9 := func(descriptor byte, data ...byte) *rtp.Packet {
		p := c.shoot('p', 1)[0]
		p.PayloadType, p.Payload = 98, append([]byte{descriptor}, append(data, byte(c.sent-1))...)
		return p
	}
	c.push(0, c.shoot('k', 1)...)
	c.push(0, c.shoot('p', 1)...)
	c.wantSeen(0, "0k16x16 1")
	c.push(0, as9(0x4c, 0x86, 0))
	c.push(0, as9(0x4c, 0x86, 0))
	c.wantSeen(0, "")
	if s := c.stats(); s.Skipped != 2 || s.Codec != "VP8" || !c.r.KeyFrames().Wanted() {
		t.Errorf("%+v, a key frame is wanted: %v", s, c.r.KeyFrames().Wanted())
	}
	c.push(0, as9(0x0c, 0x82, 0x49, 0x83, 0x42, 0x20, 0x15, 0xf0, 0x11, 0xf0))
	c.push(0, as9(0x4c, 0x86, 0))
	c.wantSeen(0, "4k352x288 5")
	if s := c.stats(); s.Codec != "VP9" {
		t.Errorf("%+v", s)
	}
}

func TestVideoOddities(t *testing.T) {
	other := vp8
	other.PayloadType = 97
	c := newCamera(t, VideoReceiverConfig{Codecs: []codec.Params{vp8, other}})
	for _, kind := range []byte("kpp") {
		for _, p := range c.shoot(kind, 2) {
			p.Marker = false
			c.push(0, p)
		}
	}
	c.wantSeen(0, "0k16x16 1")
	for range 3 {
		c.push(0, &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SSRC: 1, SequenceNumber: c.seq, Timestamp: c.ts}})
		c.seq++
	}
	c.push(0, c.shoot('p', 1)...)
	c.wantSeen(0, "2 3")
	for _, p := range append(c.shoot('k', 2), c.shoot('p', 1)...) {
		p.PayloadType = 97
		c.push(0, p)
	}
	c.wantSeen(0, "4k16x16 5")
	for _, p := range append(c.shoot('p', 2), append(c.shoot('k', 2), c.shoot('p', 1)...)...) {
		p.SSRC = 2
		p.SequenceNumber += 30000
		p.Timestamp += 1 << 30
		c.push(500*ms, p)
	}
	c.wantSeen(500*ms, "7k16x16 8")
	if err := c.r.SetCodecs([]codec.Params{{Name: "H265", PayloadType: 96, ClockRate: 90000}}); !errors.Is(err, ErrVideoFormat) {
		t.Errorf("H265: %v", err)
	}
	if err := c.r.SetCodecs([]codec.Params{vp8, vp8}); err == nil {
		t.Error("one payload type for two codecs")
	}
	c.push(500*ms, c.shoot('k', 1)[0])
	c.r.End()
	c.see(500 * ms)
	if !c.r.Ended() {
		t.Error("does not end")
	}
}

// A frame in whose midst the source begins anew, or another takes its place, is
// broken.
func TestVideoSourceGoesInMidFrame(t *testing.T) {
	for _, ssrc := range []uint32{1, 2} {
		c := newCamera(t, VideoReceiverConfig{})
		c.push(0, c.shoot('k', 2)...)
		c.push(33*ms, c.shoot('p', 5)[:3]...)
		c.seq, c.ts = c.seq+30000, c.ts+1<<30
		for _, p := range append(c.shoot('k', 2), c.shoot('p', 2)...) {
			p.SSRC = ssrc
			c.push(66*ms, p)
		}
		c.wantSeen(66*ms, "0k16x16 2k16x16 3")
		if s := c.stats(); s.Broken != 1 || s.Frames != 3 {
			t.Errorf("source %d: %+v", ssrc, s)
		}
	}
}

// A frame whose codec is no more when the next one shows that it has ended is
// broken.
func TestVideoCodecGoesInMidFrame(t *testing.T) {
	c := newCamera(t, VideoReceiverConfig{})
	c.push(0, c.shoot('k', 2)...)
	c.wantSeen(0, "0k16x16")
	c.push(33*ms, c.shoot('p', 2)[0])
	other := vp8
	other.PayloadType = 98
	if err := c.r.SetCodecs([]codec.Params{other}); err != nil {
		t.Fatal(err)
	}
	c.seq--
	key := c.shoot('k', 1)[0]
	key.PayloadType = 98
	c.push(66*ms, key)
	c.wantSeen(66*ms, "2k16x16")
	if s := c.stats(); s.Broken != 1 || s.Frames != 2 {
		t.Errorf("%+v", s)
	}
}

// Times follow the timestamps, which need not ascend, across the wrap.
func TestVideoTimes(t *testing.T) {
	c := newCamera(t, VideoReceiverConfig{})
	var got []time.Duration
	var f video.Frame
	for i, shift := range []int32{0, 9000, 3000, 6000, 18000, 12000} { // as of B-frames
		p := c.shoot("kppppp"[i], 1)[0]
		p.Timestamp = 1<<32 - 4500 + uint32(shift)
		at := time.Duration(i) * 33 * ms
		c.push(at, p)
		for c.r.Pull(videoBegin.Add(at), &f) {
			got = append(got, f.Time)
		}
	}
	if want := []time.Duration{0, 100 * ms, 9000 * ms / 270, 18000 * ms / 270, 200 * ms, 400 * ms / 3}; !slices.Equal(got, want) {
		t.Errorf("times %v, want %v", got, want)
	}
}

// Frames without end cost no more than they may: memory is bounded, and later
// ones are seen.
func TestVideoOverflow(t *testing.T) {
	c := newCamera(t, VideoReceiverConfig{MaxFrame: 10_000})
	for n := range 3000 {
		p := c.shoot('k', 1)[0]
		p.Timestamp, p.Marker, p.Payload[0] = 7, false, 0x10
		if n > 0 {
			p.Payload[0] = 0
		}
		c.push(time.Duration(n)*ms, p)
		if c.r.buffer.Bytes() > 20_000 {
			t.Fatalf("%d bytes in the buffer", c.r.buffer.Bytes())
		}
	}
	c.ts = 90_000 * 3
	c.push(3000*ms, c.shoot('k', 2)...)
	c.wantSeen(3500*ms, fmt.Sprintf("%dk16x16", byte(c.sent-1)))
	if s := c.stats(); s.Frames != 1 || s.Discarded == 0 || s.Broken == 0 {
		t.Errorf("%+v", s)
	}
}

// A packet that finds no room, although the begin of the frame was thrown away for
// it, leaves no head of which packets are missing.
func TestVideoOverflowOfTheHead(t *testing.T) {
	c := newCamera(t, VideoReceiverConfig{MaxFrame: 500})
	c.push(0, c.shoot('k', 2)...)
	c.wantSeen(0, "0k16x16")
	packets := c.shoot('p', 5)
	for _, part := range []struct{ n, size int }{{0, 50}, {3, 450}, {4, 450}, {2, 200}, {1, 20}} {
		p := packets[part.n]
		p.Payload = append(p.Payload[:1], make([]byte, part.size-1)...)
		p.Marker = part.n == 1
		c.push(10*ms, p)
	}
	c.wantSeen(10*ms, "")
	if s := c.stats(); s.Late != 2 || s.Discarded != 1 || s.Broken != 1 {
		t.Errorf("%+v", s)
	}
	c.push(20*ms, c.shoot('k', 2)...)
	c.wantSeen(20*ms, "2k16x16")
}

// Whatever is lost, copied and reordered: every frame that comes out is whole,
// and all of those before it back to a key frame came out too. What is not lost
// comes out, if it can be decoded.
func TestVideoModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &camera{seq: rapid.Uint16().Draw(t, "seq"), ts: rapid.Uint32().Draw(t, "timestamp")}
		r, err := NewVideoReceiver(VideoReceiverConfig{Codecs: []codec.Params{vp8}})
		if err != nil {
			t.Fatal(err)
		}
		c.r = r
		type coming struct {
			p  *rtp.Packet
			at time.Duration
		}
		kinds := []byte{'k'}
		var all []coming
		var whole []bool
		frames := rapid.IntRange(2, 60).Draw(t, "frames")
		for n := range frames {
			if n > 0 {
				kinds = append(kinds, "kppppd"[rapid.IntRange(0, 5).Draw(t, "kind")])
			}
			whole = append(whole, true)
			for i, p := range c.shoot(kinds[n], rapid.IntRange(2, 5).Draw(t, "packets")) {
				at := time.Duration(n)*33*ms + time.Duration(i)*ms
				switch fate := rapid.IntRange(0, 30).Draw(t, "fate"); {
				case n == 0: // which source is heard has to be clear
				case fate == 0:
					whole[n] = false
					continue
				case fate == 1:
					all = append(all, coming{p, at + 50*ms})
				case fate < 6:
					at += time.Duration(rapid.IntRange(0, 150).Draw(t, "delay")) * ms
				}
				all = append(all, coming{p, at})
			}
		}
		slices.SortStableFunc(all, func(a, b coming) int { return cmp.Compare(a.at, b.at) })
		// The model: what can be decoded, if what was lost is known for sure.
		var want []byte
		blind := false
		for n, kind := range kinds {
			switch {
			case !whole[n]:
				blind = blind || kind != 'd'
			case kind == 'k':
				blind = false
				want = append(want, byte(n))
			case !blind:
				want = append(want, byte(n))
			}
		}
		var got []byte
		var f video.Frame
		see := func(at time.Duration) {
			for r.Pull(videoBegin.Add(at), &f) {
				n := f.Data[len(f.Data)-1]
				if len(f.Data)%20 != 0 || f.Key != (kinds[n] == 'k') {
					t.Fatalf("frame %d of %d bytes, key %v", n, len(f.Data), f.Key)
				}
				got = append(got, n)
			}
		}
		for _, a := range all {
			see(a.at - 1)
			r.Push(videoBegin.Add(a.at), a.p)
			see(a.at)
		}
		r.End()
		see(time.Hour)
		// A frame that no other needs, lost at its first or last packet, cannot be
		// told from one that others need: then less comes out than could.
		rest := got
		for _, n := range want {
			if len(rest) > 0 && rest[0] == n {
				rest = rest[1:]
			}
		}
		if len(rest) > 0 {
			t.Fatalf("kinds %s, whole %v: saw %v, at most %v is right", kinds, whole, got, want)
		}
		if !bytes.Contains(kinds, []byte("d")) && !bytes.Equal(got, want) {
			t.Fatalf("kinds %s, whole %v: saw %v, want %v", kinds, whole, got, want)
		}
	})
}

func TestVideoReceiverDoesNotAllocate(t *testing.T) {
	c := newCamera(t, VideoReceiverConfig{})
	packets := c.shoot('k', 6)
	for range 99 {
		packets = append(packets, c.shoot('p', 6)...)
	}
	var f video.Frame
	n := 0
	step := func() {
		p := packets[n%len(packets)]
		p.SequenceNumber, p.Timestamp = uint16(n), uint32(n/6*3000)
		at := videoBegin.Add(time.Duration(n/6) * 33 * ms)
		c.r.Push(at, p)
		if n++; c.r.Pull(at, &f) && len(f.Data) != 120 {
			t.Fatalf("%d bytes", len(f.Data))
		}
	}
	for range 1000 {
		step()
	}
	if a := testing.AllocsPerRun(2000, step); a != 0 {
		t.Errorf("%v allocations per packet", a)
	}
	if s := c.stats(); s.Frames < 400 {
		t.Errorf("%+v", s)
	}
}

func FuzzVideoReceiver(f *testing.F) {
	f.Add([]byte{0, 0, 0x10, 0, 1, 0, 0x90, 1, 2, 1, 0, 0}, uint8(0))
	f.Add([]byte{0, 0, 0x65, 1, 1, 0, 0x7c, 0x85, 3, 0, 0x7c, 0x45}, uint8(1))
	f.Add([]byte{0, 0, 0x8e, 0x80, 1, 0x80, 0xac, 0x10, 2, 0x80, 0x88, 1}, uint8(2))
	f.Fuzz(func(t *testing.T, ops []byte, format uint8) {
		h264 := codec.Params{Name: "H264", PayloadType: 97, ClockRate: 90000}
		vp9 := codec.Params{Name: "VP9", PayloadType: 98, ClockRate: 90000}
		r, err := NewVideoReceiver(VideoReceiverConfig{Codecs: []codec.Params{vp8, h264, vp9}, MaxFrame: 1000})
		if err != nil {
			t.Fatal(err)
		}
		now := videoBegin
		var frame video.Frame
		bytes, out := 0, 0
		for ; len(ops) >= 4; ops = ops[4:] {
			n := min(len(ops), 2+int(ops[1]&0x3f))
			p := &rtp.Packet{Header: rtp.Header{
				Version: 2, PayloadType: 96 + format%3, SSRC: 1,
				SequenceNumber: uint16(ops[0]), Timestamp: uint32(ops[0]/4) * 3000, Marker: ops[1]&0x80 != 0,
			}, Payload: ops[2:n]}
			now = now.Add(time.Duration(ops[1]) * ms)
			r.Push(now, p)
			bytes += len(p.Payload)
			for i := 0; r.Pull(now, &frame); i++ {
				out += len(frame.Data)
				if i > 1000 {
					t.Fatal("frames without end")
				}
			}
			if r.buffer.Bytes() > 2000 || out > 5*bytes {
				t.Fatalf("%d bytes held, %d given out of %d", r.buffer.Bytes(), out, bytes)
			}
			if next := r.Next(); !next.IsZero() && !next.After(now) {
				t.Fatal("something to do after all was done")
			}
		}
		r.End()
		for r.Pull(now, &frame) {
		}
		if !r.Ended() {
			t.Fatal("does not end")
		}
	})
}
