//go:build interop

package page_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/data"
	"github.com/parley-media/parley/apps/echo"
	"github.com/parley-media/parley/apps/parrot"
	"github.com/parley-media/parley/apps/play"
	"github.com/parley-media/parley/apps/record"
	"github.com/parley-media/parley/apps/relay"
	"github.com/parley-media/parley/apps/room"
	"github.com/parley-media/parley/apps/transform"
	"github.com/parley-media/parley/codec/opus/libopus"
	"github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/internal/speech"
	"github.com/parley-media/parley/server"
	"github.com/parley-media/parley/server/page"
	"github.com/parley-media/parley/video/vpx"
)

// described is what the page may be told of an application.
type described struct {
	server.App
	Lines      int      `json:"lines,omitempty"`
	OneWay     bool     `json:"oneway,omitempty"`
	Options    []option `json:"options,omitempty"`
	Messages   []string `json:"messages,omitempty"`
	Recordings string   `json:"recordings,omitempty"`
}

type option struct {
	Name   string   `json:"name"`
	Label  string   `json:"label"`
	Values []string `json:"values,omitempty"`
}

// all lists the applications of house.
func all() []described {
	av, everything := []string{"audio", "video"}, []string{"audio", "video", "data"}
	return []described{
		{App: server.App{Path: "offer", Name: "Echo", About: "You hear and see yourself.", Media: everything}},
		{
			App:     server.App{Path: "transform", Name: "Transform", About: "You see yourself in another way.", Media: av},
			Options: []option{{"effect", "Effect", []string{"edges", "cartoon", "rotate"}}},
		},
		{App: server.App{Path: "record", Name: "Record", About: "What you say and show is recorded.", Media: av}, Recordings: "recordings/"},
		{
			App:      server.App{Path: "play", Name: "Play", About: "You hear and see a recording.", Media: everything},
			OneWay:   true,
			Messages: []string{"pause", "play", "seek 0"},
		},
		{
			App: server.App{Path: "room", Name: "Room", About: "All who are here hear and see each other.", Media: av}, Lines: 4,
			Options: []option{{Name: "name", Label: "Name of the room"}},
		},
		{App: server.App{Path: "relay", Name: "Relay", About: "The first one is heard and seen by all others.", Media: av}},
		{App: server.App{Path: "parrot", Name: "Parrot", About: "It says what you said when you pause.", Media: []string{"audio"}}},
		{App: server.App{Path: "data", Name: "Data", About: "Messages and files come back.", Media: []string{"data"}}},
	}
}

// A house has every application.
type house struct {
	url    string
	folder string                 // of the recordings
	driven chan map[string]string // the attributes of the body that a driven page has

	mu       sync.Mutex
	complete map[string]string // the file of a recording, by its name
}

// newHouse opens one. With a token, it lets in only those who show it.
func newHouse(t *testing.T, token string) *house {
	t.Helper()
	for name, err := range map[string]error{"libopus0": libopus.Available(), "libvpx7": vpx.Available()} {
		if err != nil {
			t.Fatalf("%v (Debian package %s)", err, name)
		}
	}
	h := &house{folder: t.TempDir(), driven: make(chan map[string]string, 1), complete: map[string]string{}}
	s, err := server.New(&server.Config{
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Authorize: func(r *http.Request) error {
			if server.BearerToken(r) != token {
				return errors.New("not the right token")
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := func(path string, choose func(o *server.Offer) parley.Handler) {
		s.HandleOffer(path, func(o *server.Offer) (parley.Handler, error) { return choose(o), nil })
	}
	var rooms room.Handler
	s.Handle("/offer", data.Handler{Media: echo.Handler{}})
	text("/transform", func(o *server.Offer) parley.Handler { return transform.Handler{Effect: o.Text("effect")} })
	text("/record", func(o *server.Offer) parley.Handler { return h.recorder(o.Text("recording")) })
	text("/room", func(o *server.Offer) parley.Handler { return rooms.Room(o.Text("name")) })
	s.HandleOffer("/play", func(*server.Offer) (parley.Handler, error) {
		files, err := filepath.Glob(filepath.Join(h.folder, "*"))
		if err != nil || len(files) == 0 {
			return nil, fmt.Errorf("nothing was recorded: %w", fs.ErrNotExist)
		}
		return play.Handler{File: files[0], Loop: true}, nil
	})
	s.Handle("/relay", new(relay.Handler))
	s.Handle("/parrot", parrot.Handler{})
	s.Handle("/data", data.Handler{})

	mux := http.NewServeMux()
	mux.Handle("GET /apps", s.Authorized(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(all()) //nolint:errcheck // then the page has one application, which the tests notice
	})))
	mux.HandleFunc("GET /recordings/{name}", h.recording)
	mux.HandleFunc("GET /drive.js", drive)
	mux.HandleFunc("GET /driven.html", driven)
	mux.HandleFunc("POST /result", func(_ http.ResponseWriter, r *http.Request) {
		var seen map[string]string
		if err := json.NewDecoder(r.Body).Decode(&seen); err != nil {
			t.Error(err)
		}
		h.driven <- seen
	})
	mux.Handle("/", s)
	web := httptest.NewServer(mux)
	h.url = web.URL
	t.Cleanup(func() {
		web.Close()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), within)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *house) recorder(name string) parley.Handler {
	return record.Handler{
		Folder: h.folder,
		Name:   func(*parley.Call) string { return name },
		Done: func(r record.Recording) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.complete[name] = r.File
		},
	}
}

func (h *house) recording(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	file := h.complete[r.PathValue("name")]
	h.mu.Unlock()
	if file == "" {
		http.NotFound(w, r)
		return
	}
	http.ServeFile(w, r, file)
}

// A visit is a tab with the page, and words for what people do with it.
type visit struct {
	*browser.Tab
	t *testing.T
}

func enter(t *testing.T, url string, v browser.View) *visit {
	t.Helper()
	tab := &visit{browser.Open(t, url, v), t}
	tab.Wait("body[data-ready]", within)
	return tab
}

// set chooses in a list, or writes into a field.
func (v *visit) set(id, value string) {
	v.t.Helper()
	v.Eval(fmt.Sprintf(`(() => {
		const e = document.getElementById(%q);
		e.value = %q;
		if (e.value !== %[2]q) throw new Error('there is no such choice');
		e.dispatchEvent(new Event('change'));
	})()`, id, value))
}

// push presses a button with the keyboard, once it can be.
func (v *visit) push(selector string) {
	v.t.Helper()
	v.until(selector, fmt.Sprintf(`(() => {
		const e = document.querySelector(%q);
		e.focus();
		return document.activeElement === e;
	})()`, selector))
	v.Press("\r")
}

// until waits for a condition in JavaScript.
func (v *visit) until(what, condition string) {
	v.t.Helper()
	for range 3 {
		if v.Eval(`new Promise((done) => {
			const end = performance.now() + 10000;
			const look = () => {
				let good = false;
				try { good = `+condition+`; } catch { /* not yet */ }
				if (good || performance.now() > end) done(good);
				else setTimeout(look, 50);
			};
			look();
		})`) == "true" {
			return
		}
	}
	v.Screenshot("late")
	v.t.Fatalf("not in time: %s. The page says:\n%s", what, v.Eval("document.querySelector('#log').innerText + document.querySelector('#error').innerText"))
}

// call starts the application that is chosen, with small pictures, which cost less.
func (v *visit) call() {
	v.t.Helper()
	v.set("size", "320x240")
	v.push("#start")
	v.Wait(`body[data-phase="connected"]`, within)
}

func (v *visit) hangUp() {
	v.t.Helper()
	v.push("#start")
	v.Wait(`body[data-phase="ended"]`, within)
	if v.Eval("document.querySelector('#error').hidden") != "true" {
		v.t.Errorf("the page says %q", v.Text("#error"))
	}
}

// photograph takes a picture of the page once its charts have something to show.
func (v *visit) photograph(name string) {
	v.t.Helper()
	v.t.Logf("screenshot: %s", v.Screenshot(name))
}

// What the meters show for the sound of both ends.
const (
	sent  = `Number(document.querySelector('#out-meter').ariaValueNow) > -30`
	heard = `Number(document.querySelector('#back-meter').ariaValueNow) > -50`
)

// guests are further callers in the same browser, who send the test picture and
// the chime by the scripts of the page.
const guests = `(async (path, options, count) => {
	const [{ Call }, { openPicture }, { openSound }] = await Promise.all(['call', 'picture', 'source'].map((m) => import(new URL(m + '.js', document.baseURI))));
	window.ufrags = new Set();
	window.guests = await Promise.all(Array.from({ length: count }, async () => {
		const call = new Call({
			audio: { track: await openSound('tone', false, window.stage ??= new AudioContext()) },
			video: { track: await openPicture('test', '320x240'), lines: 1 },
		}, []);
		call.addEventListener('description', ({ detail }) => ufrags.add(detail.sdp.match(/ice-ufrag:(.*)/)[1]));
		const connected = new Promise((done) => call.addEventListener('state', () => { if (call.states().connection === 'connected') done(); }));
		call.start(path, options);
		await connected;
		return call;
	}));
})`

// speaker is a microphone into which somebody says a sentence again and again.
const speaker = `navigator.mediaDevices.getUserMedia = async () => {
	const context = new AudioContext();
	const pcm = new Int16Array(Uint8Array.from(atob(%q), (c) => c.charCodeAt(0)).buffer);
	const buffer = new AudioBuffer({ length: 2.5 * pcm.length, sampleRate: 16000, numberOfChannels: 1 });
	buffer.getChannelData(0).set(Float32Array.from(pcm, (x) => x / 32768));
	const out = context.createMediaStreamDestination();
	const voice = new AudioBufferSourceNode(context, { buffer, loop: true });
	voice.connect(out);
	voice.start();
	return out.stream;
}`

// sentence returns two seconds of speech at 16 kHz.
func sentence() string {
	var pcm []byte
	for _, sample := range speech.PCM()[:2*speech.Rate] {
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(sample))
	}
	return base64.StdEncoding.EncodeToString(pcm)
}

// sendFile is what the page does when a person chooses a file.
const sendFile = `(() => {
	const files = new DataTransfer();
	files.items.add(new File([crypto.getRandomValues(new Uint8Array(60000)), new Uint8Array(140001)], 'noise.bin'));
	document.querySelector('#file').files = files.files;
	document.querySelector('#file').dispatchEvent(new Event('change'));
})()`

// Each application is chosen, used and left again on one page.
func TestEveryApplication(t *testing.T) {
	h := newHouse(t, "")
	v := enter(t, h.url+"/#transform", browser.View{})
	if got := v.Eval("document.body.dataset.app"); got != "transform" {
		t.Errorf("the address names %q", got)
	}

	v.set("app", "offer")
	v.call()
	v.until("a picture that comes back", `document.body.dataset.videos === '1'`)
	v.until("sound that comes back", heard)
	v.until("the codecs", `document.body.dataset.codec === 'audio/opus' && /^video/.test(document.body.dataset.videoCodec)`)
	v.push("#ping")
	v.until("a pong", `Number(document.body.dataset.pong) > 0`)
	v.Eval(`document.querySelector('#message').value = 'Good morning'`)
	v.push("#say button")
	v.until("the message, sent and received", `document.querySelectorAll('#messages li').length === 2`)
	v.Eval(sendFile)
	v.until("the file", `document.querySelector('#files [data-verdict="same"] a').download === 'noise.bin'`)
	v.push(`#digits [value="5"]`)
	v.until("a digit", `document.querySelector('#log').innerText.includes('Digit 5 sent')`)
	v.push("#mute-out")
	v.photograph("echo")
	v.push("#mute-out")
	v.push("#video")
	v.until("an end of the picture", `document.body.dataset.videos === '0' && document.body.dataset.signaling === 'stable'`)
	v.push("#video")
	v.until("another picture", `document.body.dataset.videos === '1'`)
	v.hangUp()

	v.set("camera", "test")
	v.set("video-codec", "video/VP8")
	v.set("app", "transform")
	v.set("option-effect", "edges")
	v.call()
	v.until("outlines", `document.body.dataset.videos === '1' && document.body.dataset.videoCodec === 'video/VP8'`)
	v.photograph("transform")
	v.hangUp()

	v.set("source", "tone")
	v.set("app", "record")
	v.call()
	v.until("the chime", sent)
	v.until("two seconds of a call", `document.querySelector('#clock').textContent >= '0:02'`)
	v.photograph("record")
	v.hangUp()
	v.Wait("#recording:not([hidden])", within)
	v.photograph("recorded")
	size := v.Eval(`fetch(document.querySelector('#recording').href).then(async (r) => (await r.blob()).size)`)
	if len(size) < 4 {
		t.Errorf("the recording has %s bytes", size)
	}

	v.set("app", "play")
	v.call()
	v.until("the picture that was recorded", `document.body.dataset.videos === '1'`)
	v.until("the sound that was recorded", heard)
	v.push("#phrases button")
	v.until("the answer to a command", `/^pause \d/m.test([...document.querySelectorAll('#messages li')].at(-1).lastChild.textContent.trim())`)
	v.Eval(sendFile)
	v.until("a word on the file", `document.querySelector('#files [data-verdict="failed"]').innerText.includes('takes no files')`)
	v.photograph("play")
	v.hangUp()

	v.set("app", "room")
	v.set("option-name", "kitchen")
	v.Eval(guests + `('room', { name: 'kitchen' }, 2)`)
	v.call()
	v.until("both guests", `document.body.dataset.videos === '2'`)
	v.until("the sound of guests", heard)
	v.photograph("room")
	v.Eval(`guests.forEach((g) => g.stop())`)
	v.until("an empty room", `document.body.dataset.videos === '0'`)
	v.hangUp()

	v.Eval(guests + `('relay', {}, 1)`)
	if got := v.Eval(`guests[0].restart().then(() => ufrags.size)`); got != "4" {
		t.Errorf("%s names of ends in two ICE sessions", got)
	}
	v.set("camera", "none")
	v.set("app", "relay")
	v.call()
	v.until("who publishes", `document.body.dataset.videos === '1'`)
	v.until("the sound of who publishes", heard)
	v.photograph("relay")
	v.Eval(`guests.forEach((g) => g.stop())`)
	v.hangUp()

	v.set("app", "parrot")
	v.set("source", "")
	v.Eval(fmt.Sprintf(speaker, sentence()))
	v.call()
	v.until("the answer of the parrot", heard)
	v.photograph("parrot")
	v.hangUp()

	v.set("app", "data")
	v.call()
	v.push("#ping")
	v.until("a pong without media", `Number(document.body.dataset.pong) > 0`)
	v.photograph("data")
	v.hangUp()
}

// noCamera has only microphones.
const noCamera = `(() => {
	const every = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
	navigator.mediaDevices.getUserMedia = async (wanted) => {
		if (wanted.video) throw new DOMException('as the test wants', 'NotFoundError');
		return every(wanted);
	};
})()`

// A server may want a token. A call without a camera goes on without one, until there
// is a picture. Screens are shared on a line of their own, in the middle of a call,
// and taken away again.
func TestTokenAndScreen(t *testing.T) {
	h := newHouse(t, "open sesame")
	v := enter(t, h.url, browser.View{Dark: true})
	refused := `!document.querySelector('#error').hidden && document.querySelector('#start').disabled`
	v.until("a question for the token", refused)
	v.set("token", "guess")
	v.until("the same question", refused)
	v.set("token", "open sesame")
	v.until("applications", `document.body.dataset.app === 'offer' && document.querySelector('#error').hidden`)
	v.Eval(noCamera)
	v.call()
	if got := v.Text("#log"); !strings.Contains(got, "No camera was found (as the test wants). The call goes on without a picture.") {
		t.Errorf("the page says %q", got)
	}
	v.set("camera", "test")
	v.until("a picture that comes back", `document.body.dataset.videos === '1'`)
	v.push("#screen")
	v.until("the screen too", `document.body.dataset.videos === '2'`)
	v.photograph("screen")
	v.push("#screen")
	v.until("an end of the screen", `document.body.dataset.videos === '1' && document.body.dataset.signaling === 'stable'`)
	v.hangUp()
}

// A call on a telephone fits on its screen, each control has a name, and the Tab
// key reaches them all.
func TestNarrowCall(t *testing.T) {
	h := newHouse(t, "")
	v := enter(t, h.url, browser.View{Width: 360, Height: 740})
	v.set("app", "offer")
	v.call()
	v.until("a picture that comes back", `document.body.dataset.videos === '1'`)
	if got := v.Eval("document.documentElement.scrollWidth"); got != "360" {
		t.Errorf("the page is %s pixels wide on a screen of 360: %s", got, v.Eval(`
			[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > 360 && !e.closest('.tablewrap, pre')).map((e) => e.id || e.className || e.tagName).join(' ')`))
	}
	controls := `[...document.querySelectorAll('button, select, input, summary, [tabindex="0"], a[href]')].filter((e) => e.checkVisibility() && !e.disabled)`
	if got := v.Eval(controls + `.filter((e) => !(e.ariaLabel || e.textContent.trim() && !e.matches('select') || e.labels?.length || e.hasAttribute('aria-labelledby'))).map((e) => e.outerHTML).join()`); got != "" {
		t.Errorf("without a name: %s", got)
	}
	v.Eval(`(() => { window.reached = new Set(); addEventListener('focusin', (e) => reached.add(e.target)); document.activeElement.blur(); })()`)
	for range 60 {
		v.Press("\t")
	}
	if got := v.Eval(controls + `.filter((e) => !reached.has(e)).map((e) => e.outerHTML.slice(0, 80)).join()`); got != "" {
		t.Errorf("not reached by the Tab key: %s", got)
	}
	v.photograph("narrow call")
	v.hangUp()
}

// driven is the page with a script that does what a person would.
func driven(w http.ResponseWriter, _ *http.Request) {
	html, err := fs.ReadFile(page.Files(), "index.html")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprint(w, strings.Replace(string(html), "</head>", `<script type="module" src="drive.js"></script></head>`, 1))
}

func drive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/javascript")
	fmt.Fprint(w, `
		const { dataset } = document.body;
		const until = async (condition) => {
			for (const end = performance.now() + 30000; !condition() && performance.now() < end;) await new Promise((done) => setTimeout(done, 50));
		};
		await until(() => 'ready' in dataset);
		document.querySelector('#camera').value = 'test';
		document.querySelector('#size').value = '320x240';
		document.querySelector('#start').click();
		await until(() => dataset.videos === '1' && dataset.codec && dataset.videoCodec);
		document.querySelector('#ping').click();
		await until(() => dataset.pong);
		await fetch('result', { method: 'POST', body: JSON.stringify({ ...dataset, log: document.querySelector('#log').innerText }) });`)
}

// Firefox hears and sees itself too.
func TestFirefox(t *testing.T) {
	h := newHouse(t, "")
	browser.Firefox(t, h.url+"/driven.html")
	select {
	case seen := <-h.driven:
		if seen["phase"] != "connected" || seen["videos"] != "1" || seen["codec"] != "audio/opus" || !strings.HasPrefix(seen["videoCodec"], "video/") || seen["pong"] == "" {
			t.Errorf("%v", seen)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("nothing from the page")
	}
}
