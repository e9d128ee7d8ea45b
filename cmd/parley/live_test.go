//go:build interop && soak

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/internal/quality"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/server"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/transport/netem"
)

const liveTime = 55 * time.Second // in a trace of a minute

// TestLiveReceivers plays the same bad networks to Chromium, by WebRTC, to
// GStreamer's rtpjitterbuffer, and to ours: PCMU in packets of 20 ms. Delay is
// that of the sound, above that of the fastest packet.
func TestLiveReceivers(t *testing.T) {
	t.Logf("%-12s %28s %28s %28s %28s", "network", "ours", "Chromium", "rtpjitterbuffer 100 ms", "rtpjitterbuffer 200 ms")
	pcmu, _ := codec.Static(0)
	for _, trace := range quality.Generate(1) {
		if strings.HasPrefix(trace.Name, "outage") || strings.HasPrefix(trace.Name, "drift") {
			continue
		}
		t.Run(trace.Name, func(t *testing.T) {
			path, extra := onPath(trace)
			ours, err := quality.Run(t.Context(), quality.Config{Codec: pcmu, Speech: quality.Speech(8000)}, trace)
			if err != nil {
				t.Fatal(err)
			}
			line := fmt.Sprintf("%-12s %12.0f ms %9.2f %%", trace.Name, ours.DelayMean, ours.Concealed)
			line += " " + inChromium(t, path, extra)
			for _, latency := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond} {
				line += " " + inGStreamer(t, path, latency)
			}
			t.Log(line)
		})
	}
}

// onPath returns what a path has to do to packets, and by how much they come
// later than the fastest, in the mean.
func onPath(t *quality.Trace) (netem.Config, time.Duration) {
	const lead = 20 * time.Millisecond // packets are not sent exactly when they should
	least, last := time.Duration(1<<62), 0
	for _, a := range t.Arrivals {
		least = min(least, a.At-time.Duration(a.Seq)*20*time.Millisecond)
		last = max(last, a.Seq)
	}
	arrivals := make([]netem.Arrival, last+1)
	for i := range arrivals {
		arrivals[i].Lost = true
	}
	var sum time.Duration
	for _, a := range t.Arrivals {
		d := a.At - time.Duration(a.Seq)*20*time.Millisecond - least
		arrivals[a.Seq] = netem.Arrival{Delay: d + lead}
		sum += d
	}
	return netem.Config{Trace: &netem.Trace{Arrivals: arrivals}}, sum / time.Duration(len(t.Arrivals))
}

// speak says the speech, over and over, until the call ends.
func speak(ctx context.Context, c *parley.Call) error {
	pcm := quality.Speech(8000)
	f := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}}
	for at := 0; ctx.Err() == nil; at = (at + 160) % (len(pcm) - 160) {
		f.Samples = pcm[at:][:160]
		if err := c.Audio().WriteFrame(&f); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// candidates are the lines of an SDP in JSON with addresses of the browser.
var candidates = regexp.MustCompile(`a=candidate:[^\\]*\\r\\n`)

// inChromium has the browser listen behind the path, and returns what its
// getStats says.
func inChromium(t *testing.T, path netem.Config, extra time.Duration) string {
	t.Helper()
	port := freePort(t)
	s, err := server.New(&server.Config{Peer: peer.Config{Port: port}})
	if err != nil {
		t.Fatal(err)
	}
	relay, err := netem.OpenRelay(netem.RelayConfig{Listen: loopback, To: on(port), Back: path})
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	s.Handle("/offer", parley.HandlerFunc(speak))
	page := browser.NewPage()
	mux := http.NewServeMux()
	mux.Handle("/tone/", page)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		// The browser finds the server behind the relay, and the server knows no
		// other way back.
		offer, _ := io.ReadAll(r.Body) // what is missing makes it a wrong one
		r.Body = io.NopCloser(bytes.NewReader(candidates.ReplaceAll(offer, nil)))
		r.ContentLength = -1
		answer := httptest.NewRecorder()
		s.ServeHTTP(answer, r)
		result := answer.Result()
		body, _ := io.ReadAll(result.Body) // in memory
		body = bytes.ReplaceAll(body, fmt.Appendf(nil, " %d ", port), fmt.Appendf(nil, " %d ", relay.LocalAddr().Port()))
		for name, values := range result.Header {
			if name != "Content-Length" {
				w.Header()[name] = values
			}
		}
		w.WriteHeader(result.StatusCode)
		w.Write(body) //nolint:errcheck // the browser says so if it is missing
	})
	web := httptest.NewServer(mux)
	defer web.Close()
	defer s.Shutdown(t.Context()) //nolint:errcheck // the measurement is done
	process := browser.Chromium(t, page.URL(web.URL, browser.Tone{Codec: "PCMU", Settle: 4 * time.Second, Listen: liveTime - 5*time.Second}))
	defer process.Kill()
	r := page.Wait(t, 2*liveTime)
	if n := relay.Stats().Back.Out; n < int64(liveTime/(25*time.Millisecond)) {
		t.Errorf("%d packets went through the relay", n)
	}
	in := r.Inbound
	return fmt.Sprintf("%12.0f ms %9.2f %%", float64((in.Delay()+extra).Microseconds())/1000, 100*in.Concealment())
}

// inGStreamer has rtpjitterbuffer listen behind the path. What does not come in
// time is missing in its file.
func inGStreamer(t *testing.T, path netem.Config, latency time.Duration) string {
	t.Helper()
	port := freePort(t)
	out := filepath.Join(t.TempDir(), "out.wav")
	gst := start(t, "gstreamer1.0-tools, gstreamer1.0-plugins-good", "gst-launch-1.0", "-q", "-e",
		"udpsrc", "address=127.0.0.1", fmt.Sprintf("port=%d", port), "caps=application/x-rtp,media=audio,encoding-name=PCMU,clock-rate=8000,payload=0",
		"!", "rtpjitterbuffer", fmt.Sprintf("latency=%d", latency.Milliseconds()), "drop-on-latency=true",
		"!", "rtppcmudepay", "!", "mulawdec", "!", "wavenc", "!", "filesink", "location="+out)
	bound(t, gst, port)
	relay, err := netem.OpenRelay(netem.RelayConfig{Listen: loopback, To: on(port), Forward: path})
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	s := openSession(t, session.Config{Remote: netip.AddrPortFrom(loopback.Addr(), relay.LocalAddr().Port())})
	ctx, cancel := context.WithTimeout(t.Context(), liveTime)
	defer cancel()
	speak(ctx, s.Call) //nolint:errcheck // it ends when its time is over
	if err := s.Audio().Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, _ := callStats(s)
	sent := time.Duration(a.PacketsSent) * 20 * time.Millisecond
	time.Sleep(time.Second) // what is on its way
	gst.interrupt(t)
	gst.wait(t)
	heard := readSound(t, out).duration()
	return fmt.Sprintf("%12d ms %9.2f %%", latency.Milliseconds(), 100*float64(sent-heard)/float64(sent))
}

func (p *process) interrupt(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
}
