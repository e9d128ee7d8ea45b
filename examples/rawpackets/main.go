// Command rawpackets uses the parts of a call without sockets, goroutines or
// clocks: a sender makes RTP packets at times that the program chooses, a
// receiver turns them into frames, and RTCP reports on them.
package main

import (
	"fmt"
	"log"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
)

func main() {
	pcma, _ := codec.Static(8)
	sender, err := stream.NewAudioSender(stream.SenderConfig{Codec: pcma, SSRC: 0x1234, Sequence: 65534})
	if err != nil {
		log.Fatal(err)
	}
	receiver, err := stream.NewAudioReceiver(stream.ReceiverConfig{Codecs: []codec.Params{pcma}, Playout: stream.InOrder})
	if err != nil {
		log.Fatal(err)
	}
	control := rtcpctl.NewSession(rtcpctl.Config{SSRC: 0x5678, CNAME: "listener@example.com", ClockRate: 8000, Sources: receiver.AppendReceptions})

	now := time.Now()
	control.Start(now)
	frame := audio.Frame{Format: sender.Format(), Samples: make([]int16, 160)}
	for range 300 { // six seconds
		if err := sender.Write(now, &frame); err != nil {
			log.Fatal(err)
		}
		var packet rtp.Packet
		for b, ok := sender.AppendPacket(nil, now); ok; b, ok = sender.AppendPacket(b[:0], now) {
			if err := packet.Unmarshal(b); err != nil {
				log.Fatal(err)
			}
			if packet.SequenceNumber%50 != 0 { // some are lost
				receiver.Push(now.Add(30*time.Millisecond), &packet)
			}
		}
		now = now.Add(sender.PTime())
	}

	var stats stream.ReceiverStats
	receiver.Stats(&stats)
	fmt.Printf("%d packets received, %d lost\n", stats.Received, stats.Lost)
	report, ok := control.AppendReport(nil, now)
	if !ok {
		log.Fatal("no report is due")
	}
	for member, err := range rtcpctl.Members(report) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("RTCP packet type %d of %d bytes\n", member.Type, 4+len(member.Body))
	}
}
