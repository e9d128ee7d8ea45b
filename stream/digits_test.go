package stream

import (
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/dtmf"
)

// Keys are reported also while packets are taken coded, and passed on.
func TestDigitsWhileCoded(t *testing.T) {
	events := codec.Params{Name: "telephone-event", PayloadType: 110, ClockRate: 48000}
	f := newFar(t, ReceiverConfig{Codecs: []codec.Params{opus, events}})
	var q PacketQueue
	f.r.TakeCoded(&q)
	for n := range 3 {
		p := f.packet(n, 960)
		p.PayloadType = 111
		f.push(time.Duration(n)*20*ms, p)
	}
	const at = 60 * ms
	for n := range 3 {
		e := dtmf.Event{Code: 5, Duration: uint16(960 * (n + 1)), End: n == 2}
		p := &rtp.Packet{Header: f.packet(3+n, 960).Header, Payload: e.AppendTo(nil)}
		p.PayloadType, p.Timestamp = 110, f.ts+3*960
		if v := f.push(at+time.Duration(n)*20*ms, p); v != Accepted {
			t.Errorf("event %d: verdict %d", n, v)
		}
	}
	now := f.begin.Add(200 * ms)
	pressed, ok := f.r.PullDigit(now)
	if !ok || pressed.Digit != '5' || pressed.End {
		t.Errorf("pressed %+v, %v", pressed, ok)
	}
	released, ok := f.r.PullDigit(now)
	if !ok || released.Digit != '5' || !released.End || released.Duration != 60*ms {
		t.Errorf("released %+v, %v", released, ok)
	}
	var p Packet
	kinds := 0
	for q.Pop(&p) {
		if p.Codec == events {
			kinds++
		}
	}
	if kinds != 3 {
		t.Errorf("%d events were passed on, want 3", kinds)
	}
}
