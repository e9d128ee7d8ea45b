package stream

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/video"
)

// FuzzSync: whatever is received and reported, sound goes on without a gap, and
// the times of pictures are shifted by no more than a part of the time that goes
// by.
func FuzzSync(f *testing.F) {
	f.Add([]byte{0, 20, 0, 0, 20, 0, 1, 0, 0, 1, 40, 0, 2, 0, 9, 3, 0, 9, 0, 20, 0, 1, 40, 0})
	f.Add([]byte{1, 0, 0, 1, 33, 0, 3, 1, 1, 4, 0, 3, 0, 20, 0, 0, 20, 0, 2, 200, 7, 5, 0, 9, 1, 33, 0, 1, 33, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		sound, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}, Playout: Playout(len(b) % 3)})
		if err != nil {
			t.Fatal(err)
		}
		camera, err := NewVideoReceiver(VideoReceiverConfig{Codecs: []codec.Params{vp8}})
		if err != nil {
			t.Fatal(err)
		}
		s := NewSync(sound, camera)
		heard := rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 1}, Payload: make([]byte, 160)}
		seen := rtp.Packet{
			Header:  rtp.Header{Version: 2, SSRC: 2, PayloadType: 96, Marker: true},
			Payload: append([]byte{0x10}, filmed(0, true, 20).Data...),
		}
		now := videoBegin
		until := time.Duration(-1)
		for ; len(b) >= 3; b = b[3:] {
			amount := binary.LittleEndian.Uint16(b[1:])
			switch b[0] % 8 {
			case 0:
				now = now.Add(time.Duration(b[1]) * ms)
				heard.SequenceNumber++
				heard.Timestamp += 160
				sound.Push(now, &heard)
			case 1:
				now = now.Add(time.Duration(b[1]) * ms)
				seen.SequenceNumber++
				seen.Timestamp += 3000 + uint32(b[2])*90
				camera.Push(now, &seen)
			case 2:
				if r := sound.Reception(); r != nil {
					r.SenderReport(now, uint64(amount)<<28, heard.Timestamp+uint32(b[2])<<20)
				}
			case 3:
				if r := camera.Reception(); r != nil {
					r.SenderReport(now, uint64(amount)<<28, seen.Timestamp+uint32(b[2])<<20)
				}
			case 4:
				heard.Timestamp += uint32(amount) << 8
				seen.SSRC = 2 + uint32(b[2]%3)
			case 5:
				seen.Timestamp += uint32(amount) << 12
				heard.SSRC = 100 + uint32(b[2]%3)
			case 6:
				now = now.Add(time.Duration(amount) * ms)
			case 7:
				s.SetApart(b[1]&1 == 0)
			}
			var a audio.Frame
			for n := 0; n < 200 && sound.Pull(now, &a); n++ {
				if sound.config.Playout == InOrder && until >= 0 && a.Time != until || a.Time < until {
					t.Fatalf("sound at %v, after %v", a.Time, until)
				}
				until = a.Time + a.Duration()
			}
			var v video.Frame
			for {
				before := *s
				if !camera.Pull(now, &v) {
					break
				}
				step, passed := s.shift-before.shift, s.latest-before.latest
				if before.placed && step.Abs() > passed/slowness && step <= leap { // a leap is one of the sound, forward
					t.Fatalf("shifted by %v in %v", step, passed)
				}
				if !before.placed && v.Time < 0 {
					t.Fatalf("the first picture is at %v", v.Time)
				}
			}
		}
	})
}
