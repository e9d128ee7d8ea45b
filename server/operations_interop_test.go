//go:build interop

package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/echo"
	"github.com/parley-media/parley/internal/testport"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/server"
)

// A page that signals over a socket: it trickles, takes an offer of the server,
// loses its socket, and adds its camera by another one.
func TestSocketOfAPage(t *testing.T) {
	s := newLogged(t, &server.Config{})
	s.Handle("/live", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		go func() {
			if ch, err := c.OpenChannel(ctx, nil); err == nil {
				ch.WriteMessage(ctx, &parley.Message{Text: true, Data: []byte("hello")})
			}
		}()
		return echo.Handler{}.ServeCall(ctx, c)
	}))
	text := visit(t, s).Eval("overSocket()")
	t.Log(text)
	var seen struct {
		Ours, Theirs, Offers, Code int
		Greeting, Bye              string
		Error                      any
	}
	if err := json.Unmarshal([]byte(text), &seen); err != nil {
		t.Fatal(err)
	}
	if seen.Ours == 0 || seen.Theirs == 0 || seen.Offers == 0 || seen.Greeting != "hello" || seen.Bye != string(parley.Bye) || seen.Code != 1000 || seen.Error != nil {
		t.Errorf("seen %+v", seen)
	}
	eventually(t, patience, "no calls", func() bool { return s.Calls() == 0 })
}

// pong answers pings in the channels that the far end opens.
func pong(ctx context.Context, c *parley.Call) {
	for {
		ch, err := c.AcceptChannel(ctx)
		if err != nil {
			return
		}
		go func() {
			var m parley.Message
			for ch.ReadMessage(ctx, &m) == nil {
				if rest, ok := strings.CutPrefix(string(m.Data), "ping"); ok {
					ch.WriteMessage(ctx, &parley.Message{Text: true, Data: []byte("pong" + rest)})
				}
			}
		}()
	}
}

// The client of aiortc's example is served as it expects, and what the server says
// of the call is what the browser says.
func TestDemoClient(t *testing.T) {
	s := newLogged(t, &server.Config{})
	effect := make(chan string, 1)
	s.HandleOffer("/demo", func(o *server.Offer) (parley.Handler, error) {
		effect <- o.Text("video_transform")
		return parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
			go pong(ctx, c)
			return echo.Handler{}.ServeCall(ctx, c)
		}), nil
	})
	text := visit(t, s).Eval("demo()")
	var seen struct {
		Pongs   int
		Types   []string
		Samples []struct{ Ours, Theirs map[string]float64 }
	}
	if err := json.Unmarshal([]byte(text), &seen); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if e := <-effect; e != "edges" || seen.Pongs < 3 {
		t.Errorf("effect %q, %d pongs", e, seen.Pongs)
	}
	for _, kind := range []string{"codec", "inbound-rtp", "outbound-rtp", "remote-inbound-rtp", "candidate-pair", "local-candidate", "remote-candidate"} {
		if !slices.Contains(seen.Types, kind) {
			t.Errorf("no %s in the statistics, which have %v", kind, seen.Types)
		}
	}
	// What both ends say is not of one instant, so that the best of several counts.
	trip := math.Inf(1)
	for _, kind := range []string{"audio", "video"} {
		for _, pair := range [][2]string{{"Sent", "Received"}, {"Received", "Sent"}, {"BytesSent", "BytesReceived"}, {"BytesReceived", "BytesSent"}} {
			best, ours, theirs := math.Inf(1), 0.0, 0.0
			for _, sample := range seen.Samples {
				a, b := sample.Ours[kind+pair[0]], sample.Theirs[kind+pair[1]]
				if off := math.Abs(a-b) / max(a, b, 1); a > 0 && b > 0 && off < best {
					best, ours, theirs = off, a, b
				}
			}
			t.Logf("%s%s %.0f here, %s %.0f there: %.1f %% apart", kind, pair[0], ours, pair[1], theirs, 100*best)
			if !(best <= 0.05) {
				t.Errorf("%s%s of the browser and %s of the server are %.1f %% apart", kind, pair[0], pair[1], 100*best)
			}
		}
		for _, sample := range seen.Samples {
			a, told := sample.Ours[kind+"RoundTrip"]
			b, known := sample.Theirs[kind+"RoundTrip"]
			if told && known {
				trip = min(trip, math.Abs(a-b))
			}
		}
	}
	t.Logf("round trips %.1f ms apart in the best of %d samples", 1000*trip, len(seen.Samples))
	if !(trip < 0.010) { // each is of a few packets, and of how busy both ends were then
		t.Errorf("round trips %.1f ms apart", 1000*trip)
	}
	eventually(t, patience, "no calls", func() bool { return s.Calls() == 0 })
}

// turnServer starts coturn with a secret, and returns its address.
func turnServer(t *testing.T, secret string) string {
	t.Helper()
	if _, err := exec.LookPath("turnserver"); err != nil {
		t.Fatalf("%v (Debian package coturn)", err)
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var ip net.IP // not loopback, to which relays do not go
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			ip = n.IP.To4()
		}
	}
	if ip == nil {
		t.Fatal("this machine has no address but loopback")
	}
	folder, port := t.TempDir(), testport.Pair(t, ip)
	settings := filepath.Join(folder, "turnserver.conf")
	if err := os.WriteFile(settings, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.ArtifactDir(), "turnserver.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("turnserver", "-c", settings, "-n", "--no-cli", "--no-tls", "--no-dtls", "--no-multicast-peers", "--realm=parley",
		"--listening-ip="+ip.String(), "--relay-ip="+ip.String(), fmt.Sprintf("--listening-port=%d", port),
		"--log-file=stdout", "--pidfile="+filepath.Join(folder, "pid"), "--userdb="+filepath.Join(folder, "db"),
		"--use-auth-secret", "--static-auth-secret="+secret)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		log.Close()
	})
	address := fmt.Sprintf("%v:%d", ip, port)
	eventually(t, patience, "coturn", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return address
}

// A client that can be reached by a relay only gets there with what the server
// gives it, for as long as that is good, and is told soon when it is not.
func TestRelayCredentials(t *testing.T) {
	address := turnServer(t, "between us")
	for _, tt := range []struct {
		name   string
		secret string
		ttl    time.Duration
		works  bool
	}{
		{"good", "between us", time.Minute, true},
		{"expired", "between us", -time.Minute, false},
		{"of another secret", "guess", time.Minute, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newLogged(t, &server.Config{ICEServers: server.TURNCredentials(tt.secret, tt.ttl, "turn:"+address)})
			defer s.Shutdown(context.Background())
			s.Handle("/offer", echo.Handler{})
			var told struct {
				ICEServers []struct {
					URLs                 []string
					Username, Credential string
				}
			}
			w := ask(s, "GET", "/ice-servers", nil)
			if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil || len(told.ICEServers) != 1 {
				t.Fatalf("%v: %s", err, w.Body)
			}
			relay := told.ICEServers[0]
			endpoint, err := peer.Listen(&peer.Config{PortMin: 30000, PortMax: 60000})
			if err != nil {
				t.Fatal(err)
			}
			defer endpoint.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			begin := time.Now()
			p, err := endpoint.Dial(ctx, func(_ context.Context, offer string) (string, error) {
				w := ask(s, "POST", "/offer", object{"type": "offer", "sdp": offer})
				if w.Code != http.StatusOK {
					return "", fmt.Errorf("status %d: %s", w.Code, w.Body)
				}
				return said(t, w, "sdp"), nil
			}, &peer.CallConfig{
				Servers:   []peer.Server{{URLs: relay.URLs, Username: relay.Username, Password: relay.Credential}},
				RelayOnly: true, Gather: 3 * time.Second, Deadlines: parley.Deadlines{Connect: 10 * time.Second},
			})
			t.Logf("%v after %v", err, time.Since(begin))
			if (err == nil) != tt.works {
				t.Fatalf("error %v", err)
			}
			if err == nil {
				p.Close()
			} else if !strings.Contains(err.Error(), "credentials") || time.Since(begin) > 8*time.Second {
				t.Errorf("after %v: %v", time.Since(begin), err)
			}
		})
	}
}
