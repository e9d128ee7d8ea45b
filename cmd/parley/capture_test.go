//go:build interop

package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A capture is a tshark that records what a few ports of the loopback interface
// carry.
type capture struct {
	*process
	file   string
	marker *net.UDPConn
}

func startCapture(t *testing.T) *capture {
	t.Helper()
	sink, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
	c := &capture{file: filepath.Join(t.ArtifactDir(), "call.pcapng")}
	if c.marker, err = net.DialUDP("udp", nil, sink.LocalAddr().(*net.UDPAddr)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.marker.Close() })
	c.process = start(t, "tshark", "tshark", "-i", "lo", "-f", "udp", "-w", c.file, "-P", "-l",
		"-T", "fields", "-e", "udp.srcport", "-e", "udp.length")
	return c
}

// mark returns when the capture shows a datagram that is sent now, and so has
// everything from before.
func (c *capture) mark(t *testing.T, n int) {
	t.Helper()
	line := fmt.Sprintf("%d\t%d\n", c.marker.LocalAddr().(*net.UDPAddr).Port, 8+n)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		c.marker.Write(make([]byte, n)) //nolint:errcheck // tried again
		if strings.Contains(c.output.String(), line) {
			return
		}
	}
	t.Fatalf("tshark captures nothing (it needs root)\n%s", c.output)
}

func (c *capture) stop(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	c.wait(t)
}

// read returns fields of the packets that a display filter lets through, with
// several values of one field joined by commas.
func (c *capture) read(t *testing.T, decode []string, filter string, fields ...string) [][]string {
	t.Helper()
	args := []string{"-r", c.file, "-Y", filter, "-T", "fields", "-E", "aggregator=,"}
	for _, d := range decode {
		args = append(args, "-d", d)
	}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := exec.Command("tshark", args...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v", cmd.Args, err)
	}
	var rows [][]string
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows
}

func number(t *testing.T, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPacketsByTshark(t *testing.T) {
	const d = 7 * time.Second // long enough for reports
	c := startCapture(t)
	c.mark(t, 1)
	recv := spawn(t, "recv", "--listen", "127.0.0.1:0")
	to := netip.MustParseAddrPort(recv.until(t, "listening").Address)
	send := spawn(t, "send", toneWAV(t, mono8k, d), "--to", to.String(), "--local", "127.0.0.1:0", "--ssrc", "305419896")
	from := netip.MustParseAddrPort(send.until(t, "listening").Address)
	send.until(t, "started")
	recv.until(t, "started")
	end := send.end(t)
	recv.end(t)
	c.mark(t, 2)
	c.stop(t)
	t.Logf("send: %s", end.line)
	// Reports come at random times, so the call may end without a round trip.
	if end.RoundTripMS != nil && *end.RoundTripMS > 500 || end.RemoteLossPct != nil && *end.RemoteLossPct != 0 {
		t.Errorf("reports say: %s", farEnd(end.RoundTripMS, end.RemoteLossPct))
	}

	decode := []string{fmt.Sprintf("udp.port==%d,rtp", to.Port()), fmt.Sprintf("udp.port==%d,rtcp", to.Port()+1)}
	ours := fmt.Sprintf("(udp.port==%d || udp.port==%d)", to.Port(), to.Port()+1)
	all := c.read(t, decode, ours, "frame.number")
	for _, row := range c.read(t, decode, ours+" && (_ws.expert || _ws.malformed || !(rtp || rtcp))", "frame.number", "frame.protocols", "_ws.expert.message") {
		t.Errorf("tshark finds fault with packet %q", row)
	}

	media := c.read(t, decode, ours+" && rtp", "rtp.ssrc", "rtp.seq", "rtp.timestamp", "rtp.p_type", "rtp.marker", "rtp.version", "udp.srcport", "udp.length")
	if len(media) != 350 {
		t.Fatalf("%d RTP packets, want 350", len(media))
	}
	seq, timestamp := number(t, media[0][1]), number(t, media[0][2])
	for i, row := range media {
		if i == 0 && row[4] == "0" {
			t.Error("the first packet has no marker")
		}
		want := []string{"0x12345678", fmt.Sprint(uint16(seq) + uint16(i)), fmt.Sprint(uint32(timestamp) + 160*uint32(i)), "0", row[4], "2", fmt.Sprint(from.Port()), "180"}
		if !slices.Equal(row, want) || i > 0 && row[4] != "0" && row[4] != "False" {
			t.Fatalf("RTP packet %d is %q, want %q", i, row, want)
		}
	}

	control := c.read(t, decode, ours+" && rtcp", "udp.srcport", "rtcp.pt", "rtcp.sdes.type", "rtcp.sdes.text",
		"rtcp.ssrc.identifier", "rtcp.ssrc.fraction", "rtcp.ssrc.cum_nr", "rtcp.sender.packetcount", "frame.time_relative")
	if len(all) != len(media)+len(control) {
		t.Errorf("%d packets, of which %d are RTP and %d RTCP", len(all), len(media), len(control))
	}
	seen := map[string]int{}
	cnames := map[string]map[string]bool{"send": {}, "recv": {}}
	for _, row := range control {
		t.Logf("RTCP %q", row)
		who, first := "send", "200"
		if row[0] == fmt.Sprint(to.Port()+1) {
			who, first = "recv", "201"
		} else if row[0] != fmt.Sprint(from.Port()+1) {
			t.Errorf("RTCP from port %s", row[0])
		}
		types := strings.Split(row[1], ",")
		if types[0] != first && !(who == "send" && seen["send 200"] == 0 && types[0] == "201") {
			t.Errorf("a compound of %s begins with %s, want %s", who, types[0], first)
		}
		if !slices.Contains(types, "202") || !strings.HasPrefix(row[2], "1") {
			t.Errorf("a compound of %s has no CNAME: %q", who, row)
		}
		cnames[who][row[3]] = true
		if who == "recv" && row[5] != "" && (row[5] != "0" || row[6] != "0") {
			t.Errorf("a report of loss: %q", row)
		}
		if row[5] != "" {
			seen[who+" report block"]++
		}
		for _, pt := range types {
			seen[who+" "+pt]++
		}
		if seen[who+" 203"] > 0 && types[len(types)-1] != "203" {
			t.Errorf("%s goes on after its goodbye: %q", who, row)
		}
	}
	t.Logf("%d RTP packets, RTCP %v", len(media), seen)
	for _, what := range []string{"send 200", "recv 201", "recv report block"} {
		if seen[what] == 0 {
			t.Errorf("no %s", what)
		}
	}
	if seen["send 200"] < 2 { // one is the goodbye
		t.Error("no sender report before the goodbye")
	}
	for who, names := range cnames {
		if len(names) != 1 || seen[who+" 203"] != 1 {
			t.Errorf("%s has the names %v and %d goodbyes", who, names, seen[who+" 203"])
		}
	}
	last := control[len(control)-1]
	for _, row := range control {
		if row[0] == fmt.Sprint(from.Port()+1) {
			last = row
		}
	}
	if last[7] != "350" {
		t.Errorf("the last sender report counts %s packets, want 350", last[7])
	}
}
