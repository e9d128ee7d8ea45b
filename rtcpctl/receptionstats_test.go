package rtcpctl

import (
	"math"
	"testing"
	"time"
)

// Values computed by hand from appendix A.8: jitter += |d| - ((jitter + 8) >> 4),
// in 1/16 units.
func TestJitter(t *testing.T) {
	for _, start := range []uint32{0, math.MaxUint32 - 400, 1<<31 - 400} { // no wrap, wrap, wrap of the sign
		var r Reception
		r.Init(1, 8000)
		for i, step := range []struct {
			late time.Duration // beyond 20 ms per packet
			want int64         // in 1/16 unit
		}{
			{0, 0},
			{0, 0},
			{10 * time.Millisecond, 80},         // d = 80: 0 + 80 - (8 >> 4)
			{0, 155},                            // d = -80: 80 + 80 - (88 >> 4)
			{0, 145},                            // 155 - (163 >> 4)
			{-5 * time.Millisecond, 176},        // d = -40: 145 + 40 - (153 >> 4)
			{125 * time.Microsecond, 206},       // d = 41: 176 + 41 - (184 >> 4)
			{125 * time.Microsecond, 206 - 13},  // 206 - (214 >> 4)
			{100 * time.Millisecond, 193 + 787}, // d = 799: 193 + 799 - (201 >> 4)
			{100 * time.Millisecond, 980 - 61},  // 980 - (988 >> 4)
			{1500 * time.Millisecond, 919 + 143 + 11000}, // a stall is jitter: 919 + 11200 - (927 >> 4)
		} {
			r.Update(uint16(i), start+uint32(160*i), epoch.Add(time.Duration(i)*20*time.Millisecond+step.late))
			if r.timing.jitter != step.want {
				t.Fatalf("start %d: after packet %d: %d/16 units, want %d", start, i, r.timing.jitter, step.want)
			}
			if r.JitterUnits() != uint32(step.want>>4) {
				t.Fatalf("JitterUnits %d", r.JitterUnits())
			}
		}
	}
}

func TestJitterIgnores(t *testing.T) {
	at := func(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }
	var r Reception
	r.Init(1, 90000)
	r.Update(1, 0, at(0))
	r.Update(2, 3000, at(33)) // d = -30
	first := r.timing.jitter
	if first != 30 {
		t.Fatalf("jitter %d/16", first)
	}
	r.Update(3, 3000, at(43)) // the same picture, paced
	r.Update(4, 3000, at(53))
	r.Update(6, 9000, at(100)) // d = 30 from packet 2
	if want := first + 30 - (first+8)>>4; r.timing.jitter != want {
		t.Errorf("jitter %d/16 after packets of one timestamp, want %d", r.timing.jitter, want)
	}
	before := r.timing.jitter
	r.Update(6, 9000, at(400))
	if r.timing.jitter != before {
		t.Error("a duplicate changed the jitter")
	}
	r.Update(5, 6000, at(110)) // reordered: d = 3900 from packet 6 in the order of arrival
	if want := before + 3900 - (before+8)>>4; r.timing.jitter != want {
		t.Errorf("jitter %d/16 after a reordered packet, want %d", r.timing.jitter, want)
	}
	r.Update(7, 12000, at(133)) // d = -3930
	before = r.timing.jitter
	// A pause, with timestamps that went on.
	r.Update(8, 12000+90000*60, at(133+60000))
	if want := before - (before+8)>>4; r.timing.jitter != want {
		t.Errorf("jitter %d/16 after a pause, want %d", r.timing.jitter, want)
	}
	// Timestamps that begin anew.
	before = r.timing.jitter
	r.Update(9, 1<<31+12345, at(60166))
	if r.timing.jitter != before {
		t.Error("a jump of the timestamps is taken for jitter")
	}
}

func TestClockRateChange(t *testing.T) {
	var r Reception
	r.Init(1, 8000)
	for i := range 100 {
		late := time.Duration(i%2) * 4 * time.Millisecond
		r.Update(uint16(i), uint32(160*i), epoch.Add(time.Duration(i)*20*time.Millisecond+late))
	}
	r.SenderReport(epoch, NTP(epoch), 0)
	before := r.Jitter()
	if before < 3*time.Millisecond || before > 4*time.Millisecond {
		t.Fatalf("jitter %v", before)
	}
	r.SetClockRate(48000)
	if d := r.Jitter() - before; d < 0 || d > time.Millisecond/4 {
		t.Errorf("jitter was %v and is %v in the new unit", before, r.Jitter())
	}
	if !r.Captured(0).IsZero() {
		t.Error("the timestamps of the old clock are still mapped")
	}
	for i := range 100 {
		n := 100 + i
		r.Update(uint16(n), uint32(5e8+960*i), epoch.Add(time.Duration(n)*20*time.Millisecond))
	}
	if r.Jitter() > before/20 {
		t.Errorf("jitter %v after the change, although there is none", r.Jitter())
	}
}

// The fraction lost is that of the interval, and zero after a wrap without loss.
func TestFractionLost(t *testing.T) {
	var r Reception
	r.Init(1, 8000)
	n := int64(65000)
	send := func(count int, lost func(int) bool) {
		for i := range count {
			if !lost(i) {
				r.Update(uint16(n), uint32(160*n), epoch.Add(time.Duration(n)*20*time.Millisecond))
			}
			n++
		}
	}
	nothing := func(int) bool { return false }
	for i, step := range []struct {
		count    int
		lost     func(int) bool
		fraction uint8
		total    int32
	}{
		{250, nothing, 0, 0},
		{256, func(i int) bool { return i%4 == 1 }, 64, 64},
		{256, nothing, 0, 64}, // across the wrap
		{256, nothing, 0, 64},
		{1000, func(i int) bool { return i > 0 && i < 999 }, 255, 64 + 998},
		{100, nothing, 0, 64 + 998},
	} {
		send(step.count, step.lost)
		b := r.Report(epoch)
		if b.FractionLost != step.fraction || b.Lost != step.total {
			t.Errorf("interval %d: fraction %d, total %d, want %d, %d", i, b.FractionLost, b.Lost, step.fraction, step.total)
		}
		if b.Highest != uint32(n-1) {
			t.Errorf("interval %d: highest %d, want %d", i, b.Highest, n-1)
		}
	}
}

// Over many wraps without loss no report ever tells of any.
func TestNoLossAcrossWraps(t *testing.T) {
	var r Reception
	r.Init(1, 8000)
	for n := range 5 << 16 {
		r.Update(uint16(n+60000), uint32(160*n), epoch.Add(time.Duration(n)*20*time.Millisecond))
		if n%250 != 249 {
			continue
		}
		if b := r.Report(epoch); b.FractionLost != 0 || b.Lost != 0 || b.Highest != uint32(n+60000) {
			t.Fatalf("packet %d: %+v", n, b)
		}
	}
}

func TestLostIsClamped(t *testing.T) {
	var r Reception
	r.Init(1, 8000)
	seq := uint16(0)
	r.Update(0, 0, epoch)
	r.Update(1, 0, epoch)
	for i := range 3000 { // 2998 of 2999 lost each time
		seq += 2999
		r.Update(1+seq, uint32(i), epoch)
	}
	b := r.Report(epoch)
	if b.Lost != 1<<23-1 || r.Lost() != 3000*2998 {
		t.Errorf("lost %d in the block, %d in all", b.Lost, r.Lost())
	}
	if got := parseBlock(b.AppendTo(nil)); got != b {
		t.Errorf("block %+v came back as %+v", b, got)
	}
	for range 18 << 20 {
		r.Update(1+seq, 2999, epoch)
	}
	b = r.Report(epoch)
	if b.Lost != -1<<23 || b.FractionLost != 0 || r.Lost() != 3000*2998-18<<20 {
		t.Errorf("lost %d in the block, fraction %d, %d in all", b.Lost, b.FractionLost, r.Lost())
	}
	if got := parseBlock(b.AppendTo(nil)); got != b {
		t.Errorf("block %+v came back as %+v", b, got)
	}
}

func TestCaptured(t *testing.T) {
	var r Reception
	r.Init(1, 8000)
	if !r.Captured(5).IsZero() {
		t.Error("a time without a sender report")
	}
	wall := time.Date(2036, 2, 7, 6, 28, 20, 0, time.UTC) // after the wrap of NTP
	r.SenderReport(epoch, NTP(wall), math.MaxUint32-79)
	for timestamp, want := range map[uint32]time.Duration{
		math.MaxUint32 - 79:  0,
		80:                   20 * time.Millisecond, // across the wrap
		7920:                 time.Second,
		math.MaxUint32 - 159: -10 * time.Millisecond,
	} {
		if got := r.Captured(timestamp).Sub(wall); got != want {
			t.Errorf("timestamp %d: %v after the report, want %v", timestamp, got, want)
		}
	}
	r.SenderReport(epoch, 0, 99)
	if !r.Captured(99).IsZero() {
		t.Error("a time from a sender without a clock")
	}
	if b := r.Report(epoch.Add(time.Second)); b.LastSR != 0 || b.Delay != 0 {
		t.Errorf("block %+v from a sender without a clock", b)
	}
}

// The example of RFC 3550, section 6.4.1, figure 2.
func TestLastSR(t *testing.T) {
	var r Reception
	r.Init(1, 8000)
	r.SenderReport(epoch, 0xb44db705_20000000, 0)
	b := r.Report(epoch.Add(5250 * time.Millisecond))
	if b.LastSR != 0xb7052000 || b.Delay != 0x00054000 {
		t.Errorf("LSR %#x, DLSR %#x", b.LastSR, b.Delay)
	}
}

func TestReceptionAllocs(t *testing.T) {
	var r Reception
	r.Init(1, 8000)
	n := 0
	if a := testing.AllocsPerRun(10000, func() {
		r.Update(uint16(n), uint32(160*n), epoch.Add(time.Duration(n)*20*time.Millisecond))
		n++
	}); a != 0 {
		t.Errorf("Update makes %v allocations", a)
	}
}

func BenchmarkReceptionUpdate(b *testing.B) {
	var r Reception
	r.Init(1, 8000)
	n := 0
	for b.Loop() {
		r.Update(uint16(n), uint32(160*n), epoch.Add(time.Duration(n)*20*time.Millisecond))
		n++
	}
}
