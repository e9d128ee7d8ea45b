//go:build !race

package transport

import (
	"encoding/binary"
	"testing"
)

// The race detector makes sync.Pool, which pion/srtp uses, drop buffers at
// random, so this counts only without it.
func TestSRTPDoesNotAllocate(t *testing.T) {
	for _, p := range SRTPProfiles {
		a, b := srtpPair(t, p)
		packet := rtpPacket(0)
		coded, plain := make([]byte, 0, 256), make([]byte, 0, 256)
		seq := uint16(0)
		step := func() {
			seq++
			binary.BigEndian.PutUint16(packet[2:], seq)
			coded, _ = a.EncryptRTP(coded, packet)
			plain, _ = b.DecryptRTP(plain, coded)
			if len(plain) != len(packet) {
				t.Fatal("lost a packet")
			}
		}
		step()
		if n := testing.AllocsPerRun(1000, step); n != 0 {
			t.Errorf("%s: %v allocations for each packet", p, n)
		}
	}
}
