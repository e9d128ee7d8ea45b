package bench

import (
	"bytes"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/transport"
	"github.com/parley-media/parley/video"
)

const (
	// Of VP8, with a picture ID of 15 bits in each packet.
	vp8Descriptor = 4
	vp8Content    = payload.DefaultMaxPayload - vp8Descriptor

	videoPacket = 12 + payload.DefaultMaxPayload // bytes, with the header of RTP
)

var vp8 = codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000}

// videoFrame returns a frame that fills a number of packets.
func videoFrame(packets int) video.Frame {
	data := bytes.Repeat([]byte{1}, packets*vp8Content)
	copy(data, []byte{0, 0, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xf0, 0}) // a key frame of 320 by 240
	return video.Frame{Data: data, Key: true}
}

// videoBurst is how many packets are under way at once, as many as are sure to fit
// into the buffer of a socket: on both sides waking up is spread over a burst.
const videoBurst = 128

// A videoPath has frames sent and received over loopback, as the loop in C has
// packets: a burst is sent, and then received, by one goroutine.
type videoPath struct {
	from, to *transport.Pair
	sockets  *transport.Sender
	sender   *stream.VideoSender
	receiver *stream.VideoReceiver
	frame    video.Frame
	got      video.Frame
	scratch  []byte
	sizes    []int
	packet   rtp.Packet
	burst    int // frames of it to receive
	left     int // frames to send after it
	done     chan error
	ended    chan struct{}
	patience *time.Timer

	// What is sent and received orders the two goroutines by itself, but Go does not
	// know.
	turn sync.Mutex
}

func openVideoPath(packets int) (*videoPath, error) {
	p := &videoPath{
		frame:   videoFrame(packets),
		scratch: make([]byte, 0, packets*videoPacket),
		done:    make(chan error, 1),
		ended:   make(chan struct{}),

		patience: time.NewTimer(0),
	}
	var err error
	if p.sender, err = stream.NewVideoSender(stream.VideoSenderConfig{Codec: vp8, Immediate: true}); err != nil {
		return nil, err
	}
	if p.receiver, err = stream.NewVideoReceiver(stream.VideoReceiverConfig{Codecs: []codec.Params{vp8}}); err != nil {
		return nil, err
	}
	local := transport.ListenConfig{Local: netip.MustParseAddrPort("127.0.0.1:0"), Mux: true}
	if p.from, err = transport.Listen(local); err != nil {
		return nil, err
	}
	if p.to, err = transport.Listen(local); err != nil {
		p.from.Close()
		return nil, err
	}
	p.sockets = transport.NewSender(p.from.RTP)
	go func() {
		defer close(p.ended)
		transport.ReceiveRuns(p.to.RTP, p.receive)
	}()
	return p, nil
}

func (p *videoPath) Close() error {
	p.patience.Stop()
	err := errors.Join(p.from.Close(), p.to.Close())
	<-p.ended
	return err
}

// run sends n frames and returns when all have been received.
func (p *videoPath) run(n int) error {
	p.patience.Reset(10 * time.Second)
	p.turn.Lock()
	p.left = n
	err := p.send()
	p.turn.Unlock()
	if err != nil {
		return err
	}
	select {
	case err := <-p.done:
		if err == nil && !bytes.Equal(p.got.Data, p.frame.Data) {
			err = errors.New("a frame was received that was not sent")
		}
		return err
	case <-p.patience.C:
		return errors.New("a frame was not received")
	}
}

// send sends a burst of frames, each on its own.
func (p *videoPath) send() error {
	p.burst = min(p.left, videoBurst*videoPacket/cap(p.scratch))
	p.left -= p.burst
	to := p.to.LocalAddr()
	for range p.burst {
		now := time.Now()
		if err := p.sender.Write(now, &p.frame); err != nil {
			return err
		}
		p.sizes = p.sizes[:0]
		b := p.scratch
		for {
			begin := len(b)
			var ok bool
			if b, ok = p.sender.AppendPacket(b, now); !ok {
				break
			}
			p.sizes = append(p.sizes, len(b)-begin)
		}
		if _, err := p.sockets.Write(b, p.sizes, to); err != nil {
			return err
		}
	}
	return nil
}

// receive takes a packet.
func (p *videoPath) receive(arrival time.Time, _ netip.AddrPort, b []byte) {
	p.turn.Lock()
	defer p.turn.Unlock()
	if err := p.packet.Unmarshal(b); err != nil {
		return
	}
	p.receiver.Push(arrival, &p.packet)
	for p.receiver.Pull(arrival, &p.got) {
		if p.burst--; p.burst > 0 {
			continue
		}
		if p.left == 0 {
			p.done <- nil
		} else if err := p.send(); err != nil {
			p.done <- err
		}
	}
}
