package peer

import (
	"slices"
	"strings"

	"github.com/pion/sdp/v3"
)

// oneClock leaves those telephone events out of an answer that have another clock
// rate than its first codec, as far as there are events that have the same, as
// they should (RFC 4733, section 2.1). Chromium, if it may choose beside Opus,
// takes 8000 Hz, and then gets the durations wrong.
func oneClock(m *sdp.MediaDescription) {
	if m.MediaName.Media != "audio" {
		return
	}
	names := map[string]string{} // by payload type: "opus/48000/2"
	for _, a := range m.Attributes {
		if pt, name, ok := strings.Cut(a.Value, " "); ok && a.Key == "rtpmap" {
			names[pt] = name
		}
	}
	event := func(pt string) bool {
		return len(names[pt]) > len(eventName) && strings.EqualFold(names[pt][:len(eventName)], eventName)
	}
	rate := func(pt string) string {
		parts := strings.Split(names[pt]+"/", "/")
		return parts[1]
	}
	formats := m.MediaName.Formats
	first := slices.IndexFunc(formats, func(pt string) bool { return !event(pt) })
	if first < 0 {
		return
	}
	want := rate(formats[first])
	if !slices.ContainsFunc(formats, func(pt string) bool { return event(pt) && rate(pt) == want }) {
		return
	}
	leaveOut(m, func(pt string) bool { return event(pt) && rate(pt) != want })
}

const eventName = "telephone-event"
