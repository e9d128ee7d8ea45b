//go:build interop

package main

import (
	"context"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/stream"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// on returns a port of the loopback interface.
func on(port int) netip.AddrPort { return netip.AddrPortFrom(loopback.Addr(), uint16(port)) }

// openSession opens a call of this process, which gives what it hears in order,
// so that recordings do not depend on the playout.
func openSession(t *testing.T, c session.Config) *session.Session {
	t.Helper()
	if !c.Local.IsValid() {
		c.Local = loopback
	}
	var a session.AudioConfig
	if c.Audio != nil {
		a = *c.Audio
	}
	a.Playout = stream.InOrder
	c.Audio = &a
	s, err := session.Open(t.Context(), &c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// sayTone speaks the tone for d, and returns when the last of it has left.
func sayTone(t *testing.T, s *session.Session, format audio.Format, d time.Duration) {
	t.Helper()
	n := format.Samples(20 * time.Millisecond)
	f := audio.Frame{Format: format, Samples: make([]int16, n)}
	for at := 0; at < format.Samples(d); at += n {
		for i := range f.Samples {
			f.Samples[i] = int16(math.Round(16384 * math.Sin(2*math.Pi*toneHz*float64((at+i)/format.Channels)/float64(format.Rate))))
		}
		if err := s.Audio().WriteFrame(&f); err != nil {
			t.Errorf("say: %v", err)
			return
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Audio().Drain(ctx); err != nil {
		t.Errorf("say: %v", err)
	}
}

// hear records until the call ends.
func hear(s *session.Session) <-chan sound {
	heard := make(chan sound, 1)
	go func() {
		var all sound
		var f audio.Frame
		for s.Audio().ReadFrame(&f) == nil {
			all.format = f.Format
			for i := 0; i < len(f.Samples); i += f.Format.Channels {
				all.samples = append(all.samples, float64(f.Samples[i]))
			}
		}
		heard <- all
	}()
	return heard
}

// eventually polls for what other programs do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func callStats(s *session.Session) (a parley.AudioStats, n session.NetworkStats) {
	var all parley.Stats
	s.Stats(&all)
	s.NetworkStats(&n)
	return all.Audio, n
}

func median(all []time.Duration) time.Duration {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}
