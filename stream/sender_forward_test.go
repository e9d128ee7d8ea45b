package stream

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/pion/rtp"
	"pgregory.net/rapid"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// relayed passes on packets of one timeline, and returns which number each got; "-" if
// it was not sent. What is below 0 is comfort noise, which is left out.
func (n *near) relayed(timeline uint64, numbers ...int64) (got []string) {
	n.t.Helper()
	for _, seq := range numbers {
		p := Packet{Codec: n.s.Codec(), Timeline: timeline, Seq: seq, Timestamp: uint32(seq) * 160, Payload: []byte{1}}
		if seq < 0 {
			p.Codec, p.Seq = cn, -seq
		}
		b, err := n.s.AppendForward(nil, n.begin.Add(n.at), &p)
		if err != nil {
			n.t.Fatal(err)
		}
		if len(b) == 0 {
			got = append(got, "-")
			continue
		}
		var sent rtp.Packet
		if err := sent.Unmarshal(b); err != nil {
			n.t.Fatal(err)
		}
		got = append(got, fmt.Sprint(sent.SequenceNumber))
	}
	return got
}

// A packet is not sent if its number would be that of another one: from before the
// first one that was forwarded, or before one that was left out.
func TestForwardTakesNoNumberTwice(t *testing.T) {
	for _, tt := range []struct {
		name    string
		numbers []int64
		want    string
	}{
		{"late at the begin", []int64{500, 499, 501, 498, 503, 502}, "[100 - 101 - 103 102]"},
		{"late after one was left out", []int64{500, 502, -503, 501, 504, 506, 505}, "[100 102 - - 103 105 104]"},
		{"left out late", []int64{500, 502, -501, 503, 502}, "[100 102 - 103 102]"},
		{"left out first", []int64{-499, 500, 501}, "[- 100 101]"},
		{"far ahead", []int64{500, 500 + 1<<15, 501 + 1<<15, 1 << 17, 500}, "[100 32868 32869 32870 -]"},
		{"far behind", []int64{500, 30500, 60500, 501, 60499}, "[100 30100 60100 - 60099]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNear(t, SenderConfig{Sequence: 100})
			if got := fmt.Sprint(n.relayed(1, tt.numbers...)); got != tt.want {
				t.Errorf("%v: sent %s, want %s", tt.numbers, got, tt.want)
			}
		})
	}
}

// The rest of a frame that was cut takes numbers too.
func TestForwardBehindTheRestOfAFrame(t *testing.T) {
	n := newNear(t, SenderConfig{Sequence: 100, MaxPayload: 160})
	n.mustWrite(160)
	n.s.AppendPacket(nil, n.begin)
	got := n.relayed(1, 500, 502)
	got = append(got, fmt.Sprint(n.poll()[0].SequenceNumber))
	got = append(got, n.relayed(1, 501, 503, 502)...)
	if want := "[101 103 104 105 107 106]"; fmt.Sprint(got) != want {
		t.Errorf("sent %s, want %s", got, want)
	}
}

// However packets are reordered, copied and left out, and whatever the sender sends
// of its own meanwhile: no number stands for two packets.
func TestForwardNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := NewAudioSender(SenderConfig{Codec: pcmu, Event: dial, MaxPayload: rapid.SampledFrom([]int{80, 1400}).Draw(t, "size"), Sequence: 65500})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		sent := map[int64][]byte{} // by number, extended as SRTP does
		newest := int64(65499)
		left := func(b []byte, copies bool) {
			var p rtp.Packet
			if err := p.Unmarshal(b); err != nil {
				t.Fatal(err)
			}
			seq := newest + int64(int16(p.SequenceNumber-uint16(newest)))
			newest = max(newest, seq)
			if old, ok := sent[seq]; ok && !(copies && bytes.Equal(old, p.Payload)) {
				t.Fatalf("%d is % x and % x", seq, old, p.Payload)
			}
			sent[seq] = p.Payload
		}
		poll := func() {
			for {
				b, ok := s.AppendPacket(nil, now)
				if !ok {
					return
				}
				left(b, false)
			}
		}
		frame := audio.Frame{Format: s.Format(), Samples: make([]int16, 160)}
		timeline, seq := uint64(1), int64(1000)
		kinds := map[int64]codec.Params{}
		forward := func(seq int64) {
			if _, ok := kinds[seq]; !ok {
				kinds[seq] = []codec.Params{pcmu, pcmu, pcmu, cn, dial}[rapid.IntRange(0, 4).Draw(t, "kind")]
			}
			payload := fmt.Append(nil, "packet ", seq, " of ", timeline)
			b, err := s.AppendForward(nil, now, &Packet{Codec: kinds[seq], Timeline: timeline, Seq: seq, Timestamp: uint32(seq) * 160, Payload: payload})
			if err != nil {
				t.Fatal(err)
			}
			if len(b) > 0 {
				left(b, true)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"forward": func(t *rapid.T) {
				for range rapid.IntRange(1, 10).Draw(t, "packets") {
					step := int64(rapid.SampledFrom([]int{-5, -3, -2, -1, 0, 1, 1, 1, 2, 3}).Draw(t, "step"))
					forward(seq + step)
					seq += max(step, 0)
				}
			},
			"jump":   func(t *rapid.T) { seq += int64(rapid.IntRange(10_000, 70_000).Draw(t, "by")); forward(seq) },
			"source": func(*rapid.T) { timeline++; clear(kinds) },
			"write":  func(*rapid.T) { s.Write(now, &frame) }, //nolint:errcheck // may be full
			"one": func(*rapid.T) {
				if b, ok := s.AppendPacket(nil, now); ok {
					left(b, false)
				}
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "ms")) * ms)
				poll()
			},
			"digit": func(*rapid.T) { s.QueueDigits(now, "5", nil) }, //nolint:errcheck // may be on hold
			"hold":  func(t *rapid.T) { s.Hold(now, rapid.IntRange(0, 3).Draw(t, "on") == 3) },
		})
	})
}
