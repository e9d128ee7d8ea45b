package netem

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRelay(t *testing.T) {
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	far, err := listen(loopback, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(far)
	near, err := listen(loopback, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(near)
	r, err := OpenRelay(RelayConfig{Listen: loopback, To: localAddr(far[0]), RTCP: true, Forward: Config{Delay: 30 * ms}, Back: Config{Duplicate: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	read := func(c *net.UDPConn, want string) netip.AddrPort {
		t.Helper()
		buf := make([]byte, 100)
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil || string(buf[:n]) != want {
			t.Fatalf("%q, %v, want %q", buf[:n], err, want)
		}
		return from
	}
	local := r.LocalAddr()
	for i, name := range []string{"rtp", "rtcp"} {
		start := time.Now()
		near[i].WriteToUDPAddrPort([]byte(name), netip.AddrPortFrom(local.Addr(), local.Port()+uint16(i)))
		from := read(far[i], name)
		if d := time.Since(start); d < 30*ms {
			t.Errorf("%s after %v", name, d)
		}
		far[i].WriteToUDPAddrPort([]byte("re "+name), from)
		read(near[i], "re "+name)
		read(near[i], "re "+name)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	want := RelayStats{Forward: Stats{In: 2, Out: 2}, Back: Stats{In: 2, Out: 4, Duplicated: 2}}
	if s := r.Stats(); s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
	again, err := listenAt(local, 2)
	if err != nil {
		t.Fatalf("a port is still taken: %v", err)
	}
	closeAll(again)
	if _, err := OpenRelay(RelayConfig{Listen: local, To: local}); !errors.Is(err, ErrConfig) {
		t.Errorf("to itself: %v", err)
	}
}

// What a relay does can change while packets are inside, which keep their times and
// their order.
func TestRelayChange(t *testing.T) {
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	ends, err := listen(loopback, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(ends)
	near, far := ends[0], ends[1]
	r, err := OpenRelay(RelayConfig{Listen: loopback, To: localAddr(far)})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	start := time.Now()
	for i, c := range []Config{{Delay: 300 * ms}, {}, {Loss: Loss{Rate: 1}}, {}} {
		if err := r.Change(c, Config{}); err != nil {
			t.Fatal(err)
		}
		near.WriteToUDPAddrPort([]byte{byte(i)}, r.LocalAddr())
		poll := time.NewTicker(ms)
		for deadline := time.Now().Add(10 * time.Second); r.Stats().Forward.In <= int64(i) && time.Now().Before(deadline); {
			<-poll.C
		}
		poll.Stop()
	}
	if err := r.Change(Config{}, Config{Delay: -1}); !errors.Is(err, ErrConfig) {
		t.Errorf("error %v", err)
	}
	buf := make([]byte, 100)
	for _, want := range []byte{0, 1, 3} {
		far.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, _, err := far.ReadFromUDPAddrPort(buf)
		if d := time.Since(start); err != nil || n != 1 || buf[0] != want || d < 300*ms {
			t.Errorf("%v after %v, %v; want %d", buf[:n], d, err, want)
		}
	}
	if s := r.Stats(); s.Forward != (Stats{In: 4, Out: 3, Lost: 1}) {
		t.Errorf("%+v", s)
	}
}
