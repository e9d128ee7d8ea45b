package transport

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// receivers are the two ways to receive, which differ in nothing that can be seen.
var receivers = map[string]func(*net.UDPConn, func(time.Time, netip.AddrPort, []byte)){
	"Receive": Receive, "ReceiveRuns": ReceiveRuns,
}

// A collector takes what a socket receives.
type collector struct {
	pair  *Pair
	heard chan []byte
	from  chan netip.AddrPort
}

func collect(t testing.TB, local netip.AddrPort, receive func(*net.UDPConn, func(time.Time, netip.AddrPort, []byte))) *collector {
	t.Helper()
	p, err := Listen(ListenConfig{Local: local, Mux: true})
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{p, make(chan []byte, 1000), make(chan netip.AddrPort, 1000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		receive(p.RTP, func(_ time.Time, from netip.AddrPort, b []byte) {
			c.heard <- bytes.Clone(b)
			c.from <- from
		})
	}()
	t.Cleanup(func() { p.Close(); <-done })
	return c
}

// next returns the next datagram, and nil if there is none for two seconds.
func (c *collector) next() []byte {
	select {
	case b := <-c.heard:
		return b
	case <-time.After(2 * time.Second):
		return nil
	}
}

// packetsOf returns packets of the given sizes, which all differ.
func packetsOf(sizes []int) []byte {
	var b []byte
	for i, n := range sizes {
		b = append(b, bytes.Repeat([]byte{byte(i + 1)}, n)...)
	}
	return b
}

func (c *collector) want(t *testing.T, sizes []int) {
	t.Helper()
	for i, n := range sizes {
		if got := c.next(); !bytes.Equal(got, bytes.Repeat([]byte{byte(i + 1)}, n)) {
			t.Fatalf("packet %d of %v came as %d bytes %.8x", i, sizes, len(got), got)
		}
	}
}

func listenSender(t testing.TB, local netip.AddrPort, portable bool) (*Sender, netip.AddrPort) {
	t.Helper()
	p, err := Listen(ListenConfig{Local: local, Mux: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	s := NewSender(p.RTP)
	if portable {
		s.most = 1
	}
	return s, p.LocalAddr()
}

func same(n, size int) []int { return slices.Repeat([]int{size}, n) }

// What is sent is received, packet by packet and in order, whatever way it takes.
func TestSender(t *testing.T) {
	families := []struct{ name, from, to string }{
		{"IPv4", "127.0.0.1:0", "127.0.0.1:0"},
		{"IPv6", "[::1]:0", "[::1]:0"},
		{"dual stack to IPv4", "", "127.0.0.1:0"},
		{"dual stack to IPv6", "[::]:0", "[::1]:0"},
	}
	batches := [][]int{
		same(8, 1200), same(16, 1200),
		{1200},
		{20, 1200, 1200, 300, 1200, 1200, 1201, 1, 1, 1},
		same(60, 1212), same(100, 100),
		{1200, 1200, 0, 7},
		{0, 0, 5},
	}
	for _, f := range families {
		for name, receive := range receivers {
			for _, portable := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/portable=%v", f.name, name, portable), func(t *testing.T) {
					var local netip.AddrPort
					if f.from != "" {
						local = netip.MustParseAddrPort(f.from)
					}
					s, at := listenSender(t, local, portable)
					c := collect(t, netip.MustParseAddrPort(f.to), receive)
					for _, sizes := range batches {
						sent, err := s.Write(packetsOf(sizes), sizes, c.pair.LocalAddr())
						if sent != len(sizes) || err != nil {
							t.Fatalf("%d of %v sent, %v", sent, sizes, err)
						}
						c.want(t, sizes)
						for range sizes {
							if from := <-c.from; from.Port() != at.Port() || from.Addr().Is4In6() {
								t.Fatalf("from %v, want %v", from, at)
							}
						}
					}
					if s.refused {
						t.Errorf("runs to %v are refused", s.by)
					}
					if segmentation && !portable != (s.runs == 11) {
						t.Errorf("%d runs", s.runs)
					}
				})
			}
		}
	}
}

func TestSenderConnected(t *testing.T) {
	for _, portable := range []bool{false, true} {
		c := collect(t, netip.AddrPortFrom(loopback, 0), ReceiveRuns)
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(c.pair.LocalAddr()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		s := NewSender(conn)
		if portable {
			s.most = 1
		}
		sizes := []int{900, 900, 900, 20, 50}
		if sent, err := s.Write(packetsOf(sizes), sizes, netip.AddrPort{}); sent != 5 || err != nil {
			t.Fatal(sent, err)
		}
		c.want(t, sizes)
		if segmentation && !portable != (s.runs == 1) {
			t.Errorf("%d runs", s.runs)
		}
	}
}

// Where a run is refused its packets are sent one by one, and so is what follows
// to this address; another one is tried.
func TestSenderFallsBack(t *testing.T) {
	for _, refusal := range []error{syscall.EIO, syscall.EINVAL, syscall.EMSGSIZE, syscall.ENOPROTOOPT} {
		s, _ := listenSender(t, netip.AddrPortFrom(loopback, 0), false)
		s.most = maxSegments
		a := collect(t, netip.AddrPortFrom(loopback, 0), ReceiveRuns)
		b := collect(t, netip.AddrPortFrom(loopback, 0), ReceiveRuns)
		tried := 0
		s.run = func([]byte, int, netip.AddrPort) error {
			tried++
			return &net.OpError{Op: "write", Net: "udp", Err: refusal}
		}
		sizes := []int{500, 500, 500, 40, 500, 500}
		for i, to := range []*collector{a, a, b, b} {
			if sent, err := s.Write(packetsOf(sizes), sizes, to.pair.LocalAddr()); sent != len(sizes) || err != nil {
				t.Fatalf("%v: %d sent, %v", refusal, sent, err)
			}
			to.want(t, sizes)
			if want := []int{1, 1, 2, 2}[i]; tried != want && segmentation {
				t.Errorf("%v, to %d: tried %d times, want %d", refusal, i, tried, want)
			}
		}
	}
}

// Any other error costs no packet either, and is not remembered.
func TestSenderOtherErrors(t *testing.T) {
	s, _ := listenSender(t, netip.AddrPortFrom(loopback, 0), false)
	s.most = maxSegments
	c := collect(t, netip.AddrPortFrom(loopback, 0), ReceiveRuns)
	tried := 0
	s.run = func([]byte, int, netip.AddrPort) error { tried++; return syscall.ECONNREFUSED }
	sizes := same(4, 100)
	for range 2 {
		if sent, err := s.Write(packetsOf(sizes), sizes, c.pair.LocalAddr()); sent != 4 || err != nil {
			t.Fatal(sent, err)
		}
		c.want(t, sizes)
	}
	if tried != 2 {
		t.Errorf("tried %d times", tried)
	}
}

func TestSenderErrors(t *testing.T) {
	for _, portable := range []bool{false, true} {
		s, _ := listenSender(t, netip.AddrPortFrom(loopback, 0), portable)
		c := collect(t, netip.AddrPortFrom(loopback, 0), ReceiveRuns)
		// One that is too long costs itself alone.
		sizes := []int{100, 100, 65508, 100, 100}
		sent, err := s.Write(packetsOf(sizes), sizes, c.pair.LocalAddr())
		if sent != 4 || !errors.Is(err, syscall.EMSGSIZE) && segmentation || err == nil {
			t.Errorf("%d sent, %v", sent, err)
		}
		for _, i := range []byte{1, 2, 4, 5} {
			if got := c.next(); len(got) != 100 || got[0] != i {
				t.Errorf("%d bytes came as packet %d", len(got), i)
			}
		}
		s.conn.Close()
		if sent, err := s.Write(make([]byte, 300), same(3, 100), c.pair.LocalAddr()); sent != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %d sent, %v", sent, err)
		}
		if sent, err := s.Write(nil, nil, c.pair.LocalAddr()); sent != 0 || err != nil {
			t.Errorf("nothing: %d sent, %v", sent, err)
		}
	}
}

// A run has equal packets and perhaps a shorter one at its end, and it is as long
// as can be.
func TestLeadingRun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.Just(1200), rapid.IntRange(0, 3), rapid.IntRange(0, 40000))
		sizes := rapid.SliceOfN(size, 1, 150).Draw(t, "sizes")
		most := rapid.SampledFrom([]int{1, 2, maxSegments}).Draw(t, "most")
		n, length := leadingRun(sizes, most)
		fits := func(n int) bool {
			sum := 0
			for i, s := range sizes[:n] {
				if sum += s; i > 0 && (s == 0 || s > sizes[0] || i < n-1 && s != sizes[0]) {
					return false
				}
			}
			return n == 1 || n <= most && sum <= 65507
		}
		sum := 0
		for _, s := range sizes[:n] {
			sum += s
		}
		if !fits(n) || sum != length {
			t.Fatalf("%d packets of %d bytes are no run", n, length)
		}
		if n < len(sizes) && fits(n+1) {
			t.Fatalf("%d packets could be %d", n, n+1)
		}
	})
}

func TestSenderAllocatesNothing(t *testing.T) {
	for _, portable := range []bool{false, true} {
		s, _ := listenSender(t, netip.AddrPort{}, portable)
		q, err := Listen(ListenConfig{Local: netip.AddrPortFrom(loopback, 0), Mux: true})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		to, sizes := q.LocalAddr(), same(16, 1200)
		b := packetsOf(sizes)
		if n := testing.AllocsPerRun(100, func() {
			if sent, err := s.Write(b, sizes, to); sent != len(sizes) {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("portable=%v: %v allocations", portable, n)
		}
	}
}

func TestReceiveAllocatesNothing(t *testing.T) {
	for name, receive := range receivers {
		t.Run(name, func(t *testing.T) {
			q, err := Listen(ListenConfig{Local: netip.AddrPortFrom(loopback, 0), Mux: true})
			if err != nil {
				t.Fatal(err)
			}
			heard, done := make(chan struct{}, 64), make(chan struct{})
			go func() {
				defer close(done)
				receive(q.RTP, func(time.Time, netip.AddrPort, []byte) { heard <- struct{}{} })
			}()
			defer func() { q.Close(); <-done }()
			s, _ := listenSender(t, netip.AddrPort{}, false)
			to, sizes := q.LocalAddr(), same(16, 1200)
			b := packetsOf(sizes)
			if n := testing.AllocsPerRun(100, func() {
				s.Write(b, sizes, to) //nolint:errcheck // it would be missed
				for range sizes {
					<-heard
				}
			}); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func ExampleSender() {
	far, _ := Listen(ListenConfig{Local: netip.MustParseAddrPort("127.0.0.1:0"), Mux: true})
	near, _ := Listen(ListenConfig{Local: netip.MustParseAddrPort("127.0.0.1:0"), Mux: true})
	defer near.Close()
	got := make(chan string, 3)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ReceiveRuns(far.RTP, func(_ time.Time, _ netip.AddrPort, b []byte) { got <- string(b) })
	}()
	sent, err := NewSender(near.RTP).Write([]byte("onetwo3"), []int{3, 3, 1}, far.LocalAddr())
	fmt.Println(sent, err, <-got, <-got, <-got)
	far.Close()
	<-done
	// Output: 3 <nil> one two 3
}
