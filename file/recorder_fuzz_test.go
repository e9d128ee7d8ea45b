package file_test

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/stream"
)

// Packets with any numbers, timestamps and times of arrival become a file whose
// times ascend, and go no further than those of arrival.
func FuzzRecorderPackets(f *testing.F) {
	f.Add([]byte{0, 1, 3, 192, 20, 0, 1, 3, 192, 20, 1, 1, 3, 192, 250})
	f.Add([]byte{0, 1, 3, 192, 20, 0, 2, 7, 128, 20, 0, 255, 252, 64, 0, 0, 2, 7, 128, 40})
	f.Add([]byte{2, 9, 255, 255, 200, 3, 0, 0, 0, 0, 2, 9, 255, 255, 200})
	f.Add([]byte{4, 1, 0, 20, 20, 4, 1, 0, 20, 20, 4, 1, 255, 20, 20, 5, 1, 127, 255, 20, 0, 1, 0, 20, 20})
	f.Fuzz(func(t *testing.T, in []byte) {
		in = in[:min(len(in), 5*400)]
		r, path := recorder(t, "a.webm", file.RecorderConfig{Error: func(err error) { t.Error(err) }})
		a := addAudio(t, r, file.Track{Codec: file.Opus})
		p := stream.Packet{Codec: opusCodec, Timeline: 1, Payload: talk}
		begin := time.Now().Add(-24 * time.Hour)
		p.Arrival = begin
		packets := 0
		for ; len(in) >= 5; in = in[5:] {
			step := uint32(binary.BigEndian.Uint16(in[2:]))
			p.Seq += int64(int8(in[1]))
			p.Timestamp += uint32(int32(int16(step)))
			p.Arrival = p.Arrival.Add(time.Duration(in[4]) * ms)
			switch in[0] % 4 {
			case 1:
				p.Timeline++
			case 2:
				p.Timestamp += step << 16
			case 3:
				p.Arrival = p.Arrival.Add(time.Duration(in[4]) * 20 * ms)
			}
			if in[0]&4 != 0 {
				p.Time += time.Duration(int16(step)) * ms
			}
			if err := a.WritePacket(&p); err != nil && !errors.Is(err, file.ErrPacket) {
				t.Fatal(err)
			}
			packets++
		}
		closed(t, r)
		if packets == 0 {
			return
		}
		_, got := packetsOf(t, path)
		if len(got)+int(a.Skipped()) != packets {
			t.Errorf("%d packets in the file and %d skipped, want %d", len(got), a.Skipped(), packets)
		}
		for _, q := range got {
			if late := q.Time - p.Arrival.Sub(begin); late > 1100*ms {
				t.Fatalf("a packet is %v after the last arrival", late)
			}
		}
	})
}
