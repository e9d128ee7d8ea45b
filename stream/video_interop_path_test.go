//go:build interop

package stream_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/transport/netem"
	"github.com/parley-media/parley/video"
)

// A recording is ten seconds of a clip, encoded once, and its packets.
type recording struct {
	clip    *clip
	source  string
	codec   codec.Params
	frames  []video.Frame
	packets []timed
}

func (c *clip) recording(t *testing.T, bitrate string, size int) *recording {
	t.Helper()
	r := &recording{clip: c, source: c.encode(t, "320x240", bitrate, 250)}
	r.codec = c.params(t, r.source)
	r.frames = frames(t, r.source)
	r.packets = packetize(t, c.sender(t, r.codec, size), r.frames)
	if len(r.frames) < 250 || len(r.packets) < len(r.frames)*3/2 {
		t.Fatalf("%d frames in %d packets", len(r.frames), len(r.packets))
	}
	return r
}

func (r *recording) receiver(t *testing.T) *stream.VideoReceiver {
	t.Helper()
	receiver, err := stream.NewVideoReceiver(stream.VideoReceiverConfig{Codecs: []codec.Params{r.codec}})
	if err != nil {
		t.Fatal(err)
	}
	return receiver
}

// match returns which frames of the recording came out: each of them bit by bit
// as it was, and in order.
func (r *recording) match(t *testing.T, got []video.Frame) (which []int) {
	t.Helper()
	n := 0
	for i, f := range got {
		for ; n < len(r.frames) && !bytes.Equal(f.Data, r.frames[n].Data); n++ {
		}
		if n == len(r.frames) {
			t.Fatalf("frame %d of %d bytes was never sent, or not in this order", i, len(f.Data))
		}
		which = append(which, n)
		n++
	}
	return which
}

var pathBegin = time.Unix(1, 0)

const roundTrip = 60 * time.Millisecond

// send sends the packets through a path, again with those that are asked for if
// there is a requester, and returns what comes out. Time goes in steps of a
// millisecond.
func (r *recording) send(t *testing.T, c netem.Config, receiver *stream.VideoReceiver, requester *rtcpctl.Requester) (got []video.Frame) {
	t.Helper()
	c.Delay = roundTrip / 2
	path, err := netem.New(c)
	if err != nil {
		t.Fatal(err)
	}
	history := rtcpctl.NewHistory(rtcpctl.HistoryConfig{Packets: 1024, Bytes: 1 << 20})
	type request struct {
		at   time.Time
		lost []uint16
	}
	var back []request
	var f video.Frame
	var p rtp.Packet
	packets := r.packets
	end := pathBegin.Add(packets[len(packets)-1].at + time.Second)
	for now := pathBegin; now.Before(end); now = now.Add(time.Millisecond) {
		for ; len(packets) > 0 && !now.Before(pathBegin.Add(packets[0].at)); packets = packets[1:] {
			b := packets[0].data
			path.Push(now, b)
			history.Sent(now, binary.BigEndian.Uint16(b[2:]), b)
		}
		for ; len(back) > 0 && !now.Before(back[0].at); back = back[1:] {
			for _, seq := range back[0].lost {
				if b, ok := history.Again(now, roundTrip, seq); ok {
					path.Push(now, b)
				}
			}
		}
		for {
			b, ok := path.Pull(now, nil)
			if !ok {
				break
			}
			if err := p.Unmarshal(b); err != nil {
				t.Fatal(err)
			}
			receiver.Push(now, &p)
			if reception := receiver.Reception(); reception == nil || requester == nil {
				continue
			} else if n := reception.Skipped(); n > 0 {
				requester.Missing(now, roundTrip, rtcpctl.Hole{First: reception.Seq() - int64(n), Count: n, Deadline: now.Add(200 * time.Millisecond)})
			} else {
				requester.Arrived(now, reception.Seq())
			}
		}
		for receiver.Pull(now, &f) {
			got = append(got, f)
			f.Data = nil
		}
		if requester != nil {
			if lost := requester.Append(nil, now, roundTrip); len(lost) > 0 {
				back = append(back, request{now.Add(roundTrip / 2), lost})
			}
		}
	}
	return got
}

// What the encoders of others make goes through bad networks.
func TestCodedVideo(t *testing.T) {
	for _, c := range clips {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := c.recording(t, "200k", 500)
			t.Run("retransmission", r.testRetransmission)
			t.Run("reordered", r.testReordered)
			if c.name != "refresh" { // which has no second key frame, and is right only some time after a recovery point
				t.Run("losses", r.testLosses)
			}
		})
	}
}

// Three packets lost in a hundred, with retransmission: of the frames from the
// first one on, at least 99 in a hundred come out. The encoder is not there to
// make another key frame if the first one is lost before the source is known.
func (r *recording) testRetransmission(t *testing.T) {
	for seed := range uint64(8) {
		requester := rtcpctl.NewRequester(rtcpctl.RequesterConfig{})
		receiver := r.receiver(t)
		got := r.match(t, r.send(t, netem.Config{Seed: seed, Loss: netem.Loss{Rate: 0.03}}, receiver, requester))
		if len(got) == 0 || got[0] > 50 {
			t.Fatalf("seed %d: begins with %v", seed, got)
		}
		var s stream.VideoReceiverStats
		receiver.Stats(&s)
		t.Logf("seed %d: %d frames from %d on, %+v, %+v", seed, len(got), got[0], requester.Stats(), s)
		if want := (len(r.frames) - got[0]) * 99 / 100; len(got) < want || requester.Stats().Recovered < 5 {
			t.Errorf("seed %d: %d frames, want %d of %d", seed, len(got), want, len(r.frames)-got[0])
		}
	}
}

// Any two neighbours swapped, but for the second packet of all, without which
// the source is not known: everything comes out, and nobody asks for a key
// frame.
func (r *recording) testReordered(t *testing.T) {
	var f video.Frame
	var p rtp.Packet
	order := make([]int, len(r.packets))
	for swap := range len(order) - 1 {
		if swap == 1 {
			continue
		}
		for i := range order {
			order[i] = i
		}
		order[swap], order[swap+1] = swap+1, swap
		receiver := r.receiver(t)
		n := 0
		// What comes much later is not affected.
		for i, from := range order[:min(swap+100, len(order))] {
			now := pathBegin.Add(r.packets[i].at)
			if err := p.Unmarshal(r.packets[from].data); err != nil {
				t.Fatal(err)
			}
			receiver.Push(now, &p)
			for ; receiver.Pull(now, &f); n++ {
				if !bytes.Equal(f.Data, r.frames[n].Data) {
					t.Fatalf("packets %d and %d swapped: frame %d is another", swap, swap+1, n)
				}
			}
			if receiver.KeyFrames().Wanted() {
				t.Fatalf("packets %d and %d swapped: asks for a key frame", swap, swap+1)
			}
		}
		var s stream.VideoReceiverStats
		receiver.Stats(&s)
		if swap+100 >= len(order) && n != len(r.frames) || s.Lost != 0 || s.Reordered != 1 {
			t.Fatalf("packets %d and %d swapped: %d frames, %+v", swap, swap+1, n, s)
		}
	}
}

// Ten packets lost in a hundred and nothing sent again: what comes out decodes
// without a complaint, to pictures that the encoder made.
func (r *recording) testLosses(t *testing.T) {
	pictures := decode(t, r.source)
	var all stream.VideoReceiverStats
	for seed := range uint64(4) {
		receiver := r.receiver(t)
		got := r.send(t, netem.Config{Seed: seed, Loss: netem.Loss{Rate: 0.1}}, receiver, nil)
		which := r.match(t, got)
		var s stream.VideoReceiverStats
		receiver.Stats(&s)
		all.KeyFrames += s.KeyFrames
		all.Broken += s.Broken
		all.Skipped += s.Skipped
		seen := decode(t, r.clip.record(t, got, config(t, r.source)))
		t.Logf("seed %d: %d frames, %d pictures, %+v", seed, len(got), len(seen), s)
		n := 0
		for i, p := range seen {
			for ; n < len(pictures) && pictures[n].hash != p.hash; n++ {
			}
			if n == len(pictures) {
				t.Fatalf("seed %d: picture %d of frames %v was never encoded", seed, i, which)
			}
			n++
		}
		if len(seen) < len(got)*9/10 || len(got) == 0 {
			t.Errorf("seed %d: %d pictures of %d frames", seed, len(seen), len(got))
		}
	}
	if all.KeyFrames < 8 || all.Broken < 50 || all.Skipped < 50 {
		t.Errorf("too easy: %+v", all)
	}
}
