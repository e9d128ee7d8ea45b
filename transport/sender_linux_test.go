package transport

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// A kernel that has been told to leave out checksums refuses to cut up a run.
func TestSenderRefusedByTheKernel(t *testing.T) {
	s, _ := listenSender(t, netip.AddrPortFrom(loopback, 0), false)
	c := collect(t, netip.AddrPortFrom(loopback, 0), ReceiveRuns)
	raw, err := s.conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)
	}); err != nil {
		t.Fatal(err)
	}
	sizes := same(5, 700)
	for range 2 {
		if sent, err := s.Write(packetsOf(sizes), sizes, c.pair.LocalAddr()); sent != 5 || err != nil {
			t.Fatal(sent, err)
		}
		c.want(t, sizes)
	}
	if s.runs != 0 || !s.refused || s.by != c.pair.LocalAddr() {
		t.Errorf("%d runs, refused by %v: %v", s.runs, s.by, s.refused)
	}
}

// A run reaches a socket that asks for runs in one piece.
func TestRunsStayTogether(t *testing.T) {
	s, _ := listenSender(t, netip.AddrPortFrom(loopback, 0), false)
	p, err := Listen(ListenConfig{Local: netip.AddrPortFrom(loopback, 0), Mux: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if !coalesce(p.RTP) {
		t.Fatal("the kernel refuses")
	}
	sizes := append(same(15, 1200), 37)
	if sent, err := s.Write(packetsOf(sizes), sizes, p.LocalAddr()); sent != 16 {
		t.Fatal(err)
	}
	r := &runReader{conn: p.RTP}
	if run, size, from, err := r.read(); len(run) != 15*1200+37 || size != 1200 || from.Port() != localAddr(s.conn).Port() || err != nil {
		t.Errorf("%d bytes, packets of %d, from %v, %v", len(run), size, from, err)
	}
	if _, err := s.Write(make([]byte, 5), []int{5}, p.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if run, size, _, err := r.read(); len(run) != 5 || size != 5 || err != nil {
		t.Errorf("%d bytes, packets of %d, %v", len(run), size, err)
	}
}
