package testport

import (
	"net"
	"testing"
)

// A port is open from when somebody has it, not when somebody sends to it.
func TestOpen(t *testing.T) {
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	to.Port = Pair(t, to.IP)
	sender, err := net.DialUDP("udp", nil, to)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	if Open(to.Port) {
		t.Error("open before anybody has it")
	}
	for _, address := range []string{"127.0.0.1", "0.0.0.0", "::"} {
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(address), Port: to.Port})
		if err != nil {
			t.Fatal(err)
		}
		if !Open(to.Port) {
			t.Errorf("%s is not open", address)
		}
		c.Close()
	}
}
