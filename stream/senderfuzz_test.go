package stream

import (
	"errors"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// FuzzSender drives a sender by two bytes a step: write, let time pass, send,
// clear. However it is driven, no more leaves than time and input allow,
// numbers are in sequence, timestamps do not overlap and stay with the clock.
func FuzzSender(f *testing.F) {
	f.Add([]byte{0, 160, 2, 0, 1, 20, 0, 160, 2, 0}, uint8(0))
	f.Add([]byte{0, 255, 0, 255, 2, 0, 1, 255, 1, 255, 2, 0, 3, 0, 2, 0}, uint8(5))
	f.Fuzz(func(t *testing.T, ops []byte, shape uint8) {
		c := SenderConfig{
			Codec:      []codec.Params{pcmu, wide, cd, g722}[shape&3],
			PTime:      []time.Duration{10 * ms, 20 * ms, 30 * ms, 60 * ms}[shape>>2&3],
			Immediate:  shape>>4&1 != 0,
			Timestamp:  1<<32 - 5000,
			Sequence:   65530,
			MaxPayload: []int{0, 100}[shape>>5&1],
		}
		s, err := NewAudioSender(c)
		if err != nil {
			t.Fatal(err)
		}
		format, begin := s.Format(), time.Now()
		now := begin
		var packets, frames, taken int
		var end uint32 // timestamp behind what was sent
		var first time.Time
		frame := audio.Frame{Format: format}
		var buf []byte
		var p rtp.Packet
		for ; len(ops) >= 2 && packets < 20_000; ops = ops[2:] {
			n := int(ops[1])
			switch ops[0] & 3 {
			case 0:
				frame.Grow(n * 8 * format.Channels)
				room := s.Room()
				err := s.Write(now, &frame)
				if fits := len(frame.Samples) <= room; fits != (err == nil) || !fits && !errors.Is(err, ErrFull) {
					t.Fatalf("%d samples, room for %d: %v", len(frame.Samples), room, err)
				}
				if err == nil {
					taken += len(frame.Samples)
				}
			case 1:
				now = now.Add(time.Duration(n*n) * ms / 16) // up to 4 s
			case 2:
				for {
					var ok bool
					if buf, ok = s.AppendPacket(buf[:0], now); !ok {
						break
					}
					if err := p.Unmarshal(buf); err != nil {
						t.Fatal(err)
					}
					if len(p.Payload) == 0 || len(p.Payload) > 1400 || p.SequenceNumber != c.Sequence+uint16(packets) {
						t.Fatalf("packet %d: %d bytes, sequence number %d", packets, len(p.Payload), p.SequenceNumber)
					}
					if packets == 0 {
						first, end = now, p.Timestamp
					}
					skipped := p.Timestamp - end
					if int32(skipped) < 0 || skipped > 0 && (!p.Marker || c.Immediate) {
						t.Fatalf("timestamp %d behind %d, marker %v", p.Timestamp, end, p.Marker)
					}
					decoded := len(p.Payload) * c.Codec.ClockRate / format.Rate
					switch c.Codec {
					case wide:
						decoded = len(p.Payload) / 2
					case cd:
						decoded = len(p.Payload) / 4
					case g722:
						decoded = len(p.Payload)
					}
					end = p.Timestamp + uint32(decoded)
					if len(s.rest) == 0 {
						frames++
					}
					packets++
				}
				if next := s.Next(); !next.IsZero() && !next.After(now) {
					t.Fatal("due, but not sent")
				}
			case 3:
				s.Flush(0)
				taken = 0
				if len(s.rest) == 0 && s.Queued() != 0 {
					t.Fatal("not empty")
				}
			}
			if packets == 0 || c.Immediate {
				continue
			}
			elapsed := now.Sub(first)
			if limit := int(elapsed/s.PTime()) + 1; frames > limit {
				t.Fatalf("%d frames in %v", frames, elapsed)
			}
			// Never ahead of the clock by more than a frame.
			media := time.Duration(end-c.Timestamp) * time.Second / time.Duration(c.Codec.ClockRate)
			if media > elapsed+s.PTime()+ms {
				t.Fatalf("timestamps at %v after %v", media, elapsed)
			}
		}
		if s.Played().Sent > format.Duration(taken) {
			t.Fatalf("played %v of %v", s.Played(), format.Duration(taken))
		}
	})
}
