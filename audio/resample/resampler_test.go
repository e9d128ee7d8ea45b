package resample

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"
)

func mustNew(t testing.TB, c Config) *Resampler {
	t.Helper()
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []Config{
		{},
		{In: 999, Out: 8000},
		{In: 8000, Out: 384001},
		{In: -8000, Out: 8000},
		{In: 8000, Out: 16000, Channels: 3},
		{In: 8000, Out: 16000, Channels: -1},
		{In: 8000, Out: 16000, Quality: 2},
	} {
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("New(%+v): error %v, want ErrConfig", c, err)
		}
	}
}

// TestLengthAndDelay sends a click through every pair of rates and looks for it
// where the delay says that it is.
func TestLengthAndDelay(t *testing.T) {
	rates := append([]int{1000, 7999, 47999, 384000}, usualRates...)
	for _, quality := range []Quality{Default, High} {
		for _, in := range rates {
			for _, out := range rates {
				r := mustNew(t, Config{In: in, Out: out, Quality: quality})
				// At a whole number of output samples, if there is one.
				num, _ := reduce(in, out)
				at := in / 100
				if num < in/10 {
					at -= at % num
				}
				src := make([]int16, in/20)
				src[at] = 30000
				got := r.Append(nil, src)
				n := len(got)
				if whole := int64(len(src)) * int64(out); int64(n) != whole/int64(in) && (int64(n) != whole/int64(in)+1 || whole%int64(in) == 0) {
					t.Errorf("%d to %d: %d samples give %d, want %d", in, out, len(src), n, whole/int64(in))
				}
				got = r.Flush(got)
				if want := n + r.DelaySamples(); len(got) != want {
					t.Errorf("%d to %d: %d samples after Flush, want %d", in, out, len(got), want)
				}
				peak := slices.Index(got, slices.Max(got))
				if want := float64(at)*float64(out)/float64(in) + float64(r.DelaySamples()); math.Abs(float64(peak)-want) > 1.01 {
					t.Errorf("%d to %d: click at sample %d, want %g", in, out, peak, want)
				}
				if limit := 100 * time.Second / time.Duration(min(in, out)); r.Delay() > limit {
					t.Errorf("%d to %d: delay %v is above %v", in, out, r.Delay(), limit)
				}
			}
		}
	}
}

// TestDelayIsExact compares a slow tone with one that was computed for the
// output rate.
func TestDelayIsExact(t *testing.T) {
	for _, in := range usualRates {
		for _, out := range usualRates {
			r := mustNew(t, Config{In: in, Out: out, Quality: High})
			got := r.Append(nil, tone(in/2, 440, in, 20000))[r.DelaySamples():]
			want := tone(out/2, 440, out, 20000)
			// The start rings: the tone begins with a bend.
			for i := out / 10; i < len(got); i++ {
				if d := int(got[i]) - int(want[i]); d < -2 || d > 2 {
					t.Errorf("%d to %d: sample %d is %d, want %d", in, out, i, got[i], want[i])
					break
				}
			}
		}
	}
}

func TestChunksDoNotMatter(t *testing.T) {
	for _, c := range []Config{
		{In: 8000, Out: 48000},
		{In: 48000, Out: 8000, Channels: 2},
		{In: 44100, Out: 48000, Channels: 2, Quality: High},
		{In: 48000, Out: 11025},
		{In: 1000, Out: 384000},
		{In: 384000, Out: 1000, Channels: 2},
		{In: 16000, Out: 15999},
	} {
		for _, ppm := range []float64{0, 123.4} {
			src := noise(100_000, fullScale)
			r := mustNew(t, c)
			r.SetCorrection(ppm)
			want := r.Flush(r.Append(nil, src))
			var got []int16
			size := 0
			for rest := src; len(rest) > 0; {
				n := min(len(rest), size*r.config.Channels)
				got = r.Append(got, rest[:n])
				rest = rest[n:]
				size = (size*7 + 1) % 1931
			}
			got = r.Flush(got)
			if !slices.Equal(got, want) {
				t.Errorf("%+v, %g ppm: output depends on the chunks", c, ppm)
			}
		}
	}
}

func TestStereoIsTwiceMono(t *testing.T) {
	left, right := noise(3000, 20000), tone(3000, 700, 16000, 9000)
	both := make([]int16, 6000)
	for i := range left {
		both[2*i], both[2*i+1] = left[i], right[i]
	}
	mono, stereo := Config{In: 16000, Out: 44100}, Config{In: 16000, Out: 44100, Channels: 2}
	l := mustNew(t, mono).Append(nil, left)
	r := mustNew(t, mono).Append(nil, right)
	got := mustNew(t, stereo).Append(nil, append(both, 77))
	if len(got) != 2*len(l) {
		t.Fatalf("%d samples, want %d", len(got), 2*len(l))
	}
	for i := range l {
		if got[2*i] != l[i] || got[2*i+1] != r[i] {
			t.Fatalf("sample %d is %v, want %d %d", i, got[2*i:2*i+2], l[i], r[i])
		}
	}
}

// TestConstantStays: the images of 0 Hz are below -80 dB, too.
func TestConstantStays(t *testing.T) {
	for _, pair := range [][2]int{{8000, 48000}, {48000, 8000}, {44100, 48000}, {16000, 15999}} {
		for _, value := range []int16{-32768, -1000, 1, 32767} {
			r := mustNew(t, Config{In: pair[0], Out: pair[1]})
			src := make([]int16, pair[0]/10)
			for i := range src {
				src[i] = value
			}
			got := r.Append(nil, src)
			for _, v := range got[2*r.DelaySamples()+2:] {
				if d := math.Abs(float64(v) - float64(value)); d > math.Abs(float64(value))*1e-4+0.5 {
					t.Fatalf("%v: %d became %d", pair, value, v)
				}
			}
		}
	}
}

// TestSaturation overshoots: a square wave has ringing edges, which must not
// wrap around.
func TestSaturation(t *testing.T) {
	src := make([]int16, 8000)
	for i := range src {
		src[i] = 32767
		if i/50%2 == 1 {
			src[i] = -32768
		}
	}
	for _, out := range []int{8000, 12000, 48000} {
		r := mustNew(t, Config{In: 8000, Out: out})
		got := r.Append(nil, src)[2*r.DelaySamples():]
		// Well inside of each half wave the sign has to be right.
		for i, v := range got {
			place := float64(i+r.DelaySamples()) * 8000 / float64(out) / 50
			if in := place - math.Floor(place); in < 0.05 || in > 0.95 {
				continue
			}
			if up := int(place)%2 == 0; up != (v > 0) {
				t.Fatalf("to %d: sample %d is %d", out, i, v)
			}
		}
	}
}

func TestCorrectionChangesLength(t *testing.T) {
	for _, c := range []Config{{In: 8000, Out: 48000}, {In: 48000, Out: 8000}, {In: 48000, Out: 48000}} {
		for _, ppm := range []float64{-9000, -5000, -20, 0.5, 20, 5000, math.Inf(1)} {
			r := mustNew(t, c)
			r.SetCorrection(ppm)
			n := 0
			var out []int16
			src := make([]int16, c.In)
			for range 20 {
				out = r.Append(out[:0], src)
				n += len(out)
			}
			want := 20 * float64(c.Out) * (1 + min(max(ppm, -MaxCorrection), MaxCorrection)/1e6)
			if math.Abs(float64(n)-want) > 2 {
				t.Errorf("%+v, %g ppm: %d samples, want %.1f", c, ppm, n, want)
			}
		}
	}
}

// TestCorrectionDoesNotClick changes the correction as much as is allowed every
// 10 ms. The bend of a tone is bounded by its frequency; a click would be a
// multiple of that.
func TestCorrectionDoesNotClick(t *testing.T) {
	for _, c := range []Config{{In: 8000, Out: 48000}, {In: 48000, Out: 8000, Quality: High}, {In: 44100, Out: 44100}} {
		const hz, peak = 200, 30000
		r := mustNew(t, c)
		src := tone(c.In, hz, c.In, peak)
		var got []int16
		for i, ppm := range []float64{0, 0, 5000, -5000, 0, 5000, 100, math.NaN(), -5000, 0} {
			r.SetCorrection(ppm)
			got = r.Append(got, src[i*c.In/100:(i+1)*c.In/100])
		}
		w := 2 * math.Pi * hz / float64(c.Out) * 1.005
		// Images at -80 dB and the rounding bend a little, too.
		limit := int(peak*w*w + 4*peak*1e-4 + 2)
		for i := 2*r.DelaySamples() + 2; i < len(got)-1; i++ {
			if bend := int(got[i-1]) - 2*int(got[i]) + int(got[i+1]); bend > limit || bend < -limit {
				t.Errorf("%+v: bend of %d at sample %d, a tone has %d", c, bend, i, limit)
			}
		}
	}
}

func TestResetStartsAgain(t *testing.T) {
	src := noise(1234, 10000)
	r := mustNew(t, Config{In: 22050, Out: 32000})
	want := r.Append(nil, src)
	for range 3 {
		r.Reset()
		if got := r.Append(nil, src); !slices.Equal(got, want) {
			t.Fatal("output differs after Reset")
		}
		r.Flush(nil)
		if got := r.Append(nil, src); !slices.Equal(got, want) {
			t.Fatal("output differs after Flush")
		}
	}
}

func TestAllocations(t *testing.T) {
	for _, c := range []Config{{In: 48000, Out: 8000}, {In: 8000, Out: 48000, Channels: 2}, {In: 44100, Out: 48000, Quality: High}} {
		r := mustNew(t, c)
		src := noise(c.In/50*max(1, c.Channels), 10000)
		out := make([]int16, 0, 10000)
		r.SetCorrection(1)
		ppm := 0.0
		if n := testing.AllocsPerRun(100, func() {
			ppm++
			r.SetCorrection(ppm)
			out = r.Append(out[:0], src)
		}); n != 0 {
			t.Errorf("%+v: %v allocations per chunk, want 0", c, n)
		}
	}
}

func FuzzResampler(f *testing.F) {
	f.Add(8000, 48000, 2, 1, 100.0, []byte{0, 1, 200, 7})
	f.Add(384000, 1000, 1, 0, -5000.0, []byte{255, 255, 255})
	f.Add(44100, 47999, 1, 1, 0.0, []byte{1, 1, 1, 0, 0, 9})
	f.Fuzz(func(t *testing.T, in, out, channels, quality int, ppm float64, chunks []byte) {
		r, err := New(Config{In: in, Out: out, Channels: channels, Quality: Quality(quality & 1)})
		if err != nil {
			if !errors.Is(err, ErrConfig) {
				t.Fatal(err)
			}
			return
		}
		if len(chunks) > 20 {
			chunks = chunks[:20]
		}
		var dst []int16
		total, given, low, high := 0, 0, 0.0, 0.0
		for i, n := range chunks {
			if i == 1 {
				r.SetCorrection(ppm)
			}
			src := noise(int(n)*r.config.Channels, fullScale)
			dst = r.Append(dst[:0], src)
			total += int(n)
			given += len(dst) / r.config.Channels
			low = float64(total)*float64(out)/float64(in)*0.995 - 3
			high = float64(total)*float64(out)/float64(in)*1.005 + 3
			if float64(given) < low || float64(given) > high {
				t.Fatalf("%d samples gave %d, want %.0f to %.0f", total, given, low, high)
			}
		}
		if got := r.Flush(dst[:0]); len(got) != r.DelaySamples()*r.config.Channels {
			t.Fatalf("Flush gave %d samples, want %d", len(got), r.DelaySamples()*r.config.Channels)
		}
	})
}
