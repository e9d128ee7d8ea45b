package stream

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
	"pgregory.net/rapid"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/video"
)

// filmed returns a frame of VP8.
func filmed(at time.Duration, key bool, size int) *video.Frame {
	f := &video.Frame{Time: at, Key: key, Data: bytes.Repeat([]byte{byte(size)}, size)}
	f.Data[0] = 1
	if key {
		copy(f.Data, []byte{0, 0, 0, 0x9d, 1, 0x2a, 16, 0, 16, 0})
	}
	return f
}

func newVideoSender(t testing.TB, c VideoSenderConfig) *VideoSender {
	t.Helper()
	if c.Codec.Name == "" {
		c.Codec = vp8
	}
	c.SSRC, c.Sequence, c.Timestamp = 1, 65534, 1<<32-3000
	s, err := NewVideoSender(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// leave returns the packets that leave until the given time, each when it is
// due: when it does, its timestamp in ms from the first one, and * for a marker.
func leave(t testing.TB, s *VideoSender, until time.Duration) (words []string, packets []*rtp.Packet) {
	t.Helper()
	for range 100_000 {
		next := s.Next()
		if next.IsZero() || next.Sub(videoBegin) > until {
			return words, packets
		}
		b, ok := s.AppendPacket(nil, next)
		if !ok {
			t.Fatal("no packet at its time")
		}
		p := &rtp.Packet{}
		if err := p.Unmarshal(b); err != nil {
			t.Fatal(err)
		}
		word := fmt.Sprintf("%d:%d", next.Sub(videoBegin)/ms, int32(p.Timestamp-(1<<32-3000))/90)
		if p.Marker {
			word += "*"
		}
		words, packets = append(words, word), append(packets, p)
	}
	t.Fatal("packets without end")
	return nil, nil
}

func wantLeave(t testing.TB, s *VideoSender, until time.Duration, want string) {
	t.Helper()
	words, _ := leave(t, s, until)
	if got := strings.Join(words, " "); got != want {
		t.Errorf("until %v: left %q, want %q", until, got, want)
	}
}

func TestVideoPacing(t *testing.T) {
	s := newVideoSender(t, VideoSenderConfig{MaxPayload: 100})
	// Three frames at once, of 4, 1 and 20 packets, as from a file.
	for n, size := range []int{350, 50, 1900} {
		if err := s.Write(videoBegin, filmed(5*time.Second+time.Duration(n)*40*ms, n == 0, size)); err != nil {
			t.Fatal(err)
		}
	}
	group := func(word string, n int) string { return strings.Repeat(word+" ", n) }
	wantLeave(t, s, time.Second, "0:0 0:0 0:0 0:0* 40:40* "+group("80:80", 8)+group("92:80", 8)+"104:80 104:80 104:80 104:80*")
	// A writer that keeps the pace by itself.
	if err := s.Write(videoBegin.Add(125*ms), filmed(5120*ms, false, 1000)); err != nil {
		t.Fatal(err)
	}
	wantLeave(t, s, time.Second, group("120:120", 8)+"141:120 141:120 141:120*")
	var st VideoSenderStats
	if s.Stats(&st); st.Frames != 4 || st.KeyFrames != 1 || st.Packets != 36 || st.Octets < 3300 {
		t.Errorf("%+v", st)
	}
	if at := s.Timestamp(videoBegin.Add(time.Second)); at != 1<<32-3000+90000-1<<32 {
		t.Errorf("timestamp %d of a second later", at)
	}
}

func TestVideoImmediate(t *testing.T) {
	s := newVideoSender(t, VideoSenderConfig{MaxPayload: 100, Immediate: true})
	for _, at := range []time.Duration{0, 10 * ms, 60 * ms} {
		if err := s.Write(videoBegin.Add(at), filmed(0, at == 0, 150)); err != nil {
			t.Fatal(err)
		}
		wantLeave(t, s, at, fmt.Sprintf("%d:%d %d:%d*", at/ms, at/ms, at/ms, at/ms))
	}
}

// What falls into a hold takes no numbers and is not counted, and a frame leaves as a
// whole or not at all.
func TestVideoHold(t *testing.T) {
	s := newVideoSender(t, VideoSenderConfig{MaxPayload: 100, Queue: 104})
	for n := range 104 { // of 20 packets, in groups at 0, 12 and 24 ms
		if err := s.Write(videoBegin, filmed(time.Duration(n)*40*ms, n == 0, 1900)); err != nil {
			t.Fatal(err)
		}
	}
	seq := uint16(65534)
	left := 0
	now := time.Duration(0)
	until := func(at time.Duration, want int) {
		t.Helper()
		for ; now <= at; now += ms {
			for {
				b, ok := s.AppendPacket(nil, videoBegin.Add(now))
				if !ok {
					break
				}
				var p rtp.Packet
				if err := p.Unmarshal(b); err != nil || p.SequenceNumber != seq {
					t.Fatalf("number %d, want %d, %v", p.SequenceNumber, seq, err)
				}
				seq++
				left++
			}
		}
		var st VideoSenderStats
		if s.Stats(&st); left != want || st.Packets != int64(want) || st.Frames != int64(want/20) || st.KeyFrames != 1 ||
			st.Octets < int64(want/20*1900) || st.Octets > int64(want)*100 {
			t.Errorf("until %v: %d packets left, want %d: %+v", at, left, want, st)
		}
	}
	until(41*ms, 20+8)
	s.Hold(true)
	until(53*ms, 20+16)
	until(102*40*ms+13*ms, 40) // in the midst of the frame after 100 others
	s.Hold(false)
	until(103*40*ms-1, 40)
	until(103*40*ms, 40+8)
	until(5*time.Second, 60)
	if s.Queued() != 0 {
		t.Errorf("%d frames wait", s.Queued())
	}
}

// With B-frames the clock is that of the order of decoding, and the timestamps
// are those of the pictures.
func TestVideoBFrames(t *testing.T) {
	s := newVideoSender(t, VideoSenderConfig{})
	for _, n := range []int{0, 3, 1, 2, 6, 4, 5} {
		if err := s.Write(videoBegin, filmed(time.Duration(n)*40*ms, n == 0, 50)); err != nil {
			t.Fatal(err)
		}
	}
	wantLeave(t, s, time.Second, "0:0* 40:120* 40:40* 80:80* 160:240* 160:160* 200:200*")
}

// Neither a gap in the times nor a step back nor a stall of the writer stops
// anything.
func TestVideoGapsInTime(t *testing.T) {
	s := newVideoSender(t, VideoSenderConfig{})
	write := func(at, media time.Duration) {
		t.Helper()
		if err := s.Write(videoBegin.Add(at), filmed(media, false, 50)); err != nil {
			t.Fatal(err)
		}
	}
	write(0, 0)
	write(0, 40*ms)
	write(0, time.Hour)
	write(0, time.Hour+40*ms)
	wantLeave(t, s, time.Second, "0:0* 40:40* 41:41* 81:81*")
	write(120*ms, 0)
	write(120*ms, 40*ms)
	wantLeave(t, s, time.Second, "120:120* 160:160*")
	write(5*time.Second, 80*ms)
	write(5*time.Second, 120*ms)
	wantLeave(t, s, 6*time.Second, "5000:5000* 5040:5040*")
}

func TestVideoQueue(t *testing.T) {
	s := newVideoSender(t, VideoSenderConfig{Queue: 3, MaxPayload: 100})
	for n := range 3 {
		if err := s.Write(videoBegin, filmed(time.Duration(n)*40*ms, false, 150)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Write(videoBegin, filmed(120*ms, false, 50)); !errors.Is(err, ErrFull) || s.Room(1) {
		t.Errorf("a fourth frame: %v", err)
	}
	if _, ok := s.AppendPacket(nil, videoBegin); !ok || s.Queued() != 3 {
		t.Errorf("%d queued", s.Queued())
	}
	s.Flush()
	wantLeave(t, s, time.Second, "0:0*")
	for name, f := range map[string]*video.Frame{"empty": {}, "too large": {Data: make([]byte, maxVideoFrame+1)}} {
		if err := s.Write(videoBegin, f); !errors.Is(err, payload.ErrFrame) {
			t.Errorf("a frame that is %s: %v", name, err)
		}
	}
	big := newVideoSender(t, VideoSenderConfig{})
	big.Write(videoBegin, filmed(0, true, maxVideoFrame))
	big.Write(videoBegin, filmed(0, true, maxVideoFrame))
	if err := big.Write(videoBegin, filmed(0, true, 100)); !errors.Is(err, ErrFull) {
		t.Errorf("more than 8 MiB: %v", err)
	}
	h264 := newVideoSender(t, VideoSenderConfig{Codec: codec.Params{Name: "H264", PayloadType: 96, ClockRate: 90000}})
	if err := h264.Write(videoBegin, &video.Frame{Data: []byte{1, 2, 3}}); !errors.Is(err, payload.ErrFrame) {
		t.Errorf("H.264 without NAL units: %v", err)
	}
	if err := h264.Write(videoBegin, &video.Frame{Data: append([]byte{0, 0, 0, 1, 0x65}, bytes.Repeat([]byte{9}, 2000)...)}); !errors.Is(err, payload.ErrFrame) {
		t.Errorf("a large NAL unit in packetization-mode 0: %v", err)
	}
	for _, c := range []VideoSenderConfig{
		{Codec: codec.Params{Name: "H261", ClockRate: 90000}},
		{Codec: codec.Params{Name: "VP8", PayloadType: 128, ClockRate: 90000}},
		{Codec: codec.Params{Name: "VP8"}},
		{Codec: vp8, Queue: 2000},
		{Codec: vp8, MaxPayload: 10},
	} {
		if _, err := NewVideoSender(c); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

// Requests reach the encoder at most each 300 ms, and a key frame answers them.
func TestVideoKeyFrameRequests(t *testing.T) {
	s := newVideoSender(t, VideoSenderConfig{})
	taken := 0
	for n := range 3000 {
		now := videoBegin.Add(time.Duration(n) * ms)
		s.KeyFrames().Ask()
		if s.KeyFrames().Take(now) {
			taken++
			if err := s.Write(now, filmed(time.Duration(n)*ms, true, 50)); err != nil {
				t.Fatal(err)
			}
			leave(t, s, time.Hour)
		}
	}
	var st VideoSenderStats
	if s.Stats(&st); taken != 10 || st.KeyFrames != 10 || st.Limited == 0 {
		t.Errorf("%d of 3000 requests in 3 s, %+v", taken, st)
	}
}

// What is written is received, whatever the sizes and times are, in order and
// none before the time it has been given.
func TestVideoThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := VideoSenderConfig{
			Codec: vp8, MaxPayload: rapid.IntRange(64, 300).Draw(t, "payload"),
			Immediate: rapid.Bool().Draw(t, "immediate"), Sequence: 65530,
		}
		s, err := NewVideoSender(c)
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewVideoReceiver(VideoReceiverConfig{Codecs: []codec.Params{vp8}})
		if err != nil {
			t.Fatal(err)
		}
		var sizes []int
		var f video.Frame
		seen := 0
		now := videoBegin
		run := func(until time.Time) {
			for next := s.Next(); !next.IsZero() && !next.After(until); next = s.Next() {
				now = later(now, next)
				b, ok := s.AppendPacket(nil, now)
				if !ok {
					t.Fatal("no packet at its time")
				}
				var p rtp.Packet
				if err := p.Unmarshal(b); err != nil || len(p.Payload) > c.MaxPayload {
					t.Fatalf("%d bytes: %v", len(p.Payload), err)
				}
				r.Push(now, &p)
				for r.Pull(now, &f) {
					if len(f.Data) != sizes[seen] {
						t.Fatalf("frame %d has %d bytes, not %d", seen, len(f.Data), sizes[seen])
					}
					seen++
				}
			}
			now = later(now, until)
		}
		at := time.Duration(0)
		for n := range rapid.IntRange(2, 40).Draw(t, "frames") {
			size := rapid.IntRange(10, 2000).Draw(t, "size")
			if n == 0 {
				size = 1000 // two packets, which make the source known
			}
			if err := s.Write(now, filmed(at, n == 0, size)); err != nil && !errors.Is(err, ErrFull) {
				t.Fatal(err)
			} else if err == nil {
				sizes = append(sizes, size)
			}
			at += time.Duration(rapid.IntRange(-50, 100).Draw(t, "time")) * ms
			if rapid.Bool().Draw(t, "wait") {
				run(now.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "ms")) * ms))
			}
		}
		run(now.Add(time.Hour))
		if seen != len(sizes) {
			t.Fatalf("%d of %d frames came", seen, len(sizes))
		}
	})
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func TestVideoSenderDoesNotAllocate(t *testing.T) {
	s := newVideoSender(t, VideoSenderConfig{})
	f := filmed(0, false, 5000)
	buf := make([]byte, 0, 1500)
	packets := 0
	step := func() {
		now := videoBegin.Add(f.Time)
		if err := s.Write(now, f); err != nil {
			t.Fatal(err)
		}
		for {
			if _, ok := s.AppendPacket(buf, now.Add(33*ms)); !ok {
				break
			}
			packets++
		}
		f.Time += 33 * ms
	}
	for range 40 {
		step()
	}
	if a := testing.AllocsPerRun(500, step); a != 0 || packets < 500*4 {
		t.Errorf("%v allocations per frame, %d packets", a, packets)
	}
}
