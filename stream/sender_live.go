package stream

import (
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/stretch"
)

const (
	livePatience = time.Second            // for how long all of the queue has to be more than is needed
	livePeriods  = 500 * time.Millisecond // for which unheard ways to leave something out are looked for
	liveAhead    = 100 * time.Microsecond // before its time a packet may be written each time
	liveAdvance  = 5 * time.Millisecond   // by which packets leave earlier at once, at most
	liveFade     = 5 * time.Millisecond   // over which two sides of a cut are joined
)

// live follows what is written live. Such frames come as fast as time goes by, so
// what the queue never falls below is nothing but delay: after a stall, when all
// that was missed comes at once, or with a writer whose clock is fast.
type live struct {
	samples int       // that were written live since anything else was
	since   time.Time // of the last packet that left less than a frame behind; zero: begins with the next one
	least   int32     // samples that each packet since then left behind
	spare   int32     // of these, samples that are being left out, since that time
	early   int32     // packets in a row that were written before their time and left nothing behind
	wait    int32     // before the time of each of these at least, in ns

	stretcher *stretch.Stretcher // nil until something is left out
	format    audio.Format       // of the stretcher
}

// begin makes the patience begin anew.
func (l *live) begin(now time.Time, room int) { l.since, l.least, l.spare = now, int32(room), 0 }

// WriteLive queues the samples of f like [AudioSender.Write], but keeps the delay
// short: it is for frames that come as fast as time goes by, such as those of an
// [AudioReceiver] or a mix.
//
// When for a second the queue has not fallen below a packet, what it did not fall
// below is taken out of it, by pitch periods where that goes unheard, otherwise
// after half a second more in one piece with a short cross-fade. When there is no
// room for f, what is oldest of what was written live makes room. What was written
// in other ways stays whole. All that is left out is counted, also as dropped. When for
// a second each packet has waited for its time, they leave earlier from then on.
//
// The times of frames make no pauses: f goes on what is queued, or leaves at once.
func (s *AudioSender) WriteLive(now time.Time, f *audio.Frame) error {
	if err := s.check(f); err != nil {
		return err
	}
	if len(f.Samples) == 0 {
		return nil
	}
	pcm := f.Samples
	if over := len(pcm) - s.Room(); over > 0 {
		over -= s.splice(over)
		pcm = pcm[over:]
		s.leftOut(over)
	}
	if len(pcm) > 0 {
		p := s.open(nil)
		if p == nil {
			p = s.queue.add()
		}
		p.samples += len(pcm)
		s.queue.push(pcm)
		s.wrote, s.silent = now, 0
		s.live.samples += len(pcm)
	}
	s.written.frame(f.Time, f.Duration())
	return nil
}

// allLive reports whether all that is queued was written live.
func (s *AudioSender) allLive() bool {
	return s.queue.count == 1 && s.live.samples >= s.queue.pcm.count && !s.queue.piece(0).closed && s.queue.pcm.count > 0
}

// keepShort looks, after each packet, at what is left in the queue.
func (s *AudioSender) keepShort(now time.Time) {
	l, left, short := &s.live, s.queue.pcm.count, s.frame
	if l.spare > 0 {
		short /= 2
	}
	if left < short || l.since.IsZero() || !s.allLive() {
		l.begin(now, s.queue.pcm.limit)
		s.keepPrompt(left < s.frame)
		return
	}
	l.early = 0
	l.least = min(l.least, int32(left))
	if l.spare == 0 {
		if now.Sub(l.since) < livePatience {
			return
		}
		l.since, l.spare = now, l.least
	}
	removed := s.compress(int(l.spare))
	if removed == 0 && now.Sub(l.since) >= livePeriods {
		removed = s.splice(int(l.spare))
	}
	if l.spare -= int32(removed); int(l.spare) < s.frame/2 {
		l.begin(now, s.queue.pcm.limit)
	}
}

// keepPrompt looks, after each packet, at how long before its time that was written. A
// talkspurt begins when its writer comes, and one who was late then, or after a hiccup,
// would be early ever after: what he writes would lie there for part of a packet, and
// cost the loop another run. alone says that nothing that is due next was there.
func (s *AudioSender) keepPrompt(alone bool) {
	l := &s.live
	wait := min(s.clock.next.Sub(s.wrote), liveAdvance)
	if !alone || wait < liveAhead || l.samples == 0 || s.silent > 0 || !s.running {
		l.early = 0
		return
	}
	if l.early == 0 {
		l.wait = int32(liveAdvance)
	}
	l.wait = min(l.wait, int32(wait))
	if l.early++; time.Duration(l.early)*s.config.PTime >= livePatience {
		s.clock.next = s.clock.next.Add(-time.Duration(l.wait))
		l.early = 0
	}
}

// compress takes one pitch period or a few out of the begin of the queue, at most
// so many samples, and returns how many. It is 0 where that would be heard.
func (s *AudioSender) compress(most int) int {
	l := &s.live
	if l.stretcher == nil || l.format != s.format {
		var err error
		if l.stretcher, err = stretch.New(s.format.Rate, s.format.Channels); err != nil {
			return 0
		}
		l.format = s.format
	}
	pcm := s.space(l.stretcher.Window() * s.format.Channels)
	pcm = pcm[:s.queue.pcm.peek(pcm)]
	fast := s.format.Duration(int(l.spare)) > hurried
	rest, n := l.stretcher.Compress(pcm, most/s.format.Channels, fast)
	n *= s.format.Channels
	if n == 0 {
		return 0
	}
	s.queue.pcm.skip(n)
	s.queue.pcm.replace(rest)
	s.queue.piece(0).samples -= n
	s.leftOut(n)
	return n
}

// splice takes up to n samples off the begin of the queue, and returns how many. What
// left before goes over into what is next by a cross-fade.
func (s *AudioSender) splice(n int) int {
	fade := s.format.Samples(liveFade)
	if n = min(n, s.queue.pcm.count-fade); n <= 0 || !s.allLive() {
		return 0
	}
	s.queue.pcm.cut(n, fade, s.format.Channels)
	s.queue.piece(0).samples -= n
	s.leftOut(n)
	return n
}

// LeaveOut counts d of what would have been written live as left out.
func (s *AudioSender) LeaveOut(d time.Duration) {
	s.stats.LeftOut += d
	s.played.Dropped += d
}

// leftOut counts samples that were left out.
func (s *AudioSender) leftOut(n int) { s.LeaveOut(s.format.Duration(n)) }
