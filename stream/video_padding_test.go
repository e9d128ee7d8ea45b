package stream

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
	"pgregory.net/rapid"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/video"
)

// numbered gives the packets of a frame a picture ID.
func numbered(bits uint8, id uint16, packets []*rtp.Packet) []*rtp.Packet {
	for _, p := range packets {
		d, data, err := payload.ParseVP8Descriptor(p.Payload)
		if err != nil {
			panic(err)
		}
		d.PictureIDBits, d.PictureID = bits, id
		p.Payload = append(d.AppendTo(nil), data...)
	}
	return packets
}

// pad makes packets without content, which senders put behind a frame (RFC 3550,
// section 5.1) to find out what the network carries.
func (c *camera) pad(packets int) (all []*rtp.Packet) {
	for range packets {
		all = append(all, &rtp.Packet{Header: rtp.Header{
			Version: 2, PayloadType: 96, SSRC: 1, SequenceNumber: c.seq, Timestamp: c.ts - 3000,
		}})
		c.seq++
	}
	return all
}

func TestVideoMissingPadding(t *testing.T) {
	for _, tt := range []struct {
		name       string
		bits       uint8
		id, next   uint16
		padding    int
		arrives    []int // of the padding, before the frame behind it
		cut        bool  // the frame before lacks its last packet
		begun      bool  // the frame behind lacks its first
		waits      bool
		seenBehind string // after waiting
	}{
		{name: "15 bits", bits: 15, id: 7, next: 8, padding: 4},
		{name: "7 bits", bits: 7, id: 7, next: 8, padding: 1},
		{name: "15 bits, wrapped", bits: 15, id: 1<<15 - 1, next: 0, padding: 40},
		{name: "7 bits, wrapped", bits: 7, id: 127, next: 0, padding: 99},
		{name: "some arrives", bits: 15, id: 7, next: 8, padding: 9, arrives: []int{0, 1, 4, 7}},
		{name: "the last arrives", bits: 15, id: 7, next: 8, padding: 9, arrives: []int{8}},
		{name: "all arrives", bits: 15, id: 7, next: 8, padding: 2, arrives: []int{0, 1}},
		{name: "no IDs", padding: 4, waits: true},
		{name: "a frame is missing", bits: 15, id: 7, next: 9, padding: 4, waits: true},
		{name: "the same frame again", bits: 15, id: 7, next: 7, padding: 4, waits: true},
		{name: "as many as there are IDs", bits: 7, id: 7, next: 8, padding: 128, waits: true},
		{name: "end of the frame before", bits: 15, id: 7, next: 8, padding: 4, cut: true, waits: true},
		{name: "begin of the frame behind", bits: 15, id: 7, next: 8, padding: 4, begun: true, waits: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCamera(t, VideoReceiverConfig{})
			key := c.shoot('k', 4)
			if tt.bits != 0 {
				numbered(tt.bits, tt.id, key)
			}
			if tt.cut {
				c.push(0, key[:3]...)
				c.wantSeen(0, "")
			} else {
				c.push(0, key...)
				c.wantSeen(0, "0k16x16")
			}
			padding := c.pad(tt.padding)
			for _, i := range tt.arrives {
				c.push(1*ms, padding[i])
				c.wantSeen(1*ms, "")
			}
			behind := c.shoot('p', 3)
			if tt.bits != 0 {
				numbered(tt.bits, tt.next, behind)
			}
			if tt.begun {
				behind = behind[1:]
			}
			c.push(33*ms, behind[:len(behind)-1]...)
			c.wantSeen(33*ms, "")
			c.push(35*ms, behind[len(behind)-1])
			if !tt.waits {
				if n := c.next(); n < 0 || n > 35*ms {
					t.Errorf("something to do at %v", n)
				}
				c.wantSeen(35*ms, "1")
				if s := c.stats(); s.Broken+s.Skipped != 0 || c.r.KeyFrames().Wanted() || c.next() >= 0 {
					t.Errorf("%+v, key frame wanted %v, next at %v", s, c.r.KeyFrames().Wanted(), c.next())
				}
				return
			}
			// What arrives first behind the gap says until when it is waited for.
			if n := c.next(); n != 33*ms+200*ms {
				t.Errorf("something to do at %v", n)
			}
			c.wantSeen(232*ms, "")
			c.wantSeen(233*ms, "")
			if !c.r.KeyFrames().Wanted() {
				t.Error("no key frame is asked for")
			}
		})
	}
}

// Padding that comes when it was passed over is late, and is no part of any frame.
func TestVideoLatePadding(t *testing.T) {
	c := newCamera(t, VideoReceiverConfig{})
	c.push(0, numbered(15, 1, c.shoot('k', 3))...)
	c.wantSeen(0, "0k16x16")
	padding := c.pad(3)
	second := numbered(15, 2, c.shoot('p', 3))
	c.push(33*ms, second[0])
	for i, p := range padding {
		if v := c.r.Push(videoBegin.Add(34*ms), p); v != TooLate {
			t.Errorf("padding %d: %v", i, v)
		}
	}
	c.push(35*ms, second[1:]...)
	c.wantSeen(35*ms, "1")
	if s := c.stats(); s.Late != 3 || s.Lost != 0 || s.Broken+s.Skipped+s.Discarded != 0 {
		t.Errorf("%+v", s)
	}
}

// Padding waits for nothing, so what is missing before it is not given up until
// there is something that does.
func TestVideoPaddingDoesNotWait(t *testing.T) {
	c := newCamera(t, VideoReceiverConfig{})
	c.push(0, numbered(15, 1, c.shoot('k', 3))...)
	c.wantSeen(0, "0k16x16")
	lost := numbered(15, 2, c.shoot('p', 2))
	c.push(10*ms, c.pad(20)...)
	if n := c.next(); n >= 0 {
		t.Errorf("something to do at %v", n)
	}
	c.wantSeen(500*ms, "")
	if c.r.KeyFrames().Wanted() {
		t.Error("asks for a key frame")
	}
	behind := numbered(15, 3, c.shoot('p', 2))
	c.push(600*ms, behind...)
	if n := c.next(); n != 800*ms {
		t.Errorf("something to do at %v", n)
	}
	c.wantSeen(700*ms, "")
	c.push(700*ms, lost...)
	c.wantSeen(700*ms, "1 2")
	if s := c.stats(); s.Broken+s.Skipped+s.Lost != 0 || c.r.KeyFrames().Wanted() {
		t.Errorf("%+v", s)
	}
}

// The ID of another codec says nothing.
func TestVideoMissingBetweenCodecs(t *testing.T) {
	other := vp8
	other.PayloadType = 97
	c := newCamera(t, VideoReceiverConfig{Codecs: []codec.Params{vp8, other}})
	c.push(0, numbered(15, 1, c.shoot('k', 3))...)
	c.wantSeen(0, "0k16x16")
	c.pad(3)
	second := numbered(15, 2, c.shoot('k', 3))
	for _, p := range second {
		p.PayloadType = 97
	}
	c.push(33*ms, second...)
	c.wantSeen(33*ms, "")
	c.wantSeen(233*ms, "1k16x16")
}

// The pictures of VP9 are numbered too, each with all its layers.
func TestVideoMissingPaddingOfVP9(t *testing.T) {
	for _, tt := range []struct {
		name string
		id   uint16
		at   time.Duration // when the second picture comes out
	}{
		{"next", 8, 33 * ms},
		{"not next", 9, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := NewVideoReceiver(VideoReceiverConfig{Codecs: []codec.Params{{Name: "VP9", PayloadType: 98, ClockRate: 90000}}})
			if err != nil {
				t.Fatal(err)
			}
			seq := uint16(100)
			push := func(at time.Duration, ts uint32, d payload.VP9Descriptor, data ...byte) {
				r.Push(videoBegin.Add(at), &rtp.Packet{
					Header:  rtp.Header{Version: 2, PayloadType: 98, SSRC: 1, SequenceNumber: seq, Timestamp: ts, Marker: d.End && d.SID == 1},
					Payload: append(d.AppendTo(nil), data...),
				})
				seq++
			}
			picture := func(at time.Duration, ts uint32, id uint16, inter bool) {
				d := payload.VP9Descriptor{PictureIDBits: 15, PictureID: id, Inter: inter, HasLayers: true, Begin: true, End: true}
				push(at, ts, d, 0x82, 0x49, 0x83, 0x42, 0x20, 0, 0xf0, 0, 0xf0)
				d.SID, d.InterLayer = 1, true
				push(at, ts, d, 0x86, 1, 2, 3)
			}
			var f video.Frame
			picture(0, 0, 7, false)
			if !r.Pull(videoBegin, &f) {
				t.Fatal("no first picture")
			}
			seq += 5
			picture(33*ms, 3000, tt.id, true)
			if got := r.Pull(videoBegin.Add(33*ms), &f); got != (tt.at >= 0) {
				t.Errorf("the second picture comes out at once: %v", got)
			}
		})
	}
}

// Whatever padding is lost, late or reordered, every frame comes out with its last
// packet, and with all of those before it back to a key frame, whatever else is
// lost.
func TestVideoPaddingModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &camera{seq: rapid.Uint16().Draw(t, "seq"), ts: rapid.Uint32().Draw(t, "timestamp")}
		r, err := NewVideoReceiver(VideoReceiverConfig{Codecs: []codec.Params{vp8}})
		if err != nil {
			t.Fatal(err)
		}
		type coming struct {
			p  *rtp.Packet
			at time.Duration
		}
		var all []coming
		bits := rapid.SampledFrom([]uint8{7, 15}).Draw(t, "bits")
		id := rapid.Uint16Range(0, 1<<bits-1).Draw(t, "id")
		lossy := rapid.Bool().Draw(t, "lossy")
		whole := map[byte]time.Duration{} // when the last packet of a frame comes
		kinds := []byte{'k'}
		for n := range rapid.IntRange(2, 40).Draw(t, "frames") {
			if n > 0 {
				kinds = append(kinds, "kpppp"[rapid.IntRange(0, 4).Draw(t, "kind")])
			}
			at := time.Duration(n) * 33 * ms
			packets := numbered(bits, id, c.shoot(kinds[n], rapid.IntRange(2, 5).Draw(t, "packets")))
			id = (id + 1) & (1<<bits - 1)
			whole[byte(n)] = at + time.Duration(len(packets)-1)*ms
			for i, p := range packets {
				if lossy && n > 0 && rapid.IntRange(0, 20).Draw(t, "fate") == 0 {
					delete(whole, byte(n))
					continue
				}
				all = append(all, coming{p, at + time.Duration(i)*ms})
			}
			for _, p := range c.pad(rapid.IntRange(0, 12).Draw(t, "padding")) {
				switch late := time.Duration(rapid.IntRange(-20, 60).Draw(t, "late")) * ms; {
				case late < 0:
				default:
					all = append(all, coming{p, at + 6*ms + late})
				}
			}
		}
		slices.SortStableFunc(all, func(a, b coming) int { return cmp.Compare(a.at, b.at) })
		var f video.Frame
		seen := 0
		last := -1 // of a row that can be decoded
		see := func(at time.Duration) {
			for r.Pull(videoBegin.Add(at), &f) {
				n := f.Data[len(f.Data)-1]
				came, ok := whole[n]
				if !ok || !f.Key && last != int(n)-1 {
					t.Fatalf("kinds %s: saw %d after %d, whole %v", kinds, n, last, ok)
				}
				if !lossy && at != came {
					t.Fatalf("kinds %s: saw %d at %v, its last packet came at %v", kinds, n, at, came)
				}
				last = int(n)
				seen++
			}
		}
		for _, a := range all {
			see(a.at - 1)
			r.Push(videoBegin.Add(a.at), a.p)
			see(a.at)
		}
		if next := r.Next(); !lossy && !next.IsZero() {
			t.Fatalf("kinds %s: something to do at %v", kinds, next.Sub(videoBegin))
		}
		var s VideoReceiverStats
		r.Stats(&s)
		if !lossy && (seen != len(kinds) || s.Broken+s.Skipped != 0 || r.KeyFrames().Wanted()) {
			t.Fatalf("kinds %s: saw %d, %+v", kinds, seen, s)
		}
		r.End()
		see(time.Hour)
		if !r.Ended() {
			t.Fatalf("kinds %s: does not end", kinds)
		}
	})
}

func TestVideoMissingPaddingDoesNotAllocate(t *testing.T) {
	c := newCamera(t, VideoReceiverConfig{})
	var frames [128][]*rtp.Packet
	for i := range frames {
		frames[i] = numbered(7, uint16(i), c.shoot("kp"[min(i, 1)], 3))
	}
	var f video.Frame
	n, seq, seen := 0, uint16(0), 0
	step := func() {
		at := videoBegin.Add(time.Duration(n) * 33 * ms)
		for _, p := range frames[n%len(frames)] {
			p.SequenceNumber, p.Timestamp = seq, uint32(n)*3000
			c.r.Push(at, p)
			seq++
		}
		seq += 4 // padding
		for c.r.Pull(at, &f) {
			seen++
		}
		n++
	}
	for range 1000 {
		step()
	}
	if a := testing.AllocsPerRun(1000, step); a != 0 {
		t.Errorf("%v allocations per frame", a)
	}
	if s := c.stats(); seen != n || s.Broken+s.Skipped > 0 {
		t.Errorf("saw %d of %d frames, %+v", seen, n, s)
	}
}

// A packet of padding in which the padding is there twice, once as its payload,
// breaks nothing: neither before the first frame nor between two. What only
// looks like it is content.
func TestVideoPaddedTwice(t *testing.T) {
	c := newCamera(t, VideoReceiverConfig{})
	twice := func(n int) []*rtp.Packet {
		ps := c.pad(n)
		for _, p := range ps {
			b := make([]byte, 12+2*255)
			b[12+254], b[12+2*255-1] = 255, 255
			h := p.Header
			h.Padding = true
			if _, err := h.MarshalTo(b); err != nil {
				t.Fatal(err)
			}
			if err := p.Unmarshal(b); err != nil || len(p.Payload) != 255 {
				t.Fatal(len(p.Payload), err)
			}
		}
		return ps
	}
	c.push(0, twice(9)...)
	c.push(0, c.shoot('k', 3)...)
	c.wantSeen(0, "0k16x16")
	c.push(10*ms, twice(2)...)
	c.push(33*ms, c.shoot('p', 2)...)
	c.wantSeen(33*ms, "1")
	if s := c.stats(); s.Broken+s.Skipped+s.Lost+s.Discarded != 0 || c.r.KeyFrames().Wanted() {
		t.Errorf("%+v", s)
	}
	like := twice(1)
	like[0].Payload[7] = 1
	c.push(40*ms, like...)
	c.push(66*ms, c.shoot('p', 2)...)
	c.wantSeen(66*ms, "")
	if s := c.stats(); s.Broken != 1 || !c.r.KeyFrames().Wanted() {
		t.Errorf("%+v", s)
	}
}
