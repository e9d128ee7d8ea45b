//go:build soak

package stream

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// TestSoakADay is a call of a day: jitter, losses, pauses, outages and a far end
// that begins anew now and then, with clocks that are wrong by up to half a per
// cent, faster and slower by turns of an hour. The clock never stops, the delay
// comes back to what it should be, and memory does not grow.
func TestSoakADay(t *testing.T) {
	const day = 24 * time.Hour
	random := rand.New(rand.NewPCG(1, 2))
	r, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Unix(1_700_000_000, 0)
	p := &rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 1, SequenceNumber: 65000, Timestamp: 1<<32 - 1000}}
	var frame audio.Frame
	var frames, sent, hour int
	var first time.Time
	var heap, heapStart uint64
	at, arrival := time.Duration(0), time.Duration(0)
	for at < day {
		ppm := time.Duration(5000)
		if int(at/time.Hour)%2 == 1 {
			ppm = -ppm
		}
		step := 20 * ms * (1_000_000 + ppm) / 1_000_000
		at += step
		p.SequenceNumber++
		p.Timestamp += 160
		switch random.IntN(20_000) {
		case 0: // a pause
			pause := time.Duration(random.IntN(60_000)) * ms
			at += pause * (1_000_000 + ppm) / 1_000_000
			p.Timestamp += uint32(pause / ms * 8)
		case 1: // an outage
			n := random.IntN(100)
			at += time.Duration(n) * step
			p.SequenceNumber += uint16(n)
			p.Timestamp += uint32(n * 160)
		case 2: // begins anew
			p.SSRC, p.SequenceNumber, p.Timestamp = random.Uint32(), uint16(random.Uint32()), random.Uint32()
		}
		arrival = max(arrival, at+time.Duration(random.ExpFloat64()*float64(5*ms)))
		now := begin.Add(arrival)
		for next := r.Next(); !next.IsZero() && next.Before(now); next = r.Next() {
			if !r.Pull(next, &frame) || frame.Duration() != 20*ms {
				t.Fatalf("no whole frame at its time, after %v", at)
			}
			frames++
		}
		if random.IntN(100) > 0 {
			p.Payload = voiced(p.Payload[:0], sent)
			r.Push(now, p)
		}
		if sent++; first.IsZero() {
			first = r.Next()
		}
		if h := int(at / time.Hour); h > hour {
			hour = h
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			if heap = m.HeapAlloc; hour == 1 {
				heapStart = heap
			}
			var s ReceiverStats
			r.Stats(&s)
			t.Logf("%2d h: delay %v, target %v, concealed %.2f %%, heap %d KiB", hour, s.Added.Round(ms), s.Target, 100*float64(s.Concealed)/float64(at), heap>>10)
			if s.Target > 200*ms || heap > heapStart+64<<10 {
				t.Errorf("target %v, heap %d KiB more than after an hour", s.Target, (heap-heapStart)>>10)
			}
		}
	}
	var s ReceiverStats
	r.Stats(&s)
	if due := int(r.Next().Sub(first) / (20 * ms)); frames != due {
		t.Errorf("%d frames, %d were due", frames, due)
	}
	if share := float64(s.Concealed) / float64(day); share > 0.03 {
		t.Errorf("%.2f %% concealed", 100*share)
	}
}
