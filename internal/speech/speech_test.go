package speech

import (
	"math"
	"testing"

	"github.com/parley-media/parley/codec/g711"
)

func level(pcm []int16) float64 {
	var sum float64
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(sum/float64(len(pcm))/(1<<30))
}

// TestPCM: the length and the levels that the package tells.
func TestPCM(t *testing.T) {
	pcm := PCM()
	if len(pcm) != 24*Rate {
		t.Fatalf("%d samples, want %d", len(pcm), 24*Rate)
	}
	var active []int16
	least := 0.
	const frame = Rate / 50
	for at := 0; at < len(pcm); at += frame {
		one := pcm[at : at+frame]
		if l := level(one); l > -46 {
			active = append(active, one...)
		} else {
			least = min(least, l)
		}
	}
	if l := level(active); l < -28 || l > -24 {
		t.Errorf("active speech at %.1f dBov, want -26", l)
	}
	if least < -70 || least > -62 {
		t.Errorf("the quietest is %.1f dBov, want about -66", least)
	}
	if share := float64(len(active)) / float64(len(pcm)); share < 0.5 || share > 0.95 {
		t.Errorf("%.0f %% is active", 100*share)
	}
}

func TestDecode(t *testing.T) {
	for b := range 256 {
		want := g711.AppendPCMFromMuLaw(nil, []byte{byte(b)})[0]
		if got := decode(byte(b)); got != want {
			t.Errorf("%#02x is %d, want %d", b, got, want)
		}
	}
}
