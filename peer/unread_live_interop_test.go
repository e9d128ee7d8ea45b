//go:build interop

package peer_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/internal/census"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/video"
)

// Sound and pictures that nobody reads cost no memory, however long they go on,
// and whoever reads then is in the present.
func TestUnreadLive(t *testing.T) {
	caller, called := dial(t, &peer.CallConfig{Videos: 1})
	const rate = 25 // frames a second, each of 40 kB: a megabyte
	begin := time.Now()
	defer meanwhile(func(int) error { return caller.Audio().WriteFrame(square()) })()
	defer meanwhile(func(n int) error {
		f := picture(n)
		f.Time = time.Duration(n) * time.Second / rate
		f.Data = append(f.Data, bytes.Repeat([]byte{1}, 37_000)...)
		return caller.Video().WriteFrame(f)
	})()
	settle := time.NewTimer(4 * time.Second) // until the queues are full
	<-settle.C
	before := census.Count()
	settle.Reset(unread)
	<-settle.C
	after := census.Count()
	var s parley.Stats
	called.Stats(&s)
	t.Logf("before %v, after %v; %d octets of video, %d of sound, %d frames dropped, behind by %v",
		before, after, s.Video.Octets, s.Audio.Octets, s.Video.Dropped, s.Audio.Behind)
	if s.Video.Octets < 4<<20 || s.Video.Dropped < 50 || s.Audio.Received < 200 {
		t.Errorf("too little came to tell: %+v", s)
	}
	if more := after.Heap - before.Heap; more > 2<<20 {
		t.Errorf("%d kB more on the heap after %v", more>>10, unread)
	}
	var sound audio.Frame
	called.Audio().SetReadDeadline(time.Now().Add(5 * time.Second))
	if err := called.Audio().ReadFrame(&sound); err != nil {
		t.Fatal(err)
	}
	var f video.Frame
	called.Video().SetReadDeadline(time.Now().Add(5 * time.Second))
	if err := called.Video().ReadFrame(&f); err != nil {
		t.Fatal(err)
	}
	if now := time.Since(begin); now-sound.Time > 3*time.Second || now-f.Time > 5*time.Second {
		t.Errorf("after %v the sound is that of %v, the picture that of %v", now, sound.Time, f.Time)
	}
}
