package stream

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// opus8 is a codec that no build has.
var opus8 = codec.Params{Name: "test-coded", PayloadType: 99, ClockRate: 8000}

// frames is a codec that takes frames as Opus does, and hears of loss.
func init() {
	codec.Register(codec.Codec{
		Name: "test-frames",
		Format: func(p codec.Params) (audio.Format, error) {
			return audio.Format{Rate: p.ClockRate, Channels: 1}, nil
		},
		NewEncoder: func(p codec.Params) (codec.Encoder, error) { return &frames{rate: p.ClockRate}, nil },
	})
}

type frames struct {
	rate int
	loss float64
}

func (f *frames) Takes(n int) bool {
	for _, m := range []int{10, 20, 40, 60, 80, 100, 120} {
		if n == f.rate/1000*m {
			return true
		}
	}
	return false
}

func (f *frames) SetLoss(fraction float64) { f.loss = fraction }

func (f *frames) Encode(dst []byte, pcm []int16) ([]byte, error) {
	if !f.Takes(len(pcm)) {
		return dst, audio.ErrFormat
	}
	return append(dst, byte(len(pcm)/48)), nil
}

// What a codec has learnt of the sound so far stays with it while it is the same: a new
// encoder would be heard as a click.
func TestSenderKeepsEncoder(t *testing.T) {
	c := SenderConfig{Codec: codec.Params{Name: "test-frames", PayloadType: 98, ClockRate: 48000}}
	n := newNear(t, c)
	before := n.s.encoder
	c.PTime = 40 * ms
	if err := n.s.Reconfigure(n.begin, c); err != nil || n.s.encoder != before {
		t.Errorf("%v, another encoder for another duration of packets: %v", err, n.s.encoder != before)
	}
	c.Codec.ClockRate = 16000
	if err := n.s.Reconfigure(n.begin, c); err != nil || n.s.encoder == before {
		t.Errorf("%v, the same encoder for another codec: %v", err, n.s.encoder == before)
	}
}

func TestSenderPTimes(t *testing.T) {
	for _, ptime := range []time.Duration{10 * ms, 20 * ms, 40 * ms, 60 * ms, 120 * ms} {
		n := newNear(t, SenderConfig{Codec: codec.Params{Name: "test-frames", PayloadType: 98, ClockRate: 48000}, PTime: ptime, Queue: 2 * time.Second})
		for range 1200 / 3 {
			n.mustWrite(48*3 - 1)
			n.mustWrite(1)
		}
		got := n.run(1200*ms - ptime)
		for k, p := range got {
			if p.at != time.Duration(k)*ptime || p.Timestamp != uint32(k)*uint32(ptime/ms)*48 || len(p.Payload) != 1 {
				t.Errorf("ptime %v, packet %d: %v", ptime, k, p)
			}
		}
		if len(got) != int(1200*ms/ptime) {
			t.Errorf("ptime %v: %d packets", ptime, len(got))
		}
	}
}

// A packet time of an odd number of samples becomes one that G.722 has.
func TestSenderOddPTimeOfG722(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: g722, PTime: 33300 * time.Microsecond, Queue: time.Second})
	if want := 33250 * time.Microsecond; n.s.PTime() != want {
		t.Errorf("ptime %v, want %v", n.s.PTime(), want)
	}
	n.mustWrite(3 * 532)
	got := n.run(time.Second)
	n.want(got, "0s 0 M", "33.25ms 266", "66.5ms 532")
	for i, p := range got {
		if len(p.Payload) != 266 {
			t.Errorf("packet %d: %d bytes", i, len(p.Payload))
		}
	}
}

// Ten seconds that are written at once leave on the media clock.
func TestSenderWholeFile(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: pcmu, Queue: 10 * time.Second})
	n.mustWrite(80000 - 1)
	n.mustWrite(1)
	if err := n.write(1); !errors.Is(err, ErrFull) {
		t.Errorf("11 s: %v", err)
	}
	got := n.run(time.Minute)
	for k, p := range got {
		if p.at != time.Duration(k)*20*ms || p.Timestamp != uint32(k*160) || p.Marker != (k == 0) {
			t.Fatalf("packet %d: %v", k, p)
		}
	}
	if len(got) != 500 || n.s.Played().Sent != 10*time.Second {
		t.Errorf("%d packets, %+v", len(got), n.s.Played())
	}
}

func TestWriteCoded(t *testing.T) {
	n := &near{t: t, begin: time.Now()}
	var err error
	if n.s, err = NewAudioSender(SenderConfig{Codec: opus8, Coded: true, Timestamp: 80}); err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{20 * ms, 40 * ms, 10 * ms, 20 * ms} {
		if err := n.s.WriteCoded(n.begin, []byte{byte(d / ms)}, d); err != nil {
			t.Fatal(err)
		}
	}
	if q := n.s.Queued(); q != 90*ms {
		t.Errorf("queued %v", q)
	}
	if err := n.s.WriteCoded(n.begin, []byte{1}, 111*ms); !errors.Is(err, ErrFull) {
		t.Errorf("more than fits: %v", err)
	}
	for _, bad := range []error{
		n.s.WriteCoded(n.begin, nil, 20*ms),
		n.s.WriteCoded(n.begin, make([]byte, 1401), 20*ms),
		n.s.WriteCoded(n.begin, []byte{1}, 0),
		n.s.WriteCoded(n.begin, []byte{1}, time.Hour),
	} {
		if !errors.Is(bad, audio.ErrFormat) {
			t.Errorf("error %v, want ErrFormat", bad)
		}
	}
	n.want(n.run(time.Second), "0s 80 M", "20ms 240", "60ms 560", "70ms 640")
	if p := n.s.Played(); p.Sent != 90*ms {
		t.Errorf("played %+v", p)
	}
	n.s.WriteCoded(n.begin.Add(n.at), []byte{1}, 20*ms) //nolint:errcheck // seen by what is sent
	n.want(n.poll(), "1s 8080 M")
}

func (n *near) writeAt(timestamp uint32, samples int) error {
	n.frame.Format = n.s.Format()
	n.frame.Grow(samples)
	return n.s.WriteAt(n.begin.Add(n.at), timestamp, &n.frame)
}

func TestWriteAt(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: pcmu})
	for _, stamp := range []uint32{math.MaxUint32 - 159, 0, 320} { // the first one counts, then a hole of a packet
		if err := n.writeAt(stamp, 160); err != nil {
			t.Fatal(err)
		}
	}
	for _, stamp := range []uint32{479, 0, math.MaxUint32, 480 + 80001} {
		if err := n.writeAt(stamp, 160); !errors.Is(err, ErrTimestamp) {
			t.Errorf("timestamp %d: %v, want ErrTimestamp", stamp, err)
		}
	}
	n.want(n.run(time.Second), "0s 4294967136 M", "20ms 0", "60ms 320 M")
	// Behind the clock: it leaves at once, and the clock follows.
	if err := n.writeAt(480, 320); err != nil {
		t.Fatal(err)
	}
	n.want(n.run(1030*ms), "1s 480 M", "1.02s 640")
	// Ahead of it: when its time comes.
	if err := n.writeAt(1600, 160); err != nil {
		t.Fatal(err)
	}
	n.want(n.run(2*time.Second), "1.14s 1600 M")
	if err := n.s.WriteCodedAt(n.begin.Add(n.at), 1700, []byte{1}, 20*ms); !errors.Is(err, ErrTimestamp) {
		t.Errorf("coded, before the end: %v", err)
	}
	n.mustWrite(160)
	n.want(n.run(2010*ms), "2s 8480 M")
}

func TestReconfigure(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: pcmu, SSRC: 5, Event: dial})
	n.mustWrite(480)
	n.run(30 * ms)
	before := *n.s
	for _, c := range []SenderConfig{{}, {Codec: pcmu, PTime: time.Hour}, {Codec: pcmu, RED: dial, Event: dial}} {
		if err := n.s.Reconfigure(n.begin.Add(n.at), c); err == nil || n.s.config != before.config || n.s.Queued() != 20*ms {
			t.Errorf("%v: error %v, now %+v", c, err, n.s.config)
		}
	}
	// Another ptime: PCM of the same format stays.
	if err := n.s.Reconfigure(n.begin.Add(n.at), SenderConfig{Codec: pcmu, PTime: 10 * ms}); err != nil {
		t.Fatal(err)
	}
	n.wantAll(n.run(55*ms), "0: 40ms 320 M", "0: 50ms 400")
	// Another clock rate: the timestamp goes on, PCM of another format is dropped.
	n.mustWrite(80)
	if err := n.s.Reconfigure(n.begin.Add(n.at), SenderConfig{Codec: wide}); err != nil {
		t.Fatal(err)
	}
	if p, want := n.s.Played(), (Played{Sent: 60 * ms, Dropped: 10 * ms}); p != want {
		t.Errorf("played %+v, want %+v", p, want)
	}
	n.mustWrite(640)
	got := n.run(90 * ms)
	n.wantAll(got, "97: 60ms 480 M", "97: 80ms 800")
	if got[0].SequenceNumber != 4 || got[0].SSRC != 5 {
		t.Errorf("sequence number %d, source %d", got[0].SequenceNumber, got[0].SSRC)
	}
	n.s.SetSSRC(n.begin.Add(n.at), 6, 70, 7000)
	n.mustWrite(320)
	if got = n.run(110 * ms); len(got) != 1 || got[0].SSRC != 6 || got[0].SequenceNumber != 70 || got[0].Timestamp != 7000 || !got[0].Marker {
		t.Errorf("after a collision: %v", got)
	}
}

// A pause counts at the clock rate that was in use, up to the change, and at the new one
// from then on, or who listens hears a jump (RFC 7160, section 4).
func TestReconfigureInAPause(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: pcmu})
	n.mustWrite(160)
	n.wantAll(n.run(1000*ms), "0: 0s 0 M")
	if err := n.s.Reconfigure(n.begin.Add(n.at), SenderConfig{Codec: wide}); err != nil {
		t.Fatal(err)
	}
	n.at = 1500 * ms
	n.mustWrite(320)
	n.wantAll(n.poll(), "97: 1.5s 16000 M") // 1 s of 8 kHz and half a second of 16 kHz
}

func TestLossReachesTheEncoder(t *testing.T) {
	c := SenderConfig{Codec: codec.Params{Name: "test-frames", PayloadType: 98, ClockRate: 48000}}
	n := newNear(t, c)
	n.s.SetLoss(0.1)
	if got := n.s.encoder.(*frames).loss; got != 0.1 {
		t.Errorf("loss %v", got)
	}
	c.Codec.ClockRate = 16000
	if err := n.s.Reconfigure(n.begin, c); err != nil {
		t.Fatal(err)
	}
	if got := n.s.encoder.(*frames).loss; got != 0.1 {
		t.Errorf("loss %v after a change", got)
	}
	for _, tt := range []struct{ reported, told float64 }{{0, 0.075}, {0.2, 0.2}, {0.01, 0.15}, {0.14, 0.14}, {2, 1}} {
		n.s.SetLoss(tt.reported)
		if got := n.s.encoder.(*frames).loss; math.Abs(got-tt.told) > 1e-9 {
			t.Errorf("loss %v, not %v, after a report of %v", got, tt.told, tt.reported)
		}
	}
	newNear(t, SenderConfig{}).s.SetLoss(2) // an encoder that has no use for it
}
