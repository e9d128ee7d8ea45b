//go:build interop && linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parley-media/parley/internal/browser"
)

// visit lets the page call one application, with all that it takes, and returns
// what came of it.
const visit = `(async (app) => {
	const pc = new RTCPeerConnection();
	const until = async (what, done) => {
		for (const end = Date.now() + 10000; !(await done()); await new Promise((next) => setTimeout(next, 20))) {
			if (Date.now() > end) throw new Error(app.path + ': ' + what + ' has not come');
		}
	};
	const takes = (kind) => app.media.includes(kind);
	let channel;
	if (takes('audio') || takes('video')) {
		const stream = await navigator.mediaDevices.getUserMedia({ audio: takes('audio'), video: takes('video') });
		for (const track of stream.getTracks()) pc.addTrack(track, stream);
	}
	if (takes('data')) channel = pc.createDataChannel('test');
	await pc.setLocalDescription();
	await until('candidates', () => pc.iceGatheringState === 'complete');
	const answer = await fetch(app.path, {
		method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(pc.localDescription),
	});
	const found = { status: answer.status, sent: [], formats: [] };
	if (answer.ok) {
		const description = await answer.json();
		found.formats = [...description.sdp.matchAll(/^a=rtpmap:\d+ ([^/]+)/gm)].map((m) => m[1]);
		await pc.setRemoteDescription(description);
		await until('the connection', () => pc.connectionState === 'connected');
		if (channel) await until('the channel', () => channel.readyState === 'open');
		for (const sender of pc.getSenders()) {
			await until('the codec of ' + sender.track.kind, async () => {
				const all = await sender.getStats();
				const out = [...all.values()].find((s) => s.type === 'outbound-rtp' && s.packetsSent > 0);
				const codec = out && all.get(out.codecId);
				if (codec) found.sent.push(codec.mimeType);
				return codec;
			});
			sender.track.stop();
		}
	} else {
		found.error = await answer.text();
	}
	pc.close();
	return JSON.stringify(found);
})(%s)`

// What the README has people try first works with Go alone: the program is built
// without C, its page is in a call at once, with Opus, and each of its applications
// takes a call of Chromium, with Opus and VP8.
func TestFirstRun(t *testing.T) {
	folder := t.TempDir()
	program := filepath.Join(folder, "parley")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	serve := exec.Command(program, "serve", "--http", "127.0.0.1:0")
	serve.Dir = folder
	said := &transcript{}
	serve.Stderr = said
	stdout, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	giveUp := time.AfterFunc(2*time.Minute, func() { serve.Process.Kill() })
	defer giveUp.Stop()
	address := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			fmt.Fprintln(said, lines.Text())
			if rest, ok := strings.CutPrefix(lines.Text(), "Open "); ok {
				at, _, _ := strings.Cut(rest, " ")
				address <- at
			}
		}
	}()
	defer func() {
		serve.Process.Signal(syscall.SIGINT)
		<-read
		if err := serve.Wait(); err != nil {
			t.Errorf("serve: %v", err)
		}
		if t.Failed() {
			t.Logf("it said:\n%s", said)
		}
	}()
	var url string
	select {
	case url = <-address:
	case <-time.After(patience):
		t.Fatalf("no address within %v", patience)
	}

	tab := browser.Open(t, url, browser.View{})
	tab.Click("#start")
	tab.Wait(`body[data-connection="connected"]`, patience)
	tab.Wait(`body[data-codec="audio/opus"]`, patience)
	tab.Click("#start")
	tab.Wait(`body[data-phase="ended"]`, patience)

	var apps []struct {
		Path  string   `json:"path"`
		Media []string `json:"media"`
	}
	if err := json.Unmarshal([]byte(tab.Eval(`fetch('apps').then((r) => r.text())`)), &apps); err != nil || len(apps) < 5 {
		t.Fatalf("%d applications, %v", len(apps), err)
	}
	for _, app := range apps {
		told, err := json.Marshal(app)
		if err != nil {
			t.Fatal(err)
		}
		var found struct {
			Status        int
			Sent, Formats []string
			Error         string
		}
		if err := json.Unmarshal([]byte(tab.Eval(fmt.Sprintf(visit, told))), &found); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %+v", app.Path, found)
		if found.Status != 200 {
			t.Errorf("%s: status %d, %s", app.Path, found.Status, found.Error)
		}
		for _, kind := range app.Media {
			want := map[string]string{"audio": "audio/opus", "video": "video/VP8"}[kind]
			if want != "" && !strings.Contains(strings.Join(found.Sent, " "), want) {
				t.Errorf("%s: %v is sent, want %s", app.Path, found.Sent, want)
			}
		}
	}
}
