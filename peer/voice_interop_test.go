//go:build interop

package peer_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley/apps/parrot"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/vad"
	headless "github.com/parley-media/parley/internal/browser"
	spoken "github.com/parley-media/parley/internal/speech"
	"github.com/parley-media/parley/peer"
)

// recital gives the page a line of sound, and the word recite, which plays what is
// written here once.
const recital = `(async () => {
	await sound();
	const bytes = Uint8Array.from(atob(%q), (c) => c.charCodeAt(0));
	const pcm = new Int16Array(bytes.buffer);
	const buffer = new AudioBuffer({ length: pcm.length, sampleRate: 16000, numberOfChannels: 1 });
	buffer.getChannelData(0).set(Float32Array.from(pcm, (x) => x / 32768));
	const out = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
	const nothing = new ConstantSourceNode(context, { offset: 0 }); // or Chromium sends no silence
	nothing.connect(out);
	nothing.start();
	window.recite = async () => {
		const source = new AudioBufferSourceNode(context, { buffer });
		source.connect(out);
		const over = new Promise((done) => { source.onended = done; });
		source.start();
		await over;
		return '';
	};
	force(pc.addTransceiver(out.stream.getAudioTracks()[0]), 'audio', 'opus');
	return '';
})()`

// sentence returns speech, from the first vowel after the given time on.
func sentence(from, length time.Duration) []int16 {
	all := spoken.PCM()[from*spoken.Rate/time.Second:]
	for decibels(all[:320]) < -30 {
		all = all[160:]
	}
	return all[:length*spoken.Rate/time.Second]
}

// hum is that of the mains, which comes and goes softly.
func hum(length time.Duration) (pcm []int16) {
	n := int(length * spoken.Rate / time.Second)
	for i := range n {
		v, at := 0.0, 2*math.Pi*float64(i)/spoken.Rate
		for harmonic, level := range []float64{0.05, 0.03, 0.015, 0.01} {
			v += level * math.Sin(at*50*float64(harmonic+1))
		}
		edge := min(1, float64(min(i, n-i))/(spoken.Rate/5))
		pcm = append(pcm, int16(32767*v*edge))
	}
	return pcm
}

// What a page says is speech from when it begins until it has ceased for as long as
// was asked for, and neither silence nor hum is.
func TestVoiceOfChromium(t *testing.T) {
	t.Parallel() // it waits most of the time
	needOpus(t)
	p, e := open(t, headless.Chromium), listen(t, nil)
	tries(t, "speech", func(t *testing.T) error { return speaks(t, p, e) })
}

func speaks(t *testing.T, p *page, e *peer.Endpoint) error {
	const hangover = 400 * time.Millisecond
	quiet := func(d time.Duration) []int16 { return make([]int16, d*spoken.Rate/time.Second) }
	said := &tape{rate: spoken.Rate, left: slices.Concat(
		quiet(1200*time.Millisecond), sentence(0, 1500*time.Millisecond),
		quiet(900*time.Millisecond), sentence(12*time.Second, 1500*time.Millisecond),
		quiet(900*time.Millisecond), hum(2*time.Second), quiet(300*time.Millisecond),
	)}
	var raw []byte
	for _, s := range said.left {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(s))
	}

	p.do(t, "start")
	p.console.Must(t, 30*time.Second, fmt.Sprintf(recital, base64.StdEncoding.EncodeToString(raw)))
	far := p.call(t, e, nil)
	defer far.Close()
	var mu sync.Mutex
	var got tape
	var begin time.Duration // of the tape, on the timeline of the call
	var events []vad.Event
	serve(t, far.Call, parrot.Handler{
		VAD: vad.Config{Hangover: hangover},
		Listen: func(f *audio.Frame, e []vad.Event) {
			mu.Lock()
			defer mu.Unlock()
			if len(got.left) == 0 {
				begin = f.Time
			}
			got.listen(f)
			events = append(events, e...)
		},
		Answer: func(context.Context, audio.Frame) (audio.Reader, error) { return nil, errors.New("no answer") },
	})
	eventually(t, 20*time.Second, "anything heard", func() bool { mu.Lock(); defer mu.Unlock(); return len(got.left) > 0 })
	busy := lateness()
	p.do(t, "recite")
	p.do(t, "sleep", 500)
	slack := busy()
	far.Close()
	p.do(t, "stop")
	mu.Lock()
	defer mu.Unlock()

	const pause = 350 * time.Millisecond // within a sentence there are shorter ones only
	want, heard := said.spans(pause), got.spans(pause)
	if len(want) != 3 {
		t.Fatalf("%d sounds are played", len(want))
	}
	if len(heard) != 3 {
		got.keep(t, "heard")
		return fmt.Errorf("%d sounds were heard", len(heard))
	}
	var failed []error
	for i := range want[1:] {
		a, b := said.duration(want[i+1].from-want[i].from), got.duration(heard[i+1].from-heard[i].from)
		if (a - b).Abs() > 60*time.Millisecond+slack {
			failed = append(failed, fmt.Errorf("sound %d begins %v after the one before, and was heard %v after", i+2, a, b))
		}
	}
	var kinds []vad.Kind
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	if !slices.Equal(kinds, []vad.Kind{vad.Start, vad.Stop, vad.Start, vad.Stop}) {
		got.keep(t, "heard")
		return errors.Join(append(failed, fmt.Errorf("events %+v", events))...)
	}
	for i, e := range events {
		what, at := "began", begin+got.duration(heard[i/2].from)
		if e.Kind == vad.Stop {
			what, at = "ended", begin+got.duration(heard[i/2].to)
		}
		late := e.At - at
		t.Logf("sentence %d %s at %v, told %v later; slack %v", i/2+1, what, at, late, slack)
		switch {
		case e.Kind == vad.Start && (late < 0 || late > 150*time.Millisecond+slack):
			failed = append(failed, fmt.Errorf("the start of sentence %d was told %v late", i/2+1, late))
		case e.Kind == vad.Stop && (late-hangover).Abs() > 100*time.Millisecond+slack:
			failed = append(failed, fmt.Errorf("the stop of sentence %d was told after %v", i/2+1, late))
		}
	}
	if len(failed) > 0 {
		got.keep(t, "heard")
	}
	return errors.Join(failed...)
}
