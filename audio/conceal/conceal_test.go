package conceal_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/conceal"
)

func newConcealer(t testing.TB, rate, channels int) *conceal.Concealer {
	t.Helper()
	c, err := conceal.New(rate, channels)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var rates = []int{8000, 16000, 24000, 32000, 48000}

func rms(pcm []int16) float64 {
	var sum float64
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(max(1, len(pcm))))
}

func tone(rate, from, n int, hz, amplitude float64) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(math.Round(amplitude * math.Sin(2*math.Pi*hz*float64(from+i)/float64(rate))))
	}
	return pcm
}

func steepest(pcm []int16) int {
	most := 0
	for i := 1; i < len(pcm); i++ {
		d := int(pcm[i]) - int(pcm[i-1])
		most = max(most, d, -d)
	}
	return most
}

func hiss(n int, level float64, seed uint64) []int16 {
	r := rand.New(rand.NewPCG(seed, 1))
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(math.Round(level * r.NormFloat64()))
	}
	return pcm
}

func TestNewRefuses(t *testing.T) {
	for _, f := range []audio.Format{{Rate: 0, Channels: 1}, {Rate: 8000, Channels: 3}} {
		if _, err := conceal.New(f.Rate, f.Channels); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("%v: %v", f, err)
		}
	}
}

// TestTone: a tone goes on in phase, from one side and from both, and fades from
// one side.
func TestTone(t *testing.T) {
	for _, rate := range rates {
		packet := rate / 50
		for _, hz := range []float64{100, 200, 350} {
			c := newConcealer(t, rate, 1)
			c.Media(tone(rate, 0, 10*packet, hz, 8000))
			want := tone(rate, 10*packet, packet, hz, 8000)
			out := c.Bridge(nil, packet, tone(rate, 11*packet, packet, hz, 8000))
			var noise float64
			for i, v := range out {
				noise += math.Pow(float64(v)-float64(want[i]), 2)
			}
			if snr := 20*math.Log10(rms(want)) - 10*math.Log10(noise/float64(packet)); snr < 15 {
				t.Errorf("%d Hz: a bridge over a tone of %v Hz has an SNR of %.1f dB", rate, hz, snr)
			}

			c.Reset()
			c.Media(tone(rate, 0, 10*packet, hz, 8000))
			out = c.Extend(nil, 3*packet)
			if first := rms(out[:packet/2]); first < 5000 || first > 5800 {
				t.Errorf("%d Hz: a tone of %v Hz goes on with %.0f, it was %.0f", rate, hz, first, rms(want))
			}
			if last := rms(out[5*packet/2:]); last > 2500 {
				t.Errorf("%d Hz: a tone of %v Hz is still %.0f after 50 ms", rate, hz, last)
			}
			if s := steepest(out); s > steepest(want)*5/4 {
				t.Errorf("%d Hz: a step of %d in a tone of %v Hz", rate, s, hz)
			}
		}
	}
}

// TestBackground: after a second of extension there is noise as loud as the
// background, in the same part of the spectrum, and never silence.
func TestBackground(t *testing.T) {
	for _, rate := range rates {
		for _, channels := range []int{1, 2} {
			c := newConcealer(t, rate, channels)
			packet := rate / 50 * channels
			var last float64
			for i := range 200 {
				pcm := hiss(packet, 80, uint64(i))
				for j := range pcm {
					// One pole makes it dull.
					if channels == 1 || j%2 == 0 {
						last += 0.2 * (float64(pcm[j]) - last)
					}
					pcm[j] = int16(last)
					if i%20 > 12 {
						pcm[j] += int16(3000 * math.Sin(float64(j/channels)*2*math.Pi*150/float64(rate)))
					}
				}
				c.Media(pcm)
			}
			want := 80 * math.Sqrt(0.2/1.8)
			if got := c.Background(); math.Abs(20*math.Log10(got/want)) > 2 {
				t.Errorf("%d Hz, %d channels: background of %.1f, want %.1f", rate, channels, got, want)
			}
			c.Extend(nil, rate)
			pcm := c.Extend(nil, rate)
			if got := rms(pcm); math.Abs(20*math.Log10(got/want)) > 2 {
				t.Errorf("%d Hz, %d channels: noise of %.1f, want %.1f", rate, channels, got, want)
			}
			var difference float64
			for i := channels; i < len(pcm); i++ {
				difference += math.Pow(float64(pcm[i])-float64(pcm[i-channels]), 2)
			}
			// That of white noise is 1.4.
			if slope := math.Sqrt(difference/float64(len(pcm))) / rms(pcm); slope > 0.8 {
				t.Errorf("%d Hz, %d channels: slopes of %.2f in the noise", rate, channels, slope)
			}
			for at := 0; at+packet <= len(pcm); at += packet {
				if rms(pcm[at:at+packet]) == 0 {
					t.Fatalf("%d Hz, %d channels: digital silence", rate, channels)
				}
			}
		}
	}
}

// TestNoSilence: even if pauses were digital silence, there is a faint noise.
func TestNoSilence(t *testing.T) {
	c := newConcealer(t, 8000, 1)
	for i := range 100 {
		c.Media(make([]int16, 160))
		c.Media(tone(8000, 160*i, 160, 200, 5000))
	}
	c.Extend(nil, 8000)
	if got := rms(c.Extend(nil, 8000)); got < 1 || got > 4 {
		t.Errorf("noise of %.1f, want 2", got)
	}
	c.Reset()
	c.Media(make([]int16, 8000))
	if got := rms(c.Extend(nil, 8000)); got != 0 {
		t.Errorf("noise of %.1f after nothing but digital silence", got)
	}
}

// TestNoiseAfterMusic: what never falls silent is not taken for the background, also
// not where it ends.
func TestNoiseAfterMusic(t *testing.T) {
	for _, quiet := range []float64{0.1, 0.3, 1} {
		c := newConcealer(t, 8000, 1)
		for i := range 100 {
			pcm := tone(8000, 160*i, 160, 440, 10000)
			if i%10 < 5 {
				audio.Amplify(pcm, quiet)
			}
			c.Media(pcm)
		}
		end := tone(8000, 16000, 800, 440, 10000)
		clear(end[730:])
		c.Media(end)
		if got := rms(c.Noise(nil, 8000)[800:]); got > 240 {
			t.Errorf("with quieter parts of %v noise of %.1f after it, want 221 at most", quiet, got)
		}
	}
}

// TestNoisyPlace: noise 30 dB below the voice is the background.
func TestNoisyPlace(t *testing.T) {
	c := newConcealer(t, 8000, 1)
	for i := range 100 {
		c.Media(tone(8000, 160*i, 160, 200, 12000))
		c.Media(hiss(160, 200, uint64(i)))
	}
	if got := rms(c.Noise(nil, 8000)[800:]); math.Abs(20*math.Log10(got/200)) > 2 {
		t.Errorf("noise of %.1f, want 200", got)
	}
}

// TestNoise: a pause without comfort noise.
func TestNoise(t *testing.T) {
	c := newConcealer(t, 8000, 1)
	for i := range 100 {
		c.Media(hiss(160, 30, uint64(i)))
	}
	c.Media(tone(8000, 0, 160, 200, 5000))
	out := c.Noise(nil, 800)
	if got := rms(out[100:]); math.Abs(20*math.Log10(got/30)) > 2 {
		t.Errorf("noise of %.1f, want 30", got)
	}
	next := tone(8000, 0, 160, 200, 5000)
	next[0] = 5000
	c.Join(next)
	if next[0] > 400 {
		t.Errorf("media joins the noise at %d", next[0])
	}
	after := tone(8000, 0, 160, 200, 5000)
	c.Media(next)
	want := append([]int16(nil), after...)
	c.Join(after)
	for i := range after {
		if after[i] != want[i] {
			t.Fatal("media that follows media was changed")
		}
	}
}

// TestJoin: media that returns in another phase does not click.
func TestJoin(t *testing.T) {
	for _, rate := range rates {
		packet := rate / 50
		for shift := range 20 {
			c := newConcealer(t, rate, 2)
			stereo := func(from, n int) []int16 {
				var pcm []int16
				for _, v := range tone(rate, from, n, 200, 8000) {
					pcm = append(pcm, v, -v/2)
				}
				return pcm
			}
			c.Media(stereo(0, 10*packet))
			out := c.Extend(stereo(10*packet-1, 1), packet)
			next := stereo(11*packet+packet*shift/40, packet)
			c.Join(next)
			out = append(out, next...)
			for k := range 2 {
				var one []int16
				for i := k; i < len(out); i += 2 {
					one = append(one, out[i])
				}
				if s, most := steepest(one), steepest(tone(rate, 0, packet, 200, 8000)); s > most*9/4 {
					t.Errorf("%d Hz, shifted by %d: a step of %d, the tone's are %d", rate, shift, s, most)
				}
			}
		}
	}
}

// TestChannels: what is made up for one channel does not appear in another.
func TestChannels(t *testing.T) {
	c := newConcealer(t, 16000, 2)
	left := telephone(t, 16000)[16000:]
	pcm := make([]int16, 2*16000)
	for i := range pcm {
		if i%2 == 0 {
			pcm[i] = left[i/2]
		}
	}
	c.Media(pcm[:16000])
	out := c.Bridge(nil, 320, pcm[16640:18000])
	out = c.Extend(out, 16000)
	var right []int16
	for i := 1; i < len(out); i += 2 {
		right = append(right, out[i])
	}
	if got := rms(right); got > 4 {
		t.Errorf("the silent channel has %.1f", got)
	}
}

// TestLongBridge: however long the gap is, both its ends are smooth.
func TestLongBridge(t *testing.T) {
	for _, n := range []int{1, 10, 160, 959, 960, 961, 8000} {
		c := newConcealer(t, 8000, 1)
		c.Media(tone(8000, 0, 1600, 200, 8000))
		ahead := tone(8000, 1600+n, 160, 200, 8000)
		out := c.Bridge(tone(8000, 1599, 1, 200, 8000), n, ahead)
		if len(out) != n+1 {
			t.Errorf("%d samples, want %d", len(out), n+1)
		}
		if s, most := steepest(append(out, ahead...)), steepest(ahead); s > most*3/2 {
			t.Errorf("a bridge of %d has a step of %d, the tone's are %d", n, s, most)
		}
	}
}

// TestPieces: it does not matter in which pieces media comes and extensions are
// asked for.
func TestPieces(t *testing.T) {
	in := telephone(t, 8000)[8000:16000]
	whole, pieces := newConcealer(t, 8000, 1), newConcealer(t, 8000, 1)
	whole.Media(in)
	for i := 0; i < len(in); i += 37 {
		pieces.Media(in[i:min(i+37, len(in))])
	}
	a := whole.Extend(nil, 1000)
	var b []int16
	for len(b) < len(a) {
		b = pieces.Extend(b, min(7, len(a)-len(b)))
	}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("sample %d is %d in one piece, %d in many", i, a[i], b[i])
		}
	}
}
