package file

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/video"
)

// A StreamReader is a source of coded packets, such as the audio of a call.
type StreamReader interface{ ReadPacket(*stream.Packet) error }

// A recorderSource is being read by a goroutine of the recorder.
type recorderSource struct {
	of       *recording
	source   any
	deadline interface{ SetReadDeadline(time.Time) } // nil: it cannot be interrupted
	owned    io.Closer                               // not nil: it is closed after that
	stopped  bool
	done     chan struct{} // closed when it is not read any more
}

// interruptLocked makes a read that waits return.
func (s *recorderSource) interruptLocked() {
	if !s.stopped && s.deadline != nil {
		s.deadline.SetReadDeadline(time.Unix(1, 0))
	}
	s.stopped = true
}

// Record reads frames from a source and writes them, until the source ends or the
// track is closed, and does not wait for that. It has to keep to real time by
// itself. Sources may follow each other, or be recorded into one track at once if
// they take turns.
//
// If the source has a method SetReadDeadline, as those of calls and relays do, it
// is interrupted when the track is closed, and left without a deadline. One
// without it is read once more after that. The source is not closed.
//
// [Recorder.Pause] leaves out a part of it.
func (a *AudioRecording) Record(source audio.Reader) error {
	var f audio.Frame
	return a.rec.record(&a.recording, source, func() error {
		if err := source.ReadFrame(&f); err != nil {
			return sourceError{err}
		}
		now := time.Now()
		return a.writeFrame(now, heardAt(now, source, &f), &f)
	})
}

// RecordPackets does what [AudioRecording.Record] does, with coded packets.
func (a *AudioRecording) RecordPackets(source StreamReader) error {
	var p stream.Packet
	return a.rec.record(&a.recording, source, func() error {
		if err := source.ReadPacket(&p); err != nil {
			return sourceError{err}
		}
		return a.WritePacket(&p)
	})
}

// Record does what [AudioRecording.Record] does, with pictures. If the source has
// a method RequestKeyframe, as those of calls and relays do, it is asked for one.
func (v *VideoRecording) Record(source video.Reader) error {
	var f video.Frame
	err := v.rec.record(&v.recording, source, func() error {
		if err := source.ReadFrame(&f); err != nil {
			return sourceError{err}
		}
		return v.WriteFrame(&f)
	})
	if k, ok := source.(interface{ RequestKeyframe() }); ok && err == nil {
		k.RequestKeyframe()
	}
	return err
}

// A sourceError is that of a source.
type sourceError struct{ error }

// record starts to read a source. The error is that of a track that is closed.
func (r *Recorder) record(t *recording, source any, step func() error) error {
	s := &recorderSource{of: t, source: source, done: make(chan struct{})}
	s.deadline, _ = source.(interface{ SetReadDeadline(time.Time) })
	if tap, ok := source.(sentSource); ok {
		s.owned = tap
	}
	r.mu.Lock()
	defer r.unlock()
	if err := t.usableLocked(); err != nil {
		return err
	}
	r.sources[s] = struct{}{}
	t.swapped = t.own
	if s.deadline == nil {
		go r.copy(s, step)
	} else {
		r.reading.Go(func() { r.copy(s, step) })
	}
	return nil
}

// byUs reports whether a source ended because this program closed it, or its call.
func byUs(err error) bool {
	end, ok := errors.AsType[*parley.EndError](err)
	return errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed) ||
		ok && (end.Reason == parley.Finished || end.Reason == parley.Canceled)
}

// copy takes one step after another, until the source or the track ends. A frame
// that cannot be written does not end it; the first of another codec is told.
func (r *Recorder) copy(s *recorderSource, step func() error) {
	for {
		err := step()
		r.mu.Lock()
		over := s.stopped
		source, broken := errors.AsType[sourceError](err)
		if !over && !broken && (r.err != nil || errors.Is(err, os.ErrClosed)) {
			over = true
		}
		if !over && !broken {
			if errors.Is(err, errors.ErrUnsupported) {
				s.of.noticeLocked(err)
			}
			r.unlock()
			continue
		}
		delete(r.sources, s)
		if s.stopped && s.deadline != nil {
			s.deadline.SetReadDeadline(time.Time{})
		}
		if s.owned != nil {
			s.owned.Close()
		}
		close(s.done)
		quiet := over || source.error == io.EOF || byUs(source.error)
		r.mu.Unlock()
		if !quiet && r.report != nil {
			r.report(fmt.Errorf("%s: the source of track %d: %w", r.name, s.of.index, source.error))
		}
		return
	}
}
