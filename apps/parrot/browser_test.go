//go:build interop

package parrot_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/parrot"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/tone"
	"github.com/parley-media/parley/audio/vad"
	"github.com/parley-media/parley/codec/opus/libopus"
	"github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
)

// mouth gives the page a line of sound, and the word say, which says the sentence
// and returns when that began; quiet says it too, and returns when what comes
// back was loud last in the time after.
const mouth = `(async () => {
	await sound();
	const bytes = Uint8Array.from(atob(%q), (c) => c.charCodeAt(0));
	const pcm = new Int16Array(bytes.buffer);
	const buffer = new AudioBuffer({ length: pcm.length, sampleRate: 16000, numberOfChannels: 1 });
	buffer.getChannelData(0).set(Float32Array.from(pcm, (x) => x / 32768));
	const out = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
	window.say = () => {
		const voice = new AudioBufferSourceNode(context, { buffer });
		voice.connect(out);
		voice.start();
		return clock();
	};
	window.quiet = async (mid, ms) => {
		const { near } = await ear(mid);
		const wave = new Float32Array(near.fftSize);
		const spoke = say();
		let loud = 0;
		for (; clock() < spoke + ms; await sleep(3)) {
			near.getFloatTimeDomainData(wave);
			if (wave.some((x) => Math.abs(x) > 0.02)) loud = clock();
		}
		return JSON.stringify({ spoke, loud });
	};
	start();
	pc.addTransceiver(out.stream.getAudioTracks()[0]);
	return '';
})()`

// A caller in Chromium speaks, hears a lecture, and speaks again: then no more of it
// is heard. How soon is pinned in virtual time, by TestInterrupted; a second leaves
// room for the buffers of a browser on a busy machine, and the tone would go on for
// ever.
func TestInterruptedByBrowser(t *testing.T) {
	if err := libopus.Available(); err != nil {
		t.Fatalf("%v (Debian package libopus0)", err)
	}
	console := browser.NewConsole()
	pages := httptest.NewServer(console)
	t.Cleanup(pages.Close)
	browser.Chromium(t, console.URL(pages.URL))
	do := func(format string, args ...any) string {
		t.Helper()
		return console.Must(t, 30*time.Second, fmt.Sprintf(format, args...))
	}
	var raw []byte
	for _, s := range sentence() {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(s))
	}
	do(mouth, base64.StdEncoding.EncodeToString(raw))

	e, err := peer.Listen(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	far, answer, err := e.Answer(t.Context(), do("offer()"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var starts []time.Time
	answers := make(chan struct{}, 16)
	ended := make(chan error, 1)
	go func() {
		ended <- parley.Serve(context.WithoutCancel(t.Context()), far.Call, parrot.Handler{
			Listen: func(_ *audio.Frame, events []vad.Event) {
				mu.Lock()
				defer mu.Unlock()
				for _, e := range events {
					if e.Kind == vad.Start {
						starts = append(starts, time.Now())
					}
				}
			},
			Answer: func(context.Context, audio.Frame) (audio.Reader, error) {
				answers <- struct{}{}
				return tone.NewGenerator(audio.Format{Rate: 24000, Channels: 1}, tone.Signal{
					Segments: []tone.Segment{{Sines: []tone.Sine{{Frequency: 440, Level: -10}}}},
				})
			},
		})
	}()
	t.Cleanup(func() {
		far.Close()
		<-ended
	})
	do("accept(%q)", answer)
	do("connected()")
	mid := far.Audio().Mid()
	do("ear(%q).then(() => '')", mid)
	do("say()")

	// interrupt returns how long after the parrot noticed something was heard last.
	interrupt := func() (time.Duration, error) {
		select {
		case <-answers:
		case <-time.After(15 * time.Second):
			t.Fatal("no answer")
		}
		do("loud(%q)", mid)
		do("sleep(1000).then(() => '')") // for the buffer of the browser to settle
		mu.Lock()
		starts = nil
		mu.Unlock()
		var heard struct{ Spoke, Loud float64 }
		if err := json.Unmarshal([]byte(do("quiet(%q, 2000)", mid)), &heard); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(starts) == 0 {
			return 0, fmt.Errorf("not noticed")
		}
		noticed := float64(starts[0].UnixMicro()) / 1000
		t.Logf("noticed after %.0f ms, silent after %.0f ms", noticed-heard.Spoke, heard.Loud-heard.Spoke)
		if heard.Loud < heard.Spoke {
			return 0, fmt.Errorf("nothing was interrupted")
		}
		return time.Duration((heard.Loud - noticed) * 1e6), nil
	}
	for attempt := range 3 { // the machine may be busy
		late, err := interrupt()
		if err == nil && late <= time.Second {
			break
		}
		if attempt == 2 {
			t.Errorf("silent %v after the interruption, %v", late, err)
		}
	}
}
