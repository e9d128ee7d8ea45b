// Package data is the application of data channels: it answers "ping" with
// "pong", everything else with the same, and a file with that file and its hash.
package data

import (
	"bytes"
	"context"
	"sync"

	"github.com/parley-media/parley"
)

// Handler answers on each channel that the far end opens, up to 16 at a time: text
// that begins with "ping" with the same text that begins with "pong", and any
// other message with itself. A channel with the protocol "file" carries files: see
// [Header]. Nothing is heard or seen but what Media sends, which ends the call when
// it returns.
//
//	s.Handle("/offer", data.Handler{Media: echo.Handler{}})
type Handler struct {
	Media parley.Handler // serves the call meanwhile; nil: it goes on until the far end hangs up

	Limit  int64  // bytes of a file; 0: 64 MiB
	Folder string // where a file lies until it is back; "": that of the system for such files
}

// maxChannels bounds the channels that one call has open.
const maxChannels = 16

// ServeCall serves one call.
func (h Handler) ServeCall(ctx context.Context, c *parley.Call) error {
	ctx, cancel := context.WithCancel(ctx)
	var channels sync.WaitGroup
	defer channels.Wait()
	defer cancel()
	channels.Go(func() { h.accept(ctx, c, &channels) })
	if h.Media == nil {
		<-ctx.Done()
		return nil
	}
	return h.Media.ServeCall(ctx, c)
}

func (h Handler) accept(ctx context.Context, c *parley.Call, channels *sync.WaitGroup) {
	open := make(chan struct{}, maxChannels)
	disk := make(chan struct{}, 1) // so that a call has one file at a time there
	for {
		ch, err := c.AcceptChannel(ctx)
		if err != nil {
			return
		}
		select {
		case open <- struct{}{}:
		default:
			channels.Go(func() { ch.Close() })
			continue
		}
		channels.Go(func() {
			defer func() { <-open }()
			defer ch.Close()
			if ch.Config().Protocol == "file" {
				h.files(ctx, ch, disk)
			} else {
				answer(ctx, ch)
			}
		})
	}
}

// answer answers messages until the channel ends. A far end that does not read the
// answers is not read either: WriteMessage blocks.
func answer(ctx context.Context, ch parley.Channel) {
	var m parley.Message
	for ch.ReadMessage(ctx, &m) == nil {
		if m.Text && bytes.HasPrefix(m.Data, []byte("ping")) {
			m.Data[1] = 'o'
		}
		if ch.WriteMessage(ctx, &m) != nil {
			return
		}
	}
}
