package data_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/data"
	"github.com/parley-media/parley/apps/internal/calltest"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open calls a handler, and returns a channel to it.
func open(t *testing.T, h parley.Handler, config *parley.ChannelConfig) (*parley.Call, parley.Channel) {
	t.Helper()
	c, far := calltest.New(t, codec.Params{}, codec.Params{})
	calltest.Serve(t, far, h)
	ch, err := c.OpenChannel(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return c, ch
}

func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, ch := open(t, data.Handler{}, nil)
		for _, tt := range []struct {
			said, want string
			text       bool
		}{
			{"ping", "pong", true},
			{"ping 1234", "pong 1234", true},
			{"ping", "ping", false}, // bytes
			{"", "", true},
			{"Ping", "Ping", true},
			{"pin", "pin", true},
			{"héllo", "héllo", true},
		} {
			m := parley.Message{Text: tt.text, Data: []byte(tt.said)}
			if err := errors.Join(ch.WriteMessage(t.Context(), &m), ch.ReadMessage(t.Context(), &m)); err != nil {
				t.Fatal(err)
			}
			if string(m.Data) != tt.want || m.Text != tt.text {
				t.Errorf("%q is answered with %q", tt.said, m.Data)
			}
		}
	})
}

// The other application serves the call meanwhile, and ends it.
func TestMediaBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		finish := make(chan struct{})
		c, far := calltest.New(t, codec.Params{}, codec.Params{})
		served := calltest.Serve(t, far, data.Handler{Media: parley.HandlerFunc(func(context.Context, *parley.Call) error {
			<-finish
			return errors.New("over")
		})})
		ch, err := c.OpenChannel(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		m := parley.Message{Text: true, Data: []byte("ping")}
		if err := errors.Join(ch.WriteMessage(t.Context(), &m), ch.ReadMessage(t.Context(), &m)); err != nil || string(m.Data) != "pong" {
			t.Errorf("%q, %v", m.Data, err)
		}
		close(finish)
		if end, ok := errors.AsType[*parley.EndError](<-served); !ok || end.Reason != parley.Failed {
			t.Errorf("ended by %v", end)
		}
	})
}

// Of very many channels only some are answered.
func TestChannelsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := open(t, data.Handler{}, nil)
		answered := 0
		for range 40 {
			ch, err := c.OpenChannel(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			m := parley.Message{Text: true, Data: []byte("ping")}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if ch.WriteMessage(ctx, &m) == nil && ch.ReadMessage(ctx, &m) == nil {
				answered++
			}
			cancel()
		}
		if answered != 15 {
			t.Errorf("%d channels are answered beside the first one, want 15", answered)
		}
	})
}

// exchange sends a file and returns what comes back.
func exchange(ctx context.Context, ch parley.Channel, head data.Header, content []byte, step int) (back data.Header, got []byte, err error) {
	text, err := json.Marshal(head)
	if err != nil {
		return back, nil, err
	}
	if err := ch.WriteMessage(ctx, &parley.Message{Text: true, Data: text}); err != nil {
		return back, nil, err
	}
	for len(content) > 0 {
		n := min(step, len(content))
		if err := ch.WriteMessage(ctx, &parley.Message{Data: content[:n]}); err != nil {
			return back, nil, err
		}
		content = content[n:]
	}
	var m parley.Message
	if err := ch.ReadMessage(ctx, &m); err != nil {
		return back, nil, err
	}
	if err := json.Unmarshal(m.Data, &back); err != nil {
		return back, nil, err
	}
	for back.Error == "" && int64(len(got)) < back.Size {
		if err := ch.ReadMessage(ctx, &m); err != nil {
			return back, got, err
		}
		got = append(got, m.Data...)
	}
	return back, got, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b) //nolint:errcheck // it never fails
	return b
}

func wantFile(t *testing.T, back data.Header, got, content []byte, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	if back.Error != "" || back.Size != int64(len(content)) || back.SHA256 != hex.EncodeToString(sum[:]) || sha256.Sum256(got) != sum {
		t.Errorf("back came %+v and %d bytes", back, len(got))
	}
}

// Files come back whole, several on one channel, and none stays.
func TestFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		_, ch := open(t, data.Handler{Folder: folder, Limit: 100_000}, &parley.ChannelConfig{Protocol: "file"})
		for _, size := range []int{0, 1, 16 << 10, 100_000} {
			content := random(size)
			back, got, err := exchange(t.Context(), ch, data.Header{Name: "a", Size: int64(size)}, content, 3000)
			wantFile(t, back, got, content, err)
		}
		synctest.Wait()
		if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}

// What is not a file is an error in words, and the end of the channel.
func TestBadFiles(t *testing.T) {
	for _, tt := range []struct {
		name    string
		head    data.Header
		content []byte
	}{
		{"too large", data.Header{Size: 1001}, nil},
		{"negative", data.Header{Size: -1}, nil},
		{"longer than announced", data.Header{Size: 10}, random(11)},
	} {
		synctest.Test(t, func(t *testing.T) {
			folder := t.TempDir()
			_, ch := open(t, data.Handler{Folder: folder, Limit: 1000}, &parley.ChannelConfig{Protocol: "file"})
			back, _, err := exchange(t.Context(), ch, tt.head, tt.content, 11)
			if err != nil || back.Error == "" {
				t.Errorf("%s: %+v, %v", tt.name, back, err)
			}
			var m parley.Message
			if err := ch.ReadMessage(t.Context(), &m); err != io.EOF {
				t.Errorf("%s: then %v", tt.name, err)
			}
		})
	}
}

// A caller who goes in the midst of a file leaves nothing behind.
func TestHalfAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		c, ch := open(t, data.Handler{Folder: folder}, &parley.ChannelConfig{Protocol: "file"})
		text, _ := json.Marshal(data.Header{Size: 100})
		err := errors.Join(ch.WriteMessage(t.Context(), &parley.Message{Text: true, Data: text}),
			ch.WriteMessage(t.Context(), &parley.Message{Data: random(50)}))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if there, _ := os.ReadDir(folder); len(there) != 1 {
			t.Fatalf("while it comes: %v", there)
		}
		ch.Close()
		synctest.Wait()
		if left, _ := os.ReadDir(folder); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		_ = c
	})
}

// A file of a megabyte over a real channel.
func TestOverAConnection(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var ends [2]*peer.Endpoint
	for i := range ends {
		var err error
		ends[i], err = peer.Listen(&peer.Config{Interface: func(name string) bool { return name == "lo" }})
		if err != nil {
			t.Fatal(err)
		}
		defer ends[i].Close()
	}
	served := make(chan error, 1)
	caller, err := ends[0].Dial(ctx, func(ctx context.Context, offer string) (string, error) {
		p, answer, err := ends[1].Answer(ctx, offer, nil)
		if err == nil {
			go func() { served <- parley.Serve(ctx, p.Call, data.Handler{}) }()
		}
		return answer, err
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := caller.OpenChannel(ctx, &parley.ChannelConfig{Label: "files", Protocol: "file"})
	if err != nil {
		t.Fatal(err)
	}
	content := random(1 << 20)
	back, got, err := exchange(ctx, ch, data.Header{Name: "a", Size: int64(len(content))}, content, 16<<10)
	wantFile(t, back, got, content, err)
	begin := time.Now()
	caller.Close()
	if end, ok := errors.AsType[*parley.EndError](<-served); !ok {
		t.Errorf("served: %v", end)
	}
	t.Logf("ended %v after hanging up", time.Since(begin))
}
