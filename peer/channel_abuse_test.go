package peer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
)

// A channel that nobody takes is closed when it fills up, and harms no other.
func TestChannelUnaccepted(t *testing.T) {
	p := newPair(t)
	p.connect(t)
	ch, f := p.accept(t, "used", nil)
	await(t, "the open event", f.opened)
	dc, err := p.browser.CreateDataChannel("unused", nil)
	check(t, err)
	flood := newFar(dc)
	await(t, "the open event", flood.opened)
	for i := range 100 {
		if flood.Send(pattern(i, 64<<10)) != nil {
			break
		}
	}
	await(t, "the close of the flood", flood.closed)
	exchange(t, ch, f)
	late, err := p.call.AcceptChannel(soon(t))
	check(t, err)
	if err := late.ReadMessage(soon(t), &parley.Message{}); !errors.Is(err, errUnread) {
		t.Errorf("the flooded channel: %v", err)
	}
	check(t, late.Close())
	if n := strings.Count(p.logged(), "nobody takes"); n != 1 {
		t.Errorf("%d log lines", n)
	}
}

// One that was accepted is not, however late its reader begins.
func TestChannelReadLater(t *testing.T) {
	const message, count = 64 << 10, 10
	p := newPair(t)
	p.connect(t)
	ch, f := p.accept(t, "later", nil)
	await(t, "the open event", f.opened)
	for i := range count {
		check(t, f.Send(pattern(i, message)))
	}
	own := ch.(*channel)
	eventually(t, "there is no more room, or the channel is closed", func() bool {
		own.mu.Lock()
		defer own.mu.Unlock()
		return own.in.cost() >= maxUnread || own.closed != nil
	})
	var m parley.Message
	for i := range count {
		check(t, ch.ReadMessage(soon(t), &m))
		if !bytes.Equal(m.Data, pattern(i, message)) {
			t.Fatalf("message %d is another", i)
		}
	}
}

// A channel that is read slowly makes the far end wait, and loses nothing.
func TestChannelSlowReader(t *testing.T) {
	const message, count = 32 << 10, 200
	p := newPair(t)
	p.connect(t)
	ch, f := p.accept(t, "slow", nil)
	await(t, "the open event", f.opened)
	var m parley.Message
	check(t, f.SendText("first"))
	check(t, ch.ReadMessage(soon(t), &m))
	for i := range count {
		check(t, f.Send(pattern(i, message)))
	}
	var before uint64
	eventually(t, "the far end waits", func() bool {
		<-time.After(300 * time.Millisecond)
		now := f.BufferedAmount()
		defer func() { before = now }()
		return before > 0 && before-now < 64<<10 // a message may pass now and then, as a probe
	})
	if taken := message*count - int(before); before == 0 || taken > 2<<20 {
		t.Errorf("%d bytes were taken from the far end though nobody reads", taken)
	}
	begin := time.Now()
	for i := range count {
		check(t, ch.ReadMessage(t.Context(), &m))
		if !bytes.Equal(m.Data, pattern(i, message)) {
			t.Fatalf("message %d is another", i)
		}
	}
	t.Logf("the rest of %d MB after %v", message*count>>20, time.Since(begin))
}

// Messages that are larger than ours may be end their channel only.
func TestChannelTooLargeFromFarEnd(t *testing.T) {
	p := newPairWith(t, 1<<30)
	p.connect(t)
	other, o := p.accept(t, "other", nil)
	ch, f := p.accept(t, "large", nil)
	await(t, "the open event", f.opened)
	check(t, f.Send(make([]byte, maxMessage+1)))
	if err := ch.ReadMessage(soon(t), &parley.Message{}); !errors.Is(err, errTooLong) {
		t.Errorf("a message that is too large: %v", err)
	}
	await(t, "the close event", f.closed)
	exchange(t, other, o)
}

// When pion takes no more channels from the far end, the log says what that one did. Those
// there are go on.
func TestChannelsNoMore(t *testing.T) {
	for _, tt := range []struct {
		name, cause string
		do          func(*testing.T, *pair)
	}{
		{"negotiated by one", "negotiated", func(t *testing.T, p *pair) {
			dc, err := p.browser.CreateDataChannel("alone", &webrtc.DataChannelInit{ID: new(uint16(7)), Negotiated: new(true)})
			check(t, err)
			check(t, dc.SendText("is anybody there?"))
		}},
		{"long label", "too long", func(t *testing.T, p *pair) {
			_, err := p.browser.CreateDataChannel(strings.Repeat("x", 8200), nil)
			check(t, err)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t)
			p.connect(t)
			ch, f := p.accept(t, "before", nil)
			await(t, "the open event", f.opened)
			tt.do(t, p)
			eventually(t, "the log tells", func() bool { return strings.Contains(p.logged(), "no more channels") })
			if !strings.Contains(p.logged(), tt.cause) {
				t.Errorf("the log does not say why: %s", p.logged())
			}
			exchange(t, ch, f)
		})
	}
	// The far end is no culprit when it leaves while pion waits for the first message on a
	// stream.
	if what := wrong(errors.New("abort chunk, with following errors: (User Initiated Abort: Close called)")); what != "" {
		t.Errorf("of one that has left: %s", what)
	}
}

// Invalid UTF-8 from the far end comes out as what a browser makes of it.
func TestChannelInvalidText(t *testing.T) {
	p := newPair(t)
	p.connect(t)
	ch, f := p.accept(t, "text", nil)
	await(t, "the open event", f.opened)
	check(t, f.SendText("a\xffb"))
	var m parley.Message
	check(t, ch.ReadMessage(soon(t), &m))
	if !m.Text || string(m.Data) != "a\uFFFDb" {
		t.Errorf("got %q", m.Data)
	}
}

// A page that opens channels without end gets few, costs little, and does the call no
// harm.
func TestChannelFlood(t *testing.T) {
	p := newPair(t)
	p.ours.OnConnectionStateChange(func(state webrtc.PeerConnectionState) { // as a connection does
		if state == webrtc.PeerConnectionStateClosed {
			p.call.EndWith(&parley.EndError{Reason: parley.Bye})
		}
	})
	p.connect(t)
	ch, f := p.accept(t, "good", nil)
	await(t, "the open event", f.opened)
	exchange(t, ch, f)
	const few = (maxTheirs - 1) / 9
	label := strings.Repeat("x", 7000)
	begin, most, opened := heap(), 0, 0
	for f.ReadyState() == webrtc.DataChannelStateOpen && opened < maxRefused+200 {
		var some []<-chan struct{}
		for range few { // of many more at once pion ignores some, until they are sent again
			if dc, err := p.browser.CreateDataChannel(fmt.Sprint(opened, label), nil); err == nil {
				closed := make(chan struct{})
				dc.OnClose(func() { close(closed) })
				some = append(some, closed)
				opened++
			}
		}
		if opened < maxTheirs { // these wait for AcceptChannel
			eventually(t, "the channels are known", func() bool { return p.theirs() == opened+1 })
			continue
		}
		for _, closed := range some {
			await(t, "the close of a channel too many", either(closed, f.closed))
		}
		if opened%(30*few) == 0 {
			most = max(most, ourGoroutines())
		}
	}
	if most > maxTheirs+few {
		t.Errorf("%d goroutines of ours", most)
	}
	exchange(t, ch, f)
	if err := p.call.Err(); err != nil {
		t.Errorf("the call: %v", err)
	}
	if n := strings.Count(p.logged(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings", n)
	}
	p.browser.GracefulClose()
	more := heap() - begin // with all the labels, at the other end
	if more > 16<<20 {
		t.Errorf("%d bytes more on the heap", more)
	}
	t.Logf("%d opened; %d goroutines of ours at most; %d KiB more heap", opened, most, more>>10)
}

// One whose page never closes those that were refused ends, and says why.
func TestChannelsNeverClosed(t *testing.T) {
	p := newPair(t)
	for i := range maxTheirs + maxRefused {
		if err := p.call.Err(); err != nil {
			t.Fatalf("%d channels: %v", i, err)
		}
		dc, err := p.browser.CreateDataChannel("never closed", nil)
		check(t, err)
		p.all.take(dc)
	}
	if end, ok := errors.AsType[*parley.EndError](p.call.Err()); !ok || end.Reason != parley.Failed || !strings.Contains(end.Detail, "channels") {
		t.Errorf("ended with %v", p.call.Err())
	}
}

// theirs returns how many channels of the far end are open.
func (p *pair) theirs() int {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	return p.all.theirs
}

// heap returns the bytes that are in use.
func heap() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// ourGoroutines counts the goroutines that read a channel.
func ourGoroutines() int {
	buf := make([]byte, 16<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "peer.(*channel).run(")
}

// Many channels at a time are too many, and there is room again after some close.
func TestChannelCount(t *testing.T) {
	p := newPair(t)
	p.connect(t)
	var ends []*far
	var ours []parley.Channel
	for i := range maxTheirs {
		ch, f := p.accept(t, fmt.Sprint(i), nil)
		if ch.Config().Label != fmt.Sprint(i) {
			t.Fatalf("channel %d is %q", i, ch.Config().Label)
		}
		ends, ours = append(ends, f), append(ours, ch)
	}
	dc, err := p.browser.CreateDataChannel("one too many", nil)
	check(t, err)
	await(t, "the close of one too many", newFar(dc).closed)
	check(t, ends[3].Close())
	if err := ours[3].ReadMessage(soon(t), &parley.Message{}); err != io.EOF {
		t.Errorf("the closed channel: %v", err)
	}
	await(t, "the close event", ends[3].closed)
	ch, f := p.accept(t, "again", nil)
	exchange(t, ch, f)
}

// More channels than wait for AcceptChannel are closed, and the others wait in
// order.
func TestChannelsWaiting(t *testing.T) {
	p := newPair(t)
	p.connect(t)
	p.accept(t, "first", nil)
	const waiting = maxTheirs - 1
	for i := range waiting + 4 {
		dc, err := p.browser.CreateDataChannel(fmt.Sprint(i), nil)
		check(t, err)
		f := newFar(dc)
		if i < waiting { // of many at once pion ignores some, until they are sent again
			await(t, "the open event", f.opened)
			eventually(t, "the channel is known", func() bool { return p.theirs() == i+2 })
		} else {
			await(t, "the close event", f.closed)
		}
	}
	for i := range waiting {
		ch, err := p.call.AcceptChannel(soon(t))
		check(t, err)
		if ch.Config().Label != fmt.Sprint(i) {
			t.Errorf("channel %d is %q", i, ch.Config().Label)
		}
	}
}

// either returns a channel that is closed when a or b is.
func either(a, b <-chan struct{}) <-chan struct{} {
	c := make(chan struct{})
	go func() {
		defer close(c)
		select {
		case <-a:
		case <-b:
		}
	}()
	return c
}

// As many channels as may be open can be opened at once, however late they are accepted.
func TestChannelBurst(t *testing.T) {
	p := newPair(t)
	for i := range maxTheirs {
		dc, err := p.browser.CreateDataChannel(fmt.Sprint(i), nil)
		check(t, err)
		p.all.take(dc)
	}
	for i := range maxTheirs {
		ch, err := p.call.AcceptChannel(soon(t))
		check(t, err)
		if ch.Config().Label != fmt.Sprint(i) {
			t.Errorf("channel %d is %q", i, ch.Config().Label)
		}
	}
}
