// Command depacketize puts frames together from RTP packets of which only the
// payloads matter, without a call, a socket or a clock: what a capture or another
// RTP stack gives. It writes the packets of three frames of H.264 by itself, and
// loses one on the way.
package main

import (
	"bytes"
	"fmt"
	"log"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/payload"
)

func main() {
	// Any of payload.H264, VP8 and VP9.
	var format payload.VideoFormat = payload.H264{}
	var payloads [][]byte // of the frame that is being received
	whole, begun := true, false
	var next uint16
	for _, p := range packets() {
		if begun && p.SequenceNumber != next { // lost, and with it the frame
			whole = false
		}
		begun, next = true, p.SequenceNumber+1
		if _, err := format.ParsePacket(p.Payload); err != nil {
			whole = false
		}
		payloads = append(payloads, p.Payload)
		if !p.Marker { // the last packet of a frame has it
			continue
		}
		var frame []byte
		var info payload.VideoInfo
		err := fmt.Errorf("a packet of it is missing")
		if whole {
			frame, info, err = format.AppendFrame(nil, payloads)
		}
		if err != nil {
			fmt.Printf("timestamp %d: %v\n", p.Timestamp, err)
		} else {
			fmt.Printf("timestamp %d: %d bytes of %d packets, key frame: %t\n", p.Timestamp, len(frame), len(payloads), info.Key)
		}
		payloads, whole = payloads[:0], true
	}
}

// packets makes the packets of a key frame and of two that follow, and leaves out
// one of the second frame.
func packets() (all []*rtp.Packet) {
	sps := []byte{0x67, 0x42, 0xc0, 0x0b, 0xd9, 0x03, 0x44, 0xf9, 0xa2, 0x30, 0x11, 0, 0, 3, 0, 1, 0, 0, 3, 0, 0x32, 0x0f, 0x14, 0x2a, 0x48}
	pps := []byte{0x68, 0xcb, 0x83, 0xcb, 0x20}
	key := payload.AppendAnnexB(payload.AppendAnnexB(nil, sps), pps)
	key = payload.AppendAnnexB(key, append([]byte{0x65, 0x88}, bytes.Repeat([]byte{0xAA}, 2500)...))
	delta := payload.AppendAnnexB(nil, append([]byte{0x41, 0x9A}, bytes.Repeat([]byte{0xBB}, 2500)...))

	packetizer := payload.H264Packetizer{MaxPayload: 1200}
	var seq uint16
	for n, frame := range [][]byte{key, delta, delta} {
		if err := packetizer.Begin(frame); err != nil {
			log.Fatal(err)
		}
		for more := true; more; seq++ {
			var p rtp.Packet
			p.SequenceNumber, p.Timestamp = seq, uint32(3000*n)
			p.Payload, more = packetizer.AppendPayload(nil)
			p.Marker = !more
			all = append(all, &p)
		}
	}
	lost := len(all) - 5
	return append(all[:lost:lost], all[lost+1:]...)
}
