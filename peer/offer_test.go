package peer_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/peer"
)

// refused checks that err is a clear one about the offer.
func refused(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, peer.ErrOffer) {
		t.Errorf("error %v, want one that wraps ErrOffer", err)
		return
	}
	if s := err.Error(); len(s) <= len(peer.ErrOffer.Error()) || len(s) > 1000 {
		t.Errorf("an error of %d bytes: %.200s", len(s), s)
	}
}

// dataOnly is what follows the session part of an offer without media.
const dataOnly = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:ag+R\r\na=ice-pwd:D4JYfWVrGfRWpVFBGpgDMXaX\r\na=fingerprint:sha-256 08:1F:2D:08:C8:52:78:80:FB:5F:0B:E0:15:09:12:63:EB:CD:49:8A:ED:6F:3E:9A:BE:BB:01:DC:C4:F7:E2:7A\r\na=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\n"

// What is no audio makes a call too.
func TestOffersWithoutAudio(t *testing.T) {
	e := listen(t, nil)
	chromium := recorded(t, "chromium")
	session, _, _ := strings.Cut(chromium, "m=audio")
	for name, tt := range map[string]struct {
		offer  string
		videos int
	}{
		"video only": {strings.NewReplacer("m=audio", "m=video", "opus/48000/2", "VP8/90000").Replace(chromium), 1},
		"data only":  {session + dataOnly, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, err := e.Answer(t.Context(), tt.offer, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if videos := len(slices.Collect(p.Videos())); videos != tt.videos || p.Audio() != nil {
				t.Errorf("%d videos, audio %v", videos, p.Audio())
			}
		})
	}
}

// Opus whose channels an offer leaves out is what it always is, and can be decoded.
func TestOpusWithoutChannels(t *testing.T) {
	offer := strings.Replace(recorded(t, "chromium"), "opus/48000/2", "OPUS/48000", 1)
	p, answer, err := listen(t, nil).Answer(t.Context(), offer, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got := p.Audio().Codec(); got.Channels != 2 || !p.Audio().Decodes() {
		t.Errorf("codec %v, decoded: %t", got, p.Audio().Decodes())
	}
	if want := "a=rtpmap:111 OPUS/48000"; line(answer, "a=rtpmap:111 ") != want {
		t.Errorf("answer %q, want %q", line(answer, "a=rtpmap:111 "), want)
	}
}

// Header extensions that may be encrypted in some lines only (RFC 9335) are so in none.
func TestEncryptedExtensions(t *testing.T) {
	chromium := recorded(t, "chromium")
	session, media, _ := strings.Cut(chromium, "m=audio")
	video := strings.NewReplacer("a=mid:0", "a=mid:v", "opus/48000/2", "VP8/90000").Replace("m=video" + media)
	offer := strings.Replace(session, "BUNDLE 0", "BUNDLE 0 v", 1) + "m=audio" + media + video + "a=cryptex\r\n"
	p, answer, err := listen(t, nil).Answer(t.Context(), offer, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if len(slices.Collect(p.Videos())) != 1 || strings.Contains(answer, "cryptex") {
		t.Errorf("answer:\n%s", answer)
	}
}

// Redundancy and comfort noise, where a program takes them, are companions of a codec,
// and no codec to send in, though the far end likes them best.
func TestCompanionsAreNotSent(t *testing.T) {
	e := listen(t, &peer.Config{Codecs: append(
		peer.DefaultCodecs(),
		codec.Params{Name: "red", PayloadType: 63, ClockRate: 48000, Channels: 2, FMTP: "111/111"},
		codec.Params{Name: "CN", PayloadType: 13, ClockRate: 8000, Channels: 1},
	)})
	offer := strings.Replace(recorded(t, "chromium"), " 111 63 9 0 8 13 ", " 63 13 111 9 0 8 ", 1)
	p, answer, err := e.Answer(t.Context(), offer, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got := p.Audio().Codec(); got.Name != "opus" {
		t.Errorf("codec %v, want Opus", got)
	}
	if got := line(answer, "m=audio "); !strings.Contains(got, "SAVPF 63 13 111 ") {
		t.Errorf("answer %q, in another order than the offer", got)
	}
	alone := strings.NewReplacer(" 111 63 9 0 8 13 110 126", " 63 13", "a=rtpmap:111 ", "a=x:", "a=rtpmap:9 ", "a=x:", "a=rtpmap:0 ", "a=x:", "a=rtpmap:8 ", "a=x:").Replace(recorded(t, "chromium"))
	_, _, err = e.Answer(t.Context(), alone, nil)
	refused(t, err)
}

func TestUnusableOffers(t *testing.T) {
	e := listen(t, nil)
	chromium := recorded(t, "chromium")
	session, _, _ := strings.Cut(chromium, "m=audio")
	tests := []struct{ name, offer string }{
		{"empty", ""},
		{"garbage", "hello"},
		{"zeros", strings.Repeat("\x00", 1000)},
		{"JSON", `{"sdp": "v=0"}`},
		{"no media", session},
		{"no version", strings.TrimPrefix(chromium, "v=0\r\n")},
		{"unknown codec", strings.NewReplacer("opus", "speex", "G722", "x1", "PCMU", "x2", "PCMA", "x3", " 9 0 8", " 99 100 118", ":9 ", ":99 ", ":0 ", ":100 ", ":8 ", ":118 ").Replace(chromium)},
		{"no fingerprint", strings.Replace(chromium, "a=fingerprint:", "a=x-fingerprint:", 1)},
		{"no ufrag", strings.Replace(chromium, "a=ice-ufrag:", "a=x-ufrag:", 1)},
		{"no password", strings.Replace(chromium, "a=ice-pwd:", "a=x-pwd:", 1)},
		{"200 kB of attributes", strings.TrimSuffix(chromium, "\r\n") + strings.Repeat("\r\na=x:"+strings.Repeat("y", 100), 2000) + "\r\nbroken"},
		{"200 kB in one line", "v=0\r\no=" + strings.Repeat("9", 200_000)},
		{"6000 lines of media", session + strings.Repeat("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", 6000)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			begin := time.Now()
			p, answer, err := e.Answer(t.Context(), tt.offer, nil)
			if p != nil {
				p.Close()
				t.Fatalf("answered with %q", answer)
			}
			refused(t, err)
			t.Logf("%.200v", err)
			if d := time.Since(begin); d > 2*time.Second {
				t.Errorf("refused after %v", d)
			}
		})
	}
}

// What is left of an offer that was cut off is refused or answered, and nothing
// stays behind in either case.
func TestTruncatedOffers(t *testing.T) {
	e := listen(t, nil)
	for _, browser := range []string{"chromium", "firefox"} {
		offer := recorded(t, browser)
		before := settled()
		tried, answered := 0, 0
		for n := range len(offer) {
			if n%50 != 0 && offer[n-1] != '\n' {
				continue
			}
			tried++
			p, _, err := e.Answer(t.Context(), offer[:n], nil)
			if err == nil {
				answered++
				p.Close()
				continue
			}
			refused(t, err)
		}
		eventually(t, 5*time.Second, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= before })
		t.Logf("%s: %d of %d answered", browser, answered, tried)
	}
}

func TestAnswerCancelled(t *testing.T) {
	e := listen(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := settled()
	p, _, err := e.Answer(ctx, recorded(t, "chromium"), nil)
	if p != nil {
		p.Close()
	}
	if !errors.Is(err, context.Canceled) || errors.Is(err, peer.ErrOffer) {
		t.Errorf("error %v, want the one of the context", err)
	}
	eventually(t, 5*time.Second, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= before })
}

// After Close of the endpoint there is no port to answer with.
func TestAnswerClosed(t *testing.T) {
	e, err := peer.Listen(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	p, answer, err := e.Answer(t.Context(), recorded(t, "chromium"), nil)
	if err == nil {
		p.Close()
		t.Fatalf("answered with %q", answer)
	}
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("error %v, want one that wraps net.ErrClosed", err)
	}
}

// settled returns the number of goroutines once it has stopped falling.
func settled() int {
	n := runtime.NumGoroutine()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for range 10 {
		<-poll.C
		n = min(n, runtime.NumGoroutine())
	}
	return n
}

// FuzzAnswer answers any text. It listens on loopback only, so that no candidate
// makes it send anything elsewhere.
func FuzzAnswer(f *testing.F) {
	e := listen(f, &peer.Config{Interface: func(name string) bool { return strings.HasPrefix(name, "lo") }})
	f.Add(recorded(f, "chromium"))
	f.Add(recorded(f, "firefox"))
	f.Fuzz(func(t *testing.T, offer string) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begin := time.Now()
		p, _, err := e.Answer(ctx, offer, nil)
		if err == nil {
			p.Close()
		} else if !errors.Is(err, peer.ErrOffer) {
			t.Errorf("error %v", err)
		}
		if d := time.Since(begin); d > 2*time.Second {
			t.Errorf("took %v", d)
		}
		// The loop and the port have their goroutines; a connection has ten.
		eventually(t, 5*time.Second, "no goroutines of the connection", func() bool { return connections() == 0 })
	})
}

// connections returns how many goroutines of peer connections there are.
func connections() int {
	buf := make([]byte, 1<<18)
	n := 0
	for trace := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(trace, "pion/webrtc") || strings.Contains(trace, "peer.(*leg)") || strings.Contains(trace, "pion/ice/v4.(*Agent)") {
			n++
		}
	}
	return n
}
