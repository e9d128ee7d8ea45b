package peer

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-media/parley"
)

type naive struct {
	text bool
	data []byte
}

// A backlog gives back what it was given, as a slice of messages does.
func TestBacklog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b backlog
		var want []naive
		serial := byte(0)
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				serial++
				m := naive{rapid.Bool().Draw(t, "text"), bytes.Repeat([]byte{serial}, rapid.OneOf(rapid.IntRange(0, 9), rapid.IntRange(0, 100_000)).Draw(t, "size"))}
				b.push(m.text, m.data)
				want = append(want, m)
			},
			"pop": func(t *rapid.T) {
				text, data, ok := b.pop([]byte("before"))
				if ok != (len(want) > 0) {
					t.Fatalf("popped %v, with %d messages left", ok, len(want))
				}
				if !ok {
					return
				}
				if text != want[0].text || !bytes.Equal(data, append([]byte("before"), want[0].data...)) {
					t.Fatalf("got %d bytes, text %v; want %d, %v", len(data), text, len(want[0].data), want[0].text)
				}
				want = want[1:]
			},
			"clear": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "seldom") == 0 {
					b.clear()
					want = nil
				}
			},
			"": func(t *rapid.T) {
				n := 0
				for _, m := range want {
					n += len(m.data)
				}
				if b.bytes() != n || b.cost() != n+messageCost*len(want) {
					t.Fatalf("%d bytes, cost %d; want %d in %d messages", b.bytes(), b.cost(), n, len(want))
				}
				if len(want) == 0 && cap(b.data) > 64<<10 {
					t.Fatalf("empty, and holds %d bytes", cap(b.data))
				}
			},
		})
	})
}

func TestBacklogDoesNotAllocate(t *testing.T) {
	var b backlog
	message, dst := make([]byte, 1000), make([]byte, 0, 1000)
	for range 20 {
		b.push(false, message)
	}
	if n := testing.AllocsPerRun(1000, func() {
		b.push(true, message)
		if _, m, ok := b.pop(dst); !ok || len(m) != len(message) {
			t.Fatal("not the message")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Neither does receiving, but for what pion does.
func TestReceivingDoesNotAllocate(t *testing.T) {
	ch := &channel{}
	message := make([]byte, 1000)
	m := parley.Message{Data: make([]byte, 0, 1000)}
	for range 20 {
		ch.deliver(false, message)
	}
	if n := testing.AllocsPerRun(1000, func() {
		ch.deliver(false, message)
		if err := ch.ReadMessage(t.Context(), &m); err != nil || len(m.Data) != len(message) {
			t.Fatal("not the message")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
