//go:build interop

package page_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/server/page"
)

const within = 20 * time.Second

// serve has the page and an offer handler at an address of this machine.
func serve(t *testing.T, host string, offer http.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(page.Files()))
	mux.HandleFunc("POST /offer", offer)
	server := httptest.NewUnstartedServer(mux)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

func refuse(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func TestErrorsInWords(t *testing.T) {
	const giveToken = `document.querySelector('#token').checkVisibility() && (() => {
		document.querySelector('#token').value = ' secret ';
		document.querySelector('#token').dispatchEvent(new Event('change'));
	})()`
	denied := func(name string) string {
		return "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('as the test wants', '" + name + "'); }"
	}
	tests := []struct {
		name, prepare string
		offer         http.HandlerFunc
		title, detail string
	}{
		{"full", "", refuse(http.StatusServiceUnavailable, `{"error":"All 20 lines are busy."}`), "The server takes no more calls now", "All 20 lines are busy."},
		{"refused", "", refuse(http.StatusBadRequest, `{"error":"No codec in common."}`), "The server refused the call", "No codec in common."},
		{"broken", "", refuse(http.StatusInternalServerError, "panic"), "The server failed", "HTTP 500"},
		{"absent", "", http.NotFound, "There is no call service here", "HTTP 404"},
		{"not JSON", "", refuse(http.StatusOK, "<html>"), "The browser could not use the server’s answer", ""},
		{"bad SDP", "", refuse(http.StatusOK, `{"type":"answer","sdp":"v=1"}`), "The browser could not use the server’s answer", ""},
		{"cut", "", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "The server cannot be reached", ""},
		{"forbidden", "", refuse(http.StatusForbidden, `{"error":"Not for you."}`), "The server does not let you in", "Not for you."},
		{"no token", "", refuse(http.StatusUnauthorized, `{"error":"The token is missing."}`), "The server does not let you in", "The token is missing."},
		{"token", giveToken, func(w http.ResponseWriter, r *http.Request) {
			refuse(http.StatusBadRequest, `{"error":"`+r.Header.Get("Authorization")+`"}`)(w, r)
		}, "The server refused the call", "Bearer secret"},
		{"not allowed", denied("NotAllowedError"), http.NotFound, "The microphone was not allowed", "as the test wants"},
		{"no microphone", denied("NotFoundError"), http.NotFound, "No microphone was found", "as the test wants"},
		{"busy", denied("NotReadableError"), http.NotFound, "The microphone does not answer", "as the test wants"},
	}
	var mu sync.Mutex
	var offer http.HandlerFunc
	tab := browser.Open(t, serve(t, "127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := offer
		mu.Unlock()
		h(w, r)
	}), browser.View{})
	tab.Wait("body[data-ready]", within)
	for _, test := range tests {
		mu.Lock()
		offer = test.offer
		mu.Unlock()
		tab.Eval("delete document.body.dataset.phase")
		if test.prepare != "" {
			tab.Eval(test.prepare)
		}
		tab.Click("#start")
		tab.Wait(`body[data-phase="failed"]`, within)
		if got := tab.Text("#error-title"); got != test.title {
			t.Errorf("%s: title %q, want %q", test.name, got, test.title)
		}
		if got := tab.Text("#error-detail"); !strings.Contains(got, test.detail) {
			t.Errorf("%s: detail %q, want %q in it", test.name, got, test.detail)
		}
		if got := tab.Text("#start"); got != "Start again" {
			t.Errorf("%s: the button says %q", test.name, got)
		}
	}
	tab.Screenshot("error")
}

// A page that does not come from https or localhost gets no microphone, and says
// so instead of failing; the chime works.
func TestInsecureAddress(t *testing.T) {
	tab := browser.Open(t, serve(t, outward(t), refuse(http.StatusServiceUnavailable, "{}")), browser.View{})
	tab.Wait("body[data-ready]", within)
	if got := tab.Eval("document.querySelector('#source').value"); got != "tone" {
		t.Errorf("chosen to send: %q, want the chime", got)
	}
	if got := tab.Eval("document.querySelector('#camera').value"); got != "test" {
		t.Errorf("chosen to show: %q, want the test picture", got)
	}
	tab.Eval("document.querySelector('#source').value = ''")
	tab.Click("#start")
	tab.Wait(`body[data-phase="failed"]`, within)
	if got := tab.Text("#error"); !strings.Contains(got, "https") {
		t.Errorf("the page says %q", got)
	}
}

func TestKeyboardAndNarrowScreen(t *testing.T) {
	waiting := make(chan struct{})
	url := serve(t, "127.0.0.1", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server would not see that the page gave up
		close(waiting)
		<-r.Context().Done()
	})
	tab := browser.Open(t, url, browser.View{Width: 360, Height: 740, Dark: true})
	tab.Wait("body[data-ready]", within)
	if got := tab.Eval("document.documentElement.scrollWidth"); got != "360" {
		t.Errorf("the page is %s pixels wide on a screen of 360", got)
	}
	tab.Press("\t")
	if got := tab.Eval("document.activeElement.id"); got != "start" {
		t.Errorf("the first stop of the Tab key is %q", got)
	}
	tab.Press("\r")
	tab.Wait(`body[data-phase="connecting"]`, within)
	<-waiting
	if got := tab.Text("#start"); got != "Cancel" {
		t.Errorf("the button says %q", got)
	}
	tab.Press("\r")
	tab.Wait(`body[data-phase="idle"]`, within)
	if got := tab.Text("#offer pre"); !strings.Contains(got, "m=audio") {
		t.Errorf("the offer is not shown: %q", got)
	}
	tab.Screenshot("narrow")
}

// outward returns an address of this machine that is not its loopback.
func outward(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && ip.IP.IsGlobalUnicast() {
			return ip.IP.String()
		}
	}
	t.Fatal("this machine has no address but its loopback")
	return ""
}
