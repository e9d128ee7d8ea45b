package stream

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// Ten minutes on the clock, written by somebody with the same clock: every
// packet leaves at its time, with its timestamp, and nothing is missing. 20 ms
// at 11025 Hz are no whole number of samples.
func TestSenderDoesNotDrift(t *testing.T) {
	odd := codec.Params{Name: "L16", PayloadType: 96, ClockRate: 11025, Channels: 1}
	for _, c := range []codec.Params{pcmu, g722, cd, odd} {
		t.Run(c.String(), func(t *testing.T) {
			n := newNear(t, SenderConfig{Codec: c, Sequence: 60000, Timestamp: 1<<32 - 1000})
			f := n.s.Format()
			const all = 10 * time.Minute
			var packets, markers, written int
			var last sent
			for n.at < all {
				chunk := f.Samples(n.at+10*ms) - written // what its clock says
				n.mustWrite(chunk)
				written += chunk
				for _, p := range n.run(n.at + 10*ms) {
					if p.Marker {
						markers++
					}
					packets++
					last = p
				}
			}
			media := time.Duration(last.Timestamp-(1<<32-1000)) * time.Second / time.Duration(c.ClockRate)
			if diff := last.at - media; diff < -21*ms || diff > 21*ms {
				t.Errorf("after %v the timestamp is at %v", last.at, media)
			}
			if markers != 1 || n.s.Played().Sent < all-70*ms {
				t.Errorf("%d packets, %d markers, %v played in %v", packets, markers, n.s.Played().Sent, all)
			}
			if want := uint16(60000 + packets - 1); last.SequenceNumber != want {
				t.Errorf("last sequence number %d, want %d", last.SequenceNumber, want)
			}
		})
	}
}

func TestSenderWraps(t *testing.T) {
	n := newNear(t, SenderConfig{Sequence: 65534, Timestamp: 1<<32 - 320})
	n.mustWrite(4 * 160)
	got := n.run(time.Second)
	n.want(got, "0s 4294966976 M", "20ms 4294967136", "40ms 0", "60ms 160")
	for i, want := range []uint16{65534, 65535, 0, 1} {
		if got[i].SequenceNumber != want {
			t.Errorf("packet %d: sequence number %d, want %d", i, got[i].SequenceNumber, want)
		}
	}
}

// Units of a pause of days do not fit into the nanoseconds of an int64.
func TestSenderLongPause(t *testing.T) {
	studio := codec.Params{Name: "L16", PayloadType: 96, ClockRate: 48000, Channels: 1}
	n := newNear(t, SenderConfig{Codec: studio})
	n.mustWrite(960)
	n.run(0)
	n.run(ms * 100)
	n.at = 100 * time.Hour
	n.mustWrite(960)
	want := int64(100 * 3600 * 48000)
	n.want(n.poll()[:1], fmt.Sprintf("100h0m0s %d M", uint32(want)))
}

// dtx is a codec that sends nothing for a frame that begins with a zero.
func init() {
	codec.Register(codec.Codec{
		Name: "test-dtx",
		Format: func(codec.Params) (audio.Format, error) {
			return audio.Format{Rate: 8000, Channels: 1}, nil
		},
		NewEncoder: func(codec.Params) (codec.Encoder, error) { return dtx{}, nil },
	})
}

type dtx struct{}

func (dtx) Encode(dst []byte, pcm []int16) ([]byte, error) {
	if pcm[0] == 0 {
		return dst, nil
	}
	return append(dst, byte(pcm[0])), nil
}

func TestSenderOfCodecWithPauses(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: codec.Params{Name: "test-dtx", PayloadType: 99, ClockRate: 8000}, Queue: time.Second})
	for _, v := range []int16{1, 0, 0, 1, 1, 0, 1} {
		f := audio.Frame{Format: n.s.Format(), Samples: make([]int16, 160)}
		f.Samples[0] = v
		if err := n.s.Write(n.begin, &f); err != nil {
			t.Fatal(err)
		}
	}
	got := n.run(time.Second)
	n.want(got, "0s 0 M", "60ms 480 M", "80ms 640", "120ms 960 M")
	for i, p := range got {
		if p.SequenceNumber != uint16(i) {
			t.Errorf("packet %d has sequence number %d", i, p.SequenceNumber)
		}
	}
}

// forward passes on packet seq of a timeline, and describes what leaves.
func (n *near) forward(at time.Duration, timeline uint64, seq int64, timestamp uint32, marker bool) string {
	n.t.Helper()
	n.at = at
	b, err := n.s.AppendForward(n.buf[:0], n.begin.Add(at), &Packet{
		Codec: n.s.Codec(), Timeline: timeline, Seq: seq, Timestamp: timestamp, Marker: marker, Payload: []byte{1, byte(seq)},
	})
	if err != nil {
		n.t.Fatal(err)
	}
	var p sent
	if err := p.Unmarshal(b); err != nil {
		n.t.Fatal(err)
	}
	if len(p.Payload) != 2 || p.Payload[1] != byte(seq) || p.SSRC != 9 || p.PayloadType != n.s.Codec().PayloadType {
		n.t.Errorf("packet %d: %+v", seq, p)
	}
	mark := ""
	if p.Marker {
		mark = " M"
	}
	return fmt.Sprintf("%d %d%s", p.SequenceNumber, p.Timestamp, mark)
}

func TestForward(t *testing.T) {
	n := &near{t: t, begin: time.Now(), s: coded(t, SenderConfig{Codec: opus, SSRC: 9, Sequence: 65534, Timestamp: 1<<32 - 960})}
	for i, step := range []struct {
		at        time.Duration
		timeline  uint64
		seq       int64
		timestamp uint32
		marker    bool
		want      string
	}{
		{0, 1, 500, 77, false, "65534 4294966336 M"}, // its first packet begins a talkspurt
		{20 * ms, 1, 501, 77 + 960, false, "65535 0"},
		{60 * ms, 1, 503, 77 + 3*960, false, "1 1920"}, // one is missing
		{61 * ms, 1, 502, 77 + 2*960, false, "0 960"},  // and comes late
		{81 * ms, 1, 504, 77 + 4*960, false, "2 2880"},
		{1081 * ms, 1, 505, 77 + 54*960, true, "3 50880 M"}, // a pause of the source
		{1101 * ms, 1, 505, 77 + 54*960, false, "3 50880"},  // a copy stays one
		// Another source: the next number, and time as it went by since the time of
		// the last packet, which came 1 ms late.
		{1181 * ms, 2, 9000, 5, false, fmt.Sprintf("4 %d M", 50880+101*48)},
		{1201 * ms, 2, 9001, 965, false, fmt.Sprintf("5 %d", 50880+121*48)},
		{1301 * ms, 3, 1 << 40, 1 << 31, true, fmt.Sprintf("6 %d M", 50880+221*48)},
	} {
		if got := n.forward(step.at, step.timeline, step.seq, step.timestamp, step.marker); got != step.want {
			t.Errorf("step %d: sent %s, want %s", i, got, step.want)
		}
	}
	if _, err := n.s.AppendForward(nil, n.begin, &Packet{Codec: pcmu}); !errors.Is(err, audio.ErrFormat) {
		t.Errorf("packet of another codec: error %v, want ErrFormat", err)
	}
	if !n.s.Next().IsZero() {
		t.Error("a forwarder has something to do by itself")
	}
}

// Forwarded packets and PCM of the sender's own share one numbering.
func TestForwardAndWrite(t *testing.T) {
	n := newNear(t, SenderConfig{SSRC: 9})
	var got []string
	own := func(at time.Duration) {
		n.at = at
		n.mustWrite(160)
		for _, p := range n.poll() {
			got = append(got, fmt.Sprintf("own %d %d", p.SequenceNumber, p.Timestamp))
		}
	}
	got = append(got, n.forward(0, 1, 70, 7000, false), n.forward(20*ms, 1, 71, 7160, false))
	own(40 * ms)
	own(60 * ms)
	got = append(got, n.forward(80*ms, 1, 72, 7320, false), n.forward(100*ms, 1, 73, 7480, false))
	want := []string{"0 0 M", "1 160", "own 2 320", "own 3 480", "4 640 M", "5 800"}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("sent %q\nwant %q", got, want)
	}
}

func TestSenderDoesNotAllocate(t *testing.T) {
	for _, c := range []codec.Params{pcmu, g722, cd} {
		n := newNear(t, SenderConfig{Codec: c})
		f := audio.Frame{Format: n.s.Format(), Samples: make([]int16, n.s.Format().Samples(20*ms))}
		buf := make([]byte, 0, 1600)
		packets := 0
		step := func() {
			now := n.begin.Add(n.at)
			if err := n.s.Write(now, &f); err != nil {
				t.Fatal(err)
			}
			for {
				if _, ok := n.s.AppendPacket(buf, now); !ok {
					break
				}
				packets++
			}
			n.at += 20 * ms
		}
		if a := testing.AllocsPerRun(1000, step); a != 0 || packets < 1000 {
			t.Errorf("%s: %v allocations per frame, want 0 (%d packets)", c, a, packets)
		}
	}
	s := coded(t, SenderConfig{Codec: opus})
	buf, p, now := make([]byte, 0, 1600), Packet{Codec: opus, Payload: make([]byte, 80)}, time.Now()
	if a := testing.AllocsPerRun(1000, func() {
		p.Seq++
		p.Timestamp += 960
		if _, err := s.AppendForward(buf, now, &p); err != nil {
			t.Fatal(err)
		}
	}); a != 0 {
		t.Errorf("%v allocations per forwarded packet, want 0", a)
	}
}

// Pauses that are no whole number of timestamp units do not add up.
func TestPausesDoNotDrift(t *testing.T) {
	s, err := NewAudioSender(SenderConfig{Codec: pcmu})
	if err != nil {
		t.Fatal(err)
	}
	frame := audio.Frame{Format: s.Format(), Samples: make([]int16, 160)}
	begin := time.Now()
	var p rtp.Packet
	for i := range 10_000 {
		at := time.Duration(i) * (100*ms + 62500*time.Nanosecond) // 800.5 units
		now := begin.Add(at)
		if err := s.Write(now, &frame); err != nil {
			t.Fatal(err)
		}
		b, ok := s.AppendPacket(nil, now)
		if !ok || p.Unmarshal(b) != nil {
			t.Fatalf("nothing sent at %v", at)
		}
		s.AppendPacket(nil, now.Add(40*ms)) // the pause begins
		if want := uint32(timeToUnits(at, 8000)); p.Timestamp-want+1 > 2 {
			t.Fatalf("timestamp %d at %v, want %d", p.Timestamp, at, want)
		}
	}
}

// The digits of a call that is passed on go with it, if the far end takes them.
func TestForwardDigits(t *testing.T) {
	digit := codec.Params{Name: "telephone-event", PayloadType: 110, ClockRate: 48000}
	for _, event := range []codec.Params{{}, {Name: "telephone-event", PayloadType: 99, ClockRate: 48000}} {
		n := &near{t: t, begin: time.Now(), s: coded(t, SenderConfig{Codec: opus, Event: event, SSRC: 9})}
		n.forward(0, 1, 1, 0, false)
		b, err := n.s.AppendForward(nil, n.begin.Add(20*ms), &Packet{Codec: digit, Timeline: 1, Seq: 2, Timestamp: 960, Marker: true, Payload: []byte{5, 10, 3, 192}})
		if err != nil {
			t.Fatal(err)
		}
		if event.Name == "" {
			if len(b) != 0 {
				t.Errorf("a digit for a far end that takes none: % x", b)
			}
			continue
		}
		var p rtp.Packet
		if err := p.Unmarshal(b); err != nil || p.PayloadType != 99 || !p.Marker || len(p.Payload) != 4 || p.SequenceNumber != 1 {
			t.Errorf("%+v, %v", p, err)
		}
	}
}
