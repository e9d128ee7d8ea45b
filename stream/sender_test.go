package stream

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g722"
)

var (
	cd   = codec.Params{Name: "L16", PayloadType: 10, ClockRate: 44100, Channels: 2}
	cn   = codec.Params{Name: "CN", PayloadType: 13, ClockRate: 8000}
	red  = codec.Params{Name: "red", PayloadType: 121, ClockRate: 8000}
	dial = codec.Params{Name: "telephone-event", PayloadType: 101, ClockRate: 8000}
	g722 = codec.Params{Name: "G722", PayloadType: 9, ClockRate: 8000, Channels: 1}
)

// near is a scripted near end: a sender in virtual time, whose PCM is a ramp, so
// that a test sees where each sample went.
type near struct {
	t     *testing.T
	s     *AudioSender
	begin time.Time
	at    time.Duration
	wrote int16
	buf   []byte
	frame audio.Frame
}

func newNear(t *testing.T, c SenderConfig) *near {
	t.Helper()
	if c.Codec.Name == "" {
		c.Codec = l16
	}
	s, err := NewAudioSender(c)
	if err != nil {
		t.Fatal(err)
	}
	return &near{t: t, s: s, begin: time.Now()}
}

// write writes n samples, all channels together, at the present time.
func (n *near) write(samples int) error {
	n.frame.Format = n.s.Format()
	n.frame.Grow(samples)
	for i := range n.frame.Samples {
		n.frame.Samples[i] = n.wrote + int16(i)
	}
	err := n.s.Write(n.begin.Add(n.at), &n.frame)
	if err == nil {
		n.wrote += int16(samples)
	}
	return err
}

func (n *near) mustWrite(samples int) {
	n.t.Helper()
	if err := n.write(samples); err != nil {
		n.t.Fatal(err)
	}
}

// sent is a packet and when it left.
type sent struct {
	at time.Duration
	rtp.Packet
}

// String is "20ms 160 M", for time of leaving, timestamp and marker.
func (p sent) String() string {
	mark := ""
	if p.Marker {
		mark = " M"
	}
	return fmt.Sprintf("%v %d%s", p.at, p.Timestamp, mark)
}

// run goes on to the given time, and returns what leaves at the times that Next
// tells.
func (n *near) run(until time.Duration) (all []sent) {
	n.t.Helper()
	for range 100_000 {
		next := n.s.Next()
		if next.IsZero() || next.After(n.begin.Add(until)) {
			n.at = until
			return all
		}
		n.at = max(n.at, next.Sub(n.begin))
		all = append(all, n.poll()...)
	}
	n.t.Fatalf("the sender never has enough, at %v", n.at)
	return nil
}

// poll returns what leaves at the present time.
func (n *near) poll() (all []sent) {
	n.t.Helper()
	for {
		var ok bool
		if n.buf, ok = n.s.AppendPacket(n.buf[:0], n.begin.Add(n.at)); !ok {
			return all
		}
		p := sent{at: n.at}
		if err := p.Unmarshal(append([]byte(nil), n.buf...)); err != nil {
			n.t.Fatal(err)
		}
		all = append(all, p)
	}
}

func (n *near) want(got []sent, want ...string) {
	n.t.Helper()
	var words []string
	for _, p := range got {
		words = append(words, p.String())
	}
	if fmt.Sprintf("%q", words) != fmt.Sprintf("%q", want) {
		n.t.Errorf("sent %q\nwant %q", words, want)
	}
}

func TestSenderPackets(t *testing.T) {
	for _, tt := range []struct {
		codec codec.Params
		ptime time.Duration
		sizes []int // payload bytes of each packet of one frame
		steps []uint32
	}{
		{pcmu, 10 * ms, []int{80}, []uint32{80}},
		{pcmu, 20 * ms, []int{160}, []uint32{160}},
		{pcmu, 30 * ms, []int{240}, []uint32{240}},
		{pcmu, 60 * ms, []int{480}, []uint32{480}},
		{wide, 10 * ms, []int{320}, []uint32{160}},
		{wide, 20 * ms, []int{640}, []uint32{320}},
		{wide, 30 * ms, []int{960}, []uint32{480}},
		{wide, 60 * ms, []int{960, 960}, []uint32{480, 480}},
		{cd, 10 * ms, []int{884, 880}, []uint32{221, 220}},
		{cd, 20 * ms, []int{1176, 1176, 1176}, []uint32{294, 294, 294}},
		{cd, 30 * ms, []int{1324, 1324, 1324, 1320}, []uint32{331, 331, 331, 330}},
		{cd, 60 * ms, []int{1324, 1324, 1324, 1324, 1324, 1324, 1324, 1316}, []uint32{331, 331, 331, 331, 331, 331, 331, 329}},
		{g722, 10 * ms, []int{80}, []uint32{80}},
		{g722, 20 * ms, []int{160}, []uint32{160}},
		{g722, 30 * ms, []int{240}, []uint32{240}},
		{g722, 60 * ms, []int{480}, []uint32{480}},
	} {
		t.Run(fmt.Sprintf("%s/%v", tt.codec, tt.ptime), func(t *testing.T) {
			n := newNear(t, SenderConfig{Codec: tt.codec, PTime: tt.ptime, SSRC: 7, Sequence: 100, Timestamp: 1000})
			timestamp, seq := uint32(1000), uint16(100)
			for k := range 5 {
				n.mustWrite(n.s.Format().Samples(tt.ptime))
				at := time.Duration(k) * tt.ptime
				got := n.run(at)
				if len(got) != len(tt.sizes) {
					t.Fatalf("frame %d: %d packets, want %d", k, len(got), len(tt.sizes))
				}
				for i, p := range got {
					if p.at != at || len(p.Payload) != tt.sizes[i] || p.Timestamp != timestamp || p.SequenceNumber != seq ||
						p.SSRC != 7 || p.PayloadType != tt.codec.PayloadType || p.Marker != (k == 0 && i == 0) {
						t.Errorf("frame %d packet %d: %v, header %+v, %d bytes; want %v, %d, timestamp %d, sequence %d",
							k, i, p.at, p.Header, len(p.Payload), at, tt.sizes[i], timestamp, seq)
					}
					timestamp += tt.steps[i]
					seq++
				}
			}
		})
	}
}

// Whatever lengths are written, whole frames leave, with every sample in its
// place.
func TestSenderCutsOddChunks(t *testing.T) {
	for _, c := range []codec.Params{l16, wide, cd} {
		n := newNear(t, SenderConfig{Codec: c})
		f := n.s.Format()
		var got []int16
		var frames int
		step := uint32(f.Samples(20*ms) / f.Channels)
		for total, k := 0, 0; total < 2*f.Rate*f.Channels; k++ {
			chunk := []int{1, 37, 160, 61, 333, 2, 159}[k%7] * f.Channels
			total += chunk
			for _, p := range n.run(max(0, f.Duration(total)-100*ms)) { // ahead by 100 ms
				frames++
				if want := uint32(len(got) / f.Channels); p.Timestamp != want {
					t.Fatalf("%s: timestamp %d after %d samples", c, p.Timestamp, want)
				}
				for i := 0; i < len(p.Payload); i += 2 {
					got = append(got, int16(p.Payload[i])<<8|int16(p.Payload[i+1]))
				}
			}
			n.mustWrite(chunk)
		}
		for i, v := range got {
			if v != int16(i) {
				t.Fatalf("%s: sample %d is %d", c, i, v)
			}
		}
		if len(got) < int(step)*f.Channels*90 || len(got)%(int(step)*f.Channels) != 0 {
			t.Errorf("%s: %d samples in %d packets of 2 s", c, len(got), frames)
		}
	}
}

func TestSenderPaces(t *testing.T) {
	n := newNear(t, SenderConfig{Queue: time.Second})
	n.mustWrite(8000)
	if q, p := n.s.Queued(), n.s.Played().Sent; q != time.Second || p != 0 {
		t.Errorf("queued %v, played %v before the first packet", q, p)
	}
	got := n.run(2 * time.Second)
	for k, p := range got {
		if p.at != time.Duration(k)*20*ms || p.Timestamp != uint32(k*160) || p.Marker != (k == 0) {
			t.Errorf("packet %d: %v", k, p)
		}
	}
	if len(got) != 50 || n.s.Played().Sent != time.Second || n.s.Queued() != 0 {
		t.Errorf("%d packets, played %v, queued %v", len(got), n.s.Played().Sent, n.s.Queued())
	}
}

func TestSenderPause(t *testing.T) {
	n := newNear(t, SenderConfig{})
	n.mustWrite(320)
	n.want(n.run(500*ms), "0s 0 M", "20ms 160")
	if next := n.s.Next(); !next.IsZero() {
		t.Errorf("something to do at %v in a pause", next.Sub(n.begin))
	}
	n.mustWrite(480)
	n.want(n.run(600*ms), "500ms 4000 M", "520ms 4160", "540ms 4320")
	n.at = 700*ms + 1 // a fraction of a timestamp unit
	n.mustWrite(160)
	n.want(n.poll(), "700.000001ms 5600 M")
}

// The end of what was written does not wait for more for longer than the grace,
// and is filled up with silence.
func TestSenderPadsTheLastFrame(t *testing.T) {
	n := newNear(t, SenderConfig{})
	n.mustWrite(160 + 50)
	got := n.run(time.Second)
	n.want(got, "0s 0 M", "40ms 160")
	if p := got[1].Payload; len(p) != 320 || p[99] != 209 || p[100] != 0 || p[319] != 0 {
		t.Errorf("last payload: %d bytes, %v", len(p), p)
	}
	if n.s.Played().Sent != 26250*time.Microsecond {
		t.Errorf("played %v, want 26.25ms without the padding", n.s.Played().Sent)
	}
	// A lone piece waits for the grace from when it was written.
	n.mustWrite(50)
	n.want(n.run(2*time.Second), "1.02s 8160 M")
}

// A writer that keeps the pace but is up to a ptime late makes no hole.
func TestSenderForgivesLateWriter(t *testing.T) {
	for _, late := range []time.Duration{0, 1, 10 * ms, 20*ms - 1} {
		n := newNear(t, SenderConfig{})
		for k := range 200 {
			at := time.Duration(k) * 20 * ms
			if k > 0 {
				at += late
			}
			got := n.run(at)
			n.mustWrite(160)
			got = append(got, n.poll()...)
			if len(got) != 1 || got[0].at != at || got[0].Timestamp != uint32(k*160) || got[0].Marker != (k == 0) {
				t.Fatalf("late by %v, frame %d: sent %v", late, k, got)
			}
		}
	}
	n := newNear(t, SenderConfig{})
	n.mustWrite(160)
	n.run(41 * ms)
	n.mustWrite(160)
	n.want(n.poll(), "41ms 328 M")
}

func TestSenderStall(t *testing.T) {
	for _, tt := range []struct {
		away    time.Duration
		stalled time.Duration
		want    []string // with 80 ms in the queue
	}{
		// Up to the limit the clock is caught up with.
		{100 * ms, 0, []string{"120ms 160", "120ms 320", "120ms 480", "120ms 640"}},
		{100*ms + 1, 100 * ms, []string{"120.000001ms 960 M", "140ms 1120", "160ms 1280", "180ms 1440"}},
		{2 * time.Second, 2 * time.Second, []string{"2.02s 16160 M", "2.04s 16320", "2.06s 16480", "2.08s 16640"}},
		{2*time.Second + 13*ms, 2 * time.Second, []string{"2.033s 16160 M", "2.04s 16320", "2.06s 16480", "2.08s 16640"}},
	} {
		n := newNear(t, SenderConfig{})
		n.mustWrite(5 * 160)
		n.want(n.poll(), "0s 0 M")
		n.at = 20*ms + tt.away
		got := n.poll()
		n.want(append(got, n.run(n.at+time.Second)...), tt.want...)
		var stats SenderStats
		n.s.Stats(&stats)
		if stats.Stalled != tt.stalled {
			t.Errorf("away for %v: stalled for %v, want %v", tt.away, stats.Stalled, tt.stalled)
		}
	}
}

func TestSenderImmediate(t *testing.T) {
	n := newNear(t, SenderConfig{Immediate: true, Queue: time.Second})
	n.mustWrite(480)
	n.want(n.run(0), "0s 0 M", "0s 160", "0s 320")
	n.at = 5 * time.Second // its timestamps count what is sent, not time
	n.mustWrite(200)
	n.want(n.run(5*time.Second), "5s 480")
	n.want(n.run(6*time.Second), "5.02s 640")
}

func TestSenderFull(t *testing.T) {
	n := newNear(t, SenderConfig{})
	n.mustWrite(1500)
	if room := n.s.Room(); room != 100 {
		t.Fatalf("room for %d samples, want 100", room)
	}
	if err := n.write(101); !errors.Is(err, ErrFull) {
		t.Fatalf("error %v, want ErrFull", err)
	}
	if n.s.Room() != 100 || n.s.Queued() != 187500*time.Microsecond {
		t.Error("a refused frame was taken in part")
	}
	n.mustWrite(100)
	if err := n.write(0); err != nil {
		t.Errorf("nothing, to a full queue: %v", err)
	}
	next := int16(0)
	for _, p := range n.run(time.Second) {
		for i := 0; i < len(p.Payload); i += 2 {
			if v := int16(p.Payload[i])<<8 | int16(p.Payload[i+1]); v != next {
				t.Fatalf("sample %d where %d should be", v, next)
			}
			next++
		}
	}
	if next != 1600 {
		t.Errorf("%d samples sent, want 1600", next)
	}
}

func TestSenderFlush(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: cd})
	n.mustWrite(2 * 1764)
	var ok bool
	if n.buf, ok = n.s.AppendPacket(nil, n.begin); !ok {
		t.Fatal("no first packet")
	}
	// The frame of which a part has left leaves whole.
	if p, want := n.s.Flush(0), (Played{Sent: 20 * ms, Dropped: 20 * ms}); p != want {
		t.Errorf("played %+v, want %+v", p, want)
	}
	n.want(n.run(time.Second), "0s 294", "0s 588")
	if p := n.s.Played(); p != (Played{}) {
		t.Errorf("played %+v since the flush", p)
	}
}

// What leaves after a flush goes down to silence without a step.
func TestSenderFlushFades(t *testing.T) {
	n := newNear(t, SenderConfig{})
	f := audio.Frame{Format: n.s.Format(), Samples: make([]int16, 800)}
	for i := range f.Samples {
		f.Samples[i] = 8000
	}
	if err := n.s.Write(n.begin, &f); err != nil {
		t.Fatal(err)
	}
	n.run(20 * ms)
	if p, want := n.s.Flush(10*ms), (Played{Sent: 50 * ms, Dropped: 50 * ms}); p != want {
		t.Errorf("played %+v, want %+v", p, want)
	}
	if p := n.s.Flush(10 * ms); p != (Played{}) {
		t.Errorf("a second flush: %+v", p)
	}
	got := n.run(time.Second)
	n.want(got, "40ms 320")
	last := 8000
	for i := range 160 {
		v := int(int16(uint16(got[0].Payload[2*i])<<8 | uint16(got[0].Payload[2*i+1])))
		if v > last || last-v > 200 || i >= 79 && v != 0 {
			t.Fatalf("sample %d is %d after %d", i, v, last)
		}
		last = v
	}
	// Nor is there on hold, and nothing of it leaves later.
	n.mustWrite(800)
	n.run(1020 * ms)
	n.s.Hold(n.begin.Add(n.at), true)
	if p, want := n.s.Flush(10*ms), (Played{Sent: 40 * ms, Dropped: 60 * ms}); p != want {
		t.Errorf("on hold: %+v, want %+v", p, want)
	}
	n.s.Hold(n.begin.Add(n.at), false)
	n.want(n.run(1500 * ms))
	// In a pause there is nothing to fade.
	n.mustWrite(160)
	if p, want := n.s.Flush(10*ms), (Played{Dropped: 20 * ms}); p != want {
		t.Errorf("in a pause: %+v, want %+v", p, want)
	}
	n.want(n.run(2 * time.Second))
}

func TestSenderErrors(t *testing.T) {
	for name, c := range map[string]SenderConfig{
		"no such codec":   {Codec: codec.Params{Name: "nothing", ClockRate: 8000}},
		"no encoder":      {Codec: codec.Params{Name: "G729", PayloadType: 18, ClockRate: 8000}},
		"wrong rate":      {Codec: codec.Params{Name: "PCMU", ClockRate: 1}},
		"ptime below 0":   {Codec: pcmu, PTime: -20 * ms},
		"ptime too short": {Codec: pcmu, PTime: 1},
		"ptime too long":  {Codec: pcmu, PTime: time.Hour},
		"queue too long":  {Codec: pcmu, Queue: time.Hour},
		"payload too big": {Codec: pcmu, MaxPayload: 1 << 20},
		"wrong id":        {Codec: pcmu, LevelExtension: 15},
		"generations":     {Codec: pcmu, RED: red, Generations: 8},
		"RED of 48 kHz":   {Codec: pcmu, RED: codec.Params{Name: "red", PayloadType: 121, ClockRate: 48000}},
		"type used twice": {Codec: pcmu, Event: codec.Params{Name: "telephone-event", ClockRate: 8000}},
		"type of 8 bits":  {Codec: pcmu, Event: codec.Params{Name: "telephone-event", PayloadType: 128, ClockRate: 8000}},
		"event clock":     {Codec: pcmu, Event: codec.Params{Name: "telephone-event", PayloadType: 101, ClockRate: 1}},
		"noise in stereo": {Codec: cd, Noise: codec.Params{Name: "CN", PayloadType: 13, ClockRate: 44100}},
		"noise clock":     {Codec: wide, Noise: cn},
		"noise unpaced":   {Codec: pcmu, Noise: cn, Immediate: true},
		"noise coded":     {Codec: pcmu, Noise: cn, Coded: true},
		"no such frames":  {Codec: codec.Params{Name: "test-frames", PayloadType: 98, ClockRate: 48000}, PTime: 30 * ms},
	} {
		if _, err := NewAudioSender(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, ptime := range []time.Duration{-20 * ms, 1, time.Hour} {
		if _, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}, PTime: ptime}); err == nil {
			t.Errorf("receiver with ptime %v: no error", ptime)
		}
	}
	n := newNear(t, SenderConfig{})
	for name, f := range map[string]audio.Frame{
		"other rate":     {Format: audio.Format{Rate: 16000, Channels: 1}, Samples: make([]int16, 10)},
		"other channels": {Format: audio.Format{Rate: 8000, Channels: 2}, Samples: make([]int16, 10)},
		"half a sample":  {Format: audio.Format{Rate: 8000, Channels: 2}, Samples: make([]int16, 11)},
		"no format":      {Samples: make([]int16, 10)},
	} {
		if err := n.s.Write(n.begin, &f); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("%s: error %v, want ErrFormat", name, err)
		}
	}
	if n.s.Queued() != 0 {
		t.Error("a wrong frame was taken")
	}
	if err := coded(t, SenderConfig{Codec: opus}).Write(n.begin, &audio.Frame{Format: audio.Format{Rate: 48000, Channels: 1}}); !errors.Is(err, codec.ErrUnknown) {
		t.Errorf("PCM to a forwarder: error %v, want ErrUnknown", err)
	}
}

// coded returns a sender that takes no PCM.
func coded(t *testing.T, c SenderConfig) *AudioSender {
	t.Helper()
	c.Coded = true
	s, err := NewAudioSender(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
