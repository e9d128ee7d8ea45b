package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/server"
)

// heardCall returns the far end of a call whose sound is read, and the Location of the call.
func heardCall(t *testing.T) (s *server.Server, far *peer.Peer, location string) {
	t.Helper()
	pcmu := []codec.Params{{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1}}
	s, _ = start(t, &server.Config{Peer: peer.Config{Codecs: pcmu}})
	s.Handle("/hear", parley.HandlerFunc(func(_ context.Context, c *parley.Call) error {
		var f audio.Frame
		for {
			if err := c.Audio().ReadFrame(&f); err != nil {
				return err
			}
		}
	}))
	e, err := peer.Listen(&peer.Config{Codecs: pcmu})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	far, err = e.Dial(ctx, func(_ context.Context, offer string) (string, error) {
		w := ask(s, http.MethodPost, "/hear", object{"type": "offer", "sdp": offer})
		var answer struct{ SDP string }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
			return "", fmt.Errorf("status %d, %v", w.Code, err)
		}
		location = w.Header().Get("Location")
		return answer.SDP, nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return s, far, location
}

// The delays in the statistics of a call are sums that grow with what is heard, so
// that what they have grown by tells of any time, and the source is that of the far
// end.
func TestStatsOfSound(t *testing.T) {
	s, far, location := heardCall(t)
	go func() {
		f := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 160)}
		for far.Audio().WriteFrame(&f) == nil {
		}
	}()

	type sums struct {
		Type                                       string
		SSRC                                       uint32
		JitterBufferDelay, JitterBufferTargetDelay float64
		JitterBufferEmittedCount                   int64
		TotalSamplesReceived                       int64
	}
	// after returns the statistics once so many samples have been heard.
	after := func(samples int64) (found sums) {
		t.Helper()
		eventually(t, 10*time.Second, fmt.Sprint(samples, " samples"), func() bool {
			var all map[string]sums
			w := ask(s, http.MethodGet, location+"/stats", nil)
			wantStatus(t, w, http.StatusOK)
			if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil {
				t.Fatal(err)
			}
			for _, one := range all {
				if one.Type == "inbound-rtp" {
					found = one
				}
			}
			return found.JitterBufferEmittedCount >= samples
		})
		return found
	}
	first := after(1600)
	second := after(first.JitterBufferEmittedCount + 3200)
	t.Logf("%+v, then %+v", first, second)
	if first.SSRC != far.Audio().SSRC() || second.SSRC != first.SSRC {
		t.Errorf("sources %d and %d, want %d", first.SSRC, second.SSRC, far.Audio().SSRC())
	}
	n := float64(second.JitterBufferEmittedCount - first.JitterBufferEmittedCount)
	delay := (second.JitterBufferDelay - first.JitterBufferDelay) / n
	target := (second.JitterBufferTargetDelay - first.JitterBufferTargetDelay) / n
	if delay <= 0 || delay > 2 || target < 0.020 || target > 0.5 { // seconds, by the limits of the playout and of a busy machine
		t.Errorf("a delay of %.3f s, aimed at %.3f s", delay, target)
	}
	if more := float64(second.TotalSamplesReceived - first.TotalSamplesReceived); more < n/4 || more > 4*n {
		t.Errorf("%.0f samples have left the buffer, %.0f were heard", n, more)
	}
}

// What has not happened on a way to the far end has no time, and not one of long ago.
func TestStatsOfPath(t *testing.T) {
	s, _, location := heardCall(t)
	w := ask(s, http.MethodGet, location+"/stats", nil)
	wantStatus(t, w, http.StatusOK)
	var all map[string]map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	ways := 0
	for id, one := range all {
		switch one["type"] {
		case "candidate-pair":
			ways++
			// What nobody measures is not 0 but unknown.
			if v, ok := one["availableOutgoingBitrate"]; ok {
				t.Errorf("availableOutgoingBitrate of %s is %v", id, v)
			}
		case "local-candidate", "remote-candidate":
			if _, err := netip.ParseAddr(fmt.Sprint(one["address"])); err != nil {
				t.Errorf("address of %s: %v", id, err)
			}
		}
		for name, v := range one {
			if at, is := v.(float64); is && at < 0 && strings.HasSuffix(name, "Timestamp") {
				t.Errorf("%s of %s is %.0f", name, id, at)
			}
		}
	}
	if ways == 0 {
		t.Error("there is no way to the far end")
	}
}
