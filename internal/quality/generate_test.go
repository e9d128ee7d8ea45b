package quality

import (
	"reflect"
	"testing"
	"time"
)

func TestGenerateIsDeterministic(t *testing.T) {
	a, b, c := Generate(7), Generate(7), Generate(8)
	if !reflect.DeepEqual(a, b) {
		t.Error("two sets of one seed differ")
	}
	for i := range a {
		if reflect.DeepEqual(a[i].Arrivals, c[i].Arrivals) {
			t.Errorf("%s is the same for two seeds", a[i].Name)
		}
	}
}

// spread returns by how much the slowest packet of those sent in a span of the
// trace exceeds the fastest of all, and how many of the span were lost.
func spread(t *Trace, from, to time.Duration) (most time.Duration, lost int) {
	first, end := int(from/interval), int(to/interval)
	lost = end - first
	floor := t.leastTransit()
	for _, a := range t.Arrivals {
		if a.Seq >= first && a.Seq < end {
			lost--
			most = max(most, a.At-t.sent(time.Duration(a.Seq)*interval)-floor)
		}
	}
	return most, lost
}

// Each trace has the trouble that it is named after, for any seed.
func TestGeneratedShapes(t *testing.T) {
	for seed := range uint64(20) {
		for _, trace := range Generate(seed) {
			most, lost := spread(trace, 0, Length)
			before, _ := spread(trace, 0, 19*time.Second)
			within, _ := spread(trace, 20*time.Second, 21*time.Second)
			after, _ := spread(trace, 41*time.Second, Length)
			overtaken := 0
			for i := 1; i < len(trace.Arrivals); i++ {
				if trace.Arrivals[i].Seq < trace.Arrivals[i-1].Seq {
					overtaken++
				}
			}
			span := trace.Arrivals[len(trace.Arrivals)-1].At - trace.Arrivals[0].At
			ok := trace.Sent == 3000 && (overtaken > 50) == (trace.Name == "reorder")
			switch trace.Name {
			case "lan":
				ok = ok && most < ms(15) && lost == 0
			case "wifi":
				ok = ok && most > ms(90) && most < ms(250) && lost == 0
			case "lte":
				ok = ok && most > ms(40) && most < ms(120) && lost == 0
			case "bloat":
				ok = ok && most > ms(150) && most < ms(330) && lost == 0
			case "reorder":
				ok = ok && most > ms(50) && most < ms(75) && lost == 0
			case "step":
				ok = ok && before < ms(30) && within > ms(99) && within < ms(130) && after < ms(30)
			case "outage-250":
				ok = ok && before < ms(15) && within > ms(245) && within < ms(260) && after < ms(15)
			case "outage-1000":
				ok = ok && before < ms(15) && within > ms(995) && within < ms(1010) && after < ms(15)
			case "drift-fast":
				ok = ok && most < ms(40) && span > ms(59640) && span < ms(59740)
			case "drift-slow":
				ok = ok && most < ms(40) && span > ms(60240) && span < ms(60340)
			case "loss-random", "loss-bursty":
				ok = ok && most < ms(40) && lost > 75 && lost < 250
			default:
				ok = false
			}
			if !ok {
				t.Errorf("seed %d: %s: up to %v late, %d lost, %d overtaken, %v long; %v before, %v within, %v after",
					seed, trace.Name, most, lost, overtaken, span, before, within, after)
			}
		}
	}
}

// runs returns how many packets are lost, and in how many runs.
func runs(t *Trace) (lost, runs int) {
	next := 0
	for _, a := range append(t.Arrivals, Arrival{Seq: t.Sent}) {
		if a.Seq > next {
			lost += a.Seq - next
			runs++
		}
		next = a.Seq + 1
	}
	return lost, runs
}

func TestLossOfChannels(t *testing.T) {
	for _, c := range []struct {
		Loss
		mean float64 // length of a run
	}{
		{Loss{Rate: 0.05}, 1 / 0.95},
		{Loss{Rate: 0.10}, 1 / 0.90},
		{Loss{Rate: 0.05, Burst: 3}, 3},
		{Loss{Rate: 0.10, Burst: 3}, 3},
	} {
		lost, bursts := runs(Lossy("x", 1, c.Loss, time.Hour))
		rate, mean := float64(lost)/180000, float64(lost)/float64(bursts)
		if rate < c.Rate*0.95 || rate > c.Rate*1.05 || mean < c.mean*0.95 || mean > c.mean*1.05 {
			t.Errorf("%+v: %.4f lost in runs of %.2f, want %.2f", c.Loss, rate, mean, c.mean)
		}
	}
	if lost, _ := runs(Lossy("x", 1, Loss{}, time.Minute)); lost != 0 {
		t.Errorf("%d packets lost of a channel that loses none", lost)
	}
}
