//go:build interop

package page_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
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
	denied := func(name string) string {
		return "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('as the test wants', '" + name + "'); }"
	}
	for _, test := range []struct {
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
		{"not allowed", denied("NotAllowedError"), http.NotFound, "The microphone was not allowed", "as the test wants"},
		{"no microphone", denied("NotFoundError"), http.NotFound, "No microphone was found", "as the test wants"},
		{"busy", denied("NotReadableError"), http.NotFound, "The microphone does not answer", "as the test wants"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tab := browser.Open(t, serve(t, "127.0.0.1", test.offer), browser.View{})
			tab.Wait(`#codec option[value="audio/opus"]`, within)
			if test.prepare != "" {
				tab.Eval(test.prepare)
			}
			tab.Click("#start")
			tab.Wait(`body[data-phase="failed"]`, within)
			if got := tab.Text("#error-title"); got != test.title {
				t.Errorf("title %q, want %q", got, test.title)
			}
			if got := tab.Text("#error-detail"); !strings.Contains(got, test.detail) {
				t.Errorf("detail %q, want %q in it", got, test.detail)
			}
			if got := tab.Text("#start"); got != "Start again" {
				t.Errorf("the button says %q", got)
			}
			tab.Screenshot("error")
		})
	}
}

// A page that does not come from https or localhost gets no microphone, and says
// so instead of failing; the chime works.
func TestInsecureAddress(t *testing.T) {
	tab := browser.Open(t, serve(t, outward(t), refuse(http.StatusServiceUnavailable, "{}")), browser.View{})
	tab.Wait(`#codec option[value="audio/opus"]`, within)
	if got := tab.Eval("document.querySelector('#source').value"); got != "tone" {
		t.Errorf("chosen to send: %q, want the chime", got)
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
	tab.Wait(`#codec option[value="audio/opus"]`, within)
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
