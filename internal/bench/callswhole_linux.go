package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/transport"
)

// callKeys are for calls that encrypt: one key for each direction of all pairs, since
// every source has an SSRC of its own.
type callKeys struct{ even, odd transport.SRTPKey }

func newCallKeys() *callKeys {
	key := func() transport.SRTPKey {
		k := transport.SRTPKey{Profile: transport.AEAD_AES_128_GCM, Master: make([]byte, 16+12)}
		rand.Read(k.Master) //nolint:errcheck // never fails
		return k
	}
	return &callKeys{key(), key()}
}

// call returns the keys of call i, and end those of who talks to it.
func (k *callKeys) call(i int) (local, remote transport.SRTPKey) {
	if i%2 == 0 {
		return k.even, k.odd
	}
	return k.odd, k.even
}

func (k *callKeys) end(i int) (local, remote transport.SRTPKey) { return k.call(i ^ 1) }

// wholeCalls are calls with everything, each of which answers every frame that it
// hears with a frame of speech.
type wholeCalls struct {
	setup   *callSetup
	calls   []*session.Session
	talkers []*talker
	reading sync.WaitGroup
}

// A talker is the user of a call.
type talker struct {
	audio *parley.Audio
	words ring[int16]
	frame audio.Frame
}

var callFormat = audio.Format{Rate: 8000, Channels: 1}

// answer says something. It is called by one goroutine at a time.
func (t *talker) answer(*audio.Frame) {
	t.frame.Samples = t.words.next(callSamples)
	t.audio.WriteLive(&t.frame) //nolint:errcheck // the call ends
}

func openLoopCalls(ctx context.Context, setup *callSetup) (callWay, error) {
	c, err := openWholeCalls(ctx, setup)
	if err != nil {
		return nil, err
	}
	for _, t := range c.talkers {
		if err := t.audio.HandleFrames(t.answer); err != nil {
			c.finish()
			return nil, err
		}
	}
	return c, nil
}

func openReadCalls(ctx context.Context, setup *callSetup) (callWay, error) {
	c, err := openWholeCalls(ctx, setup)
	if err != nil {
		return nil, err
	}
	for _, t := range c.talkers {
		c.reading.Go(func() {
			var f audio.Frame
			for t.audio.ReadFrame(&f) == nil {
				t.answer(&f)
			}
		})
	}
	return c, nil
}

func openWholeCalls(ctx context.Context, setup *callSetup) (*wholeCalls, error) {
	c := &wholeCalls{setup: setup}
	pcm := speech(callFormat.Rate)
	for len(c.calls) < setup.n {
		i := len(c.calls)
		var err error
		if i < len(setup.far) {
			err = c.open(ctx, i, 0, setup.far[i])
		} else {
			err = c.openPair(ctx, i)
		}
		if err != nil {
			c.finish()
			return nil, err
		}
	}
	for i, s := range c.calls {
		t := &talker{audio: s.Audio(), words: ring[int16]{data: pcm, at: i * 17 * callSamples % (len(pcm) - callSamples)}}
		t.frame.Format = callFormat
		c.talkers = append(c.talkers, t)
	}
	return c, nil
}

// Ports of pairs of calls are below those that the system gives away, and are tried one
// after the other, since both ends have to know them before they are open.
const firstPort, lastPort = 10000, 32760

var nextPort atomic.Int64

func (c *wholeCalls) openPair(ctx context.Context, i int) error {
	for range (lastPort - firstPort) / 4 {
		port := uint16(firstPort + (int64(os.Getpid())+nextPort.Add(1))*4%(lastPort-firstPort))
		err := c.open(ctx, i, port, netip.AddrPortFrom(loopback, port+2))
		if err == nil {
			if err = c.open(ctx, i+1, port+2, netip.AddrPortFrom(loopback, port)); err == nil {
				return nil
			}
			c.calls[i].Close()
			c.calls = c.calls[:i]
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
	return fmt.Errorf("no free ports from %d to %d", firstPort, lastPort)
}

// open opens call i. Bare far ends want its reports on the port of its packets.
func (c *wholeCalls) open(ctx context.Context, i int, port uint16, to netip.AddrPort) error {
	config := session.Config{
		Local:  netip.AddrPortFrom(loopback, port),
		Remote: to,
		Audio:  &session.AudioConfig{SSRC: uint32(i + 1), RTCP: parley.RTCPConfig{Interval: c.setup.reports}},
	}
	if port == 0 {
		config.RemoteRTCP = to
	}
	if keys := c.setup.keys; keys != nil {
		local, remote := keys.call(i)
		config.SRTP = &session.SRTP{Local: local, Remote: remote}
	}
	s, err := session.Open(ctx, &config)
	if err == nil {
		c.calls = append(c.calls, s)
	}
	return err
}

func (c *wholeCalls) address(i int) netip.AddrPort { return c.calls[i].LocalAddr() }

// begin has each call say what makes the far end take notice: two packets, at times
// that are spread over many periods, so that the calls are in all phases.
func (c *wholeCalls) begin(ctx context.Context) error {
	const spread = 20 * callPeriod
	f := audio.Frame{Format: callFormat, Samples: make([]int16, 2*callSamples)}
	start := time.Now()
	for i, t := range c.talkers {
		due := time.Duration(i) * spread / time.Duration(len(c.talkers))
		if wait := due - time.Since(start); wait > 0 {
			time.Sleep(wait)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := t.audio.WriteLive(&f); err != nil {
			return err
		}
	}
	return nil
}

func (c *wholeCalls) least() int64 {
	least := int64(-1)
	var s parley.AudioStats
	for _, t := range c.talkers {
		if t.audio.Stats(&s); least < 0 || s.Received < least {
			least = s.Received
		}
	}
	return least
}

func (c *wholeCalls) counts() (sent, received int64) {
	var s parley.AudioStats
	for _, t := range c.talkers {
		t.audio.Stats(&s)
		sent += s.PacketsSent
		received += s.Received
	}
	return sent, received
}

func (c *wholeCalls) finish() (lost int64) {
	var s parley.AudioStats
	for _, t := range c.talkers {
		t.audio.Stats(&s)
		lost += s.Lost
	}
	// Closing takes turns with the network: some at a time.
	work := make(chan *session.Session)
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for s := range work {
				s.Close()
			}
		})
	}
	for _, s := range c.calls {
		work <- s
	}
	close(work)
	all.Wait()
	c.reading.Wait()
	return lost
}
