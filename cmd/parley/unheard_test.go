package main

import (
	"bytes"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-media/parley/file"
)

// What comes and is not heard is told of while it comes, and at the end, with what may
// help; nothing is rated.
func TestUnheard(t *testing.T) {
	const key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
	wav := toneWAV(t, mono8k, 1500*ms)
	ogg := writeFilm(t, "a.ogg", []file.Track{{Codec: file.Opus}}, opusPackets(0, 1500*ms))
	for _, c := range []struct {
		name       string
		send, recv []string
		want       string
	}{
		{"another codec", []string{wav}, []string{"--codec", "opus"}, "packets of payload type 0 came: --codec pcmu?"},
		{"another payload type", []string{ogg, "--payload-type", "111"}, []string{"--codec", "opus"}, "packets of payload type 111 came: --payload-type 111?"},
		{"no codec", []string{ogg, "--payload-type", "111"}, nil, "came: --codec NAME --payload-type 111?"},
		{"no key", []string{wav}, []string{"--srtp", key}, "packets came that --srtp cannot read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "out.wav")
			recv := begin(append([]string{"recv", "--listen", "127.0.0.1:0", "--out", out, "--wait", "2500ms"}, c.recv...)...)
			to := recv.until(t, "listening").Address
			send := begin(append([]string{"send", "--to", to}, c.send...)...)
			if s := recv.until(t, "warning"); !strings.Contains(s.line, c.want) {
				t.Errorf("the warning is %s, want %q", s.line, c.want)
			}
			send.drain(t, statusDone)
			end := recv.until(t, "end")
			if !strings.Contains(end.line, c.want) || strings.Contains(end.line, `"mos"`) {
				t.Errorf("the end is %s, want %q, and nothing rated", end.line, c.want)
			}
			recv.exit(t, statusFailed)
			if s := recv.stderr.String(); !strings.Contains(s, "nothing was received: ") {
				t.Errorf("it says %q", s)
			}
		})
	}
}

// So is what comes in the place of RTP.
func TestUnheardIsNoRTP(t *testing.T) {
	for name, tt := range map[string]struct {
		datagram []byte
		want     string
	}{
		"MPEG-TS": {bytes.Repeat([]byte{0x47}, 188), "datagrams came that are neither RTP nor RTCP"},
		"reports": {[]byte{0x80, 201, 0, 1, 0, 0, 0, 1}, "reports (RTCP) came alone: is RTP sent to another port?"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recv := begin("recv", "--listen", "127.0.0.1:0", "--wait", "300ms")
			conn, err := net.Dial("udp", recv.until(t, "listening").Address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(tt.datagram); err != nil {
				t.Fatal(err)
			}
			if end := recv.until(t, "end"); !strings.Contains(end.line, tt.want) {
				t.Errorf("the end is %s, want %q", end.line, tt.want)
			}
			recv.exit(t, statusFailed)
		})
	}
}
