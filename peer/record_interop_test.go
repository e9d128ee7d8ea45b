//go:build interop

package peer_test

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/parley-media/parley/codec/opus/libopus"
	"github.com/parley-media/parley/file"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/stream"
)

//go:embed testdata/record.js
var recordScript string

// openStudios opens the page of testdata/record.js.
func openStudios(t *testing.T) *page {
	t.Helper()
	p := open(t, headless.Chromium)
	text, err := json.Marshal(recordScript)
	if err != nil {
		t.Fatal(err)
	}
	p.console.Must(t, 30*time.Second, fmt.Sprintf("document.head.append(Object.assign(document.createElement('script'), { textContent: %s }))", text))
	return p
}

// A take is a call of the page that is recorded.
type take struct {
	p    *page
	name string // of the call, and of the file
	path string
	far  *peer.Peer
	rec  *file.Recorder
	end  time.Time     // when the page sent nothing any more
	sent int           // packets of audio until then, of 20 ms each
	span time.Duration // from the beginning to the end
}

// take makes a call that shows a studio, and records it to a file of that name.
func (p *page) take(t *testing.T, e *peer.Endpoint, name, studio string, o options) *take {
	t.Helper()
	k := &take{p: p, name: name, path: filepath.Join(t.ArtifactDir(), name)}
	var answer string
	k.far, answer = p.shoot(t, e, name, studio, o)
	k.rec = recorder(t, k.path)
	if _, _, err := k.rec.AddCall(k.far.Call); err != nil {
		t.Fatal(err)
	}
	p.do(t, "acceptOf", name, answer)
	return k
}

func (p *page) shoot(t *testing.T, e *peer.Endpoint, name, studio string, o options) (*peer.Peer, string) {
	t.Helper()
	// What is recorded is what was sent, not what would have been heard in time.
	far, answer, err := e.Answer(t.Context(), p.do(t, "shoot", name, studio, o), &peer.CallConfig{Playout: stream.InOrder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return far, answer
}

// recorder makes one that must not meet an error.
func recorder(t *testing.T, path string) *file.Recorder {
	t.Helper()
	r, err := file.CreateRecorder(path, file.RecorderConfig{Error: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// cut ends the call, when what the page has sent has come.
func (k *take) cut(t *testing.T) {
	t.Helper()
	end := k.p.number(t, "cut", k.name)
	k.end = time.UnixMicro(int64(end * 1000))
	k.sent = int(k.p.number(t, "sent", k.name))
	k.p.do(t, "sleep", 300)
	k.span = k.rec.Duration() - time.Since(k.end)
	if err := k.rec.Close(); err != nil {
		t.Error(err)
	}
	k.p.do(t, "leave", k.name)
	k.far.Close()
}

// at returns the time in the file of a moment of the page.
func (k *take) at(moment float64) time.Duration {
	return k.begin().Sub(time.UnixMicro(int64(moment*1000))) * -1
}

func (k *take) begin() time.Time { return k.end.Add(-k.span) }

// probe checks what must hold for every recording.
func (k *take) probe(t *testing.T, codecs ...string) *footage {
	t.Helper()
	f := probe(t, k.path, codecs...)
	for _, problem := range f.problems {
		t.Errorf("%s: %s", k.name, problem)
	}
	return f
}

// A judge collects what a busy machine may have spoilt.
type judge struct {
	*testing.T
	errs []error
}

func (j *judge) check(ok bool, format string, args ...any) {
	if !ok {
		j.errs = append(j.errs, fmt.Errorf(format, args...))
	}
}

// near checks that a time is right, within some tolerance.
func (j *judge) near(what string, got, want, within time.Duration) {
	j.check((got-want).Abs() <= within, "%s: %v, want %v within %v", what, got, want, within)
}

// lasts checks that a recording is as long as what was sent: the sound by its
// packets, and the pictures by the clock.
func (j *judge) lasts(k *take, f *footage) {
	sent := time.Duration(k.sent) * 20 * time.Millisecond
	j.check(f.length >= min(sent, k.span)-100*time.Millisecond && f.length <= max(sent, k.span)+100*time.Millisecond,
		"%s lasts %v, want %v, or %v by the clock", k.name, f.length, sent, k.span)
}

// together checks that flashes are seen when beeps are heard, at the begin and at
// the end.
func (j *judge) together(what string, f *footage, least int) {
	all := apart(f.flashes(), f.beeps(0))
	j.Logf("%s: flashes come later than beeps by %v", what, all)
	j.check(len(all) >= least, "%s: %d flashes with beeps, want %d at least", what, len(all), least)
	if n := min(4, len(all)); n > 0 {
		j.check(median(all[:n]).Abs() < 80*time.Millisecond, "%s: flashes are late by %v at the begin", what, all[:n])
		j.check(median(all[len(all)-n:]).Abs() < 80*time.Millisecond, "%s: flashes are late by %v at the end", what, all[len(all)-n:])
	}
}

// times are those of flashes that are known.
func times(all []flash) (known []time.Duration) {
	for _, f := range all {
		if f.at-f.dark < 100*time.Millisecond {
			known = append(known, f.at)
		}
	}
	return known
}

// placed checks that what is in the file at the given times are moments of the
// page, all later than there by the same, and returns how many are.
func (j *judge) placed(what string, k *take, found []time.Duration, moments []float64, within time.Duration) int {
	least, most := time.Hour, -time.Hour
	for _, at := range found {
		late := time.Hour
		for _, m := range moments {
			if d := at - k.at(m); d.Abs() < late.Abs() {
				late = d
			}
		}
		least, most = min(least, late), max(most, late)
	}
	j.Logf("%s: later than in the page by %v to %v: %v", what, least, most, found)
	j.check(len(found) > 0 && most-least <= within, "%s: later than in the page by %v to %v", what, least, most)
	j.check(least > -within && most < 2*within, "%s: later than in the page by %v to %v", what, least, most)
	return len(found)
}

func (p *page) flashes(t *testing.T, studio string) (all []float64) {
	t.Helper()
	p.into(t, &all, "flashes", studio)
	return all
}

// What pages send is recorded.
func TestRecordingsChromium(t *testing.T) {
	if folder := os.Getenv(recordInto); folder != "" {
		recordUntilKilled(t, folder)
		return
	}
	p, e := openStudios(t), listen(t, nil)
	for _, c := range []struct {
		name string
		film func(*judge, *page, *peer.Endpoint)
	}{
		{"trouble", trouble}, // which lasts longest
		{"formats", formats},
		{"growth", growth},
		{"killed", killed},
		{"sides", sides},
		{"full", full},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := &judge{T: t}
			for try := range 2 {
				j.errs = nil
				begin := p.number(t, "clock")
				c.film(j, p, e)
				if j.errs == nil {
					return
				}
				strain := p.number(t, "strained", begin)
				t.Logf("try %d, with a page that was late by %.0f ms: %v", try, strain, errors.Join(j.errs...))
				if strain > strainable {
					j.errs = nil
				}
			}
			for _, err := range j.errs {
				t.Error(err)
			}
		})
	}
}

// strainable is how late a page may be, in milliseconds, for its times to be judged:
// what it says to have shown at a time it has shown then.
const strainable = 60

// formats: recordings are whole, as long as what was sent, and have sound and
// pictures at the same time.
func formats(j *judge, p *page, e *peer.Endpoint) {
	t := j.T
	all := []struct {
		name, video string
		codecs      []string
	}{
		{"vp8.webm", "VP8", []string{"opus", "vp8"}},
		{"vp9.webm", "VP9", []string{"opus", "vp9"}},
		{"h264.mp4", "H264", []string{"h264", "opus"}},
		{"opus.ogg", "", []string{"opus"}},
		{"opus.wav", "", []string{"pcm_s16le"}},
	}
	p.do(t, "studio", "formats")
	var takes []*take
	for _, f := range all {
		takes = append(takes, p.take(t, e, f.name, "formats", options{"video": f.video}))
	}
	p.do(t, "sleep", 10000)
	for _, k := range takes {
		k.cut(t)
	}
	flashes := p.flashes(t, "formats")
	for i, k := range takes {
		f := k.probe(t, all[i].codecs...)
		sent := time.Duration(k.sent) * 20 * time.Millisecond
		t.Logf("%s: %v, %d packets of sound, by the clock %v; the last %v", k.name, f.length, k.sent, k.span, f.last)
		j.lasts(k, f)
		j.near(k.name+" by the clock", k.span, sent, 150*time.Millisecond)
		n := j.placed(k.name+", beeps", k, f.beeps(0), flashes, 150*time.Millisecond)
		j.check(n >= 9, "%s: %d beeps", k.name, n)
		if all[i].video != "" {
			j.near(k.name+", pictures last", f.last[all[i].codecs[len(all[i].codecs)-1]], f.length, 1000*time.Millisecond)
			j.together(k.name, f, 9)
		}
	}
}
