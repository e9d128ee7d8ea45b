//go:build interop

package rtcpctl_test

import (
	"encoding/binary"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/transport"
	"github.com/parley-media/parley/transport/netem"
)

// What tshark finds in a capture of a stream: packets, those that are lost, and
// jitter in ms.
type analysis struct {
	packets, lost int64
	mean, most    float64
}

func (a analysis) agrees(b analysis) bool {
	const unit = 0.125 // of 8 kHz
	return a.packets == b.packets && a.lost == b.lost && math.Abs(a.mean-b.mean) <= unit && math.Abs(a.most-b.most) <= unit
}

func tshark(t *testing.T, path string, port uint16) analysis {
	t.Helper()
	out, err := exec.Command("tshark", "-r", path, "-q", "-z", "rtp,streams", "-d", "udp.port=="+strconv.Itoa(int(port))+",rtp").CombinedOutput()
	if err != nil {
		t.Fatalf("tshark (Debian package tshark): %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 16 || !strings.HasPrefix(f[6], "0x") {
			continue
		}
		// From the SSRC on: payload, packets, lost, (share), three of the
		// distances and three of the jitter.
		number := func(i int) float64 {
			v, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			return v
		}
		return analysis{int64(number(8)), int64(number(9)), number(15), number(16)}
	}
	t.Fatalf("no stream in\n%s", out)
	return analysis{}
}

// Our statistics of five impaired streams are those of Wireshark.
func TestStatisticsAgreeWithTshark(t *testing.T) {
	for name, c := range map[string]netem.Config{
		"jitter":    {Delay: 50 * time.Millisecond, Jitter: netem.Jitter{Shape: netem.Normal, Spread: 4 * time.Millisecond}},
		"loss":      {Delay: 20 * time.Millisecond, Loss: netem.Loss{Rate: 0.05}},
		"bursts":    {Delay: 20 * time.Millisecond, Loss: netem.Loss{Rate: 0.1, MeanBurst: 80 * time.Millisecond}},
		"reordered": {Delay: 50 * time.Millisecond, Reorder: netem.Reorder{Rate: 0.05, By: 30 * time.Millisecond}},
		"copies":    {Delay: 20 * time.Millisecond, Duplicate: 0.05, Loss: netem.Loss{Rate: 0.02}},
	} {
		t.Run(name, func(t *testing.T) {
			c.Seed = 7
			path, err := netem.New(c)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "stream.pcap")
			f, err := os.Create(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			capture := transport.NewCapture(f)
			from, to := netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("192.0.2.2:5004")

			var r rtcpctl.Reception
			r.Init(1, 8000)
			var ours analysis
			var sum float64
			take := func(now time.Time, b []byte) {
				capture.Write(now, from, to, b)
				r.Update(binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:]), now)
				ms := float64(r.JitterUnits()) / 8
				sum += ms
				ours.packets++
				ours.most = max(ours.most, ms)
			}
			begin := time.Unix(1_700_000_000, 0)
			var buf []byte
			deliver := func(until time.Time) {
				for next := path.Next(); !next.IsZero() && !next.After(until); next = path.Next() {
					var ok bool
					if buf, ok = path.Pull(next, buf[:0]); ok {
						take(next.Truncate(time.Microsecond), buf) // as files have it
					}
				}
			}
			for n := range 3000 { // a minute, across both wraps
				now := begin.Add(time.Duration(n) * 20 * time.Millisecond)
				deliver(now)
				b := binary.BigEndian.AppendUint16([]byte{0x80, 0}, uint16(64000+n))
				b = binary.BigEndian.AppendUint32(b, uint32(160*n)-160*1000)
				path.Push(now, append(binary.BigEndian.AppendUint32(b, 1), make([]byte, 160)...))
			}
			deliver(begin.Add(time.Hour))
			if err := capture.Close(); err != nil || capture.Dropped() > 0 {
				t.Fatalf("%v, %d dropped", err, capture.Dropped())
			}
			ours.lost, ours.mean = r.Lost(), sum/float64(ours.packets)
			theirs := tshark(t, file, to.Port())
			t.Logf("ours %+v, theirs %+v", ours, theirs)
			if !ours.agrees(theirs) {
				t.Errorf("ours %+v, theirs %+v", ours, theirs)
			}
		})
	}
}
