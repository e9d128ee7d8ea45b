package quality

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
)

// A Config says what is sent and how it is received.
type Config struct {
	Codec    codec.Params
	PTime    time.Duration // audio in one packet and in one frame of output; 0: 20 ms
	Playout  stream.Playout
	MinDelay time.Duration // 0: the receiver's own
	MaxDelay time.Duration // 0: the receiver's own
	Duration time.Duration // 0: as long as the trace

	// ExpectedLoss is what the encoder is told of the loss on the way, in per
	// cent of the packets, if it can be told.
	ExpectedLoss int

	// Speech is what is sent, over and over, in the format of the codec, which
	// has to be mono. [Speech] gives it the right one.
	Speech []int16
}

// began is when simulations begin.
var began = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// A simulation is one trace on its way through the sender and the receiver.
type simulation struct {
	config   Config
	trace    *Trace
	began    time.Time
	format   audio.Format
	packets  []*rtp.Packet
	arrivals []Arrival
	exact    bool    // the codec has no memory
	sent     []int16 // what a receiver behind a perfect network hears

	receiver *stream.AudioReceiver
	rest     []Arrival // packets on the way
	newest   int       // the highest sequence number that has arrived
	end      time.Time

	ticks []tick
	heard []int16
	stats stream.ReceiverStats
}

// A tick is one frame of output.
type tick struct {
	at     time.Duration // when it is played
	length time.Duration
	media  time.Duration // how much of it was sent
	target time.Duration // what the receiver wants its delay to be

	offset time.Duration // sample of the frame that was recognised
	place  time.Duration // its media time
	found  bool
}

// Run sends speech along a trace, in simulated time, and reports what is heard.
// It returns the error of ctx when that ends before.
func Run(ctx context.Context, c Config, t *Trace) (*Result, error) {
	c.PTime = cmp.Or(c.PTime, interval)
	if c.Duration > 0 {
		t = t.limit(c.Duration)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	s := &simulation{config: c, trace: t, began: began}
	if err := s.send(); err != nil {
		return nil, fmt.Errorf("quality: %s: %w", t.Name, err)
	}
	if err := s.receive(ctx); err != nil {
		return nil, err
	}
	return s.result(), nil
}

// Numbers of the first packet: both wrap within seconds.
const (
	firstSequence  = 1<<16 - 100
	firstTimestamp = 1<<32 - 20000
)

// roomNoise is the level of noise that is added to what is sent, 72 dB below full
// scale. No room is as quiet as the pauses of a synthesiser, and the noise, which
// does not repeat itself when the speech does, marks each moment of it.
const roomNoise = 8

// send makes the packets of the stream, and what they sound like.
func (s *simulation) send() error {
	c := s.config
	var sent int
	sent, s.arrivals = s.trace.arrivals(c.PTime)
	impl, err := codec.Lookup(c.Codec)
	if err != nil {
		return err
	}
	if impl.NewEncoder == nil || impl.NewDecoder == nil {
		return fmt.Errorf("%w: %v has to be encoded and decoded", codec.ErrUnknown, c.Codec)
	}
	if s.format, err = impl.Format(c.Codec); err != nil {
		return err
	}
	if s.format.Channels != 1 || len(c.Speech) == 0 {
		return fmt.Errorf("%w: %d samples of speech for %v", audio.ErrFormat, len(c.Speech), s.format)
	}
	encoder, err := impl.NewEncoder(c.Codec)
	if err != nil {
		return err
	}
	if e, ok := encoder.(interface{ SetExpectedLoss(percent int) error }); ok {
		if err := e.SetExpectedLoss(c.ExpectedLoss); err != nil {
			return err
		}
	}
	_, s.exact = encoder.(codec.SampleCodec) // each sample for itself
	decoder, err := impl.NewDecoder(c.Codec)
	if err != nil {
		return err
	}
	out, err := stream.NewAudioSender(stream.SenderConfig{Codec: c.Codec, Coded: true, SSRC: 1, Sequence: firstSequence, Timestamp: firstTimestamp})
	if err != nil {
		return err
	}
	packet := &stream.Packet{Codec: c.Codec}
	units := uint32(c.PTime * time.Duration(c.Codec.ClockRate) / time.Second)
	pcm := make([]int16, s.format.Samples(c.PTime))
	from, room := 0, rand.New(rand.NewPCG(1, 1))
	for i := range sent {
		for j := range pcm {
			v := float64(c.Speech[from]) + roomNoise*room.NormFloat64()
			pcm[j] = int16(max(math.MinInt16, min(v, math.MaxInt16)))
			from = (from + 1) % len(c.Speech)
		}
		if packet.Payload, err = encoder.Encode(packet.Payload[:0], pcm); err != nil {
			return err
		}
		if s.sent, err = decoder.Decode(s.sent, packet.Payload); err != nil {
			return err
		}
		b, err := out.AppendForward(nil, s.began.Add(time.Duration(i)*c.PTime), packet)
		if err != nil {
			return err
		}
		p := &rtp.Packet{}
		if err := p.Unmarshal(b); err != nil {
			return err
		}
		s.packets = append(s.packets, p)
		packet.Seq++
		packet.Timestamp += units
	}
	return nil
}

// open makes the receiver, and sets the time at which the output ends: when the
// last packet would have been played behind the fastest network.
func (s *simulation) open() error {
	config := stream.ReceiverConfig{
		Codecs:   []codec.Params{s.config.Codec},
		PTime:    s.config.PTime,
		Playout:  s.config.Playout,
		MinDelay: s.config.MinDelay,
		MaxDelay: s.config.MaxDelay,
	}
	var err error
	if s.receiver, err = stream.NewAudioReceiver(config); err != nil {
		return fmt.Errorf("quality: %s: %w", s.trace.Name, err)
	}
	s.receiver.Stats(&s.stats)
	s.rest = s.arrivals
	s.end = s.began.Add(s.trace.leastTransit() + s.trace.sent(time.Duration(len(s.packets))*s.config.PTime))
	return nil
}

// step returns what comes next: a packet that arrives, a frame that is due, or
// neither at the end. A packet that arrives when a frame is due comes first.
func (s *simulation) step() (packet *rtp.Packet, at time.Time, ok bool) {
	due := s.receiver.Next()
	if len(s.rest) > 0 {
		a := s.rest[0]
		if at := s.began.Add(a.At); due.IsZero() || !at.After(due) {
			s.rest = s.rest[1:]
			s.newest = max(s.newest, a.Seq)
			return s.packets[a.Seq], at, true
		}
	}
	return nil, due, !due.IsZero() && due.Before(s.end)
}

func (s *simulation) tracker() *tracker {
	return &tracker{exact: s.exact, sent: s.sent, rate: s.format.Rate}
}

// receive pushes each packet at its time and pulls each frame at its time.
func (s *simulation) receive(ctx context.Context) error {
	if err := s.open(); err != nil {
		return err
	}
	tracker := s.tracker()
	var frame audio.Frame
	for {
		packet, at, ok := s.step()
		switch {
		case !ok && len(s.ticks) == 0:
			return fmt.Errorf("%s: %w", s.trace.Name, errNothing)
		case !ok:
			return nil
		case packet != nil:
			s.receiver.Push(at, packet)
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		}
		before := s.stats
		if !s.receiver.Pull(at, &frame) || frame.Format != s.format || len(frame.Samples) != s.format.Samples(s.config.PTime) {
			return fmt.Errorf("quality: %s: no frame of %v of %v at %v, when it was due", s.trace.Name, s.config.PTime, s.format, at.Sub(s.began))
		}
		s.receiver.Stats(&s.stats)
		t := tick{
			at:     at.Sub(s.began),
			length: frame.Duration(),
			media:  min(s.stats.Media-before.Media, frame.Duration()),
			target: s.stats.Target,
		}
		s.heard = append(s.heard, frame.Samples...)
		if t.media == t.length {
			var at, place int
			limit := (s.newest + 1) * s.format.Samples(s.config.PTime)
			if at, place, t.found = tracker.find(frame.Samples, limit); t.found {
				t.offset, t.place = s.format.Duration(at), s.format.Duration(place)
			}
		} else {
			tracker.next += len(frame.Samples)
		}
		s.ticks = append(s.ticks, t)
	}
}

// errNothing is the error for a trace that is over before the first frame is
// due.
var errNothing = fmt.Errorf("%w: nothing is heard of it", ErrTrace)

// delays returns, for each tick, how much later it is played than it would be
// behind the fastest packet of the trace, and whether that is known: a frame
// that was stretched throughout lies between those beside it, and one that is
// not all media has no delay.
func (s *simulation) delays() (all []time.Duration, known []bool) {
	floor := s.trace.leastTransit()
	all, known = make([]time.Duration, len(s.ticks)), make([]bool, len(s.ticks))
	last := -1
	for i, t := range s.ticks {
		if !t.found {
			continue
		}
		all[i] = t.at + t.offset - s.trace.sent(t.place) - floor
		known[i] = true
		for j := last + 1; j < i && last >= 0; j++ {
			all[j] = all[last] + (all[i]-all[last])*time.Duration(j-last)/time.Duration(i-last)
			known[j] = s.ticks[j].media == s.ticks[j].length
		}
		last = i
	}
	return all, known
}

// percentile returns the smallest value that no more than a share of the sorted
// values exceed.
func percentile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

// sortedCopy returns the values for which keep is true, in ascending order.
func sortedCopy(values []time.Duration, keep []bool) []time.Duration {
	var kept []time.Duration
	for i, v := range values {
		if keep[i] {
			kept = append(kept, v)
		}
	}
	slices.Sort(kept)
	return kept
}
