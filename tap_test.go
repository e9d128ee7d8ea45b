package parley

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
)

// What was said is a run of frames of one level.
type said struct {
	at, length time.Duration // at: when it left
	level      int16
}

// tapOf makes a tap that is closed by the end of the test.
func tapOf(t *testing.T, a *Audio) *Tap {
	t.Helper()
	tap, err := a.Tap()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tap.Close() })
	return tap
}

// allSaid reads frames until nothing comes for three seconds.
func allSaid(t *testing.T, tap *Tap, begin time.Time) (got []said) {
	t.Helper()
	var f audio.Frame
	for {
		tap.SetReadDeadline(time.Now().Add(3 * time.Second))
		if err := tap.ReadFrame(&f); errors.Is(err, os.ErrDeadlineExceeded) {
			return got
		} else if err != nil {
			t.Error(err)
			return got
		}
		at := f.Captured.Sub(begin)
		if n := len(got); n > 0 {
			if last := &got[n-1]; last.level == f.Samples[0] && (at-last.at-last.length).Abs() <= 5*ms {
				last.length += f.Duration()
				continue
			}
		}
		got = append(got, said{at, f.Duration(), f.Samples[0]})
	}
}

// What is read is what left, and when it left: not what was queued and dropped,
// nor what fell into a digit or a hold.
func TestTapGivesWhatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		event := codec.Params{Name: "telephone-event", PayloadType: 101, ClockRate: 8000}
		red := codec.Params{Name: "red", PayloadType: 102, ClockRate: 8000}
		x, _, _, _ := pair(t, AudioConfig{Event: event, RED: red, Duplicate: true}, AudioConfig{}, Deadlines{})
		a, begin := x.Audio(), time.Now()
		tap := tapOf(t, a)
		go func() {
			says(t, a, 8, 50) // a second
			a.Drain(t.Context())
			time.Sleep(500 * ms)
			says(t, a, 16, 10) // 1500 ms, of which all but 40 ms is dropped
			time.Sleep(30 * ms)
			a.Flush(0)
			time.Sleep(470 * ms)
			go says(t, a, 24, 50) // from 2 s on, and a digit after 100 ms
			time.Sleep(90 * ms)
			a.SendDigits(t.Context(), "1", nil)
			time.Sleep(time.Until(begin.Add(2510 * ms)))
			a.Update(&AudioUpdate{Event: event, Direction: RecvOnly})
			time.Sleep(200 * ms)
			a.Update(&AudioUpdate{Event: event, Direction: SendRecv})
		}()
		got := slices.DeleteFunc(allSaid(t, tap, begin), func(s said) bool { return s.level == 0 })
		want := []said{{0, time.Second, 8}, {1500 * ms, 40 * ms, 16}, {2000 * ms, 100 * ms, 24}, {2240 * ms, 280 * ms, 24}, {2720 * ms, 280 * ms, 24}}
		if !slices.EqualFunc(got, want, func(a, b said) bool {
			return a.level == b.level && a.length == b.length && (a.at-b.at).Abs() <= 5*ms
		}) {
			t.Errorf("sent %v\nwant %v", got, want)
		}
		if n := tap.Dropped(); n != 0 {
			t.Errorf("%d packets were dropped", n)
		}
	})
}

// The tap follows the line to another codec and another source, and decodes what
// is forwarded as it is coded.
func TestTapFollowsTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _, _, _ := pair(t, AudioConfig{Receive: []codec.Params{pcmu, pcma}}, AudioConfig{}, Deadlines{})
		a, begin := x.Audio(), time.Now()
		tap := tapOf(t, a)
		go func() {
			says(t, a, 8, 10)
			a.Drain(t.Context())
			a.Update(&AudioUpdate{Send: pcma, Direction: SendRecv})
			says(t, a, 24, 10)
			a.Drain(t.Context())
			x.mu.Lock()
			a.rename(time.Now(), 77, 5)
			x.mu.Unlock()
			says(t, a, 8, 10)
			a.Drain(t.Context())
			for i := range 10 {
				p := stream.Packet{Codec: pcma, Seq: int64(i), Timestamp: uint32(i) * 160, Payload: slices.Repeat([]byte{0xd5 ^ 0x02}, 160)}
				if i == 4 {
					continue // lost on its way to us
				}
				if err := a.WritePacket(&p); err != nil {
					t.Error(err)
				}
				time.Sleep(20 * ms)
			}
		}()
		var level []int16
		total := time.Duration(0)
		got := allSaid(t, tap, begin)
		for _, s := range got {
			level = append(level, s.level)
			total += s.length
		}
		if len(level) < 4 || total < 780*ms || total > 880*ms {
			t.Errorf("%v of levels %v, %v, want 780 ms, and up to 100 ms of silence", total, level, got)
		}
	})
}

// A reader that is slow loses the oldest packets, and holds up nobody.
func TestTapIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		tap := tapOf(t, x.Audio())
		begin := time.Now()
		says(t, x.Audio(), 8, 500)
		if d := time.Since(begin); d > 10*time.Second {
			t.Errorf("10 s of sound took %v", d)
		}
		x.Audio().Drain(context.Background())
		var p stream.Packet
		n := 0
		for {
			tap.SetReadDeadline(time.Now().Add(200 * ms))
			if err := tap.ReadPacket(&p); err != nil {
				break
			}
			if n++; n == 1 && time.Since(p.Arrival) < 2*time.Second {
				t.Errorf("the first packet left %v ago", time.Since(p.Arrival))
			}
		}
		if n < tapPackets || n > tapPackets+20 || tap.Dropped() < 500-tapPackets {
			t.Errorf("%d packets, %d dropped", n, tap.Dropped())
		}
		var f audio.Frame
		if err := tap.ReadFrame(&f); !errors.Is(err, ErrCoded) {
			t.Errorf("frames after packets: %v", err)
		}
	})
}

func TestTapEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		tap, other := tapOf(t, x.Audio()), tapOf(t, x.Audio())
		var f audio.Frame
		begin := time.Now()
		tap.SetReadDeadline(begin.Add(50 * ms))
		if err := tap.ReadFrame(&f); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != 50*ms {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		tap.SetReadDeadline(time.Time{})
		time.AfterFunc(50*ms, func() { other.Close() })
		if err := other.ReadFrame(&f); !errors.Is(err, os.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		says(t, x.Audio(), 8, 1)
		says(t, y.Audio(), 8, 1)
		time.Sleep(500 * ms)
		y.Close()
		<-x.Done()
		var err error
		loud := time.Duration(0)
		for err == nil {
			if err = tap.ReadFrame(&f); err == nil && f.Samples[0] == 8 {
				loud += f.Duration()
			}
		}
		if err != io.EOF || loud != 20*ms {
			t.Errorf("%v of what was left, then %v", loud, err)
		}
		if err := tap.ReadFrame(&f); err != io.EOF {
			t.Errorf("again: %v", err)
		}
		if _, err := x.Audio().Tap(); !ended(err, Bye) {
			t.Errorf("a tap of what has ended: %v", err)
		}
	})
}

// What this build cannot decode can be had in packets.
func TestTapOfUnknownCodec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _, _, _ := pair(t, AudioConfig{Send: coded}, AudioConfig{Send: coded}, Deadlines{})
		tap := tapOf(t, x.Audio())
		if err := tap.ReadFrame(&audio.Frame{}); !errors.Is(err, codec.ErrUnknown) {
			t.Errorf("a frame: %v", err)
		}
		var p stream.Packet
		for i := range 3 {
			in := stream.Packet{Codec: coded, Seq: int64(i), Timestamp: uint32(i) * 960, Payload: []byte{byte(i)}}
			if err := x.Audio().WritePacket(&in); err != nil {
				t.Fatal(err)
			}
			if err := tap.ReadPacket(&p); err != nil || p.Payload[0] != byte(i) || p.Time != time.Duration(i)*20*ms || !p.Arrival.Equal(time.Now()) {
				t.Errorf("packet %d: %+v, %v", i, p, err)
			}
			time.Sleep(20 * ms)
		}
	})
}

func TestTapDoesNotAllocate(t *testing.T) {
	c, err := New(Config{Audio: &AudioConfig{Leg: sink{}, Send: pcmu, Receive: []codec.Params{pcmu}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.task.Stop() // this test is the loop
	c.Connected()
	a := c.Audio()
	tap := tapOf(t, a)
	now, frame, scratch := time.Now(), ramp(8), make([]byte, 2000)
	var f audio.Frame
	send := func() {
		now = now.Add(20 * ms)
		if err := a.sender.Write(now, frame); err != nil {
			t.Fatal(err)
		}
		c.Run(now, scratch)
	}
	both := func() {
		send()
		if err := tap.ReadFrame(&f); err != nil || f.Samples[0] != 8 {
			t.Fatal(f.Samples, err)
		}
	}
	for range 100 {
		both()
	}
	if allocs := testing.AllocsPerRun(1000, both); allocs != 0 {
		t.Errorf("%v allocations per packet that is read, want 0", allocs)
	}
	if allocs := testing.AllocsPerRun(1000, send); allocs != 0 {
		t.Errorf("%v allocations per packet that nobody reads, want 0", allocs)
	}
}

// Whatever is written, dropped and muted: what a tap gives is what was sent.
func TestTapGivesAllThatIsSent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 40).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			x, _, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
			tap, a := tapOf(t, x.Audio()), x.Audio()
			got := make(chan time.Duration, 1)
			go func() {
				var f audio.Frame
				total, end := time.Duration(0), time.Duration(0)
				for tap.ReadFrame(&f) == nil {
					if f.Time < end {
						t.Errorf("a frame at %v, after what ended at %v", f.Time, end)
					}
					end = f.Time + f.Duration()
					if f.Samples[0] != 0 {
						total += f.Duration()
					}
				}
				got <- total
			}()
			sent := time.Duration(0)
			for _, step := range steps {
				switch {
				case step < 4:
					says(t, a, 8, 2*step+1)
				case step < 6:
					sent += a.Flush(0).Sent
				case step == 6:
					a.Update(&AudioUpdate{Direction: RecvOnly})
				case step == 7:
					a.Update(&AudioUpdate{Direction: SendRecv})
				default:
					time.Sleep(time.Duration(step) * 17 * ms)
				}
			}
			time.Sleep(2 * time.Second)
			sent += a.Played().Sent
			tap.Close()
			if total := <-got; total != sent {
				t.Errorf("%v were sent, and the tap gave %v", sent, total)
			}
		})
		if t.Failed() {
			rt.FailNow()
		}
	})
}

// What is left of a long answer after a Flush is not sent, and so not heard by a tap.
func ExampleAudio_Tap() {
	call := exampleCall()
	defer call.Close()
	call.Connected()
	tap, err := call.Audio().Tap()
	if err != nil {
		fmt.Println(err)
		return
	}
	time.AfterFunc(100*time.Millisecond, func() {
		call.Audio().Flush(0)
		call.Audio().Drain(context.Background())
		tap.Close()
	})
	go call.Audio().WriteFrame(&audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 80000)})
	var sent time.Duration
	var f audio.Frame
	for tap.ReadFrame(&f) == nil {
		sent += f.Duration()
	}
	fmt.Println(sent > 0, sent < 5*time.Second)
	// Output: true true
}
