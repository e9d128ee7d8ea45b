package stream_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
)

// Comfort noise counts from its timestamp on: it hides no loss before it, goes on
// when it is refreshed, and ends with the media behind it.
func TestNoiseOrders(t *testing.T) {
	const until = 1200 * time.Millisecond
	for _, tt := range []struct {
		name   string
		pushed map[int]string // what is sent at each tick
		want   string
	}{
		{"a loss before it", map[int]string{0: "media", 1: "media", 2: "lost", 3: "media", 4: "noise"}, "media*2 concealed media noise*53"},
		{"refreshed", map[int]string{0: "media", 1: "media", 2: "noise", 12: "noise", 22: "media", 23: "media", 24: "noise"}, "media*2 noise*20 media*2 noise*33"},
		{"after silence", map[int]string{0: "media", 1: "media", 20: "noise", 30: "media", 31: "noise"}, "media*2 concealed*6 silence*12 noise*10 media noise*26"},
	} {
		l := newListener(t, stream.ReceiverConfig{Playout: stream.Fixed, Codecs: []codec.Params{linear, {Name: "CN", PayloadType: 13, ClockRate: 8000}}})
		var got []string
		seq := uint16(100)
		for tick := range int(until / frame) {
			at := time.Duration(tick) * frame
			p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SSRC: 1, SequenceNumber: seq, Timestamp: uint32(160 * tick)}, Payload: bytes.Repeat([]byte{1}, 320)}
			switch tt.pushed[tick] {
			case "noise":
				p.PayloadType, p.Payload = 13, []byte{50}
				fallthrough
			case "media":
				l.r.Push(l.begin.Add(at), &p)
				seq++
			case "lost":
				seq++
			}
			l.pull(at+1, func(_ time.Duration, f *audio.Frame) { got = append(got, f.Kind.String()) })
		}
		var runs []string
		for i := 0; i < len(got); {
			n := 1
			for i+n < len(got) && got[i+n] == got[i] {
				n++
			}
			if runs = append(runs, got[i]); n > 1 {
				runs[len(runs)-1] += fmt.Sprint("*", n)
			}
			i += n
		}
		if s := strings.Join(runs, " "); s != tt.want {
			t.Errorf("%s: heard %s\nwant %s", tt.name, s, tt.want)
		}
	}
}

// The last frames of a talkspurt are heard at their time, not with the next one,
// however long the pause; and the pause is neither loss nor delay.
func TestTalkspurtsAreWhole(t *testing.T) {
	for _, playout := range playouts[:2] {
		t.Run(playout.String(), func(t *testing.T) {
			l := newListener(t, stream.ReceiverConfig{Playout: playout})
			at, ticks := time.Duration(0), 0
			n := 0
			for _, pause := range []int{20, 150, 35, 60, 100} { // 0.4 to 3 s
				heard := map[int16]bool{}
				hear := func(at time.Duration, f *audio.Frame) {
					if f.Kind == audio.Media {
						heard[f.Samples[len(f.Samples)/2]] = true
					}
				}
				const spurt = 50
				for range spurt {
					l.ts = 4000 + uint32(160*(ticks-n))
					l.push(at, n)
					l.pull(at+1, hear)
					n, ticks, at = n+1, ticks+1, at+frame
				}
				l.pull(at+200*time.Millisecond, hear)
				missing := 0
				for k := n - spurt; k < n; k++ {
					if !heard[int16(k+1)] {
						missing++
					}
				}
				if missing > 2 { // shortened or lengthened, and the middle is not in one piece
					t.Errorf("%d of %d packets were not heard before the pause of %d packets", missing, spurt, pause)
				}
				ticks += pause
				at += time.Duration(pause) * frame
				l.pull(at, func(time.Duration, *audio.Frame) {})
			}
			if s := l.stats(); s.Lost != 0 || s.Late != 0 || s.Delay > 150*time.Millisecond {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A digit amid speech is no loss, and one packet lost beside it is one.
func TestDigitIsNoLoss(t *testing.T) {
	events := codec.Params{Name: "telephone-event", PayloadType: 101, ClockRate: 8000}
	for _, lost := range []int{-1, 65} {
		l := newListener(t, stream.ReceiverConfig{Codecs: []codec.Params{linear, events}})
		var before stream.ReceiverStats
		for n := range 100 {
			at := time.Duration(n) * frame
			switch {
			case n == lost:
			case n >= 50 && n < 60:
				e := []byte{5, 10, 0, 0}
				if n >= 57 {
					e[1] |= 0x80
				}
				binary.BigEndian.PutUint16(e[2:], uint16(160*min(n-49, 8)))
				l.r.Push(l.begin.Add(at), &rtp.Packet{
					Header:  rtp.Header{Version: 2, PayloadType: 101, Marker: n == 50, SSRC: 1, SequenceNumber: l.seq + uint16(n), Timestamp: l.ts + 160*50},
					Payload: e,
				})
			default:
				l.push(at, n)
			}
			if n == 49 {
				before = l.stats()
			}
			l.pull(at+1, func(time.Duration, *audio.Frame) {})
		}
		reports := 0
		for {
			if _, ok := l.r.PullDigit(l.begin.Add(100 * frame)); !ok {
				break
			}
			reports++
		}
		s := l.stats()
		want := int64(0)
		if lost >= 0 {
			want = 1
		}
		if s.Lost != want || s.Received != 100-want || reports != 2 {
			t.Errorf("lost %d: %d reports, %+v", lost, reports, s)
		}
		// The time of the digit has no media; what stands for it is at most the time
		// in which a pause is told from loss.
		if d := s.Concealed - before.Concealed; d > 200*time.Millisecond {
			t.Errorf("lost %d: %v concealed", lost, d)
		}
	}
}
