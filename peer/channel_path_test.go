package peer

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
)

// A path is a socket that does not send every packet.
type path struct {
	net.PacketConn
	mtu int // of UDP payloads; 0: any

	mu      sync.Mutex
	random  *rand.Rand
	loss    float64 // of records of DTLS
	dropped int
}

func (p *path) WriteTo(b []byte, to net.Addr) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	record := len(b) > 0 && b[0] >= 20 && b[0] < 64 // RFC 7983, section 7
	if p.mtu > 0 && len(b) > p.mtu || record && p.random.Float64() < p.loss {
		p.dropped++
		return len(b), nil
	}
	return p.PacketConn.WriteTo(b, to)
}

func (p *path) lose(part float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loss = part
}

// newPairOn returns a pair whose end of ours sends over p.
func newPairOn(t *testing.T, p *path) *pair {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(t, err)
	p.PacketConn = conn
	p.random = rand.New(rand.NewPCG(1, 2))
	mux := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: p})
	t.Cleanup(func() { mux.Close() })
	return newPairWith(t, maxMessage, func(s *webrtc.SettingEngine) { s.SetICEUDPMux(mux) })
}

// E5: a path that carries nothing longer than IPv6 demands, 1280 bytes with the
// headers of IPv6 and UDP, carries long messages.
func TestChannelPathMTU(t *testing.T) {
	narrow := &path{mtu: 1280 - 48}
	p := newPairOn(t, narrow)
	p.connect(t)
	ch, f := p.open(t, nil)
	exchange(t, ch, f)
	if narrow.dropped > 0 {
		t.Errorf("%d packets were too long", narrow.dropped)
	}
}

// E8: messages that are given up at once do not wait for lost ones, on a channel that
// was negotiated as well.
func TestChannelUnreliable(t *testing.T) {
	for name, config := range map[string]*parley.ChannelConfig{
		"told":       {Unordered: true, MaxRetransmits: -1},
		"negotiated": {Unordered: true, MaxRetransmits: -1, Negotiated: true, ID: 7},
	} {
		t.Run(name, func(t *testing.T) { testUnreliable(t, config) })
	}
}

func testUnreliable(t *testing.T, config *parley.ChannelConfig) {
	lossy := &path{}
	p := newPairOn(t, lossy)
	p.connect(t)
	ch, f := p.both(t, config)
	await(t, "the open event", f.opened)
	exchange(t, ch, f) // and the far end has acknowledged the channel
	var mu sync.Mutex
	var delays []time.Duration
	began := time.Now()
	f.OnMessage(func(m webrtc.DataChannelMessage) {
		mu.Lock()
		defer mu.Unlock()
		delays = append(delays, time.Since(began)-time.Duration(binary.BigEndian.Uint64(m.Data)))
	})
	lossy.lose(0.1)
	const count = 300
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range count {
		<-tick.C
		check(t, ch.WriteMessage(soon(t), &parley.Message{Data: binary.BigEndian.AppendUint64(nil, uint64(time.Since(began)))}))
	}
	lossy.lose(0)
	<-time.After(200 * time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(delays)
	if n := len(delays); n < count*7/10 || n > count*97/100 {
		t.Fatalf("%d messages of %d arrived", n, count)
	}
	p95 := delays[len(delays)*95/100]
	t.Logf("%d messages of %d arrived, p95 after %v", len(delays), count, p95)
	if p95 > 50*time.Millisecond {
		t.Errorf("p95 after %v", p95)
	}
}
