//go:build interop

package stream

import (
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/resample"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/internal/metric"
	"github.com/parley-media/parley/internal/speech"
)

// libopus encodes PCM of 48 kHz, mono, at 24 kb/s.
func libopus(t *testing.T, fmtp string, loss float64, pcm []int16) []sent {
	t.Helper()
	c := SenderConfig{Codec: opusMono(fmtp + ";maxaveragebitrate=24000"), Queue: time.Minute}
	s, err := NewAudioSender(c)
	if err != nil {
		t.Fatalf("this test needs libopus (apt install libopus0): %v", err)
	}
	s.SetLoss(loss)
	n := &near{t: t, s: s, begin: time.Now()}
	f := audio.Frame{Format: s.Format()}
	for _, v := range pcm {
		for range s.Format().Channels {
			f.Samples = append(f.Samples, v)
		}
	}
	if err := s.Write(n.begin, &f); err != nil {
		t.Fatal(err)
	}
	return n.run(time.Duration(len(pcm)) * time.Second / 48000)
}

func opusMono(fmtp string) codec.Params {
	p := opus
	p.FMTP = fmtp
	return p
}

// fullband returns the speech at 48 kHz.
func fullband(t *testing.T) []int16 {
	t.Helper()
	r, err := resample.New(resample.Config{In: speech.Rate, Out: 48000})
	if err != nil {
		t.Fatal(err)
	}
	return r.Append(nil, speech.PCM())
}

// listen plays the packets that are not lost, which arrive when they were sent,
// and returns the first channel of what is heard.
func listen(t *testing.T, c ReceiverConfig, packets []sent, lost func(i int) bool) (pcm []int16, delay time.Duration, s ReceiverStats) {
	t.Helper()
	c.Codecs = []codec.Params{opus}
	r, err := NewAudioReceiver(c)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	var frame audio.Frame
	pull := func(until time.Duration) {
		for next := r.Next(); !next.IsZero() && !next.After(begin.Add(until)); next = r.Next() {
			if !r.Pull(next, &frame) {
				t.Fatal("no frame at its time")
			}
			for i := 0; i < len(frame.Samples); i += frame.Format.Channels {
				pcm = append(pcm, frame.Samples[i])
			}
		}
	}
	for i := range packets {
		p := &packets[i]
		pull(p.at)
		if !lost(i) {
			r.Push(begin.Add(p.at), &rtp.Packet{Header: p.Header, Payload: p.Payload})
		}
	}
	r.Stats(&s)
	return pcm, s.Delay, s
}

// Of every ten packets one or two are lost. In-band FEC brings back the last of those
// that are of speech, closer to what was sent than the codec's own concealment can be,
// and nothing waits for it.
func TestOpusFEC(t *testing.T) {
	packets := libopus(t, "useinbandfec=1", 0.1, fullband(t))
	plain := libopus(t, "useinbandfec=0", 0, fullband(t))
	none := func(int) bool { return false }
	for _, playout := range []Playout{Fixed, Adaptive} {
		for run := 1; run <= 2; run++ {
			lost := func(i int) bool { return i%10 > 7-run && i%10 <= 7 }
			c := ReceiverConfig{Playout: playout, MinDelay: 60 * ms}
			whole, delay, _ := listen(t, c, packets, none)
			heard, slower, s := listen(t, c, packets, lost)
			if all := int64(len(packets)+2) / 10; s.Recovered < all*3/4 || s.Recovered > all {
				t.Errorf("%v: %d packets recovered in %d runs of %d", playout, s.Recovered, all, run)
			}
			if run == 1 && slower > delay+time.Millisecond {
				t.Errorf("%v: a delay of %v with losses, %v without", playout, slower, delay)
			}
			if playout != Fixed {
				continue
			}
			var gaps []metric.Gap
			for i := 7; i < len(packets)-4; i += 10 {
				at := (i + 1 - run) * 960
				gaps = append(gaps, metric.Gap{Heard: at, Sent: at, N: run * 960})
			}
			// The same without FEC, which the receiver does not find then.
			reference, _, _ := listen(t, c, plain, none)
			made, _, s := listen(t, c, plain, lost)
			if s.Recovered != 0 || s.Concealed == 0 {
				t.Errorf("without FEC %d packets recovered, %v concealed", s.Recovered, s.Concealed)
			}
			fec, plc := metric.Compare(whole, heard, 48000, gaps), metric.Compare(reference, made, 48000, gaps)
			t.Logf("runs of %d: FEC: %+v; none: %+v", run, fec, plc)
			if fec.LSD > plc.LSD-1 || fec.SegSNR < plc.SegSNR {
				t.Errorf("runs of %d: FEC: %+v, none: %+v", run, fec, plc)
			}
		}
	}
}

// Pauses of Opus with DTX are neither losses nor concealment, and what is said
// after them is heard from its beginning.
func TestOpusDTXIsHeard(t *testing.T) {
	words := fullband(t)[:48000*3/2]
	var pcm []int16
	for range 4 {
		pcm = append(pcm, words...)
		pcm = append(pcm, make([]int16, 3*48000)...)
	}
	pcm = append(pcm, words...)
	packets := libopus(t, "usedtx=1", 0, pcm)
	if len(packets) > 5*130 {
		t.Fatalf("%d packets: no DTX", len(packets))
	}
	heard, _, s := listen(t, ReceiverConfig{}, packets, func(int) bool { return false })
	if s.Concealed != 0 || s.Interrupted != 0 || s.Lost != 0 || s.Late != 0 || s.Discarded != 0 {
		t.Errorf("%+v", s)
	}
	// The first tenth of each talkspurt has the level of that of the first one.
	level := func(at int) (sum float64) {
		for _, v := range heard[at:][:4800] {
			sum += float64(v) * float64(v)
		}
		return sum
	}
	first := 0
	for first < len(heard) && abs16(heard[first]) < 500 {
		first++
	}
	for n := 1; n <= 4; n++ {
		best := 0.
		for off := -1920; off <= 1920; off += 480 {
			best = max(best, level(first+n*48000*9/2+off))
		}
		if ratio := best / level(first); ratio < 0.5 {
			t.Errorf("talkspurt %d begins with %.2f of its power", n, ratio)
		}
	}
}

func abs16(v int16) int { return max(int(v), -int(v)) }
