package session

import (
	"cmp"
	"errors"
	"fmt"
)

// Streams are what a session description says of each of its streams, as a Description
// of that one alone, in the order of the media lines; nil is a line that is turned
// down, or that no call can be made from. They are for descriptions that have more than
// a call: a recorder (SIPREC, RFC 7866) is offered one audio stream for each party.
//
// Each stream is a [Session] of its own: [OpenAnswer] and [Answer] take the streams of
// an offer one by one, and what they return goes into Streams again, at the same place,
// to be sent as one answer. So do the offers of several sessions, and [Agree] takes the
// streams of what is answered.
type Streams []*Description

// maxStreams is how many media lines a description may have, each of which is told to
// each stream.
const maxStreams = 64

// ParseStreams reads all audio and video sections of a session description, of which
// there may be 64. Unknown lines are passed over. The error, if no call can be made from
// any of them, wraps [ErrDescription] and tells why not.
func ParseStreams(text []byte) (Streams, error) {
	head, blocks, sections, err := parseSections(text)
	if err != nil {
		return nil, err
	}
	if len(blocks) > maxStreams {
		return nil, fmt.Errorf("%w: %d media lines, more than %d", ErrDescription, len(blocks), maxStreams)
	}
	s := make(Streams, len(blocks))
	var first error
	some := false
	for i := range blocks {
		d, err := combine(head, blocks[i:i+1], sections[i:i+1])
		if err != nil {
			first = cmp.Or(first, err)
			continue
		}
		d.Others = append(append(d.Others, sections[:i]...), sections[i+1:]...)
		if d.Index = i; d.Video != nil {
			d.Index, d.Video.Index = 0, i
		}
		s[i], some = d, true
	}
	if !some {
		return nil, fmt.Errorf("%w: %w", ErrDescription, cmp.Or(first, errNoSection))
	}
	return s, nil
}

// Follow makes s, which is about to be sent, the description of the same session that
// comes after last, as [Description.Follow] does. A stream that either of them has not
// is something new.
func (s Streams) Follow(last Streams) {
	before, _ := last.first()
	if before == nil {
		return
	}
	id, version, origin := before.ID, before.Version, before.Origin
	if !origin.IsValid() {
		origin = before.host()
	}
	news := len(s) != len(last)
	for i, d := range s {
		var was *Description
		if i < len(last) {
			was = last[i]
		}
		if d != nil && was != nil {
			d.Follow(was)
			news = news || d.Version != was.Version
		}
		news = news || (d == nil) != (was == nil)
	}
	if news {
		version++
	}
	for _, d := range s {
		if d != nil {
			d.ID, d.Version, d.Origin, d.answers = id, version, origin, false
		}
	}
}

// first returns the first stream that there is, which names the session, and the media
// lines that are known of it.
func (s Streams) first() (*Description, []place) {
	for _, d := range s {
		if d != nil {
			return d, d.places()
		}
	}
	return nil, nil
}

// Marshal returns s as one session description, of the ID and the Version of the first
// stream. Lines that are nil are turned down, as the other streams have them among
// their Others. The error wraps [ErrDescription].
func (s Streams) Marshal() ([]byte, error) {
	d, lines := s.first()
	if d == nil {
		return nil, errNoDescription
	}
	b := d.appendHead(nil)
	for i, stream := range s {
		switch {
		case stream == nil && i < len(lines) && lines[i].kind == 0:
			b = lines[i].appendTo(b)
			continue
		case stream == nil:
			return nil, fmt.Errorf("%w: nobody tells what stream %d was", ErrDescription, i)
		case stream.hasAudio() == (stream.Video != nil):
			return nil, fmt.Errorf("%w: stream %d is not one of audio or one of video", ErrDescription, i)
		}
		if _, err := stream.Marshal(); err != nil { // it would not be read as it is
			return nil, fmt.Errorf("stream %d: %w", i, err)
		}
		if stream.Video != nil {
			b = stream.Video.appendTo(b, d.host())
		} else {
			b = stream.appendAudio(b, d.host())
		}
	}
	return b, nil
}

var errNoSection = errors.New("no audio or video section")
