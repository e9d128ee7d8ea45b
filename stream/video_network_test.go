package stream

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/transport/netem"
	"github.com/parley-media/parley/video"
)

// A broadcast is a minute of video through a bad network, with an encoder that
// makes a key frame when it is asked to, and retransmission if there is a history.
type broadcast struct {
	t       *testing.T
	sender  *VideoSender
	there   *netem.Path
	history *rtcpctl.History // nil: nothing is sent again

	receiver  *VideoReceiver
	requester *rtcpctl.Requester
	delay     time.Duration // of what is said back

	sizes  []int
	frames []bool // that were seen
	asked  time.Time
	blind  []time.Duration // from each request to a picture
	small  bool            // frames of a packet or two
}

const pictures = 30 * 60

func newBroadcast(t *testing.T, c netem.Config, again bool) *broadcast {
	t.Helper()
	b := &broadcast{t: t, sender: newVideoSender(t, VideoSenderConfig{}), delay: c.Delay}
	var err error
	if b.there, err = netem.New(c); err != nil {
		t.Fatal(err)
	}
	if b.receiver, err = NewVideoReceiver(VideoReceiverConfig{Codecs: []codec.Params{vp8}}); err != nil {
		t.Fatal(err)
	}
	if again {
		b.history = rtcpctl.NewHistory(rtcpctl.HistoryConfig{Packets: 1024, Bytes: 1 << 20})
		b.requester = rtcpctl.NewRequester(rtcpctl.RequesterConfig{})
	}
	return b
}

// run is the minute, in steps of a millisecond.
func (b *broadcast) run() {
	random := rand.New(rand.NewPCG(1, 2))
	type word struct {
		at   time.Time
		lost []uint16
		key  bool
	}
	var back []word
	var buf []byte
	var lost []uint16
	next := 0
	for now := videoBegin; now.Before(videoBegin.Add(time.Minute + time.Second)); now = now.Add(time.Millisecond) {
		for ; next < pictures && !now.Before(videoBegin.Add(time.Duration(next)*time.Second/30)); next++ {
			key := next == 0 || b.sender.KeyFrames().Take(now)
			size := 6000 + random.IntN(6000)
			if b.small {
				size = 400 + random.IntN(400)
			}
			if key {
				size *= 4
			}
			f := filmed(time.Duration(next)*time.Second/30, key, size)
			binary.BigEndian.PutUint32(f.Data[len(f.Data)-4:], uint32(next))
			if err := b.sender.Write(now, f); err != nil {
				b.t.Fatal(err)
			}
			b.sizes, b.frames = append(b.sizes, size), append(b.frames, false)
		}
		for {
			var ok bool
			if buf, ok = b.sender.AppendPacket(buf[:0], now); !ok {
				break
			}
			b.there.Push(now, buf)
			if b.history != nil {
				b.history.Sent(now, binary.BigEndian.Uint16(buf[2:]), buf)
			}
		}
		for len(back) > 0 && !now.Before(back[0].at) {
			for _, seq := range back[0].lost {
				if p, ok := b.history.Again(now, 2*b.delay, seq); ok {
					b.there.Push(now, p)
				}
			}
			if back[0].key {
				b.sender.KeyFrames().Ask()
			}
			back = back[1:]
		}
		for {
			var ok bool
			if buf, ok = b.there.Pull(now, buf[:0]); !ok {
				break
			}
			b.receive(now, buf)
		}
		b.see(now)
		w := word{at: now.Add(b.delay)}
		if b.requester != nil {
			lost = b.requester.Append(lost[:0], now, 2*b.delay)
			w.lost = append(w.lost, lost...)
		}
		keys := b.receiver.KeyFrames()
		if at := keys.Next(); !at.IsZero() && !at.After(now) {
			w.key = true
			if b.asked.IsZero() {
				b.asked = now
			}
			keys.Asked(now, 2*b.delay)
		}
		if w.key || len(w.lost) > 0 {
			back = append(back, w)
		}
	}
}

func (b *broadcast) receive(now time.Time, packet []byte) {
	var p rtp.Packet
	if err := p.Unmarshal(packet); err != nil {
		b.t.Fatal(err)
	}
	b.receiver.Push(now, &p)
	if b.requester == nil {
		return
	}
	r := b.receiver.Reception()
	if r == nil {
		return
	}
	if n := r.Skipped(); n > 0 {
		b.requester.Missing(now, 2*b.delay, rtcpctl.Hole{First: r.Seq() - int64(n), Count: n, Deadline: now.Add(200 * time.Millisecond)})
	} else {
		b.requester.Arrived(now, r.Seq())
	}
}

// see checks what comes out: whole, unchanged and in order.
func (b *broadcast) see(now time.Time) {
	var f video.Frame
	for b.receiver.Pull(now, &f) {
		n := int(binary.BigEndian.Uint32(f.Data[len(f.Data)-4:]))
		if n >= len(b.sizes) || len(f.Data) != b.sizes[n] || b.frames[n] {
			b.t.Fatalf("frame %d of %d bytes", n, len(f.Data))
		}
		b.frames[n] = true
		if !b.asked.IsZero() {
			b.blind = append(b.blind, now.Sub(b.asked))
			b.asked = time.Time{}
		}
	}
}

func (b *broadcast) seen() (n int) {
	for _, ok := range b.frames {
		if ok {
			n++
		}
	}
	return n
}

// A path that loses three packets in a hundred, with retransmission: at least 99
// frames in a hundred come out.
func TestVideoRetransmission(t *testing.T) {
	b := newBroadcast(t, netem.Config{Seed: 1, Delay: 30 * ms, Loss: netem.Loss{Rate: 0.03}}, true)
	b.run()
	s := b.requester.Stats()
	t.Logf("%d of %d frames, %d requests, %d packets came again", b.seen(), pictures, s.Requests, s.Recovered)
	if b.seen() < pictures*99/100 {
		t.Errorf("%d of %d frames", b.seen(), pictures)
	}
}

// Ten packets lost in a hundred and nothing sent again: a key frame is asked for,
// again and again if that is lost too, and in 19 cases of 20 there is a picture
// within a second.
func TestVideoWithoutRetransmission(t *testing.T) {
	b := newBroadcast(t, netem.Config{Seed: 1, Delay: 30 * ms, Loss: netem.Loss{Rate: 0.1}}, false)
	b.small = true
	b.receiver.config.Wait = 50 * ms
	b.run()
	var s VideoReceiverStats
	b.receiver.Stats(&s)
	slices.Sort(b.blind)
	at := func(share int) time.Duration { return b.blind[len(b.blind)*share/100] }
	t.Logf("%d of %d frames, %d requests for key frames, blind for %v in the median, %v in 95 of 100 cases", b.seen(), pictures, b.receiver.KeyFrames().Requests(), at(50), at(95))
	if len(b.blind) < 30 || at(95) > time.Second || s.Broken == 0 {
		t.Errorf("%d cases, %+v", len(b.blind), s)
	}
}
