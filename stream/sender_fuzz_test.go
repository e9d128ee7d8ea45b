package stream

import (
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// FuzzSenderOperations does everything that can be done to a sender, two bytes a
// step. However it is driven, packets are whole and in sequence, stay below the
// largest size, and are not due after they were asked for; memory is bounded.
func FuzzSenderOperations(f *testing.F) {
	f.Add([]byte{0, 160, 2, 0, 1, 20, 7, 0, 0, 160, 2, 0, 1, 40, 2, 0, 1, 60, 2, 0})
	f.Add([]byte{0, 255, 2, 0, 6, 1, 1, 20, 2, 0, 8, 3, 0, 160, 2, 0, 9, 1, 1, 50, 2, 0})
	f.Add([]byte{4, 0, 4, 40, 1, 20, 2, 0, 5, 9, 1, 255, 2, 0, 10, 5, 11, 1, 0, 90, 2, 0})
	f.Add([]byte{12, 255, 12, 255, 2, 0, 12, 40, 1, 18, 2, 0, 12, 40, 1, 18, 2, 0, 0, 40, 12, 200, 1, 18, 2, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		c := SenderConfig{Codec: pcmu, Event: dial, Noise: cn, RED: red, Generations: 3, Duplicate: true, LevelExtension: 2}
		s, err := NewAudioSender(c)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		steps := 0
		var frame audio.Frame
		var p rtp.Packet
		var buf []byte
		packets := 0
		for ; len(ops) >= 2 && steps < 2000 && packets < 20_000; ops, steps = ops[2:], steps+1 {
			n := int(ops[1])
			switch ops[0] % 13 {
			case 0, 4, 12:
				frame.Format = s.Format()
				if frame.Format.Rate == 0 {
					continue
				}
				frame.Grow(n * 4 * frame.Format.Channels)
				switch ops[0] % 13 {
				case 0:
					s.Write(now, &frame) //nolint:errcheck // may be full
				case 12:
					if err := s.WriteLive(now, &frame); err != nil {
						t.Fatal(err)
					}
				default:
					s.WriteAt(now, s.Timestamp(now)+uint32(n)*40-800, &frame) //nolint:errcheck // may be out of order
				}
			case 1:
				now = now.Add(time.Duration(n*n) * ms / 16)
			case 2:
				for {
					was := s.seq
					var ok bool
					if buf, ok = s.AppendPacket(buf[:0], now); !ok {
						break
					}
					packets++
					if err := p.Unmarshal(buf); err != nil || len(p.Payload) == 0 || len(p.Payload) > s.config.MaxPayload+8 {
						t.Fatalf("%d bytes, %v", len(p.Payload), err)
					}
					if s.seq != was && p.SequenceNumber != was || s.held {
						t.Fatalf("sequence number %d, want %d; hold %v", p.SequenceNumber, was, s.held)
					}
				}
				if next := s.Next(); !next.IsZero() && !next.After(now) {
					t.Fatalf("due %v ago, but not sent", now.Sub(next))
				}
			case 3:
				s.Flush(time.Duration(n) * ms)
			case 5:
				s.WriteCoded(now, make([]byte, n+1), time.Duration(n%100+1)*ms) //nolint:errcheck // may be full
			case 6:
				s.QueueDigits(now, "7#", nil) //nolint:errcheck // may be full
			case 7:
				s.Hold(now, n&1 == 0)
			case 8:
				c.Codec = codecsOfFuzz[n%len(codecsOfFuzz)]
				c.Noise, c.RED = cn, red
				if c.Codec.ClockRate != 8000 {
					c.Noise.Name, c.RED.Name = "", ""
				}
				c.PTime = time.Duration(n%60+1) * ms
				c.Coded, c.Immediate = n&64 != 0, n&128 != 0
				s.Reconfigure(now, c) //nolint:errcheck // may contradict itself
			case 9:

				s.SetSSRC(now, uint32(n), uint16(n), uint32(n)<<24)
			case 10:
				q := Packet{Codec: s.Codec(), Timeline: uint64(n & 1), Seq: int64(n), Timestamp: uint32(n) * 160, Payload: []byte{1}}
				if _, err := s.AppendForward(nil, now, &q); err != nil {
					t.Fatal(err)
				}
			case 11:
				s.ClearDigits()
				s.SetLoss(float64(n) / 100)
			}
			if s.Queued() > 2*s.config.Queue+2*time.Second || s.queue.count > maxPieces {
				t.Fatalf("%v in %d pieces", s.Queued(), s.queue.count)
			}
		}
	})
}

var codecsOfFuzz = []codec.Params{pcmu, wide, cd, g722}
