package payload_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/parley-media/parley/payload"
)

func newEstimator(t testing.TB, rate, order int) *payload.NoiseEstimator {
	t.Helper()
	e, err := payload.NewNoiseEstimator(rate, order)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func newGenerator(t testing.TB, rate int) *payload.NoiseGenerator {
	t.Helper()
	g, err := payload.NewNoiseGenerator(rate, 1)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// noise makes n samples at a level in -dBov, with poles as in
// x[i] = e[i] - a[0]*x[i-1] - a[1]*x[i-2]..., by other code than the package's.
func noise(n int, level float64, a ...float64) []int16 {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	x := make([]float64, n+1000)
	var power float64
	for i := range x {
		x[i] = r.NormFloat64()
		for j, c := range a {
			if i > j {
				x[i] -= c * x[i-1-j]
			}
		}
		if i >= 1000 {
			power += x[i] * x[i]
		}
	}
	gain := 32768 * math.Pow(10, -level/20) / math.Sqrt(power/float64(n))
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(max(min(math.Round(x[i+1000]*gain), 32767), -32768))
	}
	return out
}

func level(pcm []int16) float64 {
	var power float64
	for _, s := range pcm {
		power += float64(s) * float64(s)
	}
	return -10 * math.Log10(power/float64(len(pcm))/32768/32768)
}

var colours = []struct {
	name string
	a    []float64
}{
	{"white", nil},
	{"falling", []float64{-0.9}},
	{"rising", []float64{0.7}},
	{"hum and hiss", []float64{-1.5, 0.8}},
	{"two bands", []float64{0.1, -0.2, 0, 0.6}},
}

func TestLevel(t *testing.T) {
	for _, rate := range []int{8000, 16000} {
		for _, colour := range colours {
			for _, want := range []int{20, 40, 60, 70} {
				e := newEstimator(t, rate, 0)
				e.Write(noise(3*rate, float64(want), colour.a...))
				cn := e.CN()
				if cn.Level < want-1 || cn.Level > want+1 {
					t.Errorf("%s at %d Hz: estimated -%d dBov, want -%d", colour.name, rate, cn.Level, want)
				}
				g := newGenerator(t, rate)
				cn.Level = want
				g.Set(cn)
				pcm := make([]int16, 3*rate)
				g.Fill(pcm)
				if got := level(pcm[rate/10:]); math.Abs(got-float64(want)) > 1 {
					t.Errorf("%s at %d Hz: generated -%.2f dBov, want -%d", colour.name, rate, got, want)
				}
			}
		}
	}
}

// spectrum returns the power in dB at 32 frequencies, from frames of 128
// samples under a Hann window.
func spectrum(pcm []int16) (db [32]float64) {
	const n = 128
	for k := range db {
		var power float64
		for at := 0; at+n <= len(pcm); at += n {
			var re, im float64
			for i := range n {
				w := (0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/n)) * float64(pcm[at+i])
				phase := math.Pi * (float64(k) + 0.5) / float64(len(db)) * float64(i)
				re += w * math.Cos(phase)
				im += w * math.Sin(phase)
			}
			power += re*re + im*im
		}
		db[k] = 10 * math.Log10(power)
	}
	return db
}

func TestSpectrumSurvives(t *testing.T) {
	for _, colour := range colours {
		e := newEstimator(t, 8000, 0)
		in := noise(24000, 45, colour.a...)
		e.Write(in)
		cn, err := payload.ParseCN(e.AppendPayload(nil))
		if err != nil {
			t.Fatal(err)
		}
		g := newGenerator(t, 8000)
		g.Set(cn)
		out := make([]int16, 24000)
		g.Fill(out)
		var sum float64
		a, b := spectrum(in), spectrum(out)
		for i := range a {
			sum += (a[i] - b[i]) * (a[i] - b[i])
		}
		distance := math.Sqrt(sum / float64(len(a)))
		t.Logf("%s: %.2f dB", colour.name, distance)
		if distance > 3 {
			t.Errorf("%s: log-spectral distance %.2f dB, want less than 3", colour.name, distance)
		}
	}
}

// The sign: what has more power at low frequencies has a negative first
// coefficient, the value of -r1/r0.
func TestReflectionSign(t *testing.T) {
	e := newEstimator(t, 8000, 1)
	e.Write(noise(24000, 40, -0.8))
	if k := e.CN().Reflection[0]; math.Abs(k+0.8) > 0.05 {
		t.Errorf("first coefficient %.3f, want -0.8", k)
	}
}

// A talker at -18 dBov is not noise, before, in or after a talkspurt.
func TestSpeechIsNotNoise(t *testing.T) {
	for _, pause := range []int{300, 500, 1000} {
		e := newEstimator(t, 8000, 0)
		x := noise(8*20000, 60, -0.5)
		speech := noise(8*20000, 18, -0.8)
		period := 1000 + pause
		for i := 0; i < len(x); i += 157 {
			for j := i; j < min(i+157, len(x)); j++ {
				if at := j / 8 % period; at >= pause {
					x[j] += speech[j]
				}
			}
			e.Write(x[i:min(i+157, len(x))])
			if got := e.CN().Level; i > 8*200 && (got < 58 || got > 62) {
				t.Fatalf("pauses of %d ms: -%d dBov after %d ms, want about -60", pause, got, i/8)
			}
		}
	}
}

func TestFloorChanges(t *testing.T) {
	e := newEstimator(t, 8000, 0)
	for _, tt := range []struct{ level, ms int }{
		{60, 1000}, {40, 3000}, {60, 500}, {52, 3000}, {70, 500}, {127, 500}, {65, 3000},
	} {
		e.Write(noise(8*tt.ms, float64(tt.level)))
		if got := e.CN().Level; got < tt.level-1 || got > tt.level+1 {
			t.Errorf("-%d dBov, %d ms after a change to -%d", got, tt.ms, tt.level)
		}
	}
}

func TestChunksDoNotMatter(t *testing.T) {
	x := noise(16000, 50, -0.5)
	want := newEstimator(t, 8000, 0)
	want.Write(x)
	e := newEstimator(t, 8000, 0)
	for i, n := 0, 0; i < len(x); i, n = i+n, (n+13)%101 {
		e.Write(x[i:min(i+n, len(x))])
	}
	if e.CN() != want.CN() {
		t.Errorf("%v in chunks, %v at once", e.CN(), want.CN())
	}
}

func TestHostileCoefficients(t *testing.T) {
	for _, k := range []float64{1, -1, math.Inf(1), math.NaN(), 5} {
		g := newGenerator(t, 8000)
		cn := payload.CN{Level: 40, Order: 100}
		for i := range cn.Reflection {
			cn.Reflection[i] = k
			if i%3 == 1 {
				cn.Reflection[i] = -k
			}
		}
		pcm := make([]int16, 80000)
		for i := 0; i < len(pcm); i += 160 {
			g.Set(cn)
			cn.Reflection[i%12] *= -1
			g.Fill(pcm[i : i+160])
		}
		if got := level(pcm); got < 36 || got > 44 {
			t.Errorf("coefficients of %v: -%.1f dBov in 10 s, want -40", k, got)
		}
		g.Set(payload.CN{Level: 127})
		g.Fill(pcm)
		for i, s := range pcm[160:] {
			if s != 0 {
				t.Fatalf("coefficients of %v: sample %d is %d in silence", k, i, s)
			}
		}
	}
	g := newGenerator(t, 8000)
	g.Set(payload.CN{Level: -5})
	g.Fill(make([]int16, 8000))
}

// A change is a ramp over 20 ms: with each fifth of it the level has moved
// about a fifth, and no step is larger than those of the louder noise.
func TestChangeHasNoClick(t *testing.T) {
	var mean [10]float64
	const runs = 400
	for seed := range runs {
		g, err := payload.NewNoiseGenerator(8000, uint64(seed))
		if err != nil {
			t.Fatal(err)
		}
		loud := payload.CN{Level: 30, Order: 1, Reflection: [12]float64{-0.9}}
		g.Set(loud)
		pcm := make([]int16, 800)
		g.Fill(pcm)
		last := pcm[len(pcm)-1]
		g.Set(payload.CN{Level: 127, Order: 1, Reflection: [12]float64{-0.9}})
		g.Fill(pcm)
		for i, s := range pcm[:200] {
			// White noise of -30 dBov is up to 3.5*1036; the filter passes 0.44 of it.
			if d := math.Abs(float64(s) - float64(last)); d > 2400 {
				t.Fatalf("step of %v at sample %d", d, i)
			}
			last = s
			mean[i/20] += float64(s) * float64(s) / 20 / runs
		}
	}
	for i := range 8 {
		ramp := 1 - (float64(i)+0.5)/8
		want := 32768 * math.Pow(10, -1.5) * ramp
		if got := math.Sqrt(mean[i]); math.Abs(got-want) > 0.12*want+5 {
			t.Errorf("RMS in part %d of the change: %.0f, want %.0f", i, got, want)
		}
	}
}

func TestCNAllocs(t *testing.T) {
	e, g := newEstimator(t, 8000, 0), newGenerator(t, 8000)
	pcm, buf := noise(160, 50), make([]byte, 0, 16)
	if n := testing.AllocsPerRun(100, func() {
		e.Write(pcm)
		buf = e.AppendPayload(buf[:0])
		cn, err := payload.ParseCN(buf)
		if err != nil {
			t.Fatal(err)
		}
		g.Set(cn)
		g.Fill(pcm)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func ExampleNoiseGenerator() {
	gen, err := payload.NewNoiseGenerator(8000, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	cn, err := payload.ParseCN([]byte{60, 64}) // -60 dBov, more low than high frequencies
	if err != nil {
		fmt.Println(err)
		return
	}
	gen.Set(cn)
	est, err := payload.NewNoiseEstimator(8000, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	pcm := make([]int16, 160)
	for range 100 { // 2 s
		gen.Fill(pcm)
		est.Write(pcm)
	}
	got := est.CN()
	fmt.Printf("sent -%d dBov, k1 %.1f\n", cn.Level, cn.Reflection[0])
	fmt.Printf("made -%d dBov, k1 %.1f\n", got.Level, got.Reflection[0])
	// Output:
	// sent -60 dBov, k1 -0.5
	// made -60 dBov, k1 -0.5
}
