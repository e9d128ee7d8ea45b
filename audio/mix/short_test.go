package mix

import (
	"math"
	"testing"
	"time"
)

// What a stall has left in a queue is gone within two seconds, and nobody hears it go.
func TestQueueIsShortAgainAfterAStall(t *testing.T) {
	const hz, peak = 200, 12000
	for _, format := range []struct {
		name string
		Config
	}{{"mono", Config{Format: mono}}, {"stereo", Config{Format: stereo}}} {
		t.Run(format.name, func(t *testing.T) {
			m := newMixer(t, format.Config)
			tick := m.format.Rate / 50
			v := &voice{in: m.Add(), hz: hz, peak: peak}
			other := m.Add()
			var heard []int16
			v.write(t, tick)
			for i := range 200 {
				if v.write(t, tick); i == 50 {
					v.write(t, 7*tick)
				}
				m.Mix(tick)
				heard = other.Append(heard)
				if i == 50 && v.in.Queued() != 160*time.Millisecond {
					t.Fatalf("%v queued", v.in.Queued())
				}
				if q := v.in.Queued(); i >= 150 && q > 20*time.Millisecond {
					t.Fatalf("%v queued after %d steps", q, i-50)
				}
			}
			if got := v.at - 200*tick - v.in.Dropped() - m.format.Samples(v.in.Queued())/m.format.Channels; got != 0 {
				t.Errorf("%d samples are unaccounted for", got)
			}
			checkSmooth(t, format.name, heard[tick:], m.format.Channels, 1.2*peak*2*math.Pi*hz/float64(m.format.Rate))
		})
	}
}

// A sender that is 0.5 % fast is never so for long, and one that is in step loses
// nothing, however far ahead of the mixer its frames are, and however unevenly they come.
func TestQueueFollowsTheClockUnheard(t *testing.T) {
	m := newMixer(t, Config{Format: mono})
	fast, even, uneven := &voice{in: m.Add(), hz: 200, peak: 8000}, &voice{in: m.Add()}, &voice{in: m.Add()}
	other := m.Add()
	even.write(t, 320)
	var heard []int16
	longest := time.Duration(0)
	for i := range 10 * 60 * 50 {
		for fast.at < (i+1)*1608/5 {
			fast.write(t, 320)
		}
		even.write(t, 320)
		if i%5 == 0 {
			uneven.write(t, 5*320)
		}
		m.Mix(320)
		longest = max(longest, fast.in.Queued())
		if heard = other.Append(heard[:0]); i > 0 {
			checkSmooth(t, "fast", heard, 1, 1.2*8000*2*math.Pi*200/16000)
		}
	}
	if longest > 60*time.Millisecond {
		t.Errorf("%v were queued", longest)
	}
	if got := fast.at - 10*60*16000 - fast.in.Dropped() - mono.Samples(fast.in.Queued()); got != 0 {
		t.Errorf("%d samples are unaccounted for", got)
	}
	if even.in.Dropped() != 0 || uneven.in.Dropped() != 0 {
		t.Errorf("%d and %d samples were left out of what is in step", even.in.Dropped(), uneven.in.Dropped())
	}
}

// What Skip leaves out is what a queue that was too short has lost, and more of it.
func TestSkip(t *testing.T) {
	for _, missed := range []int{0, 320, 5 * 320, 20 * 320} {
		m := newMixer(t, Config{Format: mono})
		v := &voice{in: m.Add(), hz: 200, peak: 8000}
		for range 2 {
			v.write(t, 320)
		}
		m.Mix(320)
		for range missed / 320 { // while the mixer stands still
			v.write(t, 320)
		}
		m.Skip(missed)
		if q := v.in.Queued(); q != 20*time.Millisecond {
			t.Errorf("%v queued after %d samples that were left out", q, missed)
		}
		if v.in.Dropped() != missed {
			t.Errorf("%d samples were left out, want %d", v.in.Dropped(), missed)
		}
		m.Skip(math.MaxInt32)
		m.Mix(320)
		if q := v.in.Queued(); q != 0 {
			t.Errorf("%v queued after a long pause", q)
		}
	}
}
