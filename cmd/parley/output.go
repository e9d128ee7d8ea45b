package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/session"
)

// output writes events: as JSON for programs, or as text for people.
type output struct {
	json   bool
	stdout io.Writer
	stderr io.Writer
	isTerm bool // stderr shows progress that is overwritten

	last string // event with which the program ends

	mu       sync.Mutex
	progress int  // length of the progress line on the screen
	ended    bool // that event was written
}

func newOutput(json bool, stdout, stderr io.Writer) *output {
	o := &output{json: json, stdout: stdout, stderr: stderr, last: "end"}
	if f, ok := stderr.(*os.File); ok {
		info, err := f.Stat()
		o.isTerm = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return o
}

// An event is a line of --json output.
type event struct {
	Event string `json:"event"`
	Call  string `json:"call,omitempty"` // its id, where there are many

	Address string `json:"address,omitempty"`
	URL     string `json:"url,omitempty"`
	UDPPort int    `json:"udp_port,omitempty"`
	Codec   string `json:"codec,omitempty"`
	Format  string `json:"format,omitempty"`
	File    string `json:"file,omitempty"`
	Message string `json:"message,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Digits  string `json:"digits,omitempty"`

	Media        string `json:"media,omitempty"`
	VideoAddress string `json:"video_address,omitempty"`
	VideoCodec   string `json:"video_codec,omitempty"`
	VideoFormat  string `json:"video_format,omitempty"`

	DurationMS *float64 `json:"duration_ms,omitempty"`
	PositionMS *float64 `json:"position_ms,omitempty"`
	*statistics
	*videoStatistics
}

// statistics are part of the events "stats" and "end" of what has audio.
type statistics struct {
	PacketsSent       int64   `json:"packets_sent"`
	OctetsSent        int64   `json:"octets_sent"`
	PacketsReceived   int64   `json:"packets_received"`
	PacketsLost       int64   `json:"packets_lost"`
	PacketsLate       int64   `json:"packets_late"`
	PacketsDuplicated int64   `json:"packets_duplicated"`
	PacketsReordered  int64   `json:"packets_reordered"`
	PacketsDiscarded  int64   `json:"packets_discarded"`
	JitterMS          float64 `json:"jitter_ms"`
	DelayMS           float64 `json:"delay_ms"`
	DelayTargetMS     float64 `json:"delay_target_ms"`
	ConcealedMS       float64 `json:"concealed_ms"`
	StalledMS         float64 `json:"stalled_ms"`
	MOS               float64 `json:"mos,omitempty"` // 0: nothing was received

	// What the far end reports; nil if it has not.
	RoundTripMS   *float64 `json:"round_trip_ms,omitempty"`
	RemoteLossPct *float64 `json:"remote_loss_pct,omitempty"`
}

// videoStatistics are part of the events "stats" and "end" of what has video.
type videoStatistics struct {
	PacketsSent       int64   `json:"video_packets_sent"`
	OctetsSent        int64   `json:"video_octets_sent"`
	FramesSent        int64   `json:"video_frames_sent"`
	KeyFramesSent     int64   `json:"video_key_frames_sent"`
	KeyFramesWanted   int64   `json:"video_key_frame_requests"`
	PacketsAgain      int64   `json:"video_packets_retransmitted"`
	PacketsReceived   int64   `json:"video_packets_received"`
	OctetsReceived    int64   `json:"video_octets_received"`
	PacketsLost       int64   `json:"video_packets_lost"`
	PacketsLate       int64   `json:"video_packets_late"`
	PacketsDuplicated int64   `json:"video_packets_duplicated"`
	PacketsDiscarded  int64   `json:"video_packets_discarded"`
	PacketsAsked      int64   `json:"video_packets_requested"`
	Frames            int64   `json:"video_frames_received"`
	KeyFrames         int64   `json:"video_key_frames_received"`
	FramesLost        int64   `json:"video_frames_lost"`
	KeyFramesAsked    int64   `json:"video_key_frames_requested"`
	JitterMS          float64 `json:"video_jitter_ms"`

	RoundTripMS   *float64 `json:"video_round_trip_ms,omitempty"`
	RemoteLossPct *float64 `json:"video_remote_loss_pct,omitempty"`
}

// callMeasures are those of one call.
type callMeasures struct {
	audio *statistics      // nil: no audio
	video *videoStatistics // nil: no video
}

// received returns the number of packets.
func (m callMeasures) received() (n int64) {
	if m.audio != nil {
		n += m.audio.PacketsReceived
	}
	if m.video != nil {
		n += m.video.PacketsReceived
	}
	return n
}

func statsOf(c *parley.Call, config *session.Config) callMeasures {
	return measuresOf(c, config.Audio != nil, config.Video != nil)
}

func measuresOf(c *parley.Call, audio, video bool) callMeasures {
	var s parley.Stats
	c.Stats(&s)
	var m callMeasures
	if audio {
		m.audio = audioMeasures(&s.Audio)
	}
	if video {
		m.video = videoMeasures(&s.Video)
	}
	return m
}

func audioMeasures(a *parley.AudioStats) *statistics {
	trip, loss := reported(&a.LineStats)
	return &statistics{
		PacketsSent:       a.PacketsSent,
		OctetsSent:        a.OctetsSent,
		PacketsReceived:   a.Received,
		PacketsLost:       a.Lost,
		PacketsLate:       a.Late,
		PacketsDuplicated: a.Duplicated,
		PacketsReordered:  a.Reordered,
		PacketsDiscarded:  a.Discarded,
		JitterMS:          milliseconds(a.Jitter),
		DelayMS:           milliseconds(a.Delay),
		DelayTargetMS:     milliseconds(a.Target),
		ConcealedMS:       milliseconds(a.Concealed),
		StalledMS:         milliseconds(a.Stalled),
		RoundTripMS:       trip,
		RemoteLossPct:     loss,
		MOS:               math.Round(a.MOS*100) / 100,
	}
}

func videoMeasures(v *parley.VideoStats) *videoStatistics {
	trip, loss := reported(&v.LineStats)
	return &videoStatistics{
		PacketsSent:       v.PacketsSent,
		OctetsSent:        v.OctetsSent,
		FramesSent:        v.FramesSent,
		KeyFramesSent:     v.KeyFramesSent,
		KeyFramesWanted:   v.KeyframesWanted,
		PacketsAgain:      v.Retransmitted,
		PacketsReceived:   v.Received,
		OctetsReceived:    v.Octets,
		PacketsLost:       v.Lost,
		PacketsLate:       v.Late,
		PacketsDuplicated: v.Duplicated,
		PacketsDiscarded:  v.Discarded,
		PacketsAsked:      v.Requested,
		Frames:            v.Frames,
		KeyFrames:         v.KeyFrames,
		FramesLost:        v.Broken + v.Skipped + v.Dropped,
		KeyFramesAsked:    v.KeyframesAsked,
		JitterMS:          milliseconds(v.Jitter),
		RoundTripMS:       trip,
		RemoteLossPct:     loss,
	}
}

// reported returns the round trip in milliseconds and the loss in percent that the
// far end reports, or nil where it has not.
func reported(s *parley.LineStats) (trip, loss *float64) {
	if s.RoundTrip > 0 {
		ms := milliseconds(s.RoundTrip)
		trip = &ms
	}
	if !s.Reported.IsZero() {
		percent := math.Round(s.RemoteLoss*10000) / 100
		loss = &percent
	}
	return trip, loss
}

// farEnd says it in words.
func farEnd(trip, loss *float64) string {
	if loss == nil {
		return "no report from the far end"
	}
	text := fmt.Sprintf("the far end lost %.1f %%", *loss)
	if trip != nil {
		text += fmt.Sprintf(", round trip %.1f ms", *trip)
	}
	return text
}

// milliseconds returns d with three decimals.
func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/1e3) / 1e3
}

// emit writes e as JSON, or text, if there is any, for people.
func (o *output) emit(e any, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.json {
		if e, ok := e.(event); ok && e.Event == o.last {
			o.ended = true
		}
		json.NewEncoder(o.stdout).Encode(e) //nolint:errcheck // nobody is left to tell
	}
	if text == "" {
		return
	}
	o.clearProgress()
	w := o.stdout
	if o.json {
		w = o.stderr
	}
	fmt.Fprintln(w, text)
}

// warn reports what does not stop the work.
func (o *output) warn(message string) {
	o.emit(event{Event: "warning", Message: message}, "parley: "+message)
}

// failed reports what stopped the work. To programs that is the end, if they have
// not been told of one.
func (o *output) failed(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clearProgress()
	if o.json && !o.ended {
		json.NewEncoder(o.stdout).Encode(event{Event: o.last, Reason: "failed", Message: err.Error()}) //nolint:errcheck // nobody is left to tell
	}
	fmt.Fprintf(o.stderr, "parley: %v\n", err)
}

// bar shows how far the work is, on a terminal only.
func (o *output) bar(done, total time.Duration, note string) {
	if !o.isTerm {
		return
	}
	const width = 30
	line := clock(done)
	if total > 0 {
		filled := int(min(done*width/total, width))
		line = fmt.Sprintf("[%s%s] %s / %s", strings.Repeat("█", filled), strings.Repeat("·", width-filled), clock(done), clock(total))
	}
	line += "  " + note
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clearProgress()
	// Without wrapping at the margin (DECAWM), since only what is in one row is overwritten.
	fmt.Fprintf(o.stderr, "\x1b[?7l%s\x1b[?7h", line)
	o.progress = len(line)
}

func (o *output) clearProgress() {
	if o.progress > 0 {
		fmt.Fprint(o.stderr, "\r\x1b[K")
		o.progress = 0
	}
}

// clock returns d as minutes and seconds.
func clock(d time.Duration) string {
	return fmt.Sprintf("%d:%02d", int(d/time.Minute), int(d%time.Minute/time.Second))
}

// summary says in words how a call went.
func summary(reason string, m callMeasures) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ended: %s\n", reason)
	if s := m.audio; s != nil && s.PacketsSent > 0 {
		fmt.Fprintf(&b, "  sent      %d packets, %d bytes; %s\n", s.PacketsSent, s.OctetsSent, farEnd(s.RoundTripMS, s.RemoteLossPct))
	}
	if s := m.audio; s != nil && s.StalledMS > 0 {
		fmt.Fprintf(&b, "  stalled   for %.0f ms, a pause at the far end: this machine was too busy\n", s.StalledMS)
	}
	if s := m.audio; s != nil && s.PacketsReceived > 0 {
		fmt.Fprintf(&b, "  received  %d packets, %d lost, %d late, %d duplicated, %d out of order, %d discarded\n",
			s.PacketsReceived, s.PacketsLost, s.PacketsLate, s.PacketsDuplicated, s.PacketsReordered, s.PacketsDiscarded)
		fmt.Fprintf(&b, "  jitter    %.1f ms, delay %.0f ms, concealed %.0f ms, MOS %.1f\n", s.JitterMS, s.DelayMS, s.ConcealedMS, s.MOS)
	}
	if m.video != nil {
		m.video.describe(&b)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (v *videoStatistics) describe(b *strings.Builder) {
	if v.PacketsSent > 0 {
		fmt.Fprintf(b, "  video     sent %d frames (%d key frames) in %d packets, %d bytes; %s\n",
			v.FramesSent, v.KeyFramesSent, v.PacketsSent, v.OctetsSent, farEnd(v.RoundTripMS, v.RemoteLossPct))
	}
	if v.KeyFramesWanted > 0 {
		fmt.Fprintf(b, "  keyframe requests: %d; a file cannot make one\n", v.KeyFramesWanted)
	}
	if v.PacketsReceived > 0 {
		fmt.Fprintf(b, "  video     received %d frames (%d key frames), %d frames lost; %d packets, %d lost, %d late, %d duplicated, %d discarded; asked for %d packets and %d key frames\n",
			v.Frames, v.KeyFrames, v.FramesLost, v.PacketsReceived, v.PacketsLost, v.PacketsLate, v.PacketsDuplicated, v.PacketsDiscarded, v.PacketsAsked, v.KeyFramesAsked)
	}
}
