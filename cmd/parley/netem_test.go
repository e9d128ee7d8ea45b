package main

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestNetem(t *testing.T) {
	far, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	p := begin("netem", "--listen", "127.0.0.1:0", "--to", far.LocalAddr().String(), "--no-rtcp", "--duration", "500ms", "--delay", "5ms", "--loss", "100%")
	relay := netip.MustParseAddrPort(p.until(t, "listening").Address)
	if _, err := far.WriteToUDPAddrPort([]byte("x"), relay); err != nil {
		t.Fatal(err)
	}
	end := p.end(t)
	if end.Reason != "duration" || !strings.Contains(end.line, `"forward":{"packets_in":1,"packets_out":0,"packets_lost":1,`) {
		t.Error(end.line)
	}
}

func TestNetemWrongUse(t *testing.T) {
	for flag, message := range map[string]string{
		"--loss=2": "2%", "--rate=x": "not a rate", "--distribution=flat": "flat", "--delay=2h": "delay", "--queue=0s": "--queue", "--duration=-1s": "--duration",
	} {
		var stdout, stderr bytes.Buffer
		status := run([]string{"netem", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:4000", flag}, &stdout, &stderr)
		if status != statusUse || !strings.Contains(stderr.String(), message) {
			t.Errorf("%s: status %d, %s", flag, status, stderr.String())
		}
	}
}
