//go:build interop

package page_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/server"
)

// changing takes over the changes of calls: ask says what becomes of the next ones. The
// tracks that devices gave are in opened.
const changing = `(() => {
	delete AbortSignal.any; // as in browsers of 2023
	window.opened = [];
	window.changes = 0;
	for (const open of ['getUserMedia', 'getDisplayMedia']) {
		const given = navigator.mediaDevices[open].bind(navigator.mediaDevices);
		navigator.mediaDevices[open] = async (wanted) => {
			const stream = await given(wanted);
			opened.push(...stream.getTracks());
			return stream;
		};
	}
	const real = fetch;
	window.ask = real;
	window.hold = () => {
		const held = new Promise((open) => { window.release = () => { window.ask = real; open(); }; });
		window.ask = async (...args) => { await held; return real(...args); };
	};
	window.fail = () => {
		window.ask = async () => { window.ask = real; return new Response('{"error":"as the test wants"}', { status: 503 }); };
	};
	window.fetch = (url, init) => {
		if (init?.method !== 'PATCH') return real(url, init);
		changes++;
		return ask(url, init);
	};
})()`

// silent enters a house with neither sound nor picture chosen.
func silent(t *testing.T) *visit {
	t.Helper()
	v := enter(t, newHouse(t, "").url, browser.View{})
	v.set("source", "none")
	v.set("camera", "none")
	return v
}

// What was to be heard or seen when the call ended is let go of.
func TestEndOfTheCallInAChange(t *testing.T) {
	v := silent(t)
	v.Eval(changing)
	for n, change := range []func(){
		func() { v.push("#video") },
		func() { v.push("#screen") },
		func() { v.set("source", "") },
	} {
		v.call()
		v.Eval(`(() => { changes = 0; opened.length = 0; hold(); })()`)
		change()
		v.until("a change", `changes === 1 && opened.length === 1`)
		v.hangUp()
		v.Eval(`new Promise((done) => { release(); setTimeout(done, 300); })`)
		if got := v.Eval(`[opened[0].readyState, document.querySelectorAll('#screens .own').length, document.querySelector('#screen').ariaPressed].join()`); got != "ended,0,false" {
			t.Errorf("change %d: the track, tiles, the button: %s", n, got)
		}
		if got := v.Text("#log"); !strings.HasSuffix(strings.TrimSpace(got), "The call is over.") {
			t.Errorf("change %d: the page says %s", n, got)
		}
		v.set("camera", "none")
	}
}

// Who presses Cancel while the server answers leaves no call there.
func TestCancelWhileTheServerAnswers(t *testing.T) {
	v := silent(t)
	v.Eval(`(() => {
		const real = fetch;
		const held = new Promise((open) => { window.release = open; });
		window.asked = [];
		window.fetch = async (url, init) => {
			asked.push(init?.method);
			if (init?.method !== 'POST') return real(url, init);
			await held;
			return real(url, init);
		};
	})()`)
	v.push("#start")
	v.until("an offer", `asked.includes('POST')`)
	v.push("#start")
	v.Wait(`body[data-phase="idle"]`, within)
	v.Eval(`release()`)
	v.until("a goodbye", `asked.includes('DELETE')`)
}

// A camera that is in use makes larger pictures too.
func TestSizeInTheCall(t *testing.T) {
	v := silent(t)
	v.set("camera", "")
	v.call()
	for _, width := range []string{"320", "1280", "640"} {
		size := map[string]string{"320": "320x240", "640": "640x480", "1280": "1280x720"}[width]
		v.set("size", size)
		v.until(size, `document.querySelector('#screens .own video').videoWidth === `+width)
	}
	v.hangUp()
}

// A change that the server refuses leaves all as it was, and can be made again.
func TestChangeThatIsRefused(t *testing.T) {
	v := silent(t)
	v.Eval(changing)
	v.call()
	v.set("camera", "test")
	v.until("a picture that comes back", `document.body.dataset.videos === '1'`)
	for _, test := range []struct{ button, tiles, videos string }{{"Stop video", "1", "1"}, {"Start video", "0", "0"}} {
		v.Eval("fail()")
		v.push("#video")
		v.until("a refusal", `!document.querySelector('#error').hidden`)
		v.until("all as it was", `document.body.dataset.signaling === 'stable' && document.querySelector('#video').textContent === '`+test.button+`' &&
			document.querySelectorAll('#screens .own').length === `+test.tiles+` && document.body.dataset.videos === '`+test.videos+`'`)
		v.Eval(`changes = 0`)
		v.push("#video")
		v.until("the change", `changes === 1 && document.body.dataset.videos !== '`+test.videos+`' && document.querySelector('#error').hidden`)
	}
	v.hangUp()
}

// The buttons for digits are there while there is sound to send.
func TestDigitsComeAndGoWithTheSound(t *testing.T) {
	v := silent(t)
	v.call()
	for _, change := range []struct{ source, hidden string }{{"tone", "false"}, {"none", "true"}, {"tone", "false"}} {
		v.set("source", change.source)
		v.until("buttons hidden: "+change.hidden, `String(document.querySelector('#digits').hidden) === '`+change.hidden+`' && document.body.dataset.signaling === 'stable'`)
	}
	v.push(`#digits [value="5"]`)
	v.until("a digit", `document.querySelector('#log').innerText.includes('Digit 5 sent')`)
	v.hangUp()
}

// A screen that is taken away while the server is told of it is not shared.
func TestScreenThatEndsInAChange(t *testing.T) {
	v := silent(t)
	v.Eval(changing)
	v.call()
	v.Eval("hold()")
	v.push("#screen")
	v.until("a change", `changes === 1`)
	v.Eval(`(() => { opened[0].stop(); release(); })()`)
	v.until("no screen", `changes === 2 && document.body.dataset.signaling === 'stable' && document.querySelector('#screen').ariaPressed === 'false' &&
		document.querySelectorAll('#screens .own').length === 0`)
	v.hangUp()
}

// When the path is interrupted the page asks the server for another one, again if that
// fails, and not more often for what else changes meanwhile. If the server knows nothing
// of the call any more it is over.
func TestPathThatIsInterrupted(t *testing.T) {
	v := silent(t)
	v.Eval(changing)
	v.Eval(`(() => {
		const real = RTCPeerConnection;
		window.RTCPeerConnection = class extends real { constructor(...args) { super(...args); window.pc = this; } };
		const later = setTimeout;
		window.setTimeout = (f, ms) => later(f, ms === 2500 ? 100 : ms);
	})()`)
	v.call()
	v.Eval(`(() => {
		window.ask = async () => (changes < 3 ? new Response('{}', { status: 503 }) : new Response('{}', { status: 404 }));
		Object.defineProperty(pc, 'connectionState', { get: () => 'disconnected' });
		for (const type of ['iceconnectionstatechange', 'connectionstatechange']) pc.dispatchEvent(new Event(type));
	})()`)
	v.Wait(`body[data-phase="failed"]`, within)
	if got := v.Eval(`new Promise((done) => { setTimeout(() => done(changes), 500); })`); got != "3" {
		t.Errorf("the server was asked %s times, want 3", got)
	}
	if got := v.Text("#error-title"); got != "The connection was lost" {
		t.Errorf("the page says %q", got)
	}
}

// After a change of networks requests may go over connections of the old one, where nothing
// comes back, for longer than the server waits. A new connection is asked as well.
func TestConnectionsOfTheOldNetwork(t *testing.T) {
	v := silent(t)
	v.Eval(changing)
	v.Eval(`(() => {
		const real = RTCPeerConnection;
		window.RTCPeerConnection = class extends real { constructor(...args) { super(...args); window.pc = this; } };
		const later = setTimeout;
		window.setTimeout = (f, ms) => later(f, ms === 2500 || ms === 700 ? 50 : ms);
	})()`)
	v.call()
	v.Eval(`(() => {
		window.ask = () => new Promise(() => {});
		window.before = pc.remoteDescription.sdp;
		Object.defineProperty(pc, 'connectionState', { get: () => 'disconnected' });
		pc.dispatchEvent(new Event('connectionstatechange'));
	})()`)
	v.until("another path", `changes === 1 && pc.signalingState === 'stable' && pc.remoteDescription.sdp !== before`)
	v.hangUp()
}

// A server that has given up a call whose path is interrupted has lost it, also if it
// does not say so any more.
func TestCallThatIsGoneAfterAnInterruption(t *testing.T) {
	v := silent(t)
	v.Eval(`(() => {
		window.WebSocket = function none() { throw new Error('as the test wants'); };
		const peer = RTCPeerConnection;
		window.RTCPeerConnection = class extends peer { constructor(...args) { super(...args); window.pc = this; } };
		const gone = new Promise((resolve) => { window.end = () => resolve(new Response('{}', { status: 404 })); });
		const real = fetch;
		window.fetch = (url, init) => (init?.method === 'GET' && String(url).endsWith('/offer') ? gone : real(url, init));
	})()`)
	v.call()
	v.Eval(`(() => {
		Object.defineProperty(pc, 'connectionState', { get: () => 'disconnected' });
		pc.dispatchEvent(new Event('connectionstatechange'));
		end();
	})()`)
	v.Wait(`body[data-phase="failed"]`, within)
	if got := v.Text("#error"); !strings.Contains(got, "The connection was lost") {
		t.Errorf("the page says %q", got)
	}
}

// The recording of a call is not shown in the next one.
func TestRecordingOfTheCallBefore(t *testing.T) {
	h := newHouse(t, "")
	v := enter(t, h.url, browser.View{})
	v.Eval(`(() => {
		const real = fetch;
		const held = new Promise((open) => { window.release = open; });
		window.fetch = (url, init) => (init?.method === 'HEAD' ? held.then(() => new Response()) : real(url, init));
	})()`)
	v.set("app", "record")
	v.set("source", "tone")
	v.set("camera", "none")
	v.call()
	v.hangUp()
	v.call()
	if got := v.Eval(`new Promise((done) => { release(); setTimeout(() => done(document.querySelector('#recording').hidden), 300); })`); got != "true" {
		t.Error("the recording of the call before is shown")
	}
	v.Eval(`window.fetch = async () => new Response('', { status: 404 })`)
	v.hangUp()
}

// An offer of the server that is of no use, and comes again and again, is asked for with
// pauses.
func TestUselessOfferThatIsPolled(t *testing.T) {
	v := silent(t)
	v.Eval(`(() => {
		window.WebSocket = function none() { throw new Error('as the test wants'); };
		window.polls = 0;
		const real = fetch;
		window.fetch = async (url, init) => {
			if (init?.method !== 'GET' || !String(url).endsWith('/offer')) return real(url, init);
			polls++;
			return new Response('{"type":"offer","sdp":"nonsense"}');
		};
	})()`)
	v.call()
	v.until("an offer", `document.querySelector('#log').innerText.includes('was of no use')`)
	if got := v.Eval(`new Promise((done) => { setTimeout(() => done(polls), 1000); })`); got != "1" {
		t.Errorf("%s polls in a second", got)
	}
	v.hangUp()
}

// served opens the page of a server whose only application is h.
func served(t *testing.T, h parley.HandlerFunc, d parley.Deadlines) *visit {
	t.Helper()
	s, err := server.New(&server.Config{Deadlines: d, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	s.Handle("/offer", h)
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		web.Close()
		if err := s.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return enter(t, web.URL, browser.View{})
}

// The page tells why the server has ended a call, and what it says of a message.
func TestWordsOfTheServer(t *testing.T) {
	fail := make(chan struct{})
	v := served(t, func(context.Context, *parley.Call) error {
		<-fail
		return errors.New("as the test wants")
	}, parley.Deadlines{})
	v.Eval(`(() => {
		const real = WebSocket;
		window.WebSocket = class extends real { constructor(url) { super(url); window.socket = this; } };
	})()`)
	v.set("source", "none")
	v.set("camera", "none")
	v.call()
	v.until("a socket", `socket.readyState === 1`)
	v.Eval(`socket.dispatchEvent(new MessageEvent('message', { data: '{"type":"error","status":400,"error":"no such line"}' }))`)
	v.until("a word on a message", `document.querySelector('#log').innerText.includes('The server says: no such line.')`)
	close(fail)
	v.Wait(`body[data-phase="failed"]`, within)
	if got := v.Text("#error"); !strings.Contains(got, "The server ended the call") || !strings.Contains(got, "The application failed.") {
		t.Errorf("the page says %q", got)
	}
}

// A call that the server ends before it connects is over at once, and is not said to be
// the fault of a firewall.
func TestCallThatEndsBeforeItConnects(t *testing.T) {
	v := served(t, func(context.Context, *parley.Call) error { return errors.New("as the test wants") }, parley.Deadlines{})
	v.set("source", "none")
	v.set("camera", "none")
	v.push("#start")
	v.Wait(`body[data-phase="failed"]`, within)
	if got := v.Text("#error"); !strings.Contains(got, "The server ended the call") {
		t.Errorf("the page says %q", got)
	}
}

// A call for which no path is found is the fault of a firewall mostly, also if the server
// gives up first; one from a browser without an address is not made.
func TestCallWithoutAPath(t *testing.T) {
	v := served(t, func(_ context.Context, c *parley.Call) error {
		<-c.Done()
		return nil
	}, parley.Deadlines{Connect: 300 * time.Millisecond})
	v.Eval(`(() => {
		const real = RTCPeerConnection;
		window.more = '';
		window.RTCPeerConnection = class extends real {
			constructor(config) { super({ ...config, iceTransportPolicy: 'relay' }); } // which gathers nothing
			get localDescription() {
				const { type, sdp } = super.localDescription;
				return { type, sdp: sdp + more };
			}
		};
	})()`)
	v.set("source", "none")
	v.set("camera", "none")
	v.push("#start")
	v.Wait(`body[data-phase="failed"]`, within)
	if got := v.Text("#error"); !strings.Contains(got, "has no address for a call") {
		t.Errorf("without an address, the page says %q", got)
	}
	v.Eval(`more = 'a=candidate:1 1 tcp 1 127.0.0.1 9 typ host tcptype active\r\n'`)
	v.push("#start")
	v.Wait(`body[data-phase="failed"]`, within)
	if got := v.Text("#error"); !strings.Contains(got, "has no address for a call") {
		t.Errorf("with an address for TCP only, the page says %q", got)
	}
	v.Eval(`more = 'a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n'`)
	v.push("#start")
	v.until("the end", `document.body.dataset.phase === 'failed' && document.querySelector('#error').innerText.includes('path')`)
	if got := v.Text("#error"); !strings.Contains(got, "a firewall between you and the server may block") {
		t.Errorf("without a path, the page says %q", got)
	}
}

// A browser that has changed networks says so later than the server waits for it, so that
// the page looks for another path by itself when nothing comes any more.
func TestQuietPath(t *testing.T) {
	v := silent(t)
	v.Eval(changing)
	v.call()
	v.Eval(`(async () => {
		const { prototype } = RTCPeerConnection;
		const real = prototype.getStats;
		let last;
		window.heard = () => { prototype.getStats = real; };
		prototype.getStats = function () { return last ??= real.call(this); };
	})()`)
	v.until("another path", `changes === 1`)
	v.Eval(`heard()`)
	v.until("no trouble", `document.body.dataset.connection === 'connected' && document.body.dataset.signaling === 'stable' && document.querySelector('#log').innerText.trim().endsWith('Looking for another path to the server.')`)
	v.hangUp()
}
