package parley

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/rtcpctl"
)

// estimate is a REMB of so many times 1000 bits per second for a source.
func estimate(thousands uint32, source uint32) []byte {
	b := []byte{0x8f, byte(rtcpctl.TypePSFB), 0, 5, 0, 0, 0, 9, 0, 0, 0, 0, 'R', 'E', 'M', 'B', 1, 3<<2 | byte(thousands*125>>16)}
	b = binary.BigEndian.AppendUint16(b, uint16(thousands*125))
	return binary.BigEndian.AppendUint32(b, source)
}

// What the far end says of the bandwidth reaches the application, bounded, and
// not what is said of others.
func TestBandwidthReachesTheApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _ := videoPair(t, VideoConfig{}, nil, nil)
		v := x.Video()
		hear := func(b []byte) { v.DeliverRTCP(time.Now(), netip.AddrPort{}, b) }
		ours := v.SSRC()
		hear(estimate(100, ours+1))
		hear(estimate(300, ours))
		time.Sleep(time.Second)
		hear(estimate(305, ours)) // about the same
		time.Sleep(time.Second)
		hear(estimate(150, ours))
		for n := range uint32(1000) { // a storm
			hear(estimate(100+50*(n%7), ours))
			time.Sleep(ms)
		}
		time.Sleep(time.Second)
		hear(estimate(500, ours))
		x.Close()
		var rates []int64
		for {
			e, err := x.ReadEvent(t.Context())
			if err != nil {
				break
			}
			if e.Kind == BandwidthChanged {
				rates = append(rates, e.Bitrate)
			}
		}
		if n := len(rates); n < 3 || n > 6 || rates[0] != 300_000 || rates[1] != 150_000 || rates[n-1] != 500_000 {
			t.Errorf("told of %v", rates)
		}
		var s Stats
		if x.Stats(&s); s.Video.Bandwidth != 500_000 {
			t.Errorf("%d bits per second", s.Video.Bandwidth)
		}
	})
}

// Transport-wide feedback is counted.
func TestTransportFeedbackIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _ := videoPair(t, VideoConfig{}, nil, nil)
		feedback := func(source uint32) []byte {
			b := binary.BigEndian.AppendUint32([]byte{0x8f, byte(rtcpctl.TypeRTPFB), 0, 6, 0, 0, 0, 9}, source)
			b = append(b, 0, 0, 0, 7, 0, 0, 1, 0) // 7 packets
			// Three have arrived, one has not, and three have.
			return append(b, 0x80|0x3b, 0x80, 1, 1, 1, 1, 1, 1)
		}
		hear := func(b []byte) { x.Video().DeliverRTCP(time.Now(), netip.AddrPort{}, b) }
		hear(feedback(x.Video().SSRC()))
		hear(feedback(x.Video().SSRC() + 1))
		var s Stats
		if x.Stats(&s); s.Video.Arrived != 6 || s.Video.Missing != 1 || s.Video.Malformed != 0 {
			t.Errorf("%d arrived, %d missing, %d malformed", s.Video.Arrived, s.Video.Missing, s.Video.Malformed)
		}
	})
}

// Estimates change all the time, so a log has them only among what is for debugging, with
// the rate.
func TestLogOfBandwidth(t *testing.T) {
	for level, want := range map[slog.Level]bool{slog.LevelInfo: false, slog.LevelDebug: true} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			x, _ := videoPair(t, VideoConfig{}, nil, nil)
			x.logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level}))
			x.Video().DeliverRTCP(time.Now(), netip.AddrPort{}, estimate(300, x.Video().SSRC()))
			x.Close()
			text := log.String()
			if strings.Contains(text, "kind=bandwidth") != want || strings.Contains(text, "300000 bit/s") != want {
				t.Errorf("level %v: %s", level, text)
			}
		})
	}
}
