package main

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/parley-media/parley/file"
)

// A lipsync gives the packets of two lines, each with times of its own, their
// places in one file: by when they came. The first packets of a line may come late,
// because it was not yet known to be one, and none comes early. So all are held
// back for a moment, after which the one that came soonest counts. The zero value
// is for one line, which begins at 0.
type lipsync struct {
	hold time.Duration // how long; 0: there is one line

	begun   time.Time
	settled bool
	lines   [2]place // of tracks
	held    []heldPacket
	bytes   int
}

// A place is that of a line in the file.
type place struct {
	known bool
	shift time.Duration
}

type heldPacket struct {
	file.Packet
	arrival time.Duration
}

const (
	holdLines = 500 * time.Millisecond
	holdBytes = 8 << 20

	// Pictures leave in the order of decoding, so that one may leave before its
	// time: at the least time of those that follow it within this one.
	reordering = 200 * time.Millisecond
)

// at returns the place of what has the time t of its line and came at arrival, as
// far as it is known.
func (l *lipsync) at(track int, t time.Duration, arrival time.Time) time.Duration {
	p := &l.lines[track]
	if l.begun.IsZero() {
		l.begun = arrival
	}
	if !p.known {
		p.known, p.shift = true, -t
		if l.hold > 0 {
			p.shift += arrival.Sub(l.begun)
		}
	}
	return max(0, t+p.shift)
}

// hands takes a packet that came at arrival, and calls write for it, or when its
// place is known.
func (l *lipsync) hands(p *file.Packet, arrival time.Time, write func(*file.Packet) error) error {
	q := heldPacket{Packet: *p}
	q.Time = l.at(p.Track, p.Time, arrival)
	if l.hold == 0 || l.settled {
		return write(&q.Packet)
	}
	q.Time, q.Data, q.arrival = p.Time, slices.Clone(p.Data), arrival.Sub(l.begun)
	l.held = append(l.held, q)
	l.bytes += len(q.Data)
	if q.arrival < l.hold && l.bytes < holdBytes {
		return nil
	}
	return l.settle(write)
}

// settle finds the places, and hands on what is held.
func (l *lipsync) settle(write func(*file.Packet) error) error {
	held := l.held
	l.settled, l.held = true, nil
	for track := range l.lines {
		first := slices.IndexFunc(held, func(q heldPacket) bool { return q.Track == track })
		if first < 0 {
			continue
		}
		least, shift := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
		for i := len(held) - 1; i >= first; i-- {
			q := &held[i]
			if q.Track != track {
				continue
			}
			least = min(least, q.Time)
			if i == first || q.arrival < l.hold-reordering {
				shift = min(shift, q.arrival-least)
			}
		}
		l.lines[track].shift = shift
	}
	var early time.Duration // what came before the one that was looked at first
	for i := range held {
		held[i].Time += l.lines[held[i].Track].shift
		early = min(early, held[i].Time)
	}
	for i := range l.lines {
		l.lines[i].shift -= early
	}
	// In each line they stay in order: that of pictures is not that of their times.
	var last [2]time.Duration
	for i := range held {
		q := &held[i]
		q.Time -= early
		last[q.Track] = max(last[q.Track], q.Time)
		q.arrival = last[q.Track]
	}
	slices.SortStableFunc(held, func(a, b heldPacket) int { return cmp.Compare(a.arrival, b.arrival) })
	for i := range held {
		if err := write(&held[i].Packet); err != nil {
			return err
		}
	}
	return nil
}
