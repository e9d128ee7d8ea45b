package parley

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/video"
)

// A far end that goes on sending while it may not is not heard, but what it sends then
// is not lost either: not in what is counted, reported and rated, and not in the audio
// and the pictures after the hold.
func TestWhatComesOnHoldIsNotLost(t *testing.T) {
	for _, c := range []struct {
		playout stream.Playout
		hold    time.Duration
	}{
		{stream.InOrder, 2 * time.Second},
		{stream.InOrder, 70 * time.Second}, // more packets than a Reception believes in a gap
		{stream.Adaptive, 2 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			rtcp := RTCPConfig{NACK: true, ReducedSize: true, Interval: time.Second}
			x, y := videoPair(t, VideoConfig{RTCP: rtcp}, &AudioConfig{Playout: c.playout, RTCP: rtcp}, nil)
			var running sync.WaitGroup
			running.Go(func() {
				for x.Audio().WriteFrame(ramp(64)) == nil {
				}
			})
			running.Go(func() {
				for n := 0; ; n++ {
					if x.Video().WriteFrame(picture(n, n == 0 || x.Video().KeyframeRequested(), 3000)) != nil {
						return
					}
					time.Sleep(time.Second / 30)
				}
			})
			concealed := 0
			var heard, begin, end time.Duration
			running.Go(func() {
				var f audio.Frame
				for y.Audio().ReadFrame(&f) == nil {
					if end = f.Time + f.Duration(); heard == 0 {
						begin = f.Time
					}
					heard += f.Duration()
					if f.Kind == audio.Concealed {
						concealed++
					}
				}
			})
			var seen []time.Time
			running.Go(func() {
				var f video.Frame
				for {
					err := y.Video().ReadFrame(&f)
					if err != nil {
						if err != io.EOF && !errors.Is(err, y.Err()) {
							t.Error(err)
						}
						return
					}
					seen = append(seen, time.Now())
				}
			})
			time.Sleep(time.Second)
			if err := y.Update(&AudioUpdate{Direction: SendOnly}, &VideoUpdate{Direction: SendOnly, Feedback: VideoFeedback{NACK: true, PLI: true}}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(c.hold)
			if err := y.Update(&AudioUpdate{}, &VideoUpdate{Feedback: VideoFeedback{NACK: true, PLI: true}}); err != nil {
				t.Fatal(err)
			}
			resumed := time.Now()
			time.Sleep(3 * time.Second)
			var s, far Stats
			y.Stats(&s)
			x.Stats(&far)
			x.Close()
			y.Close()
			running.Wait()
			a, v := &s.Audio, &s.Video
			if a.Lost != 0 || a.Requested != 0 || a.Unwanted == 0 || far.Audio.RemoteLost != 0 || a.RFactor < 92 {
				t.Errorf("audio: %d packets lost, %d by the report, %d asked for, R %.1f", a.Lost, far.Audio.RemoteLost, a.Requested, a.RFactor)
			}
			if c.playout == stream.InOrder && concealed > 0 || a.Concealed > 0 || a.Interrupted > 0 || end-begin != heard {
				t.Errorf("%d frames of %v concealed, %d interruptions, %v heard between %v and %v", concealed, a.Concealed, a.Interrupted, heard, begin, end)
			}
			if v.Lost != 0 || v.Requested != 0 || v.Broken != 0 || far.Video.RemoteLost != 0 {
				t.Errorf("video: %d packets lost, %d by the report, %d asked for, %d frames broken", v.Lost, far.Video.RemoteLost, v.Requested, v.Broken)
			}
			if i := slices.IndexFunc(seen, resumed.Before); i < 0 || seen[i].Sub(resumed) > 150*ms {
				t.Error("no picture soon after the hold")
			}
		})
	}
}

// Whose timestamps have stood still for a part of the hold is heard at the time of arrival
// afterwards, beside its pictures; a packet that is a little late is not.
func TestSoundAfterAHold(t *testing.T) {
	for _, tt := range []struct{ behind, want time.Duration }{
		{0, 5 * time.Second},
		{60 * ms, 4940 * ms},
		{320 * ms, 5 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := tapped(t, AudioConfig{Playout: stream.InOrder})
			var last time.Duration
			var running sync.WaitGroup
			running.Go(func() {
				var f audio.Frame
				for c.Audio().ReadFrame(&f) == nil {
					last = f.Time + f.Duration()
				}
			})
			talk(c, 1, 0, 50, 0x90)
			for _, d := range []Direction{SendOnly, SendRecv} {
				if err := c.Audio().SetDirection(d); err != nil {
					t.Fatal(err)
				}
				if d == SendOnly {
					time.Sleep(4 * time.Second)
				}
			}
			for i := range 50 {
				b := rtpPacket(1, 50+i, bytes.Repeat([]byte{0x90}, 160))
				binary.BigEndian.PutUint32(b[4:], uint32(160*(250+i)-int(tt.behind/ms)*8))
				c.Audio().DeliverRTP(time.Now(), far, b)
				time.Sleep(20 * ms)
			}
			time.Sleep(time.Second)
			c.Close()
			running.Wait()
			if want := tt.want + time.Second; last != want {
				t.Errorf("timestamps that are %v behind: the sound ends at %v, want %v", tt.behind, last, want)
			}
		})
	}
}

// A softphone that is put on hold, or taken from it, closes its stream with a goodbye and
// opens another one: the call goes on, whether the agreement is older than the goodbye or
// newer, and ends with the goodbye of the last stream.
func TestGoodbyeOnHold(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := tapped(t, AudioConfig{})
			change := func(ssrc uint32, d Direction) {
				t.Helper()
				update := func() {
					if err := c.Audio().Update(&AudioUpdate{Direction: d}); err != nil {
						t.Fatal(err)
					}
				}
				if !late {
					update()
				}
				c.Audio().DeliverRTCP(time.Now(), far, bye(ssrc))
				time.Sleep(byeGrace / 2)
				if late {
					update()
				}
				time.Sleep(2 * byeGrace)
				if err := c.Err(); err != nil {
					t.Fatalf("agreement after the goodbye: %v, direction %v: %v", late, d, err)
				}
			}
			talk(c, 1, 0, 10, 0x90)
			change(1, SendOnly)
			change(2, SendRecv)
			talk(c, 3, 0, 10, 0x90)
			c.Audio().DeliverRTCP(time.Now(), far, bye(3))
			time.Sleep(byeGrace + ms)
			if end, ok := errors.AsType[*EndError](c.Err()); !ok || end.Reason != Bye {
				t.Errorf("after the last goodbye: %v", c.Err())
			}
		})
	}
}

// A softphone that changes its codec closes its stream with a goodbye and opens another one,
// which may be here long before its answer: the call goes on.
func TestGoodbyeBeforeAnotherCodec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := tapped(t, AudioConfig{Receive: []codec.Params{pcmu}})
		talk(c, 1, 0, 10, 0x90)
		c.Audio().DeliverRTCP(time.Now(), far, bye(1))
		for n := range 50 {
			b := rtpPacket(2, n, bytes.Repeat([]byte{0xc5}, 160))
			b[1] = pcma.PayloadType
			c.Audio().DeliverRTP(time.Now(), far, b)
			time.Sleep(20 * ms)
			if n == 25 {
				if err := c.Audio().Update(&AudioUpdate{Send: pcma, Receive: []codec.Params{pcma}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		c.Audio().DeliverRTCP(time.Now(), far, bye(2))
		time.Sleep(byeGrace + ms)
		if end, ok := errors.AsType[*EndError](c.Err()); !ok || end.Reason != Bye {
			t.Errorf("after the last goodbye: %v", c.Err())
		}
	})
}

// A softphone that holds the call, or goes on in a pause, closes its stream after the
// agreement and only reports in the one that it opens, or speaks later: the call goes on.
// One that says nothing more has left, and so has one that leaves later, or the stream that
// it opened.
func TestGoodbyeAfterAnAgreement(t *testing.T) {
	report := []byte{0x80, 201, 0, 1, 0, 0, 0, 2}
	for _, tt := range []struct {
		name string
		last func(c *Call) // after an agreement, before the goodbye
		ssrc uint32        // that leaves
		want time.Duration // until the call ends
	}{
		{"nothing more", func(*Call) {}, 1, renewalGrace},
		{"later", func(*Call) { time.Sleep(renewal) }, 1, byeGrace},
		{"another stream", func(c *Call) { talk(c, 9, 0, 10, 0x90) }, 9, byeGrace},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := tapped(t, AudioConfig{})
				agree := func(d Direction) {
					t.Helper()
					if err := c.Audio().Update(&AudioUpdate{Direction: d}); err != nil {
						t.Fatal(err)
					}
				}
				talk(c, 1, 0, 10, 0x90)
				for _, d := range []Direction{RecvOnly, SendRecv, RecvOnly} {
					agree(d)
					time.Sleep(100 * ms)
					c.Audio().DeliverRTCP(time.Now(), far, bye(1))
					time.Sleep(7500 * ms)
					if d == RecvOnly {
						c.Audio().DeliverRTCP(time.Now(), far, report)
					} else {
						talk(c, 1, 10, 10, 0x90)
					}
					time.Sleep(renewalGrace)
					if err := c.Err(); err != nil {
						t.Fatalf("after an agreement on %v: %v", d, err)
					}
				}
				agree(SendRecv)
				tt.last(c)
				c.Audio().DeliverRTCP(time.Now(), far, bye(tt.ssrc))
				begin := time.Now()
				<-c.Done()
				end, ok := errors.AsType[*EndError](c.Err())
				if after := time.Since(begin); !ok || end.Reason != Bye || after != tt.want {
					t.Errorf("after %v: %v", after, c.Err())
				}
			})
		})
	}
}

// A line that only sends keeps no call alive that the far end has left.
func TestGoodbyeBesideALineThatOnlySends(t *testing.T) {
	left := func(t *testing.T, c *Call) {
		t.Helper()
		time.Sleep(3 * byeGrace)
		if end, ok := errors.AsType[*EndError](c.Err()); !ok || end.Reason != Bye {
			t.Errorf("after the goodbye: %v", c.Err())
		}
	}
	synctest.Test(t, func(t *testing.T) {
		c, _ := tapped(t, AudioConfig{Direction: SendOnly})
		c.Audio().DeliverRTCP(time.Now(), far, []byte{0x80, 201, 0, 1, 0, 0, 0, 1})
		time.Sleep(time.Second)
		c.Audio().DeliverRTCP(time.Now(), far, bye(1))
		left(t, c)
	})
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{}, &AudioConfig{}, nil)
		if err := y.Video().SetDirection(SendOnly); err != nil {
			t.Fatal(err)
		}
		go func() {
			for x.Audio().WriteFrame(ramp(64)) == nil {
			}
		}()
		film(x, 600)
		x.Close()
		left(t, y)
	})
}

// A hold by the direction alone leaves telephone events and feedback as they were agreed,
// and what was turned down off.
func TestSetDirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{RTCP: RTCPConfig{NACK: true}}, &AudioConfig{Event: events}, nil)
		film(y, 10)
		for _, d := range []Direction{Inactive, SendRecv} {
			if err := errors.Join(x.Audio().SetDirection(d), x.Video().SetDirection(d)); err != nil {
				t.Fatal(err)
			}
			if x.Audio().Direction() != d || x.Video().Direction() != d {
				t.Fatalf("audio is %v, video %v; want %v", x.Audio().Direction(), x.Video().Direction(), d)
			}
			time.Sleep(time.Second)
		}
		if err := x.Audio().SendDigits(t.Context(), "1", nil); err != nil {
			t.Error(err)
		}
		if err := errors.Join(y.Update(&AudioUpdate{Off: true}, &VideoUpdate{Off: true}), y.Audio().SetDirection(SendRecv), y.Video().SetDirection(SendRecv)); err != nil {
			t.Fatal(err)
		}
		if a, v := y.Audio().Direction(), y.Video().Direction(); a != Inactive || v != Inactive {
			t.Errorf("what was turned down is %v and %v", a, v)
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		if v := x.videos[0]; !v.pictures.loss || v.repair == nil {
			t.Errorf("key frames are asked for: %v; losses are: %v", v.pictures.loss, v.repair != nil)
		}
	})
}

// Whoever sends digits is told that a hold, or a codec of another clock, has cut them off.
func TestDigitsCutOff(t *testing.T) {
	for name, tt := range map[string]struct {
		update AudioUpdate
		want   error
	}{
		"hold":          {AudioUpdate{Event: events, Direction: RecvOnly}, stream.ErrHeld},
		"no events":     {AudioUpdate{}, stream.ErrNoEvents},
		"nothing of it": {AudioUpdate{Event: events}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y, _, _ := pair(t, AudioConfig{Event: events}, AudioConfig{Event: events}, Deadlines{})
				defer x.Close()
				defer y.Close()
				result := make(chan error)
				go func() { result <- x.SendDigits(t.Context(), "1234", nil) }()
				time.Sleep(200 * ms)
				began := time.Now()
				if err := x.Audio().Update(&tt.update); err != nil {
					t.Fatal(err)
				}
				if tt.want != nil { // back before anything else is looked at
					if err := x.Audio().Update(&AudioUpdate{Event: events}); err != nil {
						t.Fatal(err)
					}
				}
				if err := <-result; !errors.Is(err, tt.want) {
					t.Errorf("error %v, want %v", err, tt.want)
				}
				if d := time.Since(began); (d > 0) != (tt.want == nil) {
					t.Errorf("after %v", d)
				}
			})
		})
	}
}
