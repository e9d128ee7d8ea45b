package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/server"
)

// parsed returns serve as the command line has it.
func parsed(t *testing.T, args ...string) *serveCommand {
	t.Helper()
	var c commands
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"serve"}, args...)); err != nil {
		t.Fatal(err)
	}
	return &c.Serve
}

// certificate writes one for 127.0.0.1 and its key, and returns a client that
// trusts it.
func certificate(t *testing.T, folder string) (cert, key string, client *http.Client) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, text := range map[string][]byte{cert: certPEM, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	t.Cleanup(client.CloseIdleConnections)
	return cert, key, client
}

// The flags of aiortc's example server mean what they mean there, and the others
// what the help says.
func TestServe(t *testing.T) {
	folder := t.TempDir()
	cert, key, client := certificate(t, folder)
	c := parsed(t, "--host", "127.0.0.1", "--port", "0", "--cert-file", cert, "--key-file", key, "--record-to", folder+"/calls/", "--verbose",
		"--token", "secret", "--turn", "relay.example", "--turn-secret", "between us", "--pprof", "127.0.0.1:0")
	r, w := io.Pipe()
	log := &transcript{}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Run(ctx, newOutput(true, w, log))
		w.Close()
	}()
	p := &program{events: listen(r), stderr: log}
	url := func(s said) string {
		var e event
		if err := json.Unmarshal([]byte(s.line), &e); err != nil {
			t.Fatal(err)
		}
		return e.URL
	}
	next := func(name string) said {
		for {
			select {
			case s, ok := <-p.events:
				if !ok {
					t.Fatalf("the output ends before %q\n%s", name, log)
				}
				if name == "" || s.Event == name {
					return s
				}
			case <-time.After(patience):
				t.Fatalf("no %q\n%s", name, log)
			}
		}
	}
	profiles, page := url(next("profiling")), url(next("listening"))
	if !strings.HasPrefix(page, "https://127.0.0.1:") {
		t.Errorf("the page is at %s", page)
	}
	get := func(address, token string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(body)
	}
	for _, tt := range []struct {
		address, token string
		status         int
		contains       string
	}{
		{page + "/", "", 200, "<html"},
		{page + "/healthz", "", 200, "ok"},
		{page + "/metrics", "", 401, "token"},
		{page + "/metrics", "guess", 401, "token"},
		{page + "/metrics", "secret", 200, `parley_calls{state="connected"} 0`},
		{page + "/apps", "secret", 200, `"path":"offer"`},
		{page + "/ice-servers", "secret", 200, `"turn:relay.example"`},
		{page + "/debug/pprof/", "secret", 404, ""},
		{profiles, "", 200, "goroutine"},
	} {
		if status, body := get(tt.address, tt.token); status != tt.status || !strings.Contains(body, tt.contains) {
			t.Errorf("%s: status %d, want %d with %q: %.200s", tt.address, status, tt.status, tt.contains, body)
		}
	}

	for _, name := range []string{"call.mkv", "call-2.mkv"} {
		recordCall(t, client, page)
		id := next("started").Call
		about := map[string]said{}
		for len(about) < 2 { // in any order
			s := next("")
			about[s.Event] = s
		}
		if end := about["end"]; id == "" || end.Call != id || !strings.Contains(end.line, `"packets_received"`) || strings.Contains(end.line, "video_") {
			t.Errorf("call %q ends with %s", id, end.line)
		}
		if !strings.Contains(log.String(), "call="+id) {
			t.Errorf("the log does not know call %s", id)
		}
		if got := about["recorded"]; got.Call != id || !strings.Contains(got.line, `/`+name+`"`) {
			t.Errorf("recorded %s, want %s of call %s", got.line, name, id)
		}
		info, err := os.Stat(filepath.Join(folder, "calls", name))
		if err != nil || info.Size() < 1000 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	client.CloseIdleConnections()
	stop()
	next("stopped")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if text := log.String(); !strings.Contains(text, "level=DEBUG") || !strings.Contains(text, "call=") {
		t.Errorf("the log has no notes for debugging, or no ids:\n%.500s", text)
	}
}

// recordCall calls the server, and says something.
func recordCall(t *testing.T, client *http.Client, page string) {
	t.Helper()
	call := dial(t, client, page+"/offer", map[string]string{})
	defer call.Close()
	sayNothing(t, call)
}

// dial calls an application of the server, of whose offer the members are.
func dial(t *testing.T, client *http.Client, address string, members map[string]string) *peer.Peer {
	t.Helper()
	return dialBy(t, func(ctx context.Context, offer string) (string, error) {
		members["sdp"], members["type"] = offer, "offer"
		body, err := json.Marshal(members)
		if err != nil {
			return "", err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
		if err != nil {
			return "", err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer secret")
		response, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		var answer struct{ SDP string }
		err = json.NewDecoder(response.Body).Decode(&answer)
		return answer.SDP, err
	})
}

// dialBy makes a call of PCMU.
func dialBy(t *testing.T, exchange peer.Exchange) *peer.Peer {
	t.Helper()
	endpoint, err := peer.Listen(&peer.Config{Codecs: []codec.Params{{Name: "PCMU", ClockRate: 8000, Channels: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endpoint.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	call, err := endpoint.Dial(ctx, exchange, nil)
	if err != nil {
		t.Fatal(err)
	}
	return call
}

// sayNothing says half a second of silence.
func sayNothing(t *testing.T, call *peer.Peer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f := audio.Frame{Format: mono8k, Samples: make([]int16, 160)}
	for range 25 {
		if err := call.Audio().WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := call.Audio().Drain(ctx); err != nil {
		t.Error(err)
	}
}

// Pictures are asked for in a codec that the file can have, whatever a browser likes best.
func TestRecordToAsksForItsCodecs(t *testing.T) {
	params := func(names ...string) (all []codec.Params) {
		for _, name := range names {
			for _, p := range peer.DefaultCodecs() {
				if p.Name == name {
					all = append(all, p)
					break
				}
			}
		}
		return all
	}
	for _, tt := range []struct{ ext, likes, other, want string }{
		{".mp4", "VP8", "H264", "H264"},
		{".webm", "H264", "VP8", "VP8"},
		{".mkv", "H264", "VP8", "H264"},
		{".mkv", "VP8", "H264", "VP8"},
	} {
		c := parsed(t, "--port", "0", "--record-to", filepath.Join(t.TempDir(), "call"+tt.ext))
		out := newOutput(false, io.Discard, io.Discard)
		config, err := c.config(out)
		if err != nil {
			t.Fatal(err)
		}
		s, err := server.New(config)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Shutdown(t.Context())
		if err := mount(s, c, out); err != nil {
			t.Fatal(err)
		}
		endpoint, err := peer.Listen(&peer.Config{Codecs: params("opus", tt.likes, tt.other)})
		if err != nil {
			t.Fatal(err)
		}
		defer endpoint.Close()
		call, offer, err := endpoint.Offer(t.Context(), &peer.CallConfig{Videos: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer call.Close()
		body, err := json.Marshal(map[string]string{"type": "offer", "sdp": offer})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/offer", bytes.NewReader(body)))
		var answer struct{ SDP string }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%v: %s", err, w.Body)
		}
		if err := call.SetAnswer(t.Context(), answer.SDP); err != nil {
			t.Fatal(err)
		}
		if v := call.Video(); v == nil || v.Codec().Name != tt.want {
			t.Errorf("pictures for %s are not %s", tt.ext, tt.want)
		}
	}
}

func TestServeFlags(t *testing.T) {
	out := newOutput(false, io.Discard, io.Discard)
	for _, tt := range []struct {
		args []string
		want string // the address of the page, or what is wrong
	}{
		{nil, "127.0.0.1:8080"},
		{[]string{"--port", "9000"}, "127.0.0.1:9000"},
		{[]string{"--host", "0.0.0.0"}, "0.0.0.0:8080"},
		{[]string{"--host", "::1", "--port", "1"}, "[::1]:1"},
		{[]string{"--http", ":80", "--host", "localhost"}, "localhost:80"},
		{[]string{"--http", "here", "--port", "1"}, "--http here"},
		{[]string{"--port", "70000"}, "--port 70000"},
		{[]string{"--turn", "a"}, "--turn-secret"},
		{[]string{"--max-calls", "0"}, "--max-calls"},
		{[]string{"--token", ""}, "--token"},
		{[]string{"--key-file", "a"}, "--tls-cert"},
	} {
		c := parsed(t, tt.args...)
		_, err := c.config(out)
		got := c.HTTP
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tt.want) {
			t.Errorf("%q: %s, want %s", tt.args, got, tt.want)
		}
	}
	c := parsed(t, "--stun", "a:1,stun:b,stun.example:3", "--turn", "c,turns:d,turn.example", "--turn-secret", "s", "--max-offers", "7", "--max-duration", "1m", "--max-calls", "3", "--origin", "https://a")
	config, err := c.config(out)
	if err != nil {
		t.Fatal(err)
	}
	if config.OffersPerMinute != 7 || config.MaxDuration != time.Minute || config.MaxCalls != 3 || len(config.Origins) != 1 || config.Authorize != nil {
		t.Errorf("%+v", config)
	}
	var urls []string
	for _, s := range config.ICEServers(nil) {
		urls = append(urls, s.URLs...)
	}
	if got := strings.Join(urls, " "); got != "stun:a:1 stun:b stun:stun.example:3 turn:c turns:d turn:turn.example" {
		t.Errorf("servers %s", got)
	}
	if got := config.Peer.Servers; len(got) != 1 || len(got[0].URLs) != 3 {
		t.Errorf("servers of this end %v", got)
	}
}

// A film whose sound nothing can decode is played without it, as a warning says.
func TestFilmWithoutItsSound(t *testing.T) {
	surround := []byte("OpusHead\x01\x06\x00\x00\x80\xbb\x00\x00\x00\x00\x01\x04\x02\x00\x04\x01\x02\x03\x05")
	tracks := []file.Track{{Codec: file.VP8, Width: 16, Height: 16}, {Codec: file.Opus, Channels: 6, Config: surround}}
	name := writeFilm(t, "a.mkv", tracks, film(40*time.Millisecond, vp8Frame), []file.Packet{{Track: 1, Data: []byte{0xf8, 0xff, 0xfe}}})
	said := &transcript{}
	t.Setenv("PATH", "") // no ffmpeg, which would mix it down
	if err := parsed(t, "--play", name).checkFiles(t.Context(), newOutput(true, said, io.Discard)); err != nil {
		t.Error(err)
	}
	if got := said.String(); !strings.Contains(got, "opus of 4 streams. The rest is played.") {
		t.Errorf("it says %q", got)
	}
}

// What a film has besides, in codecs that calls have not, is not left out without a word.
func TestFilmOfAnotherCodec(t *testing.T) {
	opus := file.Track{Codec: file.Opus, Channels: 1}
	sound := []file.Packet{{Track: 1, Data: []byte{0xf8, 0xff, 0xfe}}}
	for codec, want := range map[string]string{
		"V_VP8": "",
		"V_VPX": `calls have no codec \"V_VPX\". The rest is played.`,
	} {
		name := writeFilm(t, "a.mkv", []file.Track{{Codec: file.VP8, Width: 16, Height: 16}, opus}, film(40*time.Millisecond, vp8Frame), sound)
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.Replace(b, []byte("\x86\x85V_VP8"), append([]byte{0x86, 0x80 | byte(len(codec))}, codec...), 1)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		said := &transcript{}
		if err := parsed(t, "--play", name).checkFiles(t.Context(), newOutput(true, said, io.Discard)); err != nil {
			t.Error(err)
		}
		if got := said.String(); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: it says %q", codec, got)
		}
	}
}

// Browsers do not show what most encoders of films make, which is said beforehand.
func TestFilmOutOfOrder(t *testing.T) {
	const d = time.Second
	for name, pictures := range map[string][]file.Packet{"a.mkv": film(d, h264Frame), "b.mkv": reordered(d, h264Frame)} {
		said := &transcript{}
		name = writeFilm(t, name, []file.Track{{Codec: file.H264}}, pictures)
		if err := parsed(t, "--play", name).checkFiles(t.Context(), newOutput(true, said, io.Discard)); err != nil {
			t.Error(err)
		}
		if got := said.String(); strings.Contains(got, "B-frames") != strings.HasSuffix(name, "b.mkv") {
			t.Errorf("of %s it says %q", name, got)
		}
	}
}

func TestRecordingsDoNotOverwrite(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "talk.wav")
	if err := os.WriteFile(name, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := newRecordings(name)
	if err != nil {
		t.Fatal(err)
	}
	rec, got, err := r.create(nil)
	if err != nil || got != filepath.Join(folder, "talk-2.wav") {
		t.Fatalf("%s, %v", got, err)
	}
	rec.Close()
	if text, err := os.ReadFile(name); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
	for _, bad := range []string{filepath.Join(folder, "talk"), filepath.Join(folder, "talk.mp3"), filepath.Join(name, "x") + "/"} {
		if _, err := newRecordings(bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
