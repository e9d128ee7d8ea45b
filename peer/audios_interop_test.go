//go:build interop

package peer_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/video"
)

func TestAudiosChromium(t *testing.T) { severalAudios(t, headless.Chromium) }
func TestAudiosFirefox(t *testing.T)  { severalAudios(t, headless.Firefox) }

func severalAudios(t *testing.T, start func(testing.TB, string) *headless.Process) {
	p := open(t, start)
	e, plain := listen(t, nil), listen(t, &peer.Config{Codecs: []codec.Params{pcmu, vp8}})
	t.Run("page", func(t *testing.T) { twoTones(t, p, e) })
	t.Run("server", func(t *testing.T) { serverChanges(t, p, plain) })
}

// fainter says how much fainter the one tone is than the other on a line, in dB, a
// tone being the loudest of the bins around it.
const fainter = `(async (mid, strong, faint) => {
  const { analyser } = await ear(mid);
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  const level = (hz) => {
    const at = Math.round(hz * analyser.fftSize / context.sampleRate);
    return Math.max(-120, ...bins.slice(at - 3, at + 4));
  };
  return level(strong) - level(faint);
})`

// hearsOnly checks that a line has one tone and not the other one.
func (p *page) hearsOnly(t *testing.T, mid string, hz, other float64) {
	t.Helper()
	p.do(t, "hears", mid, hz)
	for range 20 { // what is heard of the beginning of a tone has every frequency
		if p.number(t, fainter, mid, hz, other) > 20 {
			return
		}
		p.do(t, "sleep", 250)
	}
	t.Errorf("line %s: %.0f Hz is %.1f dB fainter than %.0f Hz, want 20", mid, other, p.number(t, fainter, mid, hz, other), hz)
}

// twoTones has a page send two tones, then one, then two, and hear each of them on
// its own line.
func twoTones(t *testing.T, p *page, e *peer.Endpoint) {
	p.do(t, "start")
	p.do(t, "tone", 440)
	p.do(t, "tone", 880)
	far := p.call(t, e, nil)
	echoes(t, far)
	lines := slices.Collect(far.Audios())
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	p.hearsOnly(t, lines[0].Mid(), 440, 880)
	p.hearsOnly(t, lines[1].Mid(), 880, 440)
	var s parley.AudioStats
	for _, a := range lines {
		if a.Stats(&s); s.Received == 0 || s.PacketsSent == 0 || a.Label() == "" {
			t.Errorf("line %s, %q: %+v", a.Mid(), a.Label(), s)
		}
	}

	p.do(t, "remove", lines[1].Mid())
	p.reoffer(t, far)
	if left := slices.Collect(far.Audios()); len(left) != 1 || left[0] != lines[0] {
		t.Fatalf("lines %v after one of two was removed", audioMids(far))
	}
	p.hearsOnly(t, lines[0].Mid(), 440, 880)
	p.do(t, "tone", 660)
	p.reoffer(t, far)
	again := slices.Collect(far.Audios())
	if len(again) != 2 || again[0] != lines[0] {
		t.Fatalf("lines %v", audioMids(far))
	}
	p.hearsOnly(t, again[1].Mid(), 660, 440)
	p.hearsOnly(t, again[0].Mid(), 440, 660)
	p.do(t, "stop")
}

// squares is 20 ms of a square wave of 4000 Hz divided by half.
func squares(half int) *audio.Frame {
	period := append(slices.Repeat([]int16{8000}, half), slices.Repeat([]int16{-8000}, half)...)
	return &audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: slices.Repeat(period, 160/len(period))}
}

// seesLines returns the lines of the page with their directions, as seen by it.
func (p *page) seesLines(t *testing.T) map[string]string {
	t.Helper()
	var all []struct{ Mid, Current string }
	if text := p.do(t, "lines"); json.Unmarshal([]byte(text), &all) != nil {
		t.Fatalf("lines %s", text)
	}
	lines := map[string]string{}
	for _, l := range all {
		if l.Current != "stopped" {
			lines[l.Mid] = l.Current
		}
	}
	return lines
}

// serverChanges has the server add lines of both kinds, remove them, add others in
// their place, and turn the page's own, while that goes on.
func serverChanges(t *testing.T, p *page, e *peer.Endpoint) {
	p.do(t, "start")
	p.do(t, "tone", 440)
	p.do(t, "camera", "camera", 1, options{})
	far := p.call(t, e, nil)
	tone, camera := far.Audio(), far.Video()
	echoed := func(a *parley.Audio) { go parley.CopyAudio(t.Context(), a, a) }
	echoed(tone)
	p.do(t, "hears", tone.Mid(), 440)

	count := 0
	for i, half := range []int{8, 10} {
		for _, add := range []func() error{far.RequestAudio, far.RequestVideo} {
			if err := add(); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-far.Negotiate():
		case <-time.After(5 * time.Second):
			t.Fatal("the server is not told to offer")
		}
		offer, err := far.Offer(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := far.SetAnswer(t.Context(), p.do(t, "answer", offer, p.patience())); err != nil {
			t.Fatal(err)
		}
		if n := len(sections(offer)); i == 0 {
			count = n
		} else if n != count {
			t.Errorf("%d lines in the description, %d the first time: those that were free are not used again", n, count)
		}
		sounds, pictures := slices.Collect(far.Audios()), slices.Collect(far.Videos())
		if len(sounds) != 2 || len(pictures) != 2 {
			t.Fatalf("%d and %d lines", len(sounds), len(pictures))
		}
		added, screen := sounds[1], pictures[1]
		if d := added.Direction(); d != parley.SendOnly {
			t.Errorf("the page, which has nothing to send, makes the line %v", d)
		}
		stop := meanwhile(func(int) error { return added.WriteFrame(squares(half)) })
		p.hearsOnly(t, added.Mid(), 4000/float64(half), 440)
		p.hearsOnly(t, tone.Mid(), 440, 4000/float64(half))
		done := make(chan struct{})
		go func() {
			defer close(done)
			var f video.Frame
			for camera.ReadFrame(&f) == nil && screen.WriteFrame(&f) == nil {
			}
		}()
		camera.RequestKeyframe()
		p.shows(t, screen.Mid(), 1)

		for _, l := range []parley.Line{added, screen} {
			if err := far.Remove(l); err != nil {
				t.Fatal(err)
			}
		}
		stop()
		<-done
		p.reanswer(t, far, nil)
		if lines := p.seesLines(t); len(lines) != 2 || lines[tone.Mid()] != "sendrecv" || lines[camera.Mid()] != "sendrecv" {
			t.Errorf("the page has lines %v", lines)
		}
		if len(far.Negotiate()) > 0 {
			t.Error("an offer is asked for that has nothing to say")
		}
	}

	var before, after parley.AudioStats
	for _, tt := range []struct {
		way  parley.Direction
		page string
	}{{parley.SendOnly, "recvonly"}, {parley.RecvOnly, "sendonly"}, {parley.Inactive, "inactive"}, {parley.SendRecv, "sendrecv"}} {
		if err := far.SetDirection(tone, tt.way); err != nil {
			t.Fatal(err)
		}
		p.reanswer(t, far, nil)
		if got := p.do(t, "turned", tone.Mid()); got != tt.page || tone.Direction() != tt.way {
			t.Errorf("%v: the page has %s, this end %v", tt.way, got, tone.Direction())
		}
		p.do(t, "sleep", 100) // for what is on its way
		tone.Stats(&before)
		p.do(t, "sleep", 300)
		tone.Stats(&after)
		if got := after.Received > before.Received; got != tt.way.Receives() {
			t.Errorf("%v: %d packets received", tt.way, after.Received-before.Received)
		}
		if sent := after.PacketsSent > before.PacketsSent; sent != (tt.way == parley.SendRecv) { // what is sent is an echo
			t.Errorf("%v: %d packets sent", tt.way, after.PacketsSent-before.PacketsSent)
		}
	}
	p.do(t, "hears", tone.Mid(), 440)

	// And the page may take the places that the server has left.
	p.do(t, "tone", 880)
	p.reoffer(t, far)
	if n := len(sections(far.Connection().LocalDescription().SDP)); n > count {
		t.Errorf("%d lines in the description, %d before", n, count)
	}
	lines := slices.Collect(far.Audios())
	if len(lines) != 2 {
		t.Fatalf("lines %v", audioMids(far))
	}

	// The first line is the one that the others depend on.
	if err := far.Remove(tone); err != nil {
		t.Fatal(err)
	}
	p.reanswer(t, far, nil)
	if got := p.do(t, "turned", tone.Mid()); got != "inactive" || far.Audio() != lines[1] {
		t.Errorf("the page has the line that was removed %s, this end lines %v", got, audioMids(far))
	}
	echoed(lines[1])
	p.do(t, "hears", lines[1].Mid(), 880)
	p.do(t, "stop")
}
