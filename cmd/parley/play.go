package main

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/opus"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/video"
)

// A player sends the tracks of a file, each packet at its time. What is late makes
// the whole film later, of which nothing is left out: pictures leave with the
// sound of their time.
type player struct {
	call  *parley.Call
	src   *source
	codec codec.Params // of the audio
	loop  bool

	begin   time.Time    // when what has the time 0 would leave without a delay
	delay   atomic.Int64 // by which all is later, because the machine had no time for some
	written atomic.Int64 // the greatest time that was written, in nanoseconds
	begun   atomic.Bool
}

// A piece is a packet on its way, with its time from the beginning of the first
// pass through the file.
type piece struct {
	file.Packet
	pass int
}

const (
	// As much may lie between a packet of one track and the packets of the same
	// time of the other one, in files that do not put them side by side.
	waitingSound   = 128
	waitingPicture = 32

	// Files with clocks of a millisecond round the times of packets that follow
	// each other.
	rounding = 10 * time.Millisecond

	// Samples leave as much as ptime after the end of the queue that they are put
	// into, so that less than this says nothing.
	early, late = -40 * time.Millisecond, 20 * time.Millisecond

	// After such a stall what leaves by itself goes on later, and not all at once.
	stall = 300 * time.Millisecond

	// Packets leave with the timestamps of their times, so one that is late is early
	// enough for whoever records. Only after such a stall they go on later.
	longStall = 2 * time.Second

	// A longer time without a picture is waited for here, because the call takes
	// it for another recording.
	longPicture = time.Second
)

// run sends the file, and returns when all has left that could be read.
func (p *player) run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	tracks := []*track{}
	if t := p.src.sound; t != nil {
		play := p.decoded
		if p.src.coded(p.codec) {
			play = p.coded
		}
		tracks = append(tracks, &track{index: t.index, pieces: make(chan *piece, waitingSound), play: play})
	}
	if t := p.src.picture; t != nil {
		tracks = append(tracks, &track{index: t.index, pieces: make(chan *piece, waitingPicture), play: p.pictures})
	}
	ended := make(chan error, len(tracks))
	for _, t := range tracks {
		go func() {
			err := t.play(ctx, t.pieces)
			if err != nil {
				stop(err)
			}
			ended <- err
		}()
	}
	broken := p.read(ctx, tracks)
	for _, t := range tracks {
		close(t.pieces)
	}
	for range tracks {
		<-ended
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if broken != nil && p.src.sound != nil {
		if err := p.call.Audio().Drain(ctx); err != nil {
			return err
		}
	}
	return broken
}

// A track is one of those that are sent.
type track struct {
	index  int
	pieces chan *piece
	play   func(context.Context, <-chan *piece) error
	last   time.Duration // the greatest time
	step   time.Duration // to it from the one before
}

// end returns when what q has is over, as far as that is known.
func (t *track) end(q *piece, codec file.Codec) time.Duration {
	d := q.Duration
	if codec == file.Opus { // its trimmed end is sent as well
		d = opusDuration(q.Data)
	}
	if q.Time > t.last {
		t.last, t.step = q.Time, q.Time-t.last
	}
	if d == 0 {
		d = min(t.step, time.Second)
	}
	return q.Time + d
}

func opusDuration(packet []byte) time.Duration {
	info, err := opus.Inspect(packet)
	if err != nil {
		return 0
	}
	return info.Duration()
}

// read hands out the packets of the file, again and again with loop, until one
// pass has none.
func (p *player) read(ctx context.Context, tracks []*track) error {
	var base, shift, early, end time.Duration
	for pass := 0; ; pass++ {
		any := false
		for {
			q := &piece{pass: pass}
			err := p.src.in.ReadPacket(&q.Packet)
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			i := 0
			for i < len(tracks) && tracks[i].index != q.Track {
				i++
			}
			if i == len(tracks) {
				continue
			}
			if !p.begun.Load() {
				base, p.begin = q.Time, time.Now()
				p.begun.Store(true)
			}
			any = true
			q.Time -= base
			early = min(early, q.Time)
			q.Time += shift
			end = max(end, tracks[i].end(q, p.src.in.Tracks()[q.Track].Codec))
			select {
			case tracks[i].pieces <- q:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if !p.loop || !any {
			return nil
		}
		shift = end - early
		if err := p.src.rewind(ctx); err != nil {
			return err
		}
	}
}

// wait waits until t is to leave.
func (p *player) wait(ctx context.Context, t time.Duration) error {
	return sleep(ctx, time.Until(p.at(t)))
}

// at returns when t is to leave.
func (p *player) at(t time.Duration) time.Time {
	return p.begin.Add(t + time.Duration(p.delay.Load()))
}

// wrote notes that what is before t was written.
func (p *player) wrote(t time.Duration) {
	if int64(t) > p.written.Load() {
		p.written.Store(int64(t))
	}
}

// position returns how far the sending is.
func (p *player) position() time.Duration {
	if !p.begun.Load() {
		return 0
	}
	return min(time.Since(p.at(0)), time.Duration(p.written.Load()))
}

// coded sends packets of Opus as they are.
func (p *player) coded(ctx context.Context, pieces <-chan *piece) error {
	var next time.Duration
	n := int64(0)
	for q := range pieces {
		d := opusDuration(q.Data)
		if d == 0 {
			return fmt.Errorf("%s: at %v: no packet of Opus", p.src.name, q.Time)
		}
		if n > 0 && q.Time < next+rounding {
			q.Time = next
		}
		next = q.Time + d
		if err := p.wait(ctx, q.Time); err != nil {
			return err
		}
		if behind := time.Since(p.at(q.Time)); behind > longStall {
			p.delay.Add(int64(behind))
		}
		err := p.call.Audio().WritePacket(&stream.Packet{
			Codec:     p.codec,
			Seq:       n,
			Timestamp: uint32((int64(q.Time) + p.delay.Load()) * 48 / int64(time.Millisecond)),
			Time:      q.Time,
			Marker:    n == 0,
			Payload:   q.Data,
		})
		if err != nil {
			return err
		}
		n++
		p.wrote(next)
	}
	return p.wait(ctx, next)
}

// decoded sends samples, and silence where the file has a gap.
func (p *player) decoded(ctx context.Context, pieces <-chan *piece) error {
	sound := p.src.sound
	f := audio.Frame{Format: p.src.format()}
	var decoder codec.Decoder
	pass, skip := -1, 0
	for q := range pieces {
		first := pass < 0
		if q.pass != pass {
			var err error
			if decoder, err = p.src.decoder(); err != nil {
				return err
			}
			pass, skip = q.pass, sound.PreSkip*f.Format.Channels
		}
		var err error
		if f.Samples, err = decoder.Decode(f.Samples[:0], q.Data); err != nil {
			return fmt.Errorf("%s: at %v: %w", p.src.name, q.Time, err)
		}
		room := f.Samples[:0]
		if n := f.Format.Samples(q.Duration); sound.Codec == file.Opus && n > 0 && n < len(f.Samples) {
			f.Samples = f.Samples[:n]
		}
		n := min(skip, len(f.Samples))
		f.Samples = f.Samples[n:]
		skip -= n
		q.Time += f.Format.Duration(n)
		if first {
			if err := p.wait(ctx, q.Time); err != nil {
				return err
			}
		} else if off := p.off(q.Time); off > late {
			p.delay.Add(int64(off))
		} else if off < early {
			if err := p.silence(ctx, f.Format, q.Time+off, -off); err != nil {
				return err
			}
		}
		f.Time = q.Time
		if err := p.call.Audio().WriteFrame(&f); err != nil {
			return err
		}
		p.wrote(q.Time + f.Duration())
		f.Samples = room
	}
	return ctx.Err()
}

// off returns by how much the audio that is written next leaves too late.
func (p *player) off(t time.Duration) time.Duration {
	var s parley.Stats
	p.call.Stats(&s)
	return time.Since(p.at(t)) + s.Audio.Queued
}

// silence writes d of it, from t on.
func (p *player) silence(ctx context.Context, format audio.Format, t, d time.Duration) error {
	const piece = 20 * time.Millisecond
	f := audio.Frame{Format: format, Samples: make([]int16, format.Samples(piece)), Time: t}
	for ; d > 0; d -= piece {
		if d < piece {
			f.Samples = f.Samples[:format.Samples(d)]
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.call.Audio().WriteFrame(&f); err != nil {
			return err
		}
		f.Time += piece
	}
	return nil
}

// pictures sends frames in the order of decoding. They leave on the clock of
// their times, and the last one is shown as long as the one before, so that it has
// arrived when the far end is told that this was all.
func (p *player) pictures(ctx context.Context, pieces <-chan *piece) error {
	var last time.Duration
	step := 40 * time.Millisecond
	first := true
	for q := range pieces {
		if first || q.Time-last > longPicture {
			if err := p.wait(ctx, q.Time); err != nil {
				return err
			}
		}
		if behind := time.Since(p.at(max(last, q.Time))); behind > stall && p.src.sound == nil {
			p.delay.Add(int64(behind))
		}
		if !first && q.Time > last {
			step = min(q.Time-last, longPicture)
		}
		first, last = false, max(last, q.Time)
		f := video.Frame{Data: q.Data, Key: q.Key, Time: q.Time}
		if err := p.call.Video().WriteFrame(&f); err != nil {
			return fmt.Errorf("%s: at %v: %w", p.src.name, q.Time, err)
		}
		p.wrote(q.Time)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return p.wait(ctx, last+step)
}
