package parley

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/video"
)

// trunk is a plug that takes several packets at once, and fails with each whose
// number in its batch is refused.
type trunk struct {
	*plug
	refused int // negative: none
	batches []int
	single  int
}

var errFull = errors.New("no room")

func (t *trunk) WriteBatch(b []byte, sizes []int) (sent int, err error) {
	t.batches = append(t.batches, len(sizes))
	for i, n := range sizes {
		if i == t.refused {
			err = errFull
		} else if t.plug.WriteRTP(b[:n]) == nil {
			sent++
		}
		b = b[n:]
	}
	if len(b) > 0 {
		err = errors.New("more bytes than packets")
	}
	return sent, err
}

func (t *trunk) WriteRTP(b []byte) error {
	t.single++
	return t.plug.WriteRTP(b)
}

// batching makes two calls of which the first has a trunk.
func batching(t *testing.T, from *trunk, config VideoConfig) (x, y *Call) {
	t.Helper()
	back := newPlug(nil)
	open := func(leg Leg) *Call {
		c := config
		c.Leg, c.Send, c.Receive = leg, vp8, []codec.Params{vp8}
		call, err := New(Config{Video: &c})
		if err != nil {
			t.Fatal(err)
		}
		call.Connected()
		return call
	}
	x, y = open(from), open(back)
	from.to, back.to = y.Video(), x.Video()
	t.Cleanup(func() {
		x.Close()
		y.Close()
		from.arrived.Wait()
		back.arrived.Wait()
	})
	return x, y
}

// A leg that takes several packets gets those that are due together, up to 64 and
// what fits into the memory of a loop; what it cannot send is counted.
func TestVideoInBatches(t *testing.T) {
	for _, tt := range []struct {
		name    string
		config  VideoConfig
		refused int
		want    []int
	}{
		{"at once", VideoConfig{Immediate: true}, -1, []int{53, 53, 14}},
		{"with errors", VideoConfig{Immediate: true}, 5, []int{53, 53, 14}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from := &trunk{plug: newPlug(nil), refused: tt.refused}
				x, y := batching(t, from, tt.config)
				f := picture(0, true, 120*1196)
				if err := x.Video().WriteFrame(f); err != nil {
					t.Fatal(err)
				}
				if err := x.Video().Drain(t.Context()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if !slices.Equal(from.batches, tt.want) || from.single != 0 {
					t.Errorf("batches of %v packets, want %v, and %d single ones", from.batches, tt.want, from.single)
				}
				var s Stats
				x.Stats(&s)
				if errs := map[bool]int64{true: 3}[tt.refused >= 0]; s.Video.PacketsSent != 120 || s.Video.SendErrors != errs {
					t.Errorf("%d packets sent, %d errors, want %d", s.Video.PacketsSent, s.Video.SendErrors, errs)
				}
				if tt.refused >= 0 {
					return
				}
				var got video.Frame
				if err := y.Video().ReadFrame(&got); err != nil || !bytes.Equal(got.Data, f.Data) {
					t.Errorf("%d bytes received, %v", len(got.Data), err)
				}
			})
		})
	}
}

// Frames on the clock leave in groups of eight, and each packet that left in a
// batch can be sent again by itself.
func TestVideoBatchesAreRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[uint16]bool{}
		lose := func(b []byte) bool {
			seq := uint16(b[2])<<8 | uint16(b[3])
			first := !seen[seq]
			seen[seq] = true
			// Not the first ones, for which nothing has been saved up, and not the last
			// ones, which nothing shows to be missing.
			return first && seq%16 == 3 && len(seen) > 200 && len(seen) < 700
		}
		from := &trunk{plug: newPlug(lose), refused: -1}
		x, y := batching(t, from, VideoConfig{RTCP: RTCPConfig{NACK: true}})
		var got video.Frame
		for n := range 40 {
			if err := x.Video().WriteFrame(picture(n, n == 0, 20*1196)); err != nil {
				t.Fatal(err)
			}
		}
		y.Video().SetReadDeadline(time.Now().Add(10 * time.Second))
		for n := range 40 {
			if err := y.Video().ReadFrame(&got); err != nil {
				t.Fatal(err)
			}
			if number(&got) != n || len(got.Data) != 20*1196 {
				t.Errorf("frame %d is %d of %d bytes", n, number(&got), len(got.Data))
			}
		}
		var s Stats
		x.Stats(&s)
		if s.Video.PacketsSent != 800 || s.Video.Retransmitted < 30 {
			t.Errorf("%d packets sent, %d again", s.Video.PacketsSent, s.Video.Retransmitted)
		}
		if n := slices.Max(from.batches[1:]); n != 8 {
			t.Errorf("up to %d packets leave together", n)
		}
	})
}
