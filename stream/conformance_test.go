package stream_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g711"
	_ "github.com/parley-media/parley/codec/g722"
	_ "github.com/parley-media/parley/codec/l16"
	"github.com/parley-media/parley/stream"
)

// The cases in which other stacks are tested, and those in which they fail, as
// behaviour that can be heard.

const frame = 20 * time.Millisecond

var linear = codec.Params{Name: "L16", PayloadType: 96, ClockRate: 8000, Channels: 1}

// A listener pushes packets into a receiver, and hears it.
type listener struct {
	t     *testing.T
	r     *stream.AudioReceiver
	begin time.Time
	frame audio.Frame
	seq   uint16 // of packet 0
	ts    uint32
	ssrc  uint32
}

func newListener(t *testing.T, c stream.ReceiverConfig) *listener {
	t.Helper()
	if c.Codecs == nil {
		c.Codecs = []codec.Params{linear}
	}
	r, err := stream.NewAudioReceiver(c)
	if err != nil {
		t.Fatal(err)
	}
	return &listener{t: t, r: r, begin: time.Unix(1_000_000, 0), seq: 100, ts: 4000, ssrc: 1}
}

// push delivers packet n, of which all samples are n%30000+1.
func (l *listener) push(at time.Duration, n int) stream.Verdict {
	p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SSRC: l.ssrc, SequenceNumber: l.seq + uint16(n), Timestamp: l.ts + uint32(160*n)}}
	for range 160 {
		p.Payload = binary.BigEndian.AppendUint16(p.Payload, uint16(n%30000+1))
	}
	return l.r.Push(l.begin.Add(at), &p)
}

// pull calls fn for each frame that is due before the given time.
func (l *listener) pull(until time.Duration, fn func(at time.Duration, f *audio.Frame)) {
	l.t.Helper()
	for {
		next := l.r.Next()
		if next.IsZero() || !next.Before(l.begin.Add(until)) {
			return
		}
		if !l.r.Pull(next, &l.frame) {
			l.t.Fatalf("no frame at its time, %v", next.Sub(l.begin))
		}
		fn(next.Sub(l.begin), &l.frame)
	}
}

func (l *listener) stats() (s stream.ReceiverStats) {
	l.r.Stats(&s)
	return s
}

// rest ends the stream and returns what is left, a word for each frame.
func (l *listener) rest() string {
	var words []string
	l.r.End()
	for !l.r.Ended() {
		l.pull(time.Hour, func(_ time.Duration, f *audio.Frame) {
			words = append(words, word(f))
		})
	}
	return strings.Join(words, " ")
}

// word describes a frame: the number of its packet, plus 1, or its kind.
func word(f *audio.Frame) string {
	if f.Kind != audio.Media {
		return f.Kind.String()
	}
	return fmt.Sprint(f.Samples[len(f.Samples)/2])
}

// Orders of arrival, and what is heard in the end. The numbers are those of
// packets plus 1; packets come 20 ms apart.
func TestArrivalOrders(t *testing.T) {
	for _, tt := range []struct {
		name   string
		pushed []int
		want   string
	}{
		{"in order", []int{0, 1, 2, 3}, "1 2 3 4"},
		{"two swapped", []int{0, 1, 3, 2, 4}, "1 2 3 4 5"},
		{"the first two swapped", []int{2, 1, 3, 4}, "2 3 4 5"},
		{"one lost", []int{0, 1, 3, 4}, "1 2 concealed 4 5"},
		{"four lost, more than some look ahead", []int{0, 1, 6, 7, 8}, "1 2 concealed concealed concealed concealed 7 8 9"},
		{"one copied", []int{0, 1, 1, 2, 2, 3}, "1 2 3 4"},
		{"one a round later", []int{0, 1, 2, 4, 5, 6, 3, 7}, "1 2 3 4 5 6 7 8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newListener(t, stream.ReceiverConfig{Playout: stream.InOrder})
			l.seq, l.ts = 65533, 1<<32-320 // wraps among them
			var words []string
			for i, n := range tt.pushed {
				at := time.Duration(i) * frame
				l.push(at, n)
				l.pull(at+1, func(_ time.Duration, f *audio.Frame) { words = append(words, word(f)) })
			}
			if rest := l.rest(); rest != "" {
				words = append(words, rest)
			}
			if got := strings.Join(words, " "); got != tt.want {
				t.Errorf("heard %s, want %s", got, tt.want)
			}
		})
	}
}

var playouts = []stream.Playout{stream.Adaptive, stream.Fixed, stream.InOrder}

// A stream without loss that crosses the wrap of its sequence numbers, and of its
// timestamps, loses nothing, is not reported to, and has no jitter.
func TestNothingIsLostAtWraps(t *testing.T) {
	for _, playout := range playouts {
		t.Run(playout.String(), func(t *testing.T) {
			l := newListener(t, stream.ReceiverConfig{Playout: playout})
			l.seq, l.ts = 65000, 1<<32-160*1500
			const packets = 3000
			var heard [packets + 1]bool
			var other time.Duration
			clear := 0
			for n := range packets {
				at := time.Duration(n) * frame
				l.push(at, n)
				l.pull(at+1, func(at time.Duration, f *audio.Frame) {
					if f.Kind != audio.Media && at > time.Second {
						other += f.Duration()
						return
					}
					if v := int(f.Samples[80]); v > 0 && v < len(heard) && !heard[v] {
						heard[v] = true
						clear++
					}
				})
			}
			if clear < packets-20 || other > 0 {
				t.Errorf("%d of %d packets heard, %v was not media", clear, packets, other)
			}
			s := l.stats()
			if s.Lost != 0 || s.Late != 0 || s.Discarded != 0 || s.Reordered != 0 || s.Received != packets || s.Jitter > time.Microsecond {
				t.Errorf("%+v", s)
			}
			if s.Concealed > 100*time.Millisecond {
				t.Errorf("%v concealed", s.Concealed)
			}
			for _, r := range l.r.AppendReceptions(nil) {
				if b := r.Report(l.begin.Add(packets * frame)); b.FractionLost != 0 || b.Lost != 0 || int64(b.Highest) != 65000+packets-1 {
					t.Errorf("reported %+v", b)
				}
			}
		})
	}
}

// One packet lost in a steady stream costs no more than its time, and the delay
// is what it was within 2 s.
func TestOneLossCostsOneFrame(t *testing.T) {
	for _, playout := range playouts[:2] {
		t.Run(playout.String(), func(t *testing.T) {
			l := newListener(t, stream.ReceiverConfig{Playout: playout})
			var quiet, longest time.Duration
			var before stream.ReceiverStats
			for n := range 300 {
				at := time.Duration(n) * frame
				if n == 100 {
					before = l.stats()
				}
				if n != 150 {
					l.push(at, n)
				}
				l.pull(at+1, func(at time.Duration, f *audio.Frame) {
					if f.Kind == audio.Media || at < time.Second {
						quiet = 0
						return
					}
					quiet += f.Duration()
					longest = max(longest, quiet)
				})
			}
			s := l.stats()
			if longest > 2*frame || s.Concealed-before.Concealed > 2*frame || s.Lost != 1 {
				t.Errorf("%v without media at a stretch, %+v", longest, s)
			}
			if d := s.Delay - before.Delay; d > frame {
				t.Errorf("the delay has grown by %v", d)
			}
		})
	}
}

// The first frame does not wait for more packets than its delay is long.
func TestFirstFrameIsEarly(t *testing.T) {
	for _, playout := range playouts {
		l := newListener(t, stream.ReceiverConfig{Playout: playout})
		first := time.Duration(-1)
		for n := range 30 {
			l.push(time.Duration(n)*frame, n)
			l.pull(time.Duration(n)*frame+1, func(at time.Duration, f *audio.Frame) {
				if first < 0 && f.Kind == audio.Media {
					first = at
				}
			})
		}
		if first < 0 || first > 100*time.Millisecond {
			t.Errorf("%v: first heard after %v", playout, first)
		}
	}
}

// After a jump of numbers, by any amount, audio is heard again at once, and what
// was sent before it and comes late is not.
func TestOldPacketsAreNotHeardAfterAJump(t *testing.T) {
	for _, jump := range []int{5000, 30000, -5000, -300} {
		for _, playout := range playouts[:2] {
			l := newListener(t, stream.ReceiverConfig{Playout: playout})
			for n := range 50 {
				l.push(time.Duration(n)*frame, n)
				l.pull(time.Duration(n)*frame+1, func(time.Duration, *audio.Frame) {})
			}
			old := *l
			l.seq += uint16(jump)
			l.ts += 1 << 30
			first := time.Duration(-1)
			for n := 1000; n < 1050; n++ {
				at := time.Duration(n-950) * frame
				l.push(at, n)
				if n > 1003 { // of the ones before, as on another path
					old.push(at, n-1000)
				}
				l.pull(at+1, func(at time.Duration, f *audio.Frame) {
					v := int(f.Samples[len(f.Samples)/2])
					switch {
					case f.Kind == audio.Media && v > 1000 && first < 0:
						first = at
					case f.Kind == audio.Media && first > 0 && v < 900 && v > 0:
						t.Errorf("%v, jump %d: packet %d of before at %v", playout, jump, v-1, at)
					}
				})
			}
			if first < 0 || first > time.Second+300*time.Millisecond {
				t.Errorf("%v, jump %d: heard again at %v, want soon after 1 s", playout, jump, first)
			}
		}
	}
}

// A packet that is older than what was given out is dropped and counted, and one
// far ahead does not stop the clock.
func TestOldAndFarPackets(t *testing.T) {
	l := newListener(t, stream.ReceiverConfig{})
	ticks := 0
	for n := range 100 {
		at := time.Duration(n) * frame
		switch n {
		case 60:
			if v := l.push(at, 60-50); v != stream.TooLate && v != stream.DuplicateSeen {
				t.Errorf("an old packet: verdict %d", v)
			}
		case 70:
			far := *l
			far.ts += 1 << 31
			far.push(at, 70) // its time is 37 hours ahead
		default:
			l.push(at, n)
		}
		l.pull(at+1, func(time.Duration, *audio.Frame) { ticks++ })
	}
	if ticks < 90 || ticks > 100 {
		t.Errorf("%d frames in 2 s", ticks)
	}
	media := l.stats().Media
	for n := 100; n < 150; n++ {
		at := time.Duration(n) * frame
		l.push(at, n)
		l.pull(at+1, func(time.Duration, *audio.Frame) {})
	}
	if d := l.stats().Media - media; d < 900*time.Millisecond {
		t.Errorf("%v of the second after that were heard", d)
	}
}

// G.722 has 160 ticks of its clock in 20 ms, and 320 samples.
func TestG722Grid(t *testing.T) {
	l := newListener(t, stream.ReceiverConfig{Codecs: []codec.Params{{Name: "G722", PayloadType: 9, ClockRate: 8000, Channels: 1}}})
	var frames, media int
	for n := range 100 {
		at := time.Duration(n) * frame
		l.r.Push(l.begin.Add(at), &rtp.Packet{
			Header:  rtp.Header{Version: 2, PayloadType: 9, SSRC: 1, SequenceNumber: uint16(n), Timestamp: uint32(160 * n)},
			Payload: make([]byte, 160),
		})
		l.pull(at+1, func(_ time.Duration, f *audio.Frame) {
			frames++
			if f.Kind == audio.Media {
				media++
			}
			if len(f.Samples) != 320 || f.Format.Rate != 16000 {
				t.Fatalf("%d samples at %d Hz", len(f.Samples), f.Format.Rate)
			}
		})
	}
	if frames < 90 || media != frames || l.stats().Concealed > 0 {
		t.Errorf("%d frames, %d media, %+v", frames, media, l.stats())
	}
}

// Jitter from 1 to 39 ms, back and forth, is no loss.
func TestAlternatingDelays(t *testing.T) {
	l := newListener(t, stream.ReceiverConfig{})
	var settled stream.ReceiverStats
	for n := range 500 {
		at := time.Duration(n)*frame + time.Duration(n%2)*38*time.Millisecond/2
		l.push(at, n)
		l.pull(at+1, func(time.Duration, *audio.Frame) {})
		if n == 100 {
			settled = l.stats()
		}
	}
	if s := l.stats(); s.Late-settled.Late > 0 || s.Concealed-settled.Concealed > 0 {
		t.Errorf("%d late, %v concealed", s.Late-settled.Late, s.Concealed-settled.Concealed)
	}
}
