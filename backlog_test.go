package parley

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
)

// A slowLog is the handler of a log that takes its time for the first record, and uses
// the call for each.
type slowLog struct {
	slog.Handler
	call    *Call
	resume  chan struct{}
	records []string
}

func (l *slowLog) Enabled(context.Context, slog.Level) bool { return true }

func (l *slowLog) Handle(_ context.Context, r slog.Record) error {
	<-l.resume
	var s Stats
	l.call.Stats(&s)
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += fmt.Sprint(" ", a.Key, "=", a.Value)
		return true
	})
	l.records = append(l.records, text)
	return nil
}

// A log whose handler blocks, and uses the call, holds up neither media nor the end of
// the call; it is told the newest records then, and how many others there were, and
// Close waits for it.
func TestSlowLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		log := &slowLog{call: x, resume: make(chan struct{})}
		x.logger = slog.New(&backlogHandler{log, new(backlog)})
		var f audio.Frame
		for i := range 50 {
			if err := y.Audio().WriteFrame(ramp(64)); err != nil {
				t.Fatal(err)
			}
			if i < 5 {
				continue // a source is heard from its second packet on
			}
			if err := x.Audio().ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
		if f.Kind != audio.Media {
			t.Errorf("a frame of %v", f.Kind)
		}
		for i := range 100 {
			x.Emit(Event{Kind: Muted, Detail: fmt.Sprint("event ", i)})
		}
		closed := make(chan struct{})
		go func() {
			x.Close()
			close(closed)
		}()
		<-x.Done()
		time.Sleep(time.Second)
		select {
		case <-closed:
			t.Error("Close did not wait for the log")
		default:
		}
		close(log.resume)
		<-closed
		// The one under way, the last 64, and what became of the others: 100 events and
		// the end of the call were to be told behind the one.
		if n := len(log.records); n != 1+1+backlogLimit ||
			!strings.Contains(log.records[0], "first-media") ||
			log.records[1] != fmt.Sprintf("the log is slow, records were left out records=%d", 101-backlogLimit) ||
			!strings.Contains(log.records[2], "event 37") || !strings.Contains(log.records[n-1], "call ended") {
			t.Errorf("%d records: %q", n, log.records)
		}
	})
}
