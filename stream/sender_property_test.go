package stream

import (
	"errors"
	"testing"
	"time"

	"github.com/pion/rtp"
	"pgregory.net/rapid"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/dtmf"
)

// Whatever is done to a sender, sequence numbers follow each other, timestamps
// of audio do not overlap and jump only with the marker, nothing leaves ahead of
// the clock or on hold, nothing but comfort noise leaves in a pause, the queue is
// bounded, and what was written is accounted for.
func TestSenderAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := SenderConfig{
			Codec: pcmu, Event: dial, Noise: cn, PTime: rapid.SampledFrom([]time.Duration{10 * ms, 20 * ms, 60 * ms}).Draw(t, "ptime"),
			LevelExtension: rapid.SampledFrom([]uint8{0, 3}).Draw(t, "level"), Sequence: 65500, Timestamp: 1<<32 - 3000,
		}
		if rapid.Bool().Draw(t, "redundancy") {
			c.RED, c.Generations = red, 2
		}
		c.Duplicate = rapid.Bool().Draw(t, "duplicate")
		s, err := NewAudioSender(c)
		if err != nil {
			t.Fatal(err)
		}
		first := time.Now()
		now := first
		seq, seen := c.Sequence, false
		var end uint32
		var written, sum time.Duration
		frame := audio.Frame{Format: s.Format()}
		var p rtp.Packet
		poll := func() {
			inBurst := 0
			for k := 0; ; k++ {
				b, ok := s.AppendPacket(nil, now)
				if !ok {
					break
				}
				if k > 100 || s.held {
					t.Fatalf("packet %d at once, hold %v", k, s.held)
				}
				if err := p.Unmarshal(b); err != nil {
					t.Fatal(err)
				}
				if seen && c.Duplicate && p.SequenceNumber != seq {
					continue // the second time
				}
				if p.SequenceNumber != seq {
					t.Fatalf("sequence number %d, want %d", p.SequenceNumber, seq)
				}
				seq++
				if !seen {
					seen, end = true, p.Timestamp
				}
				switch p.PayloadType {
				case dial.PayloadType:
					continue
				case cn.PayloadType:
					if p.Marker || s.running || s.PendingDigits() > 0 || int32(p.Timestamp-end) < 0 {
						t.Fatalf("comfort noise out of place: %v, after %d", p.Header, end)
					}
					continue
				}
				inBurst++
				jump := int32(p.Timestamp - end)
				if jump < 0 || jump > 0 && !p.Marker {
					t.Fatalf("timestamp %d after %d, marker %v", p.Timestamp, end, p.Marker)
				}
				end = p.Timestamp + s.units
				media := time.Duration(end-c.Timestamp) * time.Second / 8000
				if media > now.Sub(first)+s.PTime()+ms {
					t.Fatalf("media up to %v after %v", media, now.Sub(first))
				}
			}
			if limit := int(s.stall()/s.PTime()) + 2; inBurst > limit {
				t.Fatalf("%d packets in a burst, at most %d", inBurst, limit)
			}
			if next := s.Next(); !next.IsZero() && !next.After(now) {
				t.Fatalf("due %v ago, but not sent", now.Sub(next))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				frame.Grow(rapid.IntRange(0, 600).Draw(t, "samples"))
				if err := s.Write(now, &frame); err == nil {
					written += frame.Duration()
				} else if !errors.Is(err, ErrFull) || len(frame.Samples) <= s.Room() {
					t.Fatal(err)
				}
			},
			"live": func(t *rapid.T) {
				frame.Grow(rapid.IntRange(0, 600).Draw(t, "samples"))
				for range rapid.IntRange(1, 8).Draw(t, "times") {
					if err := s.WriteLive(now, &frame); err != nil {
						t.Fatal(err)
					}
					written += frame.Duration()
				}
			},
			"call": func(t *rapid.T) { // long enough for something to be left out
				frame.Grow(int(s.PTime() * 8 / ms))
				for range 3 * time.Second / s.PTime() {
					if err := s.WriteLive(now, &frame); err != nil {
						t.Fatal(err)
					}
					written += frame.Duration()
					poll()
					now = now.Add(s.PTime())
				}
				poll()
				if s.Queued() > 2*s.PTime()+ms && !s.held && s.PendingDigits() == 0 && s.allLive() {
					t.Fatalf("%v queued after 3 s of live audio", s.Queued())
				}
			},
			"coded": func(t *rapid.T) {
				d := s.PTime() // of the same length, so that the end of a packet is known
				if err := s.WriteCoded(now, make([]byte, rapid.IntRange(1, 200).Draw(t, "size")), d); err == nil {
					written += d
				} else if !errors.Is(err, ErrFull) {
					t.Fatal(err)
				}
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 100_000).Draw(t, "µs")) * time.Microsecond)
				poll()
			},
			"pause": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * ms); poll() },
			"next": func(*rapid.T) {
				if next := s.Next(); next.After(now) {
					now = next
				}
				poll()
			},
			"digits": func(t *rapid.T) {
				o := &dtmf.Options{Duration: time.Duration(rapid.IntRange(1, 300).Draw(t, "ms")) * ms}
				if err := s.QueueDigits(now, "19", o); err != nil && !errors.Is(err, ErrHeld) && !errors.Is(err, dtmf.ErrFull) {
					t.Fatal(err)
				}
			},
			"hold": func(t *rapid.T) { s.Hold(now, rapid.Bool().Draw(t, "on")) },
			"flush": func(t *rapid.T) {
				played := s.Flush(time.Duration(rapid.IntRange(0, 20).Draw(t, "fade")) * ms)
				sum += played.Sent + played.Muted + played.Dropped
			},
			"": func(*rapid.T) {
				played := s.Played()
				waits := s.Unplayed()
				all := sum + played.Sent + played.Muted + played.Dropped + waits
				if diff := all - written; diff < -ms || diff > ms || s.Queued() > 400*ms+2*s.PTime() {
					t.Fatalf("%v written, %v + %+v + %v accounted for", written, sum, played, waits)
				}
			},
		})
	})
}
