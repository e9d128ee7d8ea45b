package server

import (
	"context"
	"sync"
	"time"

	"github.com/parley-media/parley"
)

const (
	sampleTime = 5 * time.Second       // between looks at the quality of a call
	mediaTime  = 10 * time.Millisecond // until the first look for media; they become rarer
)

// watch notes how soon a call connects and has media, and then how it does, until
// it ends.
func (m *metrics) watch(c *session) {
	if c.peer.WaitConnected(context.Background()) != nil {
		return
	}
	connected := time.Now()
	m.connect.Observe(connected.Sub(c.began).Seconds())
	c.logger.Info("call connected", "after", connected.Sub(c.began).Round(time.Millisecond))
	m.measure(c)
	heard, next := false, connected.Add(sampleTime)
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		select {
		case <-look.C:
		case <-c.peer.Done():
			m.sample(c)
			return
		}
		now := time.Now()
		if !heard && c.hears() {
			heard = true
			m.media.Observe(now.Sub(c.began).Seconds())
		}
		if !now.Before(next) {
			m.measure(c)
			m.sample(c)
			next = now.Add(sampleTime)
		}
		wait := next.Sub(now)
		if !heard {
			wait = min(wait, max(mediaTime, now.Sub(c.began)/20))
		}
		look.Reset(wait)
	}
}

// measure has the replies of the application measured, on the first audio that the
// call has by now.
func (m *metrics) measure(c *session) {
	if a := c.peer.Audio(); a != nil && a != c.measured {
		c.measured = a
		a.MeasureReplies(func(wait time.Duration) { m.reply.Observe(wait.Seconds()) })
	}
}

// hears reports whether there was any media.
func (c *session) hears() bool {
	var n int64
	for a := range c.peer.Audios() {
		var s parley.AudioStats
		a.Stats(&s)
		n += s.Received
	}
	for v := range c.peer.Videos() {
		var s parley.VideoStats
		v.Stats(&s)
		n += s.Received
	}
	return n > 0
}

// sample looks at the quality of a call at this time: that of its first lines.
func (m *metrics) sample(c *session) {
	var s parley.Stats
	c.peer.Stats(&s)
	a := &s.Audio
	if a.PacketsSent > 0 {
		m.queue.Observe(a.Queued.Seconds())
	}
	if a.Received > 0 {
		m.buffer.Observe(a.Delay.Seconds())
	}
	if trip := max(a.RoundTrip, s.Video.RoundTrip); trip > 0 {
		m.roundTrip.Observe(trip.Seconds())
		m.loss.WithLabelValues("out").Observe(max(a.RemoteLoss, s.Video.RemoteLoss))
	}
	received, lost := a.Received+s.Video.Received, a.Lost+s.Video.Lost
	c.tallied.mu.Lock()
	before := c.tallied.sampled
	c.tallied.sampled = [2]int64{received, lost}
	c.tallied.mu.Unlock()
	received, lost = received-before[0], max(0, lost-before[1])
	if received > 0 {
		m.loss.WithLabelValues("in").Observe(float64(lost) / float64(received+lost))
	}
}

// A ledger is what has become of the media of one kind of a call.
type ledger struct {
	in, out, bytesIn, bytesOut, lostIn, lostOut int64
	drops                                       [len(dropReasons)]int64
}

// dropReasons are why something was dropped: packets that came too late, again, in
// another shape than agreed on, broken, on hold, or that the network refused; frames
// of which something was missing, that could not be decoded without others, or that
// nobody read; reports that nobody read.
var dropReasons = [...]string{
	"late", "duplicate", "discarded", "malformed", "unwanted", "unsent", "broken", "skipped", "unread", "event", "digit",
}

// tallied are the counts of a call that are in the metrics already.
type tallied struct {
	mu           sync.Mutex
	audio, video ledger
	concealed    time.Duration
	sampled      [2]int64 // packets received and lost, at the last sample
}

// tally adds what has happened in a call since it was last done, and reports
// whether the call is connected.
func (m *metrics) tally(c *session) (connected bool) {
	t := &c.tallied
	t.mu.Lock()
	defer t.mu.Unlock()
	var s parley.Stats
	c.peer.Stats(&s)
	audio := ledger{drops: [...]int64{0, 0, 0, 0, 0, 0, 0, 0, 0, s.EventsDropped, s.DigitsDropped}}
	var concealed time.Duration
	for line := range c.peer.Audios() {
		var a parley.AudioStats
		line.Stats(&a)
		concealed += a.Concealed
		audio.plus(&ledger{
			a.Received, a.PacketsSent, a.Octets, a.OctetsSent, a.Lost, a.RemoteLost,
			[...]int64{a.Late, a.Duplicated, a.Discarded, a.Malformed, a.Unwanted, a.SendErrors, 0, 0, 0, 0, 0},
		})
	}
	m.add("audio", &t.audio, audio)
	var video ledger
	for line := range c.peer.Videos() {
		var v parley.VideoStats
		line.Stats(&v)
		video.plus(&ledger{
			v.Received, v.PacketsSent, v.Octets, v.OctetsSent, v.Lost, v.RemoteLost,
			[...]int64{v.Late, v.Duplicated, v.Discarded, v.Malformed, v.Unwanted, v.SendErrors, v.Broken, v.Skipped, v.Dropped, 0, 0},
		})
	}
	m.add("video", &t.video, video)
	if more := concealed - t.concealed; more > 0 { // some is taken back when it proves to be a pause
		m.concealed.Add(more.Seconds())
		t.concealed = concealed
	}
	return s.Connected
}

func (l *ledger) plus(o *ledger) {
	l.in, l.out, l.bytesIn, l.bytesOut = l.in+o.in, l.out+o.out, l.bytesIn+o.bytesIn, l.bytesOut+o.bytesOut
	l.lostIn, l.lostOut = l.lostIn+o.lostIn, l.lostOut+o.lostOut
	for i, n := range o.drops {
		l.drops[i] += n
	}
}

// add counts what is more than before. What is less, as after a line has gone or
// when lost packets come after all, is counted from there on.
func (m *metrics) add(media string, before *ledger, now ledger) {
	more := func(now, before int64) float64 { return float64(max(0, now-before)) }
	m.packets.WithLabelValues(media, "in").Add(more(now.in, before.in))
	m.packets.WithLabelValues(media, "out").Add(more(now.out, before.out))
	m.bytes.WithLabelValues(media, "in").Add(more(now.bytesIn, before.bytesIn))
	m.bytes.WithLabelValues(media, "out").Add(more(now.bytesOut, before.bytesOut))
	m.lost.WithLabelValues(media, "in").Add(more(now.lostIn, before.lostIn))
	m.lost.WithLabelValues(media, "out").Add(more(now.lostOut, before.lostOut))
	for i, reason := range dropReasons {
		if n := more(now.drops[i], before.drops[i]); n > 0 {
			m.drops.WithLabelValues(media, reason).Add(n)
		}
	}
	*before = now
}
