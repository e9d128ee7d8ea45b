package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParsePorts(t *testing.T) {
	if p, err := parsePorts("4000 65535"); p != [2]int{4000, 65535} || err != nil {
		t.Error(p, err)
	}
	for _, line := range []string{"", "4000", "4000 ", "4000 0", "4000 65536", "-1 4000", "4000 4002 4004"} {
		if _, err := parsePorts(line); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
}

func TestParseRelayTurn(t *testing.T) {
	r, err := parseRelayTurn("3000 2999 80 190 400 900")
	if want := (relayTurn{3000, 2999, [4]float64{80, 190, 400, 900}}); r != want || err != nil {
		t.Error(r, err)
	}
	for _, line := range []string{"", "3000 3000", "3000 3001 1 2 3 4", "-1 -1 1 2 3 4", "a b c d e f"} {
		if _, err := parseRelayTurn(line); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
}

func TestBencode(t *testing.T) {
	v := map[string]any{"command": "offer", "flags": []any{"trust-address", 7}, "empty": map[string]any{}, "n": -3, "sdp": "v=0\r\n"}
	const text = "d7:command5:offer5:emptyde5:flagsl13:trust-addressi7ee1:ni-3e3:sdp5:v=0\r\ne"
	if got := string(appendBencode(nil, v)); got != text {
		t.Errorf("%q, want %q", got, text)
	}
	got, rest, err := parseBencode(text + "more")
	if !reflect.DeepEqual(got, any(v)) || rest != "more" || err != nil {
		t.Errorf("%v, %q, %v", got, rest, err)
	}
	for _, text := range []string{"", "i7", "iee", "l", "li7e", "d", "di7ei8ee", "d1:ae", "5:four", "-1:", "x", ":", strings.Repeat("l", 1000)} {
		if v, _, err := parseBencode(text); !errors.Is(err, errBencode) {
			t.Errorf("%q is %v, %v", text, v, err)
		}
	}
}

func FuzzBencode(f *testing.F) {
	for _, text := range []string{"d7:command4:ping5:flagsl1:aee", "i-3e", "li1e0:e", "d1:ai1e1:bi2ee"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, rest, err := parseBencode(text)
		if err != nil {
			return
		}
		if !strings.HasSuffix(text, rest) {
			t.Fatalf("%q is left of %q", rest, text)
		}
		again, _, err := parseBencode(string(appendBencode(nil, v)))
		if err != nil || !reflect.DeepEqual(again, v) {
			t.Fatalf("%v is read as %v, %v", v, again, err)
		}
	})
}

// Our relay forwards every packet both ways, with a source of its own, and ends with
// its input.
func TestServeRelay(t *testing.T) {
	const calls, packets = 3, 20
	ends := make([]*net.UDPConn, 2*calls)
	var lines strings.Builder
	for i := range ends {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ends[i] = c
		fmt.Fprintf(&lines, "%d%c", c.LocalAddr().(*net.UDPAddr).Port, " \n"[i%2])
	}
	in, input := io.Pipe()
	output, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := ServeRelay(t.Context(), calls, in, out)
		out.Close()
		done <- err
	}()
	if _, err := io.WriteString(input, lines.String()); err != nil {
		t.Fatal(err)
	}
	for call := range calls {
		var ports [2]int
		if _, err := fmt.Fscan(output, &ports[0], &ports[1]); err != nil {
			t.Fatal(err)
		}
		for i := range ports {
			forwards(t, ends[2*call+i], ends[2*call+1-i], ports[i], packets)
		}
	}
	var objects, bytes int64
	go input.Write([]byte("memory\n")) //nolint:errcheck // the reply shows it
	if _, err := fmt.Fscan(output, &objects, &bytes); err != nil || objects <= 0 || bytes <= 0 {
		t.Errorf("%d objects, %d bytes, %v", objects, bytes, err)
	}
	input.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// forwards sends packets from one end, one after the other once the first has come
// through, and hears each at the other one.
func forwards(t *testing.T, from, to *net.UDPConn, port, packets int) {
	t.Helper()
	packet, got := make([]byte, 172), make([]byte, 2048)
	packet[0] = 0x80
	binary.BigEndian.PutUint32(packet[8:], 7)
	send := func(n int) {
		packet[3], packet[12] = byte(n), byte(n)
		binary.BigEndian.PutUint32(packet[4:], uint32(160*n))
		if _, err := from.WriteToUDP(packet, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(patience time.Duration) (int, error) {
		to.SetReadDeadline(time.Now().Add(patience)) //nolint:errcheck // the read tells
		for {
			size, err := to.Read(got)
			if err != nil {
				return 0, err
			}
			if size == 172 && binary.BigEndian.Uint32(got[8:]) != 7 {
				return int(got[12]), nil
			}
		}
	}
	begun := 1
	for send(0); ; begun++ {
		send(begun)
		if _, err := hear(50 * time.Millisecond); err == nil {
			break
		} else if begun == 200 {
			t.Fatal("nothing is forwarded")
		}
	}
	for n := begun + 1; n <= begun+packets; n++ {
		send(n)
		for {
			heard, err := hear(10 * time.Second)
			if err != nil {
				t.Fatalf("packet %d is not forwarded: %v", n, err)
			}
			if heard == n {
				break
			}
			if heard > begun {
				t.Fatalf("packet %d is heard instead of %d", heard, n)
			}
		}
	}
}

func TestServeRelayInput(t *testing.T) {
	for _, text := range []string{"", "4000\n", "no ports\n"} {
		if err := ServeRelay(t.Context(), 1, strings.NewReader(text), io.Discard); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// Without a compiler there is nothing that sends, and the rows say so.
func TestRelayWithoutCompiler(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	rows := 0
	err := Relay(t.Context(), RelayOptions{Ours: []string{"parley"}}, func(r RelayRow) {
		rows++
		if r.Ours != nil || r.Theirs != nil || r.Ratio != nil || !strings.Contains(r.Missing, "gcc") || r.Met() {
			t.Errorf("%+v", r)
		}
	})
	if err != nil || rows != 2 {
		t.Errorf("%d rows, %v", rows, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Relay(ctx, RelayOptions{Ours: []string{"parley"}}, func(RelayRow) { t.Error("a row") }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestRelayRow(t *testing.T) {
	o := &RelayOptions{Calls: 300, Options: Options{Rounds: 3}}
	turn := relayTurn{Sent: 100, Received: 99, Delay: [4]float64{80, 190, 400, 900}}
	ours := &relayContestant{name: "parley", times: []float64{5000, 5200, 5400}, results: []relayTurn{turn, turn, turn}, memory: relayMemory{200, 300 * 20480}}
	theirs := &relayContestant{name: "C, epoll", times: []float64{4000, 4000, 4100}, results: []relayTurn{turn}}
	none := &relayContestant{name: "rtpengine", missing: "rtpengine (Debian package rtpengine-daemon)"}
	var rows []RelayRow
	for _, c := range []struct {
		row  RelayRow
		met  bool
		want string
	}{
		{newRelayRow(o, ours, theirs, 1.35), true, "300 5200 (5000..5400) C, epoll 4000 (4000..4100) 1.30 (1.25..1.32) ≤ 1.35 met 0 20.0 KiB 3 / 1 80/190/400 80/190/400"},
		{newRelayRow(o, ours, theirs, 1.2), false, "300 5200 (5000..5400) C, epoll 4000 (4000..4100) 1.30 (1.25..1.32) ≤ 1.20 missed 0 20.0 KiB 3 / 1 80/190/400 80/190/400"},
		{newRelayRow(o, ours, none, 0.8), false, "300 5200 (5000..5400) rtpengine - - ≤ 0.80 0 20.0 KiB 3 80/190/400 missing: rtpengine (Debian package rtpengine-daemon)"},
		{newRelayRow(o, none, theirs, 1.35), false, "300 - C, epoll 4000 (4000..4100) - ≤ 1.35 - - - / 1 - missing: rtpengine (Debian package rtpengine-daemon)"},
	} {
		if got := strings.Join(strings.Fields(c.row.String()), " "); got != c.want || c.row.Met() != c.met {
			t.Errorf("%q, met %v; want %q", got, c.row.Met(), c.want)
		}
		rows = append(rows, c.row)
	}
	var page bytes.Buffer
	if err := WriteRelays(&page, rows); err != nil {
		t.Fatal(err)
	}
	for text, n := range map[string]int{
		"<svg": 2, `<rect class="ours"`: 6, "<rect x": 6, "missing: rtpengine": 2, "<td>1.30 (1.25..1.32)</td>": 2, "≤ 1.35 met": 1, "300 calls of two telephones at once, 3 rounds": 1, "NaN": 0,
	} {
		if got := strings.Count(page.String(), text); got != n {
			t.Errorf("%q is %d times in the page, want %d", text, got, n)
		}
	}
}
