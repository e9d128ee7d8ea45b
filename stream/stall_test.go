package stream

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/g711"
)

// When this machine has stood still for two seconds, what came meanwhile is in the
// sockets and is had at once, before or after the first frame that is asked for. It is
// not played: the listener has it with no more delay than before, and from the first
// frames on. That holds whether the times of arrival are those of the network or
// those of the reading.
func TestReceiverAfterAStallOfItsOwn(t *testing.T) {
	const stall = 2 * time.Second
	for _, playout := range []Playout{Adaptive, Fixed} {
		for _, stamped := range []bool{true, false} {
			for _, first := range []int{0, 1, 50, 100} { // packets that are read before the first frame
				t.Run(fmt.Sprintf("%v, stamped %v, %d read first", playout, stamped, first), func(t *testing.T) {
					r := newStalled(t, playout)
					r.play(2 * time.Second) // it knows the network by then
					r.oldest = 0
					r.play(time.Second)
					before := r.oldest
					if before > 160*ms {
						t.Fatalf("sound of %v ago is heard before the stall", before)
					}
					at := r.now
					r.now = at.Add(stall)
					due := int(r.now.Sub(r.begin) / (20 * ms))
					for n := r.sent; n <= due; n++ {
						if n == r.sent+first {
							r.pull()
						}
						arrival := r.now
						if stamped {
							arrival = r.begin.Add(time.Duration(n) * 20 * ms)
						}
						r.push(arrival, n)
					}
					r.sent = due + 1
					r.oldest = 0
					r.play(200 * ms)
					if r.oldest > 160*ms {
						t.Errorf("sound of %v ago is heard after the stall, %v before it", r.oldest, before)
					}
					r.play(800 * ms)
					if r.age > before+humStep {
						t.Errorf("a second after the stall sound is %v old, %v before it", r.age, before)
					}
					var s ReceiverStats
					r.r.Stats(&s)
					if s.Target > 60*ms || s.Added > 80*ms {
						t.Errorf("added %v, target %v", s.Added, s.Target)
					}
					concealed := s.Concealed
					r.play(3 * time.Second)
					r.r.Stats(&s)
					if s.Concealed != concealed || r.age > before+humStep {
						t.Errorf("after that %v are concealed, and sound is %v old", s.Concealed-concealed, r.age)
					}
				})
			}
		}
	}
}

// If the far end has stood still as well, as in a machine that was suspended with all
// that was on it, its timestamps go on where they were, and it is heard at once.
func TestReceiverAfterAStallOfBothEnds(t *testing.T) {
	for _, stall := range []time.Duration{2 * time.Second, 20 * time.Second, time.Hour} {
		t.Run(stall.String(), func(t *testing.T) {
			r := newStalled(t, Adaptive)
			r.play(3 * time.Second)
			r.now = r.now.Add(stall)
			r.begin = r.begin.Add(stall)
			r.pull()
			r.media = 0
			r.play(300 * ms)
			if r.media == 0 {
				t.Error("nothing is heard within 300 ms")
			}
			r.play(2 * time.Second)
			if r.age > 120*ms {
				t.Errorf("sound is %v old", r.age)
			}
			r.media = 0
			r.play(time.Second)
			if r.media < 49 {
				t.Errorf("%d frames of media in a second", r.media)
			}
		})
	}
}

// A stalled is a receiver of a hum whose level tells when it was said.
type stalled struct {
	t     *testing.T
	r     *AudioReceiver
	begin time.Time
	now   time.Time
	sent  int

	age, oldest time.Duration // of what is heard
	media       int           // frames
}

func newStalled(t *testing.T, playout Playout) *stalled {
	r, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}, Playout: playout})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	return &stalled{t: t, r: r, begin: begin, now: begin}
}

// The hum is louder by four per cent each 40 ms, and begins anew after four seconds.
const (
	humSteps = 100
	humStep  = 40 * ms
)

func loudness(n int) float64 { return 300 * math.Pow(1.04, float64(n/2%humSteps)) }

func (s *stalled) push(arrival time.Time, n int) {
	pcm := make([]int16, 160)
	for i := range pcm {
		pcm[i] = int16(loudness(n) * math.Sin(2*math.Pi*float64(i)/40))
	}
	s.r.Push(arrival, &rtp.Packet{
		Header:  rtp.Header{Version: 2, SSRC: 1, SequenceNumber: uint16(n), Timestamp: uint32(160 * n)},
		Payload: g711.AppendMuLaw(nil, pcm),
	})
}

// play lets time go by, with a packet and a frame each 20 ms.
func (s *stalled) play(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); s.now = s.now.Add(ms) {
		for ; !s.begin.Add(time.Duration(s.sent) * 20 * ms).After(s.now); s.sent++ {
			s.push(s.now, s.sent)
		}
		s.pull()
	}
}

// pull takes all frames that are due.
func (s *stalled) pull() {
	var f audio.Frame
	for s.r.Pull(s.now, &f) {
		if f.Kind != audio.Media {
			continue
		}
		s.media++
		peak := 0.0
		for _, v := range f.Samples[120:] { // not where it is joined with what was heard before
			peak = max(peak, math.Abs(float64(v)))
		}
		step := int(math.Round(math.Log(peak/300) / math.Log(1.04)))
		now := int(s.now.Sub(s.begin) / humStep)
		for ago := range humSteps {
			if n := now - ago; n >= 0 && n%humSteps == step {
				if ago >= humSteps-2 {
					ago = 0 // a code of mu-law for two steps
				}
				s.age = time.Duration(ago) * humStep
				s.oldest = max(s.oldest, s.age)
				break
			}
		}
	}
}
