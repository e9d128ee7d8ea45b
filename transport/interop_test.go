//go:build interop

package transport

import (
	"encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tshark finds both streams whole in a capture, with right checksums.
func TestCaptureInWireshark(t *testing.T) {
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Fatalf("%v (Debian package tshark)", err)
	}
	name := filepath.Join(t.TempDir(), "call.pcap")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	c := NewCapture(file)
	ends := []netip.AddrPort{
		netip.MustParseAddrPort("192.0.2.1:5004"), netip.MustParseAddrPort("198.51.100.7:31000"),
		netip.MustParseAddrPort("[2001:db8::1]:5004"), netip.MustParseAddrPort("[2001:db8::2]:31000"),
	}
	for i := range 50 {
		for k := range 4 {
			b := []byte{0x80, 0, 0, byte(i)}
			b = binary.BigEndian.AppendUint32(b, uint32(160*i))
			b = binary.BigEndian.AppendUint32(b, 0xbeef0000+uint32(k))
			b = append(b, make([]byte, 160-i%2)...)
			c.Write(epoch.Add(time.Duration(20*i)*time.Millisecond), ends[k], ends[k^1], b)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "-r", name, "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
		"-d", "udp.port==5004,rtp", "-T", "fields", "-e", "ipv6.src", "-e", "ip.src", "-e", "ip.checksum.status",
		"-e", "udp.checksum.status", "-e", "rtp.ssrc", "-e", "rtp.seq", "-e", "frame.time_delta").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(lines) != 200 {
		t.Fatalf("%d packets, want 200", len(lines))
	}
	for i, line := range lines {
		delta := "0.000000000"
		if i > 0 && i%4 == 0 {
			delta = "0.020000000"
		}
		want := strings.Join([]string{
			[]string{"", "", "2001:db8::1", "2001:db8::2"}[i%4], []string{"192.0.2.1", "198.51.100.7", "", ""}[i%4],
			[]string{"1", "1", "", ""}[i%4], "1", "0xbeef000" + string(rune('0'+i%4)),
			strconv.Itoa(i / 4), delta,
		}, "\t")
		if line != want {
			t.Fatalf("packet %d: %q, want %q", i, line, want)
		}
	}
}
