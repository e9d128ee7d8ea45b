package conference

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
)

// What is shown can be recorded, or listened to, beside those who watch.
func TestShowIsHeardBesideWatchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, viewer := newCall(t), newCall(t)
		show := NewShow(source)
		defer show.Close()
		go show.Watch(t.Context(), viewer)
		beside := show.Sound().Subscribe()
		defer beside.Close()
		if show.Pictures() != nil {
			t.Error("pictures of a call without video")
		}
		synctest.Wait()

		sound := make([]byte, 2*rate/50) // 20 ms of L16
		for i := range sound {
			sound[i] = 0x10
		}
		for n := range 5 {
			p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 97, SSRC: 1, SequenceNumber: uint16(n), Timestamp: uint32(n * rate / 50)}, Payload: sound}
			b, err := p.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			source.Audio().DeliverRTP(time.Now(), netip.AddrPort{}, b)
			time.Sleep(20 * time.Millisecond)
		}
		beside.SetReadDeadline(time.Now().Add(time.Second))
		var f audio.Frame
		for f.Kind = audio.Silence; f.Kind != audio.Media; {
			if err := beside.ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
		if f.Samples[0] != 0x1010 {
			t.Errorf("heard %x", f.Samples[0])
		}
		synctest.Wait()
		if viewer.Audio().Played().Sent == 0 {
			t.Error("nothing is sent to who watches")
		}
		viewer.Close()
	})
}

// Who watches is let go at the end of the call, also while nothing is shown.
func TestWatchEndsWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		show := NewShow(newCall(t))
		defer show.Close()
		c := newCall(t)
		watched := make(chan error, 1)
		go func() { watched <- show.Watch(t.Context(), c) }()
		synctest.Wait()
		c.Close()
		synctest.Wait()
		select {
		case err := <-watched:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("still watching")
			show.Close()
			<-watched
		}
	})
}
