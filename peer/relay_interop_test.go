//go:build interop

package peer_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/internal/testport"
	"github.com/parley-media/parley/peer"
)

const relaySecret = "parley"

// relay starts coturn, which takes either one user or those with credentials for
// some time, and returns its address.
func relay(t *testing.T, credentials ...string) string {
	t.Helper()
	if _, err := exec.LookPath("turnserver"); err != nil {
		t.Fatalf("%v (Debian package coturn)", err)
	}
	ip := outside(t)
	port := testport.Pair(t, ip)
	folder := t.TempDir()
	settings := filepath.Join(folder, "turnserver.conf")
	if err := os.WriteFile(settings, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{
		"-c", settings, "-n", "--no-cli", "--no-tls", "--no-dtls", "--no-multicast-peers", "--realm=parley",
		"--listening-ip=" + ip.String(), "--relay-ip=" + ip.String(), fmt.Sprintf("--listening-port=%d", port),
		"--log-file=stdout", "--pidfile=" + filepath.Join(folder, "pid"), "--userdb=" + filepath.Join(folder, "db"),
	}, credentials...)
	cmd := exec.Command("turnserver", args...)
	log, err := os.Create(filepath.Join(t.ArtifactDir(), "turnserver.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		log.Close()
		if text, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("coturn: %s", text)
		}
	})
	address := fmt.Sprintf("%v:%d", ip, port)
	eventually(t, 10*time.Second, "coturn", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return address
}

// outside returns an address of this machine that is not its own loopback, to
// which relays do not go.
func outside(t *testing.T) net.IP {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.To4()
		}
	}
	t.Fatal("this machine has no address but loopback")
	return nil
}

// limited returns credentials that are good until then, as TURN services give
// them out.
func limited(until time.Time) (username, password string) {
	username = fmt.Sprintf("%d:page", until.Unix())
	mac := hmac.New(sha1.New, []byte(relaySecret))
	mac.Write([]byte(username))
	return username, base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// A call goes through a relay and nowhere else, as long as that lets it.
func TestRelay(t *testing.T) {
	p, e := open(t, headless.Chromium), listen(t, nil)
	static := relay(t, "--lt-cred-mech", "--user=alice:secret")
	timed := relay(t, "--use-auth-secret", "--static-auth-secret="+relaySecret)
	goodName, goodPassword := limited(time.Now().Add(time.Hour))
	expiredName, expiredPassword := limited(time.Now().Add(-time.Hour))
	for _, tt := range []struct {
		name, address, username, password string
		works                             bool
	}{
		{"static", static, "alice", "secret", true},
		{"for some time", timed, goodName, goodPassword, true},
		{"expired", timed, expiredName, expiredPassword, false},
		{"wrong", static, "alice", "guess", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p.do(t, "start")
			p.do(t, "tone", 440)
			p.do(t, "camera", "camera", 1, options{})
			begin := time.Now()
			far, answer, err := e.Answer(t.Context(), p.do(t, "offer", 1500), &peer.CallConfig{
				Servers:   []peer.Server{{URLs: []string{"turn:" + tt.address}, Username: tt.username, Password: tt.password}},
				RelayOnly: true,
				Gather:    3 * time.Second, // as long as servers need
				Deadlines: parley.Deadlines{Connect: 5 * time.Second},
			})
			if !tt.works {
				if end, ok := errors.AsType[*parley.EndError](err); !ok || end.Reason != parley.NotConnected {
					t.Errorf("error %v", err)
				}
				t.Logf("%v, after %v", err, time.Since(begin))
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer far.Close()
			for l := range strings.Lines(answer) {
				if strings.HasPrefix(l, "a=candidate:") && !strings.Contains(l, " typ relay ") {
					t.Errorf("the answer has %s", l)
				}
			}
			p.do(t, "accept", answer)
			echoes(t, far)
			p.connect(t, far)
			pair, err := far.Connection().SCTP().Transport().ICETransport().GetSelectedCandidatePair()
			if err != nil || pair.Local.Typ.String() != "relay" {
				t.Errorf("connected by %v, %v", pair, err)
			}
			p.do(t, "hears", far.Audio().Mid(), 440)
			p.shows(t, far.Video().Mid(), 1)
			p.do(t, "stop")
		})
	}
}
