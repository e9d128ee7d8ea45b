package stream

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// After ten seconds of a bad network the delay comes down to its target again, also
// where nothing can be left out unheard.
func TestDelayComesDown(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name   string
		octet  func(i int) byte
		within time.Duration
	}{
		{"silence", func(int) byte { return 0xff }, 60 * time.Second},
		{"noise", func(int) byte { return byte(random.Uint32()) }, 70 * time.Second},
		{"clicks", func(i int) byte {
			if i%160 == 7 {
				return 0x8f
			}
			return 0xff
		}, 60 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{{Name: "PCMU", ClockRate: 8000}}})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Unix(1000, 0)
			const bad, good, end = 5 * time.Second, 15 * time.Second, 2 * time.Minute
			arrivals := make([]time.Duration, end/(20*time.Millisecond))
			for i := range arrivals {
				arrivals[i] = time.Duration(i) * 20 * time.Millisecond
				if arrivals[i] > bad && arrivals[i] < good {
					arrivals[i] += time.Duration(random.IntN(400)) * time.Millisecond
				}
			}
			payload := make([]byte, 160)
			var f audio.Frame
			var s ReceiverStats
			highest, since := time.Duration(0), time.Duration(-1)
			for at := time.Duration(0); at < end; at += time.Millisecond {
				for i := max(0, int(at/(20*time.Millisecond))-25); i < len(arrivals) && time.Duration(i)*20*time.Millisecond <= at; i++ {
					if arrivals[i] != at {
						continue
					}
					for k := range payload {
						payload[k] = c.octet(i*160 + k)
					}
					r.Push(start.Add(at), &rtp.Packet{
						Header:  rtp.Header{Version: 2, SequenceNumber: uint16(i), Timestamp: uint32(160 * i), SSRC: 7},
						Payload: payload,
					})
				}
				for r.Pull(start.Add(at), &f) {
				}
				r.Stats(&s)
				highest = max(highest, s.Delay)
				switch {
				case at > good && s.Delay > 45*time.Millisecond:
					since = -1
				case since < 0 && at > good:
					since = at
				}
			}
			if highest < 300*time.Millisecond {
				t.Errorf("the delay was %v at most", highest)
			}
			if since < 0 || since > c.within {
				t.Errorf("the delay came down at %v, and is %v of %v at the end", since, s.Delay, s.Target)
			}
		})
	}
}

// After a stall the delay comes down in steady noise within seconds, though now and
// then a little of it can be left out.
func TestDelayComesDownInSteadyNoise(t *testing.T) {
	const stalls, back, checked, end = 5 * time.Second, 6 * time.Second, 15 * time.Second, 17 * time.Second
	for _, ptime := range []time.Duration{10 * ms, 20 * ms} {
		for seed := range uint64(4) {
			random := rand.New(rand.NewPCG(1, seed))
			r, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{l16}, PTime: ptime})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Unix(1000, 0)
			p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: l16.PayloadType, SSRC: 7}}
			var f audio.Frame
			for at, sent := time.Duration(0), time.Duration(0); at < end; at += ms {
				for ; sent <= at && (at < stalls || at >= back); sent += ptime {
					p.SequenceNumber++
					p.Payload = p.Payload[:0]
					for range 8 * ptime / ms {
						v := int16(random.IntN(6001) - 3000)
						p.Payload = append(p.Payload, byte(v>>8), byte(v))
					}
					p.Timestamp += uint32(8 * ptime / ms)
					r.Push(start.Add(at), &p)
				}
				for r.Pull(start.Add(at), &f) {
				}
				if d := r.Delay(); at >= checked && d > 3*ptime {
					t.Fatalf("frames of %v, seed %d: a delay of %v at %v", ptime, seed, d, at)
				}
			}
		}
	}
}
