package session

import (
	"slices"
	"strconv"
	"strings"
)

// A place is a media line of a description: that of its audio, that of its video,
// or one of the others.
type place struct {
	kind byte // placeAudio, placeVideo, or 0
	Section
}

const (
	placeAudio = 'a'
	placeVideo = 'v'
)

// hasAudio reports whether d describes audio.
func (d *Description) hasAudio() bool { return d.Addr.IsValid() || len(d.Codecs) > 0 }

// places returns the media lines of d in order. Index and Video.Index have to be
// within Others.
func (d *Description) places() (all []place) {
	for i := range len(d.Others) + 1 {
		audio := d.hasAudio() && d.Index == i
		video := d.Video != nil && d.Video.Index == i
		if video && d.Video.First {
			all = append(all, place{placeVideo, d.section("video", d.Video.transport())})
		}
		if audio {
			all = append(all, place{placeAudio, d.section("audio", d)})
		}
		if video && !d.Video.First {
			all = append(all, place{placeVideo, d.section("video", d.Video.transport())})
		}
		if i < len(d.Others) {
			all = append(all, place{0, d.Others[i]})
		}
	}
	return all
}

// arrange puts the media lines of d in the order of all. Video has to be its own.
func (d *Description) arrange(all []place) {
	d.Others, d.Index = nil, 0
	audio := false
	for _, p := range all {
		switch p.kind {
		case placeAudio:
			d.Index, audio = len(d.Others), true
		case placeVideo:
			d.Video.Index, d.Video.First = len(d.Others), !audio
		default:
			d.Others = append(d.Others, p.Section)
		}
	}
	if d.Video != nil && (!audio || d.Index != d.Video.Index) {
		d.Video.First = false
	}
}

// section returns a stream of d as it is when it is turned down.
func (d *Description) section(media string, s *Description) Section {
	var numbers []string
	for _, p := range s.Codecs {
		numbers = append(numbers, strconv.Itoa(int(p.PayloadType)))
	}
	return Section{media, s.profile(), strings.Join(numbers, " ")}
}

// profile returns the protocol of a media line.
func (d *Description) profile() string {
	profile := "RTP/AVP"
	if len(d.Crypto) > 0 {
		profile = "RTP/SAVP"
	}
	if d.Feedback {
		profile += "F"
	}
	return profile
}

// follow gives each media line of d the place that it had in last: a session
// never loses one (RFC 3264, section 8). What d has no longer is turned down,
// and what is new takes the place of what was turned down, or comes at the end.
func (d *Description) follow(last *Description) {
	before, now := last.places(), d.places()
	if len(now) >= len(before) && slices.EqualFunc(before, now[:len(before)], func(p, q place) bool { return p.Media == q.Media }) {
		return
	}
	take := func(kind byte) (place, bool) {
		i := slices.IndexFunc(now, func(p place) bool { return p.kind == kind })
		if kind == 0 || i < 0 {
			return place{}, false
		}
		p := now[i]
		now = slices.Delete(now, i, i+1)
		return p, true
	}
	next := slices.Clone(before)
	for i, p := range next { // those that go on
		if q, ok := take(p.kind); ok {
			next[i] = q
		} else {
			next[i].kind = 0
		}
	}
	for i, p := range next { // those that come back
		if p.kind != 0 || before[i].kind != 0 {
			continue
		}
		kinds := map[string]byte{"audio": placeAudio, "video": placeVideo}
		if q, ok := take(kinds[p.Media]); ok {
			next[i] = q
		}
	}
	var others []place
	for _, p := range now {
		if p.kind != 0 {
			next = append(next, p)
		} else {
			others = append(others, p)
		}
	}
	// Of the others, those that last had are there already.
	had := len(last.Others)
	next = append(next, others[min(had, len(others)):]...)
	d.arrange(next)
}
