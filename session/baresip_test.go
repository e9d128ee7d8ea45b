//go:build interop

package session_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/session"
)

// softphone is the configuration of baresip: its microphone is a sine of 437 Hz,
// and what it decodes goes to a file.
const softphone = `poll_method epoll
sip_listen 127.0.0.1:0
call_local_timeout 30
audio_source ausine,437
audio_alert aufile,/dev/null
ausrc_srate 48000
ausrc_channels 2
snd_path %[1]s
module_path %[2]s
module g711.so
module g722.so
module ausine.so
module aufile.so
module sndfile.so
module srtp.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
`

// dialWith starts a softphone that calls uri at once, and returns the folder with
// what it hears. More lines may be added to its configuration.
func dialWith(t *testing.T, uri, account string, more ...string) (dir string) {
	t.Helper()
	program, err := exec.LookPath("baresip")
	if err != nil {
		t.Fatal("install the Debian package baresip-core:", err)
	}
	modules := "/usr/lib/baresip/modules"
	if _, err := os.Stat(filepath.Join(modules, "srtp.so")); err != nil {
		t.Fatal("install the Debian package baresip-core:", err)
	}
	dir = t.TempDir()
	for name, text := range map[string]string{
		"config":   fmt.Sprintf(softphone, dir, modules) + strings.Join(more, "\n"),
		"accounts": "<sip:phone@127.0.0.1>;regint=0;" + account + "\n",
		"contacts": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(t.ArtifactDir(), "baresip.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-4", "-n", "127.0.0.1", "-f", dir, "-e", "/dial "+uri)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // killed
		log.Close()
	})
	return dir
}

// A softphone calls with an offer, is answered, hears us and is heard, sends a
// report of what it received, is put on hold and taken off it again, and then we
// hang up.
func TestBaresip(t *testing.T) {
	for _, tt := range []struct {
		name, account string
		rate          int
	}{
		{"PCMU", "audio_codecs=PCMU/8000/1", 8000},
		{"G722", "audio_codecs=G722/16000/1", 16000},
		{"PCMA with SRTP", "audio_codecs=PCMA/8000/1;mediaenc=srtp-mand", 8000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			phoneCalls(t, tt.account, tt.rate)
		})
	}
}

func phoneCalls(t *testing.T, account string, rate int) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last *session.Description
	calls := make(chan *session.Session, 1)
	server := newSIPServer(t, func(text []byte) ([]byte, error) {
		offer, err := session.ParseDescription(text)
		if err != nil {
			return nil, err
		}
		s, answer, err := session.OpenAnswer(ctx, &session.Config{
			Local: netip.MustParseAddrPort("127.0.0.1:0"),
			Audio: &session.AudioConfig{
				Codecs: []codec.Params{static(9), static(0), static(8)},
				RTCP:   parley.RTCPConfig{Interval: -1},
			},
		}, offer)
		if err != nil {
			return nil, err
		}
		last = answer
		calls <- s
		return answer.Marshal()
	})
	dir := dialWith(t, server.uri(), account)

	var s *session.Session
	select {
	case s = <-calls:
	case <-ctx.Done():
		t.Fatal("the phone did not call")
	}
	defer s.Close()
	speaking := make(chan struct{})
	go func() {
		defer close(speaking)
		hum(s, rate, 300)
	}()
	hears := func(d time.Duration, tolerance, least float64) {
		t.Helper()
		for late := time.Now().Add(15 * time.Second); ; { // the best one counts, as this machine may make the phone pause
			hz, share := listen(t, s, d)
			if math.Abs(hz-437) <= tolerance && share >= least {
				return
			}
			if time.Now().After(late) {
				t.Errorf("the phone is heard with %.1f Hz, %.2f of the power; want 437", hz, share)
				return
			}
		}
	}
	hears(2*time.Second, 1, 0.98)
	if got := s.Audio().Codec().Name; !strings.Contains(account, got) {
		t.Errorf("sends %s to a phone with %s", got, account)
	}

	update := func(direction parley.Direction, cseq int) {
		t.Helper()
		next := *last
		next.Direction = direction
		next.Follow(last)
		last = &next
		text, err := next.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		reply, err := server.ask(ctx, "INVITE", cseq, text)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := session.ParseDescription(reply)
		if err != nil {
			t.Fatal(err)
		}
		agreed, err := session.Agree(&next, answer)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Update(agreed); err != nil {
			t.Fatal(err)
		}
		if agreed.Direction != direction {
			t.Errorf("agreed on %v, want %v", agreed.Direction, direction)
		}
	}
	var before, after parley.Stats
	update(parley.Inactive, 1)
	for try := 1; ; try++ { // until what was on its way is there
		time.Sleep(300 * time.Millisecond)
		s.Stats(&before)
		time.Sleep(500 * time.Millisecond)
		s.Stats(&after)
		if n := after.Audio.PacketsSent - before.Audio.PacketsSent; n != 0 {
			t.Errorf("%d packets sent on hold", n)
		}
		n := after.Audio.Received - before.Audio.Received
		if n == 0 {
			break
		}
		if try == 3 {
			t.Errorf("%d packets received on hold", n)
			break
		}
	}
	update(parley.SendRecv, 2)
	hears(time.Second, 2, 0.95)

	server.request("BYE", 3, nil)
	s.Close()
	<-speaking
	var network session.NetworkStats
	s.NetworkStats(&network)
	s.Stats(&after)
	// After a new offer with the same keys baresip counts its reports from 0 again,
	// so the next one looks like a replay.
	// On a busy machine it may leave a packet out.
	if a := after.Audio; a.Lost > 1 || a.Malformed != 0 || network.Unauthenticated > 2 {
		t.Errorf("%d packets lost, %d malformed, %d not authenticated", a.Lost, a.Malformed, network.Unauthenticated)
	}
	time.Sleep(300 * time.Millisecond) // it closes its file
	files, _ := filepath.Glob(filepath.Join(dir, "dump-*-dec.wav"))
	if len(files) == 0 {
		t.Fatal("the phone has heard nothing")
	}
	heard := phoneHeard(t, files[0])
	if hz, share := pitch(heard, rate); math.Abs(hz-300) > 1 || share < 0.9 {
		t.Errorf("the phone heard %.1f Hz, %.2f of the power, in %d samples; want 300", hz, share, len(heard))
	}
}

func static(pt uint8) codec.Params {
	p, _ := codec.Static(pt)
	return p
}

// hum says a tone until the call ends.
func hum(s *session.Session, rate int, hz float64) {
	f := audio.Frame{Format: audio.Format{Rate: rate, Channels: 1}, Samples: make([]int16, rate/50)}
	for n := 0; ; {
		for i := range f.Samples {
			f.Samples[i] = int16(8000 * math.Sin(2*math.Pi*hz*float64(n)/float64(rate)))
			n++
		}
		if s.Audio().WriteFrame(&f) != nil {
			return
		}
	}
}

// listen returns the pitch of what is heard for a while, once it has begun.
func listen(t *testing.T, s *session.Session, d time.Duration) (hz, share float64) {
	t.Helper()
	var f audio.Frame
	var heard []int16
	skip := 25 // the playout gets to know the network
	s.Audio().SetReadDeadline(time.Now().Add(20 * time.Second))
	for f.Format.Duration(len(heard)) < d {
		if err := s.Audio().ReadFrame(&f); err != nil {
			t.Fatal(err)
		}
		if f.Kind != audio.Media {
			heard = heard[:0]
			continue
		}
		if skip--; skip < 0 {
			heard = append(heard, f.Samples...)
		}
	}
	return pitch(heard, f.Format.Rate)
}

// pitch returns the frequency of the strongest sine, and its share of the power.
func pitch(pcm []int16, rate int) (hz, share float64) {
	var power float64
	for _, v := range pcm {
		power += float64(v) * float64(v)
	}
	for f := 200.0; f <= 600; f += 0.5 {
		var re, im float64
		sin, cos := math.Sincos(2 * math.Pi * f / float64(rate))
		a, b := 1.0, 0.0
		for _, v := range pcm {
			re += float64(v) * a
			im += float64(v) * b
			a, b = a*cos-b*sin, b*cos+a*sin
		}
		if p := 2 * (re*re + im*im) / (float64(len(pcm)) * power); p > share {
			hz, share = f, p
		}
	}
	return hz, share
}

// phoneHeard returns two seconds from the begin of what the phone has played,
// whose header may not be finished.
func phoneHeard(t *testing.T, name string) []int16 {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var pcm []int16
	for b = b[min(44, len(b)):]; len(b) >= 2; b = b[2:] {
		pcm = append(pcm, int16(binary.LittleEndian.Uint16(b)))
	}
	for len(pcm) > 0 && pcm[0] > -1000 && pcm[0] < 1000 {
		pcm = pcm[1:]
	}
	return pcm[:min(len(pcm), 12000)]
}
