package stream

import (
	"math"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/transport/netem"
)

// A recovery is a receiver behind a network that is good but for a while.
type recovery struct {
	receiver *AudioReceiver
	quiet    time.Duration // since the last sample that was not
	longest  time.Duration // silence
	begun    bool          // there was sound
	sent     int
}

// run sends a tone over a network until the time given, from where it was before,
// and plays it.
func (r *recovery) run(t *testing.T, path *netem.Path, from, to time.Duration, hold bool) {
	t.Helper()
	var f audio.Frame
	var b []byte
	for d := from; d < to; d += ms {
		now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).Add(d)
		if d%(20*ms) == 0 {
			p := rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 1, SequenceNumber: uint16(r.sent), Timestamp: uint32(r.sent * 160)}}
			for i := range 160 {
				v := 8000 * math.Sin(2*math.Pi*440*float64(r.sent*160+i)/8000)
				p.Payload = g711.AppendMuLaw(p.Payload, []int16{int16(v)})
			}
			r.sent++
			packet, err := p.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			path.Push(now, packet)
		}
		for !hold {
			var ok bool
			if b, ok = path.Pull(now, b[:0]); !ok {
				break
			}
			var p rtp.Packet
			if err := p.Unmarshal(b); err != nil {
				t.Fatal(err)
			}
			r.receiver.Push(now, &p)
		}
		for r.receiver.Pull(now, &f) {
			for _, v := range f.Samples {
				if r.quiet += f.Format.Duration(1); v > 400 || v < -400 {
					r.quiet = 0
				}
				if r.begun = r.begun || r.quiet == 0; r.begun {
					r.longest = max(r.longest, r.quiet)
				}
			}
		}
	}
}

func (r *recovery) stats() (s ReceiverStats) {
	r.receiver.Stats(&s)
	return s
}

func newRecovery(t *testing.T) *recovery {
	t.Helper()
	pcmu, _ := codec.Static(0)
	r, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}})
	if err != nil {
		t.Fatal(err)
	}
	return &recovery{receiver: r}
}

func newPath(t *testing.T, c netem.Config) *netem.Path {
	t.Helper()
	p, err := netem.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Of twenty seconds in which a network loses one packet in twenty and delays the
// others by up to 60 ms, nothing is left ten seconds later.
func TestRecoveryFromJitter(t *testing.T) {
	for seed := range uint64(20) {
		r := newRecovery(t)
		rough := newPath(t, netem.Config{
			Seed: seed, Delay: 30 * ms, Jitter: netem.Jitter{Spread: 30 * ms, Overtake: true}, Loss: netem.Loss{Rate: 0.05},
		})
		r.run(t, rough, 0, 20*time.Second, false)
		bad, longest := r.stats(), r.longest
		clean := newPath(t, netem.Config{Seed: seed, Delay: ms, Jitter: netem.Jitter{Spread: ms}})
		r.run(t, clean, 20*time.Second, 30*time.Second, false)
		before := r.stats()
		r.run(t, clean, 30*time.Second, 31*time.Second, false)
		after := r.stats()
		delay := time.Duration(float64(after.Waited-before.Waited) / (after.Emitted - before.Emitted).Seconds())
		if bad.Concealed == 0 || bad.Concealments == 0 || longest > 60*ms || bad.Interrupted > 0 || delay > 60*ms {
			t.Errorf("seed %d: %v concealed, silent for %v; after 10 s a delay of %v, aimed at %v", seed, bad.Concealed, longest, delay, after.Target)
		}
	}
}

// Sound that was held up for 800 ms and comes all at once is caught up with within
// a second, soon after the beginning of a call as later, and what that took is
// counted. It was one stall: ten seconds later all is as before.
func TestRecoveryFromStall(t *testing.T) {
	for _, begin := range []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, time.Minute} {
		r := newRecovery(t)
		path := newPath(t, netem.Config{Delay: 10 * ms})
		r.run(t, path, 0, begin, false)
		before := r.stats()
		end := begin + 800*ms
		r.run(t, path, begin, end, true)
		r.run(t, path, end, end+time.Second, false)
		soon := r.stats()
		r.run(t, path, end+time.Second, end+10*time.Second, false)
		after := r.stats()
		less := after.Skipped + after.Compressed - before.Compressed
		if soon.Added > 120*ms || after.Added > 40*ms || after.Interrupted != 1 || less < 600*ms || less > 900*ms || after.Lost != 0 {
			t.Errorf("after %v: %v, then %v later than the fastest; %v left out, %d interruptions, %d packets lost",
				begin, soon.Added, after.Added, less, after.Interrupted, after.Lost)
		}
	}
}
