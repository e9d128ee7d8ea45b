package mix

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
)

var (
	mono   = audio.Format{Rate: 16000, Channels: 1}
	stereo = audio.Format{Rate: 48000, Channels: 2}
)

func newMixer(t testing.TB, c Config) *Mixer {
	t.Helper()
	m, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A voice writes a tone into an input.
type voice struct {
	in   *Input
	hz   float64
	peak float64
	at   int
}

func (v *voice) write(t testing.TB, n int) {
	t.Helper()
	format := v.in.mixer.format
	f := audio.Frame{Format: format}
	for range n {
		s := int16(math.Round(v.peak * math.Sin(2*math.Pi*v.hz*float64(v.at)/float64(format.Rate))))
		for range format.Channels {
			f.Samples = append(f.Samples, s)
		}
		v.at++
	}
	if err := v.in.WriteFrame(&f); err != nil {
		t.Fatal(err)
	}
}

// strength returns the peak of one frequency in s, mono, in dB of full scale.
func strength(s []int16, hz float64, rate int) float64 {
	var re, im, sum float64
	for i, v := range s {
		w := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(s)))
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / float64(rate))
		re, im, sum = re+w*float64(v)*cos, im+w*float64(v)*sin, sum+w
	}
	return 20 * math.Log10(max(2*math.Hypot(re, im)/sum/32767, 1e-9))
}

func TestEachHearsTheOthers(t *testing.T) {
	for _, peak := range []float64{3000, 30000} {
		m := newMixer(t, Config{Format: mono})
		voices := []*voice{{hz: 300, peak: peak}, {hz: 700, peak: peak}, {hz: 1500, peak: peak}}
		heard := make([][]int16, 3)
		for _, v := range voices {
			v.in = m.Add()
		}
		var sum []int16
		for range 100 {
			for _, v := range voices {
				v.write(t, 320)
			}
			m.Mix(320)
			for i, v := range voices {
				heard[i] = v.in.Append(heard[i])
			}
			sum = m.Append(sum)
		}
		for i := range voices {
			for k, v := range voices {
				got := strength(heard[i][8000:], v.hz, mono.Rate)
				if want := 20 * math.Log10(peak/32767); i != k && (got > want+0.1 || got < want-7 || peak < 5000 && got < want-0.01) {
					t.Errorf("peak %g: %d hears %d at %.2f dB, sent at %.2f", peak, i, k, got, want)
				}
				if i == k && got > -60 {
					t.Errorf("peak %g: %d hears itself at %.1f dB", peak, i, got)
				}
				if got := strength(sum[8000:], v.hz, mono.Rate); got < -22 {
					t.Errorf("peak %g: the sum has %d at %.1f dB", peak, k, got)
				}
			}
		}
	}
}

// checkSmooth fails if neighbours in s differ by more than limit.
func checkSmooth(t *testing.T, name string, s []int16, channels int, limit float64) {
	t.Helper()
	for i := channels; i < len(s); i++ {
		if d := math.Abs(float64(s[i]) - float64(s[i-channels])); d > limit {
			t.Errorf("%s: step of %.0f at sample %d, at most %.0f expected", name, d, i/channels, limit)
			return
		}
	}
}

// TestNoClicks: whatever happens to an input, the steps between samples stay near
// those of the tone itself and of a fade.
func TestNoClicks(t *testing.T) {
	const hz, peak = 200, 12000
	for _, format := range []audio.Format{mono, stereo} {
		tick := format.Rate / 50
		for _, test := range []struct {
			name string
			tick func(m *Mixer, v *voice, i int)
		}{
			{"join", func(m *Mixer, v *voice, i int) { v.write(t, tick) }},
			{"join in mid-wave", func(m *Mixer, v *voice, i int) {
				if i == 0 {
					v.at = format.Rate / hz / 4
				}
				v.write(t, tick)
			}},
			{"leave", func(m *Mixer, v *voice, i int) {
				if v.write(t, tick+7); i == 5 {
					v.in.Remove()
				}
			}},
			{"leave with an empty queue", func(m *Mixer, v *voice, i int) {
				if i < 5 {
					v.write(t, tick-tick/8)
				} else {
					v.in.Remove()
				}
			}},
			{"leave at once", func(m *Mixer, v *voice, i int) {
				if v.write(t, tick); i == 0 {
					v.in.Remove()
				}
			}},
			{"leave while fading in", func(m *Mixer, v *voice, i int) {
				if i == 0 {
					v.write(t, tick/10+tick)
				}
				if i == 1 {
					v.in.Remove()
				}
			}},
			{"late frames", func(m *Mixer, v *voice, i int) {
				if i%3 != 1 {
					v.write(t, tick-tick/5)
				}
			}},
			{"a queue that overflows", func(m *Mixer, v *voice, i int) { v.write(t, 2*tick-13) }},
			{"gains", func(m *Mixer, v *voice, i int) {
				v.write(t, tick)
				v.in.SetGain([]float64{0, 1, 0.3, 1.4, math.NaN(), -1}[i%6])
			}},
		} {
			m := newMixer(t, Config{Format: format})
			v := &voice{in: m.Add(), hz: hz, peak: peak}
			other := m.Add()
			var heard []int16
			for i := range 60 {
				test.tick(m, v, i)
				m.Mix(tick)
				heard = other.Append(heard)
			}
			ramp := 0.005 * float64(format.Rate)
			limit := 1.4*peak*2*math.Pi*hz/float64(format.Rate) + 2*1.4*peak/ramp + 2
			checkSmooth(t, test.name, heard, format.Channels, limit)
			if len(heard) != 60*tick*format.Channels {
				t.Errorf("%s: %d samples heard, want %d", test.name, len(heard), 60*tick*format.Channels)
			}
			if strings.HasPrefix(test.name, "leave") {
				if m.Inputs() != 1 {
					t.Errorf("%s: %d inputs left, want 1", test.name, m.Inputs())
				}
				for _, s := range heard[20*tick*format.Channels:] {
					if s != 0 {
						t.Errorf("%s: still heard", test.name)
						break
					}
				}
			}
		}
	}
}

func TestQueueFollowsTheClock(t *testing.T) {
	m := newMixer(t, Config{Format: mono, Queue: 100 * time.Millisecond})
	in := m.Add()
	written, mixed := 0, 0
	for range 2000 { // a sender that is 1 % fast
		v := voice{in: in, hz: 100, peak: 1000}
		v.write(t, 323)
		written += 323
		m.Mix(320)
		mixed += 320
		if q := in.Queued(); q > 100*time.Millisecond {
			t.Fatalf("%v queued", q)
		}
	}
	if got := written - mixed - in.Dropped() - mono.Samples(in.Queued()); got != 0 {
		t.Errorf("%d samples are unaccounted for", got)
	}
	if in.Dropped() == 0 {
		t.Error("nothing dropped")
	}

	// A burst of 128 ms is not too much.
	m = newMixer(t, Config{Format: mono})
	in = m.Add()
	for range 20 {
		v := voice{in: in, hz: 100, peak: 1000}
		v.write(t, 2048)
		for range 32 {
			m.Mix(64)
		}
	}
	if in.Dropped() != 0 {
		t.Errorf("%d samples dropped of bursts", in.Dropped())
	}

	// One frame that is longer than the queue.
	v := voice{in: in, hz: 100, peak: 1000}
	v.write(t, 50000)
	if q := in.Queued(); q < 100*time.Millisecond || q > 200*time.Millisecond {
		t.Errorf("%v queued of a long frame", q)
	}
}

func TestErrors(t *testing.T) {
	if _, err := New(Config{}); !errors.Is(err, audio.ErrFormat) {
		t.Errorf("New: error %v, want ErrFormat", err)
	}
	m := newMixer(t, Config{Format: stereo})
	in := m.Add()
	for _, f := range []audio.Frame{
		{},
		{Format: mono, Samples: make([]int16, 4)},
		{Format: stereo, Samples: make([]int16, 3)},
	} {
		if err := in.WriteFrame(&f); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("%v: error %v, want ErrFormat", f.Format, err)
		}
	}
	in.Remove()
	in.Remove()
	if err := in.WriteFrame(&audio.Frame{Format: stereo, Samples: make([]int16, 4)}); err != nil {
		t.Errorf("write after Remove: %v", err)
	}
	m.Mix(-1)
	m.Mix(0)
	m.Mix(3)
	if got := in.Append(nil); len(got) != 6 {
		t.Errorf("%d samples, want 6", len(got))
	}
	if m.Inputs() != 0 {
		t.Errorf("%d inputs left", m.Inputs())
	}
}

func TestAllocations(t *testing.T) {
	m := newMixer(t, Config{Format: stereo})
	var inputs []*Input
	for range 5 {
		inputs = append(inputs, m.Add())
	}
	inputs[0].SetGain(3)
	f := audio.Frame{Format: stereo, Samples: make([]int16, 1920)}
	for i := range f.Samples {
		f.Samples[i] = int16(i * 30)
	}
	out := make([]int16, 0, 1920)
	step := func() {
		for _, in := range inputs {
			_ = in.WriteFrame(&f)
		}
		m.Mix(960)
		for _, in := range inputs {
			out = in.Append(out[:0])
		}
		out = m.Append(out[:0])
	}
	step()
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations per step, want 0", n)
	}
}

func FuzzMixer(f *testing.F) {
	f.Add([]byte{0, 1, 100, 2, 50, 0, 3, 0, 1, 200, 2, 20, 4, 9})
	f.Fuzz(func(t *testing.T, ops []byte) {
		m := newMixer(t, Config{Format: audio.Format{Rate: 1000, Channels: 2}, Queue: 50 * time.Millisecond})
		in := m.Add()
		frame := audio.Frame{Format: m.Format()}
		var out []int16
		for len(ops) >= 2 {
			op, n := ops[0]%6, int(ops[1])
			ops = ops[2:]
			switch op {
			case 0:
				in = m.Add()
			case 1:
				frame.Grow(2 * n)
				for i := range frame.Samples {
					frame.Samples[i] = int16(i * 9999)
				}
				if err := in.WriteFrame(&frame); err != nil {
					t.Fatal(err)
				}
			case 2:
				m.Mix(n)
				if out = in.Append(out[:0]); len(out) != 2*n {
					t.Fatalf("%d samples, want %d", len(out), 2*n)
				}
				if out = m.Append(out[:0]); len(out) != 2*n {
					t.Fatalf("%d samples, want %d", len(out), 2*n)
				}
			case 3:
				in.Remove()
			case 4:
				in.SetGain(float64(n) / 8)
			}
			if in.Queued() > 50*time.Millisecond {
				t.Fatalf("%v queued", in.Queued())
			}
		}
		// After a while all that are leaving have left.
		in.Remove()
		m.Mix(100)
		m.Mix(100)
		m.Mix(100)
		for _, in := range m.inputs {
			if in.leaving {
				t.Fatal("an input does not leave")
			}
		}
	})
}

func BenchmarkMix(b *testing.B) {
	for _, n := range []int{3, 100} {
		b.Run(fmt.Sprintf("inputs=%d", n), func(b *testing.B) {
			m := newMixer(b, Config{Format: mono})
			var inputs []*Input
			for range n {
				inputs = append(inputs, m.Add())
			}
			f := audio.Frame{Format: mono, Samples: make([]int16, 320)}
			for i := range f.Samples {
				f.Samples[i] = int16(i)
			}
			var out []int16
			b.ReportAllocs()
			for b.Loop() {
				for _, in := range inputs {
					_ = in.WriteFrame(&f)
				}
				m.Mix(320)
				for _, in := range inputs {
					out = in.Append(out[:0])
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/input")
		})
	}
}
