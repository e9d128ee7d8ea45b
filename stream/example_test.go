package stream_test

import (
	"fmt"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/stream"
)

// 50 ms of PCM become three packets, each at its own time. The last one is
// filled up when nothing more was written for a while.
func ExampleAudioSender() {
	pcmu, _ := codec.Static(0)
	s, err := stream.NewAudioSender(stream.SenderConfig{Codec: pcmu, SSRC: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	begin := time.Now() // time goes on as the example says
	err = s.Write(begin, &audio.Frame{Format: s.Format(), Samples: make([]int16, 400)})
	if err != nil {
		fmt.Println(err)
		return
	}
	var p rtp.Packet
	for now := s.Next(); !now.IsZero(); now = s.Next() {
		b, ok := s.AppendPacket(nil, now)
		if !ok {
			continue // a pause began
		}
		if err := p.Unmarshal(b); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(now.Sub(begin), p.SequenceNumber, p.Timestamp, p.Marker, len(p.Payload))
	}
	// Output:
	// 0s 0 0 true 160
	// 20ms 1 160 false 160
	// 60ms 2 320 false 160
}

// A digit takes the place of the speech that is due meanwhile.
func ExampleAudioSender_QueueDigits() {
	pcmu, _ := codec.Static(0)
	s, err := stream.NewAudioSender(stream.SenderConfig{
		Codec: pcmu,
		Event: codec.Params{Name: "telephone-event", PayloadType: 101, ClockRate: 8000},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	begin := time.Now() // time goes on as the example says
	err = s.Write(begin, &audio.Frame{Format: s.Format(), Samples: make([]int16, 960)})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := s.QueueDigits(begin, "1", &dtmf.Options{Duration: 40 * time.Millisecond}); err != nil {
		fmt.Println(err)
		return
	}
	var p rtp.Packet
	for now := s.Next(); !now.IsZero(); now = s.Next() {
		for {
			b, ok := s.AppendPacket(nil, now)
			if !ok {
				break
			}
			if err := p.Unmarshal(b); err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println(now.Sub(begin), p.PayloadType, p.Timestamp, p.Marker)
		}
	}
	fmt.Println("muted:", s.Played().Muted)
	// Output:
	// 20ms 101 0 true
	// 40ms 101 0 false
	// 60ms 101 0 false
	// 80ms 101 0 false
	// 80ms 0 640 true
	// 100ms 0 800 false
	// muted: 80ms
}

// Packets that arrive unevenly come out as a frame each 20 ms, and what is lost
// has its place.
func ExampleAudioReceiver() {
	pcmu, _ := codec.Static(0)
	r, err := stream.NewAudioReceiver(stream.ReceiverConfig{Codecs: []codec.Params{pcmu}})
	if err != nil {
		fmt.Println(err)
		return
	}
	begin := time.Now() // time goes on as the example says
	for _, p := range []struct {
		seq     uint16
		arrival time.Duration
	}{{0, 0}, {1, 33e6}, {2, 40e6}, {4, 81e6}} {
		r.Push(begin.Add(p.arrival), &rtp.Packet{
			Header:  rtp.Header{Version: 2, SSRC: 1, SequenceNumber: p.seq, Timestamp: uint32(p.seq) * 160},
			Payload: make([]byte, 160),
		})
	}
	var f audio.Frame
	for range 5 {
		now := r.Next()
		if r.Pull(now, &f) {
			fmt.Println(now.Sub(begin), f.Time, f.Duration(), f.Kind)
		}
	}
	// Output:
	// 40ms 0s 20ms media
	// 60ms 20ms 20ms media
	// 80ms 40ms 20ms media
	// 100ms 60ms 20ms concealed
	// 120ms 80ms 20ms media
}
