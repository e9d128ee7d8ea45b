package stream

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/payload"
)

// ErrConfig is wrapped by the error for a configuration that contradicts
// itself or is out of range.
var ErrConfig = errors.New("stream: wrong configuration")

// SenderConfig describes the audio that an [AudioSender] makes. SSRC, Sequence
// and Timestamp are the first ones used; they should be random (RFC 3550,
// section 5.1).
type SenderConfig struct {
	Codec     codec.Params
	PTime     time.Duration // audio in one packet, 1 ms to 1 s, rounded to samples, of G.722 pairs; 0: 20 ms
	Queue     time.Duration // how much audio may wait, at most a minute; 0: 200 ms
	Immediate bool          // send when there is audio for a packet, instead of on the media clock
	Coded     bool          // take coded frames only, which needs no encoder

	// Silence is how long silence is sent after the end of what was written, before
	// nothing is sent any more; negative: until there is more to send. Without, a far
	// end may take the end for a loss at first, and go on with the last sound for
	// some 200 ms, as browsers do. It needs an encoder and the media clock, and
	// where there is comfort noise, that takes its place.
	Silence time.Duration

	// Event is the format of telephone events (RFC 4733); the zero value is
	// none. Its clock rate should be that of Codec (section 2.1 there).
	Event codec.Params

	// Noise is the format of comfort noise (RFC 3389), which is sent in pauses;
	// the zero value is none. It needs mono PCM of 8 or 16 kHz, the clock rate
	// of Codec, and the media clock.
	Noise codec.Params

	// RED is the format of redundant audio (RFC 2198); the zero value is none.
	// Each packet then also carries the Generations frames before it, as far as
	// MaxPayload and the format allow: 1 to 7; 0 means 1.
	RED         codec.Params
	Generations int

	Duplicate      bool  // send each packet again when the next one is due
	LevelExtension uint8 // id of the audio level extension (RFC 6464), 1 to 14; 0: none

	SSRC       uint32
	Sequence   uint16
	Timestamp  uint32
	MaxPayload int // bytes; 0: 1400. Codecs of a fixed size per sample are cut to fit
}

// maxQueue bounds the memory of a sender.
const maxQueue = time.Minute

// setup is a SenderConfig and what follows from it.
type setup struct {
	config  SenderConfig
	format  audio.Format // of the PCM that the encoder takes
	encoder codec.Encoder
	frame   int    // samples in one packet, all channels
	units   uint32 // RTP timestamp units in one packet
	events  uint32 // telephone events that the far end takes, by bits
	sample  int    // bytes of a sample of all channels in a payload, if that is fixed
	cut     int    // payload bytes after which a frame is cut, or 0
	digits  *dtmf.Sender
	noise   *payload.NoiseEstimator
}

// newSetup checks c. Of old it keeps what has a memory and is the same in c.
func newSetup(c SenderConfig, old *setup) (setup, error) {
	c.PTime = cmp.Or(c.PTime, 20*time.Millisecond)
	c.Queue = cmp.Or(c.Queue, 200*time.Millisecond)
	c.MaxPayload = cmp.Or(c.MaxPayload, 1400)
	if c.RED.Name != "" {
		c.Generations = cmp.Or(c.Generations, 1)
	}
	if err := checkPTime(c.PTime); err != nil {
		return setup{}, err
	}
	if err := c.check(); err != nil {
		return setup{}, err
	}
	n := setup{config: c}
	if !c.Coded {
		if err := n.encode(old); err != nil {
			return setup{}, err
		}
	} else {
		n.units = uint32(timeToUnits(c.PTime, c.Codec.ClockRate))
	}
	if err := n.signal(old); err != nil {
		return setup{}, err
	}
	return n, nil
}

func (c *SenderConfig) check() error {
	switch {
	case c.Queue < 0 || c.Queue > maxQueue:
		return fmt.Errorf("%w: a queue of %v is outside 0..%v", ErrConfig, c.Queue, maxQueue)
	case c.MaxPayload < 1 || c.MaxPayload > 65000:
		return fmt.Errorf("%w: payloads of %d bytes are outside 1..65000", ErrConfig, c.MaxPayload)
	case c.Codec.ClockRate < 1000 || c.Codec.ClockRate > 384000:
		return fmt.Errorf("%w: %s has a clock rate outside 1000..384000", ErrConfig, c.Codec)
	case c.LevelExtension > 14:
		return fmt.Errorf("%w: extension id %d is outside 1..14", ErrConfig, c.LevelExtension)
	case c.Generations < 0 || c.Generations >= payload.MaxREDBlocks:
		return fmt.Errorf("%w: %d generations of redundancy, at most %d", ErrConfig, c.Generations, payload.MaxREDBlocks-1)
	case c.RED.Name != "" && c.RED.ClockRate != c.Codec.ClockRate:
		return fmt.Errorf("%w: %s with %s, want the same clock rate", ErrConfig, c.RED, c.Codec)
	case c.Noise.Name != "" && c.Noise.ClockRate != c.Codec.ClockRate:
		return fmt.Errorf("%w: %s with %s, want the same clock rate", ErrConfig, c.Noise, c.Codec)
	case c.Noise.Name != "" && (c.Immediate || c.Coded):
		return fmt.Errorf("%w: comfort noise needs PCM on the media clock", ErrConfig)
	}
	var used [128]bool
	for _, p := range []codec.Params{c.Codec, c.Event, c.Noise, c.RED} {
		if p.Name == "" {
			continue
		}
		if p.PayloadType > 127 || used[p.PayloadType] {
			return fmt.Errorf("%w: %s has the payload type %d, which is none or in use", ErrConfig, p, p.PayloadType)
		}
		used[p.PayloadType] = true
	}
	return nil
}

// encode finds the encoder and what follows from it.
func (n *setup) encode(old *setup) error {
	c := &n.config
	impl, err := codec.Lookup(c.Codec)
	if err != nil {
		return err
	}
	if impl.NewEncoder == nil {
		return codec.NoEncoder(c.Codec)
	}
	if n.format, err = impl.Format(c.Codec); err != nil {
		return err
	}
	if old != nil && old.encoder != nil && old.config.Codec == c.Codec {
		n.encoder = old.encoder
	} else if n.encoder, err = impl.NewEncoder(c.Codec); err != nil {
		return err
	}
	n.frame = n.format.Samples(c.PTime)
	fc, ok := n.encoder.(codec.FrameCodec)
	if ok && !fc.Takes(n.frame) {
		n.frame -= n.format.Channels // G.722 takes pairs
	}
	if ok && !fc.Takes(n.frame) {
		return fmt.Errorf("%w: %s has no frames of %v", ErrConfig, c.Codec, c.PTime)
	}
	c.PTime = n.format.Duration(n.frame) // 20 ms at 11025 Hz are half a sample more
	n.units = n.unitsOf(n.frame)
	if sc, ok := n.encoder.(codec.SampleCodec); ok {
		n.sample = sc.SampleSize()
		perFrame := n.frame / n.format.Channels
		if perFrame*n.sample > c.MaxPayload {
			packets := (perFrame*n.sample + c.MaxPayload - 1) / c.MaxPayload
			n.cut = (perFrame + packets - 1) / packets * n.sample
		}
	}
	return nil
}

// signal prepares telephone events and comfort noise.
func (n *setup) signal(old *setup) error {
	c := &n.config
	n.events = eventSet(c.Event.FMTP)
	switch {
	case c.Event.Name == "":
	case old != nil && old.digits != nil && old.config.Event.ClockRate == c.Event.ClockRate && old.config.Codec.ClockRate == c.Codec.ClockRate:
		n.digits = old.digits
	default:
		// Between the updates of an event lie 20 to 50 ms (RFC 4733, section
		// 2.5.1.2), however long the packets of speech are.
		ptime := min(max(c.PTime, 20*time.Millisecond), 50*time.Millisecond)
		var err error
		if n.digits, err = dtmf.NewSender(dtmf.SenderConfig{ClockRate: c.Event.ClockRate, PTime: ptime}); err != nil {
			return err
		}
	}
	if c.Noise.Name == "" {
		return nil
	}
	if n.format.Channels != 1 || n.format.Rate != 8000 && n.format.Rate != 16000 {
		return fmt.Errorf("%w: comfort noise for %v, want mono of 8 or 16 kHz", ErrConfig, n.format)
	}
	if old != nil && old.noise != nil && old.format == n.format && old.config.Noise.ClockRate == c.Noise.ClockRate {
		n.noise = old.noise
		return nil
	}
	order := 0
	if n.format.Rate != c.Noise.ClockRate {
		order = -1 // a spectrum is told for the sampling rate that the format names
	}
	var err error
	n.noise, err = payload.NewNoiseEstimator(n.format.Rate, order)
	return err
}

// unitsOf returns the RTP timestamp units of samples, all channels together.
func (n *setup) unitsOf(samples int) uint32 {
	if n.format.Channels == 0 {
		return 0
	}
	return uint32(int64(samples/n.format.Channels) * int64(n.config.Codec.ClockRate) / int64(n.format.Rate))
}
