package session

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/transport"
)

// A scene is a session with a far end that it talks to, and somebody else.
type scene struct {
	t    *testing.T
	s    *Session
	peer *speaker
	evil []*speaker // all of the attacker's sockets, the one in use first

	heard, wrong atomic.Int64 // frames of the peer, and with samples of the attacker
	late         atomic.Int64 // by how much the peer was late at most, in nanoseconds
	marks        int32        // reports sent by taken
	unheard      int64        // packets of the peer while it had not proved itself
	ears         ears         // of the peer
	stop         chan struct{}
	talking      sync.WaitGroup
	running      sync.WaitGroup
}

// ears count what arrives on a socket.
type ears struct {
	rtp, rtcp atomic.Int64
	first     atomic.Int64 // when the first RTP packet came, as Unix time in nanoseconds
}

func (e *ears) listen(conn *net.UDPConn) {
	transport.Receive(conn, func(arrival time.Time, _ netip.AddrPort, b []byte) {
		switch transport.Classify(b) {
		case transport.RTP:
			e.first.CompareAndSwap(0, arrival.UnixNano())
			e.rtp.Add(1)
		case transport.RTCP:
			e.rtcp.Add(1)
		}
	})
}

const peerSSRC = 0xfeedface

// An end is a way in which a session may be open to others.
type end struct {
	name  string
	latch transport.LatchMode
	where int // what was signalled
	srtp  bool
}

const (
	asSaid = iota
	elsewhere
	nobody
)

var ends = []end{
	{"signalled", transport.LatchSignalled, asSaid, false},
	{"symmetric, as said", transport.LatchSymmetric, asSaid, false},
	{"symmetric, translated", transport.LatchSymmetric, elsewhere, false},
	{"strict", transport.LatchStrict, asSaid, false},
	{"learnt", transport.LatchSignalled, nobody, false},
	{"SRTP, translated", transport.LatchSymmetric, elsewhere, true},
	{"SRTP, learnt", transport.LatchSignalled, nobody, true},
}

// fixed reports whether media goes to the signalled address only.
func (e end) fixed() bool {
	return e.where == asSaid && e.latch != transport.LatchSymmetric
}

// guarded reports whether nobody can be taken for a far end that has not spoken.
func (e end) guarded() bool { return e.fixed() || e.srtp }

// knows reports whether the far end is more than whoever spoke first.
func (e end) knows() bool { return e.where != nobody || e.srtp }

// newScene opens a session whose far end is silent yet.
func newScene(t *testing.T, e end, c Config) *scene {
	t.Helper()
	sc := &scene{t: t, stop: make(chan struct{})}
	sc.peer = newSpeaker(t, netip.AddrPort{}, "127.0.0.1:0", peerSSRC, peerLevel)
	c.Latch = e.latch
	switch e.where {
	case asSaid:
		c.Remote = sc.peer.addr()
	case elsewhere: // nobody listens there
		c.Remote = netip.MustParseAddrPort("127.0.0.3:9")
	}
	if e.srtp {
		ours, theirs := key(t), key(t)
		c.SRTP = &SRTP{Local: ours, Remote: theirs}
		var err error
		if sc.peer.protect, err = transport.NewSRTP(theirs, ours); err != nil {
			t.Fatal(err)
		}
	}
	sc.s = open(t, c)
	sc.peer.to = sc.s.LocalAddr()
	sc.attacker(1)
	sc.running.Go(func() {
		for sc.s.Audio().WriteFrame(tone(ownLevel)) == nil {
		}
	})
	sc.running.Go(func() {
		var f audio.Frame
		for sc.s.Audio().ReadFrame(&f) == nil {
			who := 0
			for _, v := range f.Samples {
				if v < evilLevel/4 {
					who = evilLevel
					break
				}
				if v > peerLevel/2 {
					who = peerLevel
				}
			}
			switch who {
			case evilLevel:
				sc.wrong.Add(1)
			case peerLevel:
				sc.heard.Add(1)
			}
		}
	})
	conn := sc.peer.conn
	sc.running.Go(func() { sc.ears.listen(conn) })
	t.Cleanup(func() { // before the sockets are closed
		sc.hush()
		sc.s.Close()
		conn.Close()
		sc.running.Wait()
	})
	return sc
}

func key(t *testing.T) transport.SRTPKey {
	t.Helper()
	k, err := transport.NewSRTPKey(transport.AEAD_AES_128_GCM)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// attacker makes sockets of the attacker, up to a number of n.
func (sc *scene) attacker(n int) {
	sc.t.Helper()
	for len(sc.evil) < n {
		sc.evil = append(sc.evil, newSpeaker(sc.t, sc.s.LocalAddr(), "127.0.0.2:0", 0xbadbad, evilLevel))
	}
}

// talk makes the peer talk until hush, and waits until it is heard.
func (sc *scene) talk() {
	sc.t.Helper()
	sc.talking.Go(func() {
		next := time.Now()
		for {
			select {
			case <-sc.stop:
				return
			case <-time.After(time.Until(next)):
			}
			sc.late.Store(max(sc.late.Load(), int64(time.Since(next))))
			sc.peer.say()
			next = next.Add(20 * time.Millisecond)
		}
	})
	before := sc.heard.Load()
	until(sc.t, "the peer is heard", func() bool { return sc.heard.Load() > before+5 })
	sc.taken()
	var stats parley.Stats
	sc.s.Stats(&stats)
	sc.unheard = sc.peer.count() - stats.Audio.Received - stats.Audio.Lost
}

// tardy returns by how much the peer was late at most since it was asked last.
func (sc *scene) tardy() time.Duration { return time.Duration(sc.late.Swap(0)) }

// hush makes the peer silent; it stays so.
func (sc *scene) hush() {
	select {
	case <-sc.stop:
	default:
		close(sc.stop)
	}
	sc.talking.Wait()
}

// taken waits until the session has taken everything that was sent to its RTP
// port so far: until it knows what the peer reports behind that. A report that
// the kernel drops is sent again.
func (sc *scene) taken() {
	sc.t.Helper()
	sc.marks++
	b := rtcpctl.AppendRR(nil, peerSSRC, []rtcpctl.ReportBlock{{SSRC: sc.s.Audio().SSRC(), Lost: sc.marks}})
	again := time.Now()
	until(sc.t, "what the peer reports", func() bool {
		if now := time.Now(); !now.Before(again) {
			again = now.Add(50 * time.Millisecond)
			coded := b
			if p := sc.peer.protect; p != nil {
				var err error
				sc.peer.mu.Lock()
				coded, err = p.EncryptRTCP(nil, b)
				sc.peer.mu.Unlock()
				if err != nil {
					sc.t.Error(err)
				}
			}
			sc.peer.report(coded, 0)
		}
		var stats parley.Stats
		sc.s.Stats(&stats)
		return stats.Audio.RemoteLost == int64(sc.marks)
	})
}

// unharmed checks that nothing of the attacker was heard, that nothing was sent
// to it, and that the peer is heard as if nothing had happened.
func (sc *scene) unharmed() {
	sc.t.Helper()
	sc.taken()
	before := sc.heard.Load()
	until(sc.t, "the peer is still heard", func() bool { return sc.heard.Load() > before+3 })
	if err := sc.s.Err(); err != nil {
		sc.t.Fatalf("the call has ended: %v", err)
	}
	if n := sc.wrong.Load(); n != 0 {
		sc.t.Errorf("%d frames have samples of the attacker", n)
	}
	for _, e := range sc.evil {
		if n := received(sc.t, e.conn); n != 0 {
			sc.t.Errorf("%d datagrams were sent to the attacker", n)
		}
	}
	if r := sc.s.RemoteAddr(); r != sc.peer.addr() {
		sc.t.Errorf("packets go to %v, want %v", r, sc.peer.addr())
	}
	until(sc.t, "the packets of the peer", func() bool {
		var stats parley.Stats
		sc.s.Stats(&stats)
		return stats.Audio.Received+stats.Audio.Lost >= sc.peer.count()-sc.unheard-1 // which is on its way
	})
	var stats parley.Stats
	sc.s.Stats(&stats)
	if stats.Audio.Lost > 0 && dropped(sc.s) == 0 {
		sc.t.Errorf("%d packets of the peer were lost", stats.Audio.Lost)
	}
	if sc.ears.rtp.Load() == 0 {
		sc.t.Error("the peer hears nothing")
	}
}

func whichever(end) bool { return true }

// inEach runs fn for each of the ends that are suitable, at the same time.
func inEach(t *testing.T, suitable func(end) bool, fn func(t *testing.T, e end)) {
	var all sync.WaitGroup
	for _, e := range ends {
		if !suitable(e) {
			continue
		}
		all.Go(func() { t.Run(e.name, func(t *testing.T) { fn(t, e) }) })
	}
	all.Wait()
}
