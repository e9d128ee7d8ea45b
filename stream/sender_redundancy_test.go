package stream

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/parley-media/parley/payload"
)

// blocks describes redundancy as "offset:first byte".
func blocks(t *testing.T, p *sent) (s string) {
	t.Helper()
	r, err := payload.ParseRED(p.Payload)
	if err != nil {
		t.Fatal(err)
	}
	for b := range r.All() {
		s += fmt.Sprintf("%d:%d ", b.Offset, b.Payload[0])
	}
	return s
}

func TestRedundancy(t *testing.T) {
	for _, tt := range []struct {
		generations, maxPayload int
		want                    []string
	}{
		{0, 0, []string{"0:1 ", "160:1 0:2 ", "160:2 0:3 ", "160:3 0:4 "}},
		{2, 0, []string{"0:1 ", "160:1 0:2 ", "320:1 160:2 0:3 ", "320:2 160:3 0:4 "}},
		{7, 0, []string{"0:1 ", "160:1 0:2 ", "320:1 160:2 0:3 ", "480:1 320:2 160:3 0:4 "}},
		{2, 40, []string{"0:1 ", "160:1 0:2 ", "160:2 0:3 ", "160:3 0:4 "}}, // no room for more
		{2, 21, []string{"0:1 ", "0:2 ", "0:3 ", "0:4 "}},
	} {
		n := &near{t: t, begin: time.Now()}
		var err error
		n.s, err = NewAudioSender(SenderConfig{Codec: opus8, Coded: true, RED: red, Generations: tt.generations, MaxPayload: tt.maxPayload})
		if err != nil {
			t.Fatal(err)
		}
		var got []sent
		for k := range 4 {
			n.at = time.Duration(k) * 20 * ms
			if err := n.s.WriteCoded(n.begin.Add(n.at), bytes.Repeat([]byte{byte(k + 1)}, 15), 20*ms); err != nil {
				t.Fatal(err)
			}
			got = append(got, n.poll()...)
		}
		for i := range got {
			if b := blocks(t, &got[i]); b != tt.want[i] || got[i].PayloadType != red.PayloadType || got[i].Marker != (i == 0) {
				t.Errorf("%d generations, packet %d: %v has %q, want %q", tt.generations, i, got[i], b, tt.want[i])
			}
		}
		n.run(time.Second)
		n.s.WriteCoded(n.begin.Add(n.at), []byte{9}, 20*ms) //nolint:errcheck // seen by what is sent
		if after := n.poll(); len(after) != 1 || blocks(t, &after[0]) != "0:9 " || !after[0].Marker {
			t.Errorf("after a pause: %v", after)
		}
	}
}

// A packet that has no room for a header leaves as it is.
func TestRedundancyWithoutRoom(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: pcmu, RED: red, MaxPayload: 160})
	n.mustWrite(160)
	if got := n.poll(); len(got) != 1 || got[0].PayloadType != 0 || len(got[0].Payload) != 160 {
		t.Errorf("sent %v", got)
	}
}

func TestDuplicates(t *testing.T) {
	n := newNear(t, SenderConfig{Duplicate: true})
	n.mustWrite(480)
	got := n.run(time.Second)
	n.want(got, "0s 0 M", "20ms 0 M", "20ms 160", "40ms 160", "40ms 320", "60ms 320")
	for i, want := range []uint16{0, 0, 1, 1, 2, 2} {
		if got[i].SequenceNumber != want {
			t.Errorf("packet %d has the sequence number %d, want %d", i, got[i].SequenceNumber, want)
		}
	}
}

// The level is that of RFC 6464, section 3: 0 for a square wave of full scale,
// 127 for silence.
func TestLevelExtension(t *testing.T) {
	for _, tt := range []struct {
		sample int16
		want   byte
	}{{32767, 0}, {-32768, 0}, {16384, 6}, {3277, 20}, {1, 90}, {0, 127}} {
		n := newNear(t, SenderConfig{Codec: pcmu, LevelExtension: 5})
		n.frame.Format = n.s.Format()
		n.frame.Grow(160)
		for i := range n.frame.Samples {
			n.frame.Samples[i] = tt.sample
		}
		if err := n.s.Write(n.begin, &n.frame); err != nil {
			t.Fatal(err)
		}
		got := n.poll()
		if len(got) != 1 || !bytes.Equal(got[0].GetExtension(5), []byte{tt.want}) || len(got[0].Payload) != 160 {
			t.Errorf("samples of %d: %v, extension %v, want %d", tt.sample, got, got[0].GetExtension(5), tt.want)
		}
	}
}
