package stream

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/internal/speech"
)

// An arrival is a packet of 20 ms on its way; lost ones do not arrive.
type arrival struct {
	n  int
	at time.Duration
}

// heardOf is what came of a trace.
type heardOf struct {
	mean, p95             time.Duration // added delay above the fastest packet
	concealed             float64       // per cent of the output that is not media
	stretched, compressed float64       // per cent of the output
	stats                 ReceiverStats
	delays                []time.Duration // by frame
}

// playTrace sends a voice-like signal over a path that delays packets as the
// trace says, and plays it adaptively.
func playTrace(t testing.TB, trace []arrival, c ReceiverConfig) heardOf {
	t.Helper()
	c.Codecs = append(c.Codecs, pcmu)
	r, err := NewAudioReceiver(c)
	if err != nil {
		t.Fatal(err)
	}
	arrivals := slices.Clone(trace)
	slices.SortStableFunc(arrivals, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	least := time.Duration(math.MaxInt64)
	for _, a := range arrivals {
		least = min(least, a.at-time.Duration(a.n)*20*ms)
	}
	begin := time.Now()
	first := arrivals[0].n
	packet := &rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 1}, Payload: make([]byte, 160)}
	var frame audio.Frame
	var h heardOf
	var sum, silent time.Duration
	end := arrivals[len(arrivals)-1].at
	for _, a := range append(arrivals, arrival{-1, end + time.Second}) {
		for next := r.Next(); !next.IsZero() && !next.After(begin.Add(a.at)); next = r.Next() {
			if next.Sub(begin) > end {
				break
			}
			if !r.Pull(next, &frame) {
				t.Fatal("no frame at its time")
			}
			if frame.Kind == audio.Silence {
				silent += frame.Duration()
			}
			d := next.Sub(begin) + 20*ms - r.Position() - time.Duration(first)*20*ms - least
			h.delays = append(h.delays, d)
			sum += d
		}
		if a.n < 0 {
			break
		}
		packet.SequenceNumber, packet.Timestamp = uint16(a.n), uint32(a.n*160)
		packet.Payload = voiced(packet.Payload[:0], a.n)
		r.Push(begin.Add(a.at), packet)
	}
	r.Stats(&h.stats)
	out := float64(len(h.delays)) * float64(20*ms)
	h.mean = sum / time.Duration(max(1, len(h.delays)))
	sorted := slices.Clone(h.delays)
	slices.Sort(sorted)
	h.p95 = sorted[len(sorted)*95/100]
	h.concealed = 100 * float64(h.stats.Concealed+silent) / out
	h.stretched = 100 * float64(h.stats.Stretched) / out
	h.compressed = 100 * float64(h.stats.Compressed) / out
	return h
}

// talk is the project's speech, at 8 kHz.
var talk = sync.OnceValue(func() []byte {
	pcm := speech.PCM()
	narrow := make([]int16, 0, len(pcm)/2)
	for i := 1; i+1 < len(pcm); i += 2 {
		narrow = append(narrow, int16(int(pcm[i-1])/4+int(pcm[i])/2+int(pcm[i+1])/4))
	}
	return g711.AppendMuLaw(nil, narrow)
})

// voiced appends packet n of the speech.
func voiced(dst []byte, n int) []byte {
	coded := talk()
	at := n * 160 % (len(coded) - 160)
	return append(dst, coded[at:at+160]...)
}

// A path delays the packets of a minute by milliseconds, or loses them: a
// negative delay.
type path struct {
	name  string
	delay func(r *rand.Rand, n int) float64
}

// paths returns the shapes of what happens to packets. Each call has state of
// its own.
func paths() []path {
	var spike, level, slow, left, state float64
	wifi := func(r *rand.Rand, n int) float64 {
		if spike > 0 {
			spike -= 20
		}
		if r.Float64() < 0.012 {
			spike = 30 + r.ExpFloat64()*45
		}
		return 5*r.ExpFloat64() + max(0, spike)
	}
	return []path{
		{"lan", func(r *rand.Rand, n int) float64 { return 3 * r.Float64() }},
		{"wi-fi", wifi},
		{"lte", func(r *rand.Rand, n int) float64 {
			level += r.NormFloat64() * 2.5
			level = min(max(level, 0), 70)
			return level + 8*math.Round(r.ExpFloat64())
		}},
		{"bloat", func(r *rand.Rand, n int) float64 {
			at := math.Mod(float64(n)*0.02, 12)
			switch {
			case at < 5:
				return at*55 + 4*r.Float64()
			case at < 7:
				return max(0, 275-(at-5)*400) + 4*r.Float64()
			}
			return 4 * r.Float64()
		}},
		{"reordering", func(r *rand.Rand, n int) float64 {
			if r.Float64() < 0.05 {
				return 20 + 40*r.Float64()
			}
			return 5 * r.Float64()
		}},
		{"step", func(r *rand.Rand, n int) float64 {
			if n >= 1000 && n < 2000 {
				return 100 + 8*r.ExpFloat64()
			}
			return 8 * r.ExpFloat64()
		}},
		{"outage 250", func(r *rand.Rand, n int) float64 {
			return max(0, float64(1000*20+250-n*20))*gate(n, 1000, 250) + 4*r.Float64()
		}},
		{"outage 1000", func(r *rand.Rand, n int) float64 {
			return max(0, float64(1000*20+1000-n*20))*gate(n, 1000, 1000) + 4*r.Float64()
		}},
		{"stalls", func(r *rand.Rand, n int) float64 { // 120 ms every 2 s
			into := n % 100 * 20
			return max(0, float64(120-into)) + 2*r.Float64()
		}},
		{"umts", func(r *rand.Rand, n int) float64 {
			if left--; left <= 0 {
				left = 20 + 150*r.Float64()
				state = math.Floor(r.Float64() * 3)
			}
			slow += (state*120 - slow) / 25
			return slow + 15*r.ExpFloat64()
		}},
		{"drift +0.5 %", func(r *rand.Rand, n int) float64 { return 100 + float64(n)*0.1 + 5*r.Float64() }},
		{"drift -0.5 %", func(r *rand.Rand, n int) float64 { return 400 - float64(n)*0.1 + 5*r.Float64() }},
		{"wi-fi, 5 % bursty", func(r *rand.Rand, n int) float64 {
			d := wifi(r, n)
			if state > 0 && r.Float64() < 1./3 {
				state = 0
			} else if state == 0 && r.Float64() < 0.05/3/0.95 {
				state = 1
			}
			if state > 0 {
				return -1
			}
			return d
		}},
		{"wi-fi, 10 % random", func(r *rand.Rand, n int) float64 {
			d := wifi(r, n)
			if r.Float64() < 0.1 {
				return -1
			}
			return d
		}},
	}
}

// gate is 1 for packets that are sent in an outage.
func gate(n, from, length int) float64 {
	if n >= from && n*20 < from*20+length {
		return 1
	}
	return 0
}

func (p path) trace(seed uint64) []arrival {
	r := rand.New(rand.NewPCG(seed, 1))
	var trace []arrival
	fifo := time.Duration(0)
	for n := range 3000 {
		d := p.delay(r, n)
		if d < 0 {
			continue
		}
		at := time.Duration(n)*20*ms + time.Duration((30+d)*float64(ms))
		if p.name != "reordering" {
			at = max(at, fifo)
			fifo = at
		}
		trace = append(trace, arrival{n, at})
	}
	return trace
}

// limits are somewhat above what is reached.
var limits = map[string]struct {
	mean      time.Duration
	concealed float64
}{
	"lan":                {28 * ms, 0},
	"wi-fi":              {112 * ms, 0.9},
	"lte":                {110 * ms, 0.2},
	"bloat":              {135 * ms, 0.2},
	"reordering":         {70 * ms, 0.2},
	"step":               {125 * ms, 0.3},
	"outage 250":         {34 * ms, 0.6},
	"outage 1000":        {42 * ms, 2.0},
	"stalls":             {150 * ms, 0.3},
	"umts":               {310 * ms, 0.3},
	"drift +0.5 %":       {180 * ms, 0.1}, // 150 ms of that is how much slower the path is on average
	"drift -0.5 %":       {190 * ms, 0.1},
	"wi-fi, 5 % bursty":  {105 * ms, 5.8},
	"wi-fi, 10 % random": {102 * ms, 10.9},
}

// TestTraces plays the shapes of networks, and prints what became of each.
func TestTraces(t *testing.T) {
	for i := range paths() {
		var name string
		var mean, p95 time.Duration
		var concealed, stretched, compressed float64
		const seeds = 4
		for seed := range uint64(seeds) {
			p := paths()[i]
			h := playTrace(t, p.trace(seed), ReceiverConfig{})
			name = p.name
			mean += h.mean / seeds
			p95 += h.p95 / seeds
			concealed += h.concealed / seeds
			stretched += h.stretched / seeds
			compressed += h.compressed / seeds
		}
		t.Logf("%-18s added %5.1f ms, p95 %5.1f; concealed %5.2f %%; stretched %5.2f %%, compressed %5.2f %%", name,
			mean.Seconds()*1000, p95.Seconds()*1000, concealed, stretched, compressed)
		limit := limits[name]
		if mean > limit.mean || concealed > limit.concealed {
			t.Errorf("%s: more than %v or %v %%", name, limit.mean, limit.concealed)
		}
	}
}
