//go:build amd64 && !amd64.v3

package conceal_test

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"

	"github.com/parley-media/parley/audio/conceal"
	"github.com/parley-media/parley/internal/speech"
)

// TestBits: what is made up is the same to the last bit whatever memory it is made
// in. Other processors may round sums of products in another way.
func TestBits(t *testing.T) {
	for _, c := range []struct {
		rate, channels int
		want           uint64
	}{
		{8000, 1, 0x610d6a7cdd88a243},
		{8000, 2, 0x4338635208057ec0},
		{11025, 1, 0x878ba5bcb798399d},
		{16000, 1, 0x6ea7a09a00a784b6},
		{48000, 2, 0x188c11703e8a3774},
	} {
		t.Run(fmt.Sprintf("%d_%d", c.rate, c.channels), func(t *testing.T) {
			t.Parallel()
			if got := script(t, newConcealer(t, c.rate, c.channels), c.rate, c.channels); got != c.want {
				t.Errorf("%#x, want %#x", got, c.want)
			}
		})
	}
}

// script gives the concealer speech with gaps of all kinds, and returns a sum of all
// that it makes of it.
func script(t *testing.T, c *conceal.Concealer, rate, channels int) uint64 {
	t.Helper()
	said := speech.PCM()
	var in []int16
	for i := range min(30*rate, len(said)*rate/speech.Rate) {
		at := i * speech.Rate / rate
		in = append(in, said[at])
		if channels == 2 {
			in = append(in, said[(at+80)%len(said)]/2)
		}
	}
	r := rand.New(rand.NewPCG(uint64(rate), uint64(channels)))
	ms := rate / 1000 * channels
	sum := fnv.New64a()
	var out []int16
	add := func() {
		binary.Write(sum, binary.LittleEndian, out)            //nolint:errcheck // a hash takes everything
		binary.Write(sum, binary.LittleEndian, c.Background()) //nolint:errcheck // the same
	}
	for at := 0; at+200*ms < len(in); {
		n := (1 + r.IntN(60)) * ms
		out = append(out[:0], in[at:at+n]...)
		c.Join(out)
		c.Media(out)
		at += n
		add()
		gap := 1 + r.IntN(40)*rate/1000
		switch r.IntN(20) {
		case 0, 1, 2, 3:
			out = c.Bridge(out[:0], gap, in[at+gap*channels:at+gap*channels+r.IntN(40*ms)/channels*channels])
		case 4, 5:
			out = c.Extend(out[:0], gap)
		case 6:
			out = c.Extend(out[:0], gap)
			out = c.Bridge(out, gap, in[at+2*gap*channels:at+2*gap*channels+20*ms])
		case 7:
			out = c.Noise(out[:0], gap)
			out = c.Extend(out, gap)
		case 8:
			out = c.Extend(out[:0], 10*gap)
			out = c.Bridge(out, 3*gap, in[at+2*gap*channels:at+2*gap*channels+40*ms])
		case 9:
			out = c.Bridge(out[:0], 5*gap, in[at+gap*channels:at+gap*channels+90*ms])
			c.Media(in[at : at+n/channels*channels/2])
			out = c.Noise(out, 20*gap)
		default:
			continue
		}
		at += gap * channels
		add()
	}
	c.Reset()
	out = c.Extend(out[:0], rate/10)
	add()
	return sum.Sum64()
}
