package peer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
)

// configs are the kinds of channels.
func configs() []parley.ChannelConfig {
	return []parley.ChannelConfig{
		{},
		{Label: "plain", Protocol: "chat"},
		{Label: "unordered", Unordered: true},
		{Label: "at once", MaxRetransmits: -1},
		{Label: "three times", Unordered: true, MaxRetransmits: 3},
		{Label: "half a second", MaxLifetime: 500 * time.Millisecond},
		{Label: "both", Unordered: true, MaxLifetime: 65535 * time.Millisecond, Protocol: "ü"},
		{Label: "🎈 Grüße, 世界", Protocol: "日本"},
		{Label: strings.Repeat("長", 2000)},
	}
}

// payloads are messages of each kind and of all orders of size.
func payloads() []parley.Message {
	var all []parley.Message
	random := rand.NewChaCha8([32]byte{})
	for _, n := range []int{0, 1, 2, 3, 1000, 1200, 2047, 2048, 2049, 16 << 10, 65535, 65536, 100_000, maxMessage} {
		binary := make([]byte, n)
		random.Read(binary)
		text := bytes.Repeat([]byte("é"), n/2)
		text = append(text, "x"[:n%2]...)
		all = append(all, parley.Message{Data: binary}, parley.Message{Text: true, Data: text})
	}
	return all
}

// E1 and E2 of channels that this end opens, and that the browser does.
func TestChannelKinds(t *testing.T) {
	p := newPair(t)
	p.connect(t)
	for _, config := range configs() {
		t.Run("ours/"+config.Label[:min(len(config.Label), 20)], func(t *testing.T) {
			ch, f := p.open(t, &config)
			if got := channelConfig(f.DataChannel); got != config {
				t.Errorf("the far end has %+v, want %+v", got, config)
			}
			exchange(t, ch, f)
			check(t, ch.Close())
			await(t, "the close event", f.closed)
		})
		t.Run("theirs/"+config.Label[:min(len(config.Label), 20)], func(t *testing.T) {
			init, err := channelInit(&config)
			check(t, err)
			ch, f := p.accept(t, config.Label, init)
			if got := ch.Config(); got != config {
				t.Errorf("this end has %+v, want %+v", got, config)
			}
			exchange(t, ch, f)
			check(t, f.Close())
			if err := ch.ReadMessage(soon(t), &parley.Message{}); err != io.EOF {
				t.Errorf("after the close of the far end: %v", err)
			}
			if err := ch.WriteMessage(soon(t), &parley.Message{}); !errors.Is(err, net.ErrClosed) {
				t.Errorf("writing after the close of the far end: %v", err)
			}
			check(t, ch.Close())
		})
	}
}

// Negotiated channels need no telling, and two cannot have one ID.
func TestChannelNegotiated(t *testing.T) {
	p := newPair(t)
	config := parley.ChannelConfig{Label: "agreed", Negotiated: true, ID: 7}
	ch, err := p.call.OpenChannel(t.Context(), &config)
	check(t, err)
	if _, err := p.call.OpenChannel(t.Context(), &config); !errors.Is(err, errChannelConfig) {
		t.Errorf("the same ID again: %v", err)
	}
	init, err := channelInit(&config)
	check(t, err)
	dc, err := p.browser.CreateDataChannel("agreed", init)
	check(t, err)
	f := newFar(dc)
	p.connect(t)
	exchange(t, ch, f)
	if ch.Config() != config {
		t.Errorf("config %+v", ch.Config())
	}
	check(t, ch.Close())
	await(t, "the close event", f.closed)

	// The ID can be had again, once both ends are through with it.
	eventually(t, "the ID is free", func() bool { ch, err = p.call.OpenChannel(t.Context(), &config); return err == nil })
	dc, err = p.browser.CreateDataChannel("agreed", init)
	check(t, err)
	exchange(t, ch, newFar(dc))
	select {
	case f := <-p.offered:
		t.Errorf("the far end was told of %q", f.Label())
	default:
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(10 * time.Second); !ok(); <-poll.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

// exchange sends each payload there and back. Kinds of channels that may lose or
// reorder messages do not do so here, one after the other on a good path, except
// that pion loses what it cannot send in one go if it may not send it again.
func exchange(t *testing.T, ch parley.Channel, f *far) {
	t.Helper()
	await(t, "the open event", f.opened)
	var in parley.Message
	for _, m := range payloads() {
		if ch.Config().MaxRetransmits < 0 && len(m.Data) > 1000 {
			continue
		}
		check(t, ch.WriteMessage(soon(t), &m))
		var there webrtc.DataChannelMessage
		select {
		case there = <-f.got:
		case <-time.After(10 * time.Second):
			t.Fatalf("%d bytes, text %v: not received by the far end", len(m.Data), m.Text)
		}
		if there.IsString != m.Text || !bytes.Equal(there.Data, m.Data) {
			t.Fatalf("the far end got %d bytes, text %v; want %d, %v", len(there.Data), there.IsString, len(m.Data), m.Text)
		}
		if there.IsString {
			check(t, f.SendText(string(there.Data)))
		} else {
			check(t, f.Send(there.Data))
		}
		check(t, ch.ReadMessage(soon(t), &in))
		if in.Text != m.Text || !bytes.Equal(in.Data, m.Data) {
			t.Fatalf("we got %d bytes, text %v; want %d, %v", len(in.Data), in.Text, len(m.Data), m.Text)
		}
	}
	if n := ch.Buffered(); n > maxMessage {
		t.Errorf("%d bytes are still buffered", n)
	}
}

// What the far end does not take is an error at once, before and after the
// channel opens.
func TestChannelTooLarge(t *testing.T) {
	p := newPair(t)
	ch, err := p.call.OpenChannel(t.Context(), nil)
	check(t, err)
	m := &parley.Message{Data: make([]byte, unsaid+1)}
	if err := ch.WriteMessage(soon(t), m); !errors.Is(err, ErrMessageTooLarge) {
		t.Errorf("without a description of the far end: %v", err)
	}
	p.connect(t)
	f := <-p.offered
	await(t, "the open event", f.opened)
	m.Data = make([]byte, maxMessage+1)
	for range 2 {
		if err := ch.WriteMessage(soon(t), m); !errors.Is(err, ErrMessageTooLarge) {
			t.Errorf("a byte too much: %v", err)
		}
		m.Data = make([]byte, 10<<20)
	}
	if err := ch.WriteMessage(soon(t), &parley.Message{Text: true, Data: []byte{0xff}}); !errors.Is(err, errNotText) {
		t.Errorf("text that is none: %v", err)
	}
	exchange(t, ch, f)
}

func TestChannelConfigErrors(t *testing.T) {
	p := newPair(t)
	for _, c := range []parley.ChannelConfig{
		{Label: strings.Repeat("x", 65536)},
		{Protocol: strings.Repeat("x", 65536)},
		{Label: "\xff"},
		{MaxRetransmits: 1, MaxLifetime: time.Second},
		{MaxRetransmits: 65536},
		{MaxLifetime: 65536 * time.Millisecond},
		{MaxLifetime: -time.Millisecond},
		{MaxLifetime: time.Microsecond},
		{Negotiated: true, ID: 65535},
	} {
		if _, err := p.call.OpenChannel(t.Context(), &c); !errors.Is(err, errChannelConfig) {
			t.Errorf("%.80v: %v", fmt.Sprintf("%+v", c), err)
		}
	}
}

// Messages before the channel opens wait in order, and then those who write do.
func TestChannelBeforeOpen(t *testing.T) {
	p := newPair(t)
	ch, err := p.call.OpenChannel(t.Context(), &parley.ChannelConfig{Label: "early"})
	check(t, err)
	var sent int
	for ctx := t.Context(); ; sent++ {
		m := &parley.Message{Text: sent%2 == 0, Data: fmt.Appendf(nil, "%01000d", sent)}
		limited, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		err := ch.WriteMessage(limited, m)
		cancel()
		if err == context.DeadlineExceeded {
			break
		}
		check(t, err)
	}
	if want := maxUnread/(1000+messageCost) + 1; sent != want || ch.Buffered() != 1000*want {
		t.Errorf("%d messages of %d bytes wait, want %d", sent, ch.Buffered(), want)
	}
	blocked := make(chan error, 1)
	go func() { blocked <- ch.WriteMessage(t.Context(), &parley.Message{Data: []byte("last")}) }()
	p.connect(t)
	f := <-p.offered
	for i := range sent {
		if m := <-f.got; string(m.Data) != fmt.Sprintf("%01000d", i) || m.IsString != (i%2 == 0) {
			t.Fatalf("message %d is %.20q", i, m.Data)
		}
	}
	check(t, <-blocked)
	if m := <-f.got; string(m.Data) != "last" {
		t.Errorf("the last is %.20q", m.Data)
	}
}

// A stream of messages whose content both ends can tell.
func pattern(i, n int) []byte {
	b := make([]byte, n)
	for j := range b {
		b[j] = byte(i*7 + j*j>>3)
	}
	return b
}

// E3, smaller: both ways at once, with back-pressure.
func TestChannelBulk(t *testing.T) {
	const message, count = 64 << 10, 320
	p := newPair(t)
	p.connect(t)
	ch, f := p.open(t, &parley.ChannelConfig{Label: "bulk"})
	await(t, "the open event", f.opened)
	f.SetBufferedAmountLowThreshold(256 << 10)
	low := make(chan struct{}, 1)
	f.OnBufferedAmountLow(func() {
		select {
		case low <- struct{}{}:
		default:
		}
	})
	want, there := sha256.New(), sha256.New()
	for i := range count {
		want.Write(pattern(i, message))
	}
	begin := time.Now()
	var parts sync.WaitGroup
	parts.Go(func() {
		for i := range count {
			if err := ch.WriteMessage(t.Context(), &parley.Message{Data: pattern(i, message)}); err != nil {
				t.Error(err)
				return
			}
			if n := ch.Buffered(); n > maxUnsent+message {
				t.Errorf("%d bytes buffered", n)
			}
		}
	})
	parts.Go(func() {
		for i := range count {
			for f.BufferedAmount() > 1<<20 {
				<-low
			}
			if err := f.Send(pattern(i, message)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	parts.Go(func() {
		for range count {
			there.Write((<-f.got).Data)
		}
	})
	here := sha256.New()
	var m parley.Message
	for range count {
		check(t, ch.ReadMessage(t.Context(), &m))
		here.Write(m.Data)
	}
	parts.Wait()
	if !bytes.Equal(here.Sum(nil), want.Sum(nil)) || !bytes.Equal(there.Sum(nil), want.Sum(nil)) {
		t.Error("not the bytes that were sent")
	}
	took := time.Since(begin)
	t.Logf("%d MB each way at once in %v: %.0f Mbit/s each", message*count>>20, took, message*count*8/took.Seconds()/1e6)
}

// E4: small messages do not wait for anything, whatever else the connection
// carries.
func TestChannelLatency(t *testing.T) {
	for _, busy := range []bool{false, true} {
		t.Run(fmt.Sprintf("busy=%v", busy), func(t *testing.T) {
			p := newPair(t)
			p.connect(t)
			ch, f := p.open(t, &parley.ChannelConfig{Label: "ping"})
			await(t, "the open event", f.opened)
			f.OnMessage(func(m webrtc.DataChannelMessage) { f.Send(m.Data) }) //nolint:errcheck
			var load sync.WaitGroup
			if busy {
				bulk, b := p.open(t, &parley.ChannelConfig{Label: "bulk"})
				b.OnMessage(func(webrtc.DataChannelMessage) {})
				load.Go(func() {
					for bulk.WriteMessage(t.Context(), &parley.Message{Data: make([]byte, 16<<10)}) == nil {
					}
				})
			}
			var trips []time.Duration
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			var m parley.Message
			for range 60 {
				<-tick.C
				begin := time.Now()
				check(t, ch.WriteMessage(soon(t), &parley.Message{Data: []byte("ping")}))
				check(t, ch.ReadMessage(soon(t), &m))
				trips = append(trips, time.Since(begin))
			}
			slices.Sort(trips)
			t.Logf("round trips: median %v, p95 %v, longest %v", trips[30], trips[57], trips[59])
			if !busy && trips[57] > 30*time.Millisecond {
				t.Errorf("p95 %v", trips[57])
			}
			p.end(t)
			load.Wait()
		})
	}
}
