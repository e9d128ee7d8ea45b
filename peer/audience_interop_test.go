//go:build interop

package peer_test

import (
	"context"
	"image"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/video"
	"github.com/parley-media/parley/video/vpx"
)

// A gallery is a source of what a line shows, decoded and encoded anew. It counts.
type gallery struct {
	line     *parley.Video
	pictures *video.Pictures
	encoder  video.Encoder
	img      image.YCbCr
	wanted   atomic.Bool  // a key frame
	encoded  atomic.Int64 // frames
	keys     atomic.Int64
}

func newGallery(t *testing.T, line *parley.Video) *gallery {
	t.Helper()
	decoder, err := vpx.NewDecoder(vpx.DecoderConfig{Codec: "VP8"})
	if err != nil {
		t.Fatalf("%v (Debian package libvpx7)", err)
	}
	encoder, err := vpx.NewEncoder(vpx.EncoderConfig{Codec: "VP8"})
	if err != nil {
		t.Fatal(err)
	}
	s := &gallery{line: line, pictures: video.NewPictures(line, decoder), encoder: encoder}
	t.Cleanup(func() {
		s.pictures.Close()
		encoder.Close()
	})
	return s
}

func (s *gallery) ReadFrame(f *video.Frame) error {
	for {
		at, err := s.pictures.ReadPicture(&s.img)
		if err != nil {
			return err
		}
		switch err := s.encoder.Encode(f, &s.img, at, s.wanted.Swap(false)); {
		case err == video.ErrNoPicture:
			continue
		case err != nil:
			return err
		}
		s.encoded.Add(1)
		if f.Key {
			s.keys.Add(1)
		}
		return nil
	}
}

func (s *gallery) RequestKeyframe() { s.wanted.Store(true) }

// A guest counts what it reads of a relay.
type guest struct {
	*video.Subscription
	frames atomic.Int64
	before atomic.Int64 // dropped when the first one came
}

// audience is how many pages look at once.
const audience = 10

// What one page shows ten others see, and it is decoded and encoded once. One
// that is stuck harms nobody, and the source is used by others too. Without anybody
// it rests.
func TestAudience(t *testing.T) {
	t.Parallel()
	p, e := watching(t), listen(t, nil)
	p.do(t, "start")
	p.do(t, "camera", "camera", 1, options{"codec": "VP8", "direction": "sendonly"})
	from := p.call(t, e, nil)
	source := newGallery(t, from.Video())
	begin := time.Now()
	relay := video.NewRelay(source, video.RelayConfig{Queue: 16})
	defer relay.Close()

	stuck, original := relay.Subscribe(), &guest{Subscription: relay.Subscribe()}
	defer stuck.Close()
	var reading sync.WaitGroup
	defer reading.Wait()
	defer original.Close()
	reading.Go(func() {
		var f video.Frame
		for original.ReadFrame(&f) == nil {
			original.frames.Add(1)
		}
	})

	// All come within a second.
	guests := make([]*guest, audience)
	calls := make([]*peer.Peer, audience)
	for i := range audience {
		to, answer, err := e.Answer(t.Context(), p.do(t, "viewer"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		calls[i] = to
		p.do(t, "admit", i, answer)
	}
	for i, to := range calls {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := to.WaitConnected(ctx); err != nil {
			t.Fatal(err)
		}
		g := &guest{Subscription: relay.Subscribe()}
		guests[i] = g
		serve(t, to.Call, parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
			defer g.Close()
			defer context.AfterFunc(ctx, func() { g.Close() })()
			go func() {
				for {
					switch e, err := c.ReadEvent(ctx); {
					case err != nil:
						g.Close()
						return
					case e.Kind == parley.KeyframeRequested:
						g.RequestKeyframe()
					}
				}
			}()
			var f video.Frame
			for {
				if err := g.ReadFrame(&f); err != nil {
					return err
				}
				if g.frames.Add(1) == 1 {
					g.before.Store(g.Dropped())
				}
				if err := c.Video().WriteFrame(&f); err != nil {
					return err
				}
			}
		}))
	}
	var seen []struct {
		Frames, Bad, Back, First, Last, Lost, Received, Decoded int
		IDs                                                     []int
	}
	p.into(t, &seen, "viewed", 40, 25000)
	for i, v := range seen {
		if v.Frames < 40 || v.Back > 0 || v.Bad > v.Frames/10 || len(v.IDs) != 1 || v.IDs[0] != 1 || v.Lost > 0 {
			t.Errorf("viewer %d: %+v", i, v)
		}
	}
	sent := p.stats(t)[from.Video().Mid()]["outbound"]
	var s parley.VideoStats
	from.Video().Stats(&s)
	t.Logf("%d frames came and %d were encoded, %d key frames; the page was asked for %d and sent %d; %+v", s.Frames, source.encoded.Load(), source.keys.Load(), sent.PLICount, sent.KeyFramesEncoded, seen[0])
	if n := source.encoded.Load(); n > s.Frames || n+source.pictures.Missed() < s.Frames*8/10-5 {
		t.Errorf("%d frames were encoded of %d that came, for %d viewers", n, s.Frames, audience)
	}
	// However many come, key frames come no faster than two a second.
	if most := 2 + int64(time.Since(begin)/(500*time.Millisecond)); sent.KeyFramesEncoded > 5 || source.keys.Load() > most {
		t.Errorf("the page sent %d key frames, the encoder made %d, want up to %d", sent.KeyFramesEncoded, source.keys.Load(), most)
	}

	// Each got all frames since it came, but the stuck one.
	if stuck.Dropped() < 20 {
		t.Errorf("of the frames for the one that is stuck %d were dropped", stuck.Dropped())
	}
	total := source.encoded.Load()
	if got := original.frames.Load() + original.Dropped(); got < total-2 || original.Dropped() > 5 {
		t.Errorf("the first reader got %d frames, and %d were dropped, of %d", original.frames.Load(), original.Dropped(), total)
	}
	for i, g := range guests {
		if n := g.Dropped() - g.before.Load(); n > 5 {
			t.Errorf("of the frames for viewer %d %d were dropped since it has seen one", i, n)
		}
	}

	// They leave by themselves, and then the others.
	for i := range audience {
		p.do(t, "leave", i)
	}
	for _, to := range calls {
		noticed(t, to, 5*time.Second)
	}
	eventually(t, 5*time.Second, "only two are left", func() bool { return relay.Subscribers() == 2 })
	stuck.Close()
	original.Close()
	begin = time.Now()
	relay.Wait()
	if took := time.Since(begin); took > time.Second {
		t.Errorf("the source went on for %v", took)
	}
	rested := source.encoded.Load()
	p.do(t, "sleep", 300)
	if n := source.encoded.Load(); n != rested {
		t.Errorf("%d frames were encoded for nobody", n-rested)
	}

	// Somebody comes again.
	late := relay.Subscribe()
	late.SetReadDeadline(time.Now().Add(5 * time.Second))
	var f video.Frame
	if err := late.ReadFrame(&f); err != nil || !f.Key {
		t.Errorf("the first frame is a key frame: %v, %v", f.Key, err)
	}
	late.Close()
	p.do(t, "stop")
}
