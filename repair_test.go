package parley

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/stream"
)

// In order, all of the longest delay may be spent on asking for what is lost.
func TestRetransmissionInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{}, &AudioConfig{Playout: stream.InOrder, RTCP: RTCPConfig{NACK: true, ReducedSize: true, Interval: time.Second}}, nil)
		var lost atomic.Int64
		var newest uint16
		begin := time.Now()
		x.Audio().leg.(*plug).lay(50*ms, func(b []byte) bool {
			seq := binary.BigEndian.Uint16(b[2:])
			fresh := seq != newest && int16(seq-newest) >= 0
			lose := fresh && time.Since(begin) > 5*time.Second && seq%50 < 2
			if fresh {
				newest = seq
			}
			if lose {
				lost.Add(1)
			}
			return lose
		})
		y.Audio().leg.(*plug).lay(50*ms, nil)
		for _, c := range []*Call{x, y} {
			go func() {
				for c.Audio().WriteFrame(ramp(64)) == nil {
				}
			}()
		}
		go func() {
			for y.Audio().ReadFrame(new(audio.Frame)) == nil {
			}
		}()
		time.Sleep(15*time.Second + 7*ms)
		var s Stats
		y.Stats(&s)
		a, n := &s.Audio, lost.Load()
		if a.RoundTrip < 99*ms || n < 16 || a.Lost > 2 || a.Requested < n-2 || a.Requested > n+2 || a.Concealed != 0 {
			t.Errorf("round trip %v; %d packets lost, %d asked for, %d missing at last, %v concealed", a.RoundTrip, n, a.Requested, a.Lost, a.Concealed)
		}
	})
}
