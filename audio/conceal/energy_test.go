package conceal_test

import (
	"math"
	"testing"

	"github.com/parley-media/parley/audio/conceal"
)

// loudest returns the power of the loudest 10 ms of pcm.
func loudest(pcm []int16, window int) float64 {
	var sum, most float64
	for i, v := range pcm {
		sum += float64(v) * float64(v)
		if i >= window {
			sum -= float64(pcm[i-window]) * float64(pcm[i-window])
		}
		most = max(most, sum)
	}
	return most
}

// checkEnergy fails if what is made up is louder than what was there.
func checkEnergy(t *testing.T, name string, before, ahead []int16) {
	t.Helper()
	const rate, packet = 8000, 160
	c := newConcealer(t, rate, 1)
	c.Media(before)
	most := max(loudest(before, rate/100), loudest(ahead, rate/100)) * 1.26 // 1 dB
	floor := 25. * packet                                                   // rounding, and noise at its least
	if got := loudest(c.Extend(nil, rate), rate/100); got > most+floor {
		t.Errorf("%s: an extension is louder than the past by %.2f dB", name, 10*math.Log10(1.26*got/most))
	}
	for _, n := range []int{1, packet, 3 * packet, 8 * packet} {
		c.Reset()
		c.Media(before)
		out := c.Bridge(nil, n, ahead)
		if len(out) != n {
			t.Errorf("%s: a bridge of %d samples, want %d", name, len(out), n)
		}
		if got := loudest(out, rate/100); got > most+floor {
			t.Errorf("%s: a bridge of %d is louder than both sides by %.2f dB", name, n, 10*math.Log10(1.26*got/most))
		}
	}
}

// TestEnergy: nothing makes an extension louder than its past, or a bridge than
// its sides.
func TestEnergy(t *testing.T) {
	square := make([]int16, 1600)
	constant := make([]int16, 1600)
	impulse := make([]int16, 1600)
	impulse[1595] = 32767
	step := make([]int16, 1600)
	alternate := make([]int16, 1600)
	for i := range square {
		square[i], alternate[i] = math.MaxInt16, math.MaxInt16
		if i/20%2 == 0 {
			square[i] = math.MinInt16
		}
		if i%2 == 0 {
			alternate[i] = math.MinInt16
		}
		constant[i] = 20000
		if i > 1500 {
			step[i] = 30000
		}
	}
	speech := telephone(t, 8000)
	signals := map[string][]int16{
		"square": square, "constant": constant, "impulse": impulse, "step": step, "alternating": alternate,
		"noise": hiss(1600, 8000, 1), "silence": make([]int16, 1600), "nothing": nil, "one": {-32768},
		"beginning": hiss(30, 3000, 2), "speech": speech[:1600], "tone": tone(8000, 0, 1600, 200, 32767),
	}
	for a, before := range signals {
		for b, after := range signals {
			checkEnergy(t, a+", "+b, before, after)
		}
	}
	for at := 8000; at+3200 < len(speech); at += 400 {
		checkEnergy(t, "speech", speech[at:at+1600], speech[at+1760:at+2080])
	}
}

func FuzzEnergy(f *testing.F) {
	f.Add([]byte("\x00\x80\xff\x7f\x00\x80\xff\x7f"), []byte("\x00\x00\xff\x7f"))
	f.Add(make([]byte, 1000), []byte{})
	f.Fuzz(func(t *testing.T, before, ahead []byte) {
		samples := func(data []byte) []int16 {
			pcm := make([]int16, len(data)/2)
			for i := range pcm {
				pcm[i] = int16(data[2*i]) | int16(data[2*i+1])<<8
			}
			return pcm
		}
		checkEnergy(t, "fuzz", samples(before), samples(ahead))
	})
}

// FuzzCalls calls everything in any order, at any rate.
func FuzzCalls(f *testing.F) {
	f.Add(uint16(8000), false, []byte("mmmmejmbmnj"), []byte("0123456789"))
	f.Add(uint16(1000), true, []byte("bejnm"), []byte{})
	f.Fuzz(func(t *testing.T, rate uint16, two bool, calls, data []byte) {
		channels := 1
		if two {
			channels = 2
		}
		c, err := conceal.New(int(rate), channels)
		if err != nil {
			return
		}
		pcm := make([]int16, 0, 4096)
		for i := range min(len(data)*32, 4096) {
			pcm = append(pcm, int16(data[i%len(data)])<<8+int16(i))
		}
		var out []int16
		for i, call := range calls {
			if i == 50 {
				break
			}
			n := int(call) * 7
			some := pcm[:min(len(pcm), n*2)]
			out = out[:0]
			switch call % 6 {
			case 0:
				c.Media(some)
				continue
			case 1:
				out = c.Extend(out, n)
			case 2:
				out = c.Bridge(out, n, some)
			case 3:
				c.Join(some)
				continue
			case 4:
				out = c.Noise(out, n)
			case 5:
				out = c.Bridge(out, n, some[:min(len(some), 4)])
			}
			if len(out) != n*channels {
				t.Fatalf("%d samples, want %d", len(out), n*channels)
			}
		}
	})
}

func BenchmarkConceal(b *testing.B) {
	for _, f := range []struct {
		name           string
		rate, channels int
	}{{"8k", 8000, 1}, {"16k", 16000, 1}, {"48k", 48000, 1}, {"48k-stereo", 48000, 2}} {
		in := hiss(f.rate*f.channels/10, 1000, 1)
		packet := f.rate / 50 * f.channels
		out := make([]int16, 0, packet)
		c := newConcealer(b, f.rate, f.channels)
		b.Run("Media/"+f.name, func(b *testing.B) {
			for b.Loop() {
				c.Media(in[:packet])
			}
		})
		b.Run("Extend/"+f.name, func(b *testing.B) {
			c.Media(in)
			for b.Loop() {
				c.Media(in[:1*f.channels])
				out = c.Extend(out[:0], f.rate/100)
			}
		})
		b.Run("Bridge/"+f.name, func(b *testing.B) {
			for b.Loop() {
				out = c.Bridge(out[:0], f.rate/100, in[:packet])
			}
		})
	}
}
