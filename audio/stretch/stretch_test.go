package stretch_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/resample"
	"github.com/parley-media/parley/audio/stretch"
	"github.com/parley-media/parley/internal/speech"
)

func newStretcher(t testing.TB, rate, channels int) *stretch.Stretcher {
	t.Helper()
	s, err := stretch.New(rate, channels)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tone(rate, n int, hz, amplitude float64) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(math.Round(amplitude * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
	}
	return pcm
}

func spoken(t testing.TB, rate int) []int16 {
	t.Helper()
	r, err := resample.New(resample.Config{In: speech.Rate, Out: rate, Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	return r.Flush(r.Append(nil, speech.PCM()))
}

// pitch returns the frequency of a tone by the crossings of zero.
func pitch(pcm []int16, rate int) float64 {
	first, last, crossings := 0., 0., -1
	for i := 1; i < len(pcm); i++ {
		if pcm[i-1] < 0 && pcm[i] >= 0 {
			at := float64(i) - float64(pcm[i])/(float64(pcm[i])-float64(pcm[i-1]))
			if crossings++; crossings == 0 {
				first = at
			}
			last = at
		}
	}
	return float64(crossings) * float64(rate) / (last - first)
}

func steepest(pcm []int16) int {
	most := 0
	for i := 1; i < len(pcm); i++ {
		d := int(pcm[i]) - int(pcm[i-1])
		most = max(most, d, -d)
	}
	return most
}

var rates = []int{8000, 16000, 24000, 32000, 48000}

func TestNewRefuses(t *testing.T) {
	for _, f := range []audio.Format{{Rate: 0, Channels: 1}, {Rate: 8000, Channels: 3}} {
		if _, err := stretch.New(f.Rate, f.Channels); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("%v: %v", f, err)
		}
	}
}

// TestTone: the pitch of a tone stays, nothing clicks, and whole periods go.
func TestTone(t *testing.T) {
	for _, rate := range rates {
		s := newStretcher(t, rate, 1)
		in := tone(rate, 2*rate, 200, 8000)
		var shorter, longer []int16
		var removed, inserted int
		for at := 0; at+s.Window() <= len(in); at += s.Window() {
			pcm := append([]int16(nil), in[at:at+s.Window()]...)
			n := 0
			longer, n = s.Expand(append(longer, pcm...), len(longer), len(longer)+len(pcm), rate, false)
			inserted += n
			if n == 0 || n%(rate/200) != 0 {
				t.Errorf("%d Hz: %d samples inserted, want whole periods of %d", rate, n, rate/200)
			}
			rest, n := s.Compress(pcm, rate, false)
			removed += n
			shorter = append(shorter, rest...)
			if n == 0 || n%(rate/200) != 0 {
				t.Errorf("%d Hz: %d samples removed, want whole periods of %d", rate, n, rate/200)
			}
		}
		length := len(in) / s.Window() * s.Window()
		if len(shorter) != length-removed || len(longer) != length+inserted {
			t.Errorf("%d Hz: %d and %d samples, want %d and %d", rate, len(shorter), len(longer), length-removed, length+inserted)
		}
		for _, out := range [][]int16{shorter, longer} {
			if hz := pitch(out, rate); math.Abs(hz-200) > 2 {
				t.Errorf("%d Hz: the tone is at %.2f Hz", rate, hz)
			}
			if a, b := steepest(out), steepest(in); a > b+b/10 {
				t.Errorf("%d Hz: a step of %d, the tone's are at most %d", rate, a, b)
			}
		}
	}
}

// TestSpeech: enough of speech is fit, the edits are exact to the sample, and
// they do not click.
func TestSpeech(t *testing.T) {
	for _, rate := range rates {
		for _, fast := range []bool{false, true} {
			in := spoken(t, rate)
			s := newStretcher(t, rate, 1)
			tries, done, removed, clicks := 0, 0, 0, 0
			for at := 0; at+s.Window() <= len(in); at += s.Window() {
				pcm := append([]int16(nil), in[at:at+s.Window()]...)
				slope := steepest(pcm)
				first, last := pcm[0], pcm[len(pcm)-1]
				long, n := s.Expand(slices.Clone(pcm), 0, len(pcm), rate, fast)
				if len(long) != len(pcm)+n {
					t.Fatalf("%d Hz: %d samples and %d inserted are %d", rate, len(pcm), n, len(long))
				}
				rest, m := s.Compress(pcm, rate, fast)
				if len(rest) != s.Window()-m {
					t.Fatalf("%d Hz: %d samples and %d removed are %d", rate, s.Window(), m, len(rest))
				}
				if m == 0 && n == 0 {
					tries++
					continue
				}
				if long[0] != first || long[len(long)-1] != last || rest[0] != first && m < s.Window()/2 {
					t.Errorf("%d Hz: the ends have changed", rate)
				}
				tries, done, removed = tries+1, done+1, removed+m
				if steepest(long) > slope*3/2+16 || steepest(rest) > slope*3/2+16 {
					clicks++
				}
			}
			share, faster := float64(done)/float64(tries), float64(removed)/float64(len(in))
			t.Logf("%d Hz, fast %v: %.0f %% of %d passages are fit, %.1f %% removed, %d clicks", rate, fast, 100*share, tries, 100*faster, clicks)
			if least := map[bool]float64{false: 0.4, true: 0.7}[fast]; share < least {
				t.Errorf("%d Hz, fast %v: only %.0f %% of passages are fit", rate, fast, 100*share)
			}
			if float64(clicks) > 0.001*float64(done) {
				t.Errorf("%d Hz, fast %v: %d of %d click", rate, fast, clicks, done)
			}
		}
	}
}

// TestStereo: both channels get the same edit.
// TestStereo: what one channel has, and two that are alike or each other's opposite,
// is cut at the same places.
func TestStereo(t *testing.T) {
	in := spoken(t, 16000)
	for _, sign := range []int16{1, -1} {
		mono, stereo := newStretcher(t, 16000, 1), newStretcher(t, 16000, 2)
		for at := 0; at+mono.Window() <= len(in); at += mono.Window() {
			one := append([]int16(nil), in[at:at+mono.Window()]...)
			two := make([]int16, 0, 2*len(one))
			for _, v := range one {
				two = append(two, v, sign*v)
			}
			a, n := mono.Compress(one, 200, false)
			b, m := stereo.Compress(two, 200, false)
			if n != m || n > 200 || len(b) != 2*len(a) {
				t.Fatalf("%d removed from mono, %d from stereo of sign %d", n, m, sign)
			}
			for i, v := range a {
				if b[2*i] != v || b[2*i+1] != sign*v {
					t.Fatalf("sample %d is %d in mono, %d and %d in stereo", i, v, b[2*i], b[2*i+1])
				}
			}
		}
	}
}

func TestLeavesAlone(t *testing.T) {
	s := newStretcher(t, 8000, 1)
	r := rand.New(rand.NewPCG(1, 2))
	loud := make([]int16, s.Window())
	for i := range loud {
		loud[i] = int16(r.NormFloat64() * 3000)
	}
	if rest, n := s.Compress(loud, 120, false); n != 0 || len(rest) != len(loud) {
		t.Errorf("%d samples of loud noise removed", n)
	}
	hum := tone(8000, s.Window(), 100, 8000)
	for _, most := range []int{-1, 0, 1, 10, 19} {
		if _, n := s.Compress(hum, most, true); n != 0 {
			t.Errorf("%d removed, %d allowed", n, most)
		}
	}
	for n := range 30 {
		if rest, removed := s.Compress(make([]int16, n), 100, true); len(rest)+removed != n {
			t.Errorf("%d left and %d removed of %d", len(rest), removed, n)
		}
	}
}

// TestQuiet: where there is only background noise, delay is lost and gained
// fast.
func TestQuiet(t *testing.T) {
	s := newStretcher(t, 8000, 1)
	r := rand.New(rand.NewPCG(1, 2))
	removed := 0
	for i := range 100 {
		pcm := make([]int16, s.Window())
		for j := range pcm {
			pcm[j] = int16(r.NormFloat64() * 60)
		}
		_, n := s.Compress(pcm, 120, false)
		if i >= 50 {
			removed += n
		}
	}
	if want := 50 * 110; removed < want {
		t.Errorf("%d samples of noise removed, want %d at least", removed, want)
	}
}

// TestExpandInTheMidst: what is around a passage does not matter, and stays as it is.
func TestExpandInTheMidst(t *testing.T) {
	for _, channels := range []int{1, 2} {
		alone, amid := newStretcher(t, 8000, channels), newStretcher(t, 8000, channels)
		in := tone(8000*channels, 960, 200, 8000)
		from, to := 100, 100+alone.Window()*channels
		want, n := alone.Expand(slices.Clone(in[from:to]), 0, to-from, 8000, false)
		want = slices.Concat(in[:from], want, in[to:])
		for _, room := range []int{0, 10, 2000} {
			got, m := amid.Expand(append(make([]int16, 0, len(in)+room), in...), from, to, 8000, false)
			if n == 0 || m != n || !slices.Equal(got, want) {
				t.Errorf("%d channels, room for %d: %d samples inserted, %d alone", channels, room, m, n)
			}
		}
	}
}

func FuzzStretch(f *testing.F) {
	f.Add([]byte("\x00\x80\xff\x7f"), uint16(8000), true, int16(200), true)
	f.Add(make([]byte, 960), uint16(16000), false, int16(-1), false)
	f.Fuzz(func(t *testing.T, data []byte, rate uint16, two bool, most int16, fast bool) {
		channels := 1
		if two {
			channels = 2
		}
		s, err := stretch.New(int(rate), channels)
		if err != nil {
			return
		}
		pcm := make([]int16, len(data)/2/channels*channels)
		peak := 0
		for i := range pcm {
			pcm[i] = int16(data[2*i]) | int16(data[2*i+1])<<8
			peak = max(peak, int(pcm[i]), -int(pcm[i]))
		}
		long, n := s.Expand(slices.Clone(pcm), 0, len(pcm), int(most), fast)
		if n < 0 || n > max(0, int(most)) || len(long) != len(pcm)+n*channels {
			t.Fatalf("%d inserted, at most %d, %d samples of %d", n, most, len(long), len(pcm))
		}
		length := len(pcm)
		rest, n := s.Compress(pcm, int(most), fast)
		if n < 0 || n > max(0, int(most)) || len(rest) != length-n*channels {
			t.Fatalf("%d removed, at most %d, %d samples of %d", n, most, len(rest), length)
		}
	})
}

func BenchmarkCompress(b *testing.B) {
	for _, c := range []struct {
		name           string
		rate, channels int
	}{{"8k", 8000, 1}, {"16k", 16000, 1}, {"48k", 48000, 1}, {"48k-stereo", 48000, 2}} {
		b.Run(c.name, func(b *testing.B) {
			s := newStretcher(b, c.rate, c.channels)
			in := tone(c.rate*c.channels, s.Window()*c.channels, 200, 8000)
			pcm := make([]int16, len(in))
			for b.Loop() {
				copy(pcm, in)
				s.Compress(pcm, s.Window(), false)
			}
		})
	}
}
