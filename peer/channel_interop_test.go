//go:build interop

package peer

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/internal/browser"
)

//go:embed testdata/channel.js
var pageScript string

// A site answers the offers of pages and of other programs with calls that have
// channels.
type site struct {
	t       *testing.T
	url     string
	calls   chan *parley.Call
	counted atomic.Int64
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, calls: make(chan *parley.Call, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<!doctype html><script src=channel.js></script><p id=ready>")
	})
	mux.HandleFunc("GET /channel.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		io.WriteString(w, pageScript)
	})
	mux.HandleFunc("POST /offer", func(w http.ResponseWriter, r *http.Request) {
		offer, err := io.ReadAll(r.Body)
		if err == nil {
			offer, err = s.answer(string(offer))
		}
		if err != nil {
			t.Error(err)
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Write(offer)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// answer makes a call from an offer.
func (s *site) answer(offer string) ([]byte, error) {
	var settings webrtc.SettingEngine
	settings.DetachDataChannels()
	settings.SetSCTPMaxMessageSize(maxMessage)
	settings.LoggerFactory = loggerFactory{slog.New(slog.DiscardHandler)}
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(&interceptor.Registry{})).
		NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	all := newChannels(pc, slog.New(slog.NewTextHandler(s.t.Output(), nil)))
	call, err := parley.New(parley.Config{Channels: all})
	if err != nil {
		return nil, err
	}
	all.attach(call)
	s.t.Cleanup(func() {
		pc.GracefulClose()
		call.Close()
	})
	go s.serve(call)
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return nil, err
	}
	agreed, err := call.OpenChannel(context.Background(), &parley.ChannelConfig{Label: "agreed", Negotiated: true, ID: 5})
	if err != nil {
		return nil, err
	}
	go s.speak("echo", agreed)
	answer, err := pc.CreateAnswer(nil)
	if err != nil {
		return nil, err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(answer); err != nil {
		return nil, err
	}
	<-gathered
	s.calls <- call
	return []byte(pc.LocalDescription().SDP), nil
}

func (s *site) serve(call *parley.Call) {
	for {
		ch, err := call.AcceptChannel(context.Background())
		if err != nil {
			return
		}
		go s.speak(ch.Config().Protocol, ch)
	}
}

// speak does what the protocol of a channel says.
func (s *site) speak(protocol string, ch parley.Channel) {
	defer ch.Close()
	ctx := context.Background()
	var m parley.Message
	read := func() bool { return ch.ReadMessage(ctx, &m) == nil }
	write := func(text bool, b []byte) bool {
		return ch.WriteMessage(ctx, &parley.Message{Text: text, Data: b}) == nil
	}
	switch protocol {
	case "hash":
		if !read() {
			return
		}
		n, _ := strconv.Atoi(string(m.Data))
		hash := sha256.New()
		for n > 0 && read() {
			hash.Write(m.Data)
			n -= len(m.Data)
		}
		write(true, []byte(hex.EncodeToString(hash.Sum(nil))))
		read()
	case "pour":
		if !read() {
			return
		}
		n, _ := strconv.Atoi(string(m.Data))
		b := make([]byte, 65536)
		for x := uint32(1); n > 0; n -= len(b) {
			b = b[:min(n, len(b))]
			for i := 0; i < len(b); i += 4 {
				x = x*1664525 + 1013904223
				binary.LittleEndian.PutUint32(b[i:], x)
			}
			if !write(false, b) {
				return
			}
		}
		read()
	case "count":
		for read() {
			s.counted.Add(int64(len(m.Data)))
		}
	case "burst":
		for range 30 {
			write(false, make([]byte, 60000))
		}
	default:
		for read() && write(m.Text, m.Data) {
		}
	}
}

// run evaluates an expression of the page, however long it takes.
func run(t *testing.T, tab *browser.Tab, expression string) string {
	t.Helper()
	tab.Eval("void (window.job = " + expression + ").then(x => window.result = String(x), e => window.result = 'failed: ' + e), window.result = ''")
	for deadline := time.Now().Add(2 * time.Minute); ; {
		if result := tab.Eval("Promise.race([job, sleep(5000)]).then(() => sleep(0)).then(() => result)"); result != "" {
			return result
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has no result", expression)
		}
	}
}

func TestChannelsChromium(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	tab := browser.Open(t, s.url+"/", browser.View{})
	if got := run(t, tab, "connect()"); got != "hello" {
		t.Fatalf("connecting: %s", got)
	}
	call := <-s.calls

	t.Run("kinds of the page", func(t *testing.T) {
		if got := run(t, tab, `kinds([
			{label: "plain"}, {label: "unordered", ordered: false}, {label: "at once", maxRetransmits: 0},
			{label: "lifetime", maxPacketLifeTime: 5000}, {label: "🎈 Grüße", ordered: false, maxRetransmits: 3}])`); got != "ok" {
			t.Error(got)
		}
	})
	t.Run("kinds of ours", func(t *testing.T) {
		for i, config := range configs() {
			ch, err := call.OpenChannel(t.Context(), &config)
			check(t, err)
			for _, m := range payloads() {
				if config.MaxRetransmits < 0 && len(m.Data) > 1000 {
					continue
				}
				check(t, ch.WriteMessage(soon(t), &m))
				var back parley.Message
				check(t, ch.ReadMessage(soon(t), &back))
				if back.Text != m.Text || !bytes.Equal(back.Data, m.Data) {
					t.Fatalf("%.20s: %d bytes, text %v, came back as %d, %v", config.Label, len(m.Data), m.Text, len(back.Data), back.Text)
				}
			}
			check(t, ch.Close())
			var got struct {
				Label, Protocol                   string
				Ordered, Negotiated               bool
				MaxRetransmits, MaxPacketLifeTime *int
			}
			check(t, json.Unmarshal([]byte(tab.Eval(fmt.Sprintf("JSON.stringify(told[%d])", i))), &got))
			seen := parley.ChannelConfig{Label: got.Label, Protocol: got.Protocol, Unordered: !got.Ordered}
			if n := got.MaxRetransmits; n != nil && *n == 0 {
				seen.MaxRetransmits = -1
			} else if n != nil {
				seen.MaxRetransmits = *n
			}
			if n := got.MaxPacketLifeTime; n != nil {
				seen.MaxLifetime = time.Duration(*n) * time.Millisecond
			}
			if seen != config || got.Negotiated {
				t.Errorf("the page has %+v, want %+v", seen, config)
			}
		}
	})
	t.Run("latency", func(t *testing.T) {
		got := run(t, tab, "trips(250)")
		p95, err := strconv.ParseFloat(got, 64)
		if err != nil || p95 > 30 {
			t.Errorf("p95 %s ms", got)
		}
		t.Logf("p95 of the round trips %.1f ms", p95)
	})
	for _, way := range []string{"up", "down"} {
		t.Run("100 MB "+way, func(t *testing.T) {
			const size = 100_000_000 / 65536 * 65536
			var most atomic.Int64
			done := make(chan struct{})
			begin := heap()
			go func() {
				for {
					select {
					case <-done:
						return
					case <-time.After(100 * time.Millisecond):
						var s runtime.MemStats
						runtime.ReadMemStats(&s)
						most.Store(max(most.Load(), int64(s.HeapAlloc)))
					}
				}
			}()
			equal, took, _ := strings.Cut(run(t, tab, fmt.Sprintf("%s(%d)", way, size)), " ")
			close(done)
			ms, err := strconv.ParseFloat(took, 64)
			if err != nil || equal != "true" {
				t.Fatalf("not the bytes that were sent: %s %s", equal, took)
			}
			more := most.Load() - begin
			if more > 32<<20 {
				t.Errorf("%d bytes more on the heap", more)
			}
			t.Logf("%.0f Mbit/s, %d KiB more on the heap", size*8/ms/1000, more>>10)
		})
	}
	t.Run("close", func(t *testing.T) {
		if got := run(t, tab, "closes()"); got != "1800000" {
			t.Errorf("the page got %s bytes", got)
		}
		eventually(t, "all that the page sent", func() bool { return s.counted.Load() == 1800000 })
	})
	if err := call.Err(); err != nil {
		t.Error(err)
	}
}

const aiortcScript = `
import asyncio, sys, urllib.request
from aiortc import RTCPeerConnection, RTCSessionDescription

async def main():
    pc = RTCPeerConnection()
    ch = pc.createDataChannel("greetings", protocol="echo")
    sent = ["hello", b"\x00\x01", "", b"", "ü" * 500, bytes(range(256)) * 200, b"x" * 65535]
    got, opened, done = [], asyncio.Event(), asyncio.Event()
    ch.on("open", opened.set)
    def message(m):
        got.append(m)
        if len(got) == len(sent): done.set()
    ch.on("message", message)
    @pc.on("datachannel")
    def datachannel(theirs):
        assert theirs.label == "grüße 🎈", theirs.label
        theirs.on("message", theirs.send)
        theirs.on("close", lambda: closed.set())
    closed = asyncio.Event()
    await pc.setLocalDescription(await pc.createOffer())
    request = urllib.request.Request(sys.argv[1] + "/offer", pc.localDescription.sdp.encode())
    answer = urllib.request.urlopen(request).read().decode()
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await asyncio.wait_for(opened.wait(), 10)
    for m in sent: ch.send(m)
    await asyncio.wait_for(done.wait(), 20)
    assert got == sent, [(type(m), len(m)) for m in got]
    await asyncio.wait_for(closed.wait(), 20)
    await pc.close()
    print("ok")

asyncio.run(main())
`

// greet opens a channel to the program that calls, and has each message of up to
// the 64 KiB that aiortc takes sent back.
func (s *site) greet(ctx context.Context) error {
	var call *parley.Call
	select {
	case call = <-s.calls:
	case <-ctx.Done():
		return ctx.Err()
	}
	// What is written before the connection is made counts as well.
	ch, err := call.OpenChannel(ctx, &parley.ChannelConfig{Label: "grüße 🎈"})
	if err != nil {
		return err
	}
	for _, m := range payloads() {
		if len(m.Data) > 65535 {
			continue
		}
		if err := ch.WriteMessage(ctx, &m); err != nil {
			return err
		}
		var back parley.Message
		if err := ch.ReadMessage(ctx, &back); err != nil {
			return err
		}
		if back.Text != m.Text || !bytes.Equal(back.Data, m.Data) {
			return fmt.Errorf("%d bytes, text %v, came back as %d, %v", len(m.Data), m.Text, len(back.Data), back.Text)
		}
	}
	return ch.Close()
}

func TestChannelsAiortc(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3" // the one that Debian's packages are for
	if err := exec.Command(python, "-c", "import aiortc").Run(); err != nil {
		t.Fatalf("aiortc: %v (Debian package python3-aiortc)", err)
	}
	s := newSite(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-c", aiortcScript, s.url)
	cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	check(t, cmd.Start())
	ours := make(chan error, 1)
	go func() { ours <- s.greet(ctx) }()
	if err := cmd.Wait(); err != nil || !strings.HasSuffix(out.String(), "ok\n") {
		t.Errorf("%v\n%s", err, out.String())
		cancel()
	}
	check(t, <-ours)
}
