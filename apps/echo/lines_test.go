package echo

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
)

// sink is a leg whose packets are looked at.
type sink chan []byte

func (s sink) WriteRTP(b []byte) error {
	select {
	case s <- append([]byte(nil), b...):
	default:
	}
	return nil
}
func (s sink) WriteRTCP([]byte) error { return nil }
func (s sink) Close() error           { return nil }

// Each line of audio that a call has, or gets, has an echo of its own.
func TestLines(t *testing.T) {
	unknown := codec.Params{Name: "nothing-known", PayloadType: 99, ClockRate: 16000, Channels: 1}
	legs := []sink{make(sink, 8), make(sink, 8), make(sink, 8)}
	config := func(i int) parley.AudioConfig {
		return parley.AudioConfig{Leg: legs[i], Send: unknown, Receive: []codec.Params{unknown}}
	}
	first := config(0)
	c, err := parley.New(parley.Config{Audio: &first})
	if err != nil {
		t.Fatal(err)
	}
	c.Connected()
	lines := []*parley.Audio{c.Audio()}
	for i := 1; i < len(legs); i++ {
		if i == 2 { // while it is served
			done := make(chan error, 1)
			go func() { done <- parley.Serve(context.Background(), c, Handler{}) }()
			defer func() {
				c.Close()
				<-done
			}()
		}
		a, err := c.AttachAudio(config(i))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, a)
	}
	for n := range uint16(5) {
		for i, a := range lines {
			p := rtp.Packet{
				Header:  rtp.Header{Version: 2, PayloadType: 99, SSRC: uint32(100 + i), SequenceNumber: n, Timestamp: uint32(n) * 320},
				Payload: []byte{byte(i)},
			}
			b, err := p.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			a.DeliverRTP(time.Now(), netip.AddrPort{}, b)
		}
	}
	for i, leg := range legs {
		select {
		case b := <-leg:
			if got := b[len(b)-1]; got != byte(i) {
				t.Errorf("line %d says what line %d said", i, got)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("no echo on line %d", i)
		}
	}
}
