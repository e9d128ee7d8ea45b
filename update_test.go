package parley

import (
	"encoding/binary"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// Sender reports in a pause after a change of the clock rate tell the timestamp of
// now, as what is sent after the pause shows.
func TestSenderReportsAfterAClockRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{}, &AudioConfig{RTCP: RTCPConfig{Interval: 500 * ms}}, nil)
		type stamp struct {
			at        time.Time
			timestamp uint32
		}
		var mu sync.Mutex
		var reports, packets []stamp
		note := func(all *[]stamp, timestamp []byte) {
			mu.Lock()
			defer mu.Unlock()
			*all = append(*all, stamp{time.Now(), binary.BigEndian.Uint32(timestamp)})
		}
		x.Audio().leg.(*plug).to = &spy{
			lineEnd: y.Audio(),
			rtp:     func(b []byte) { note(&packets, b[4:]) },
			rtcp: func(b []byte) {
				if b[1] == 200 {
					note(&reports, b[16:])
				}
			},
		}
		write := func(format audio.Format) {
			for range 100 {
				f := &audio.Frame{Format: format, Samples: make([]int16, format.Samples(20*ms))}
				if err := x.Audio().WriteFrame(f); err != nil {
					t.Fatal(err)
				}
			}
			if err := x.Audio().Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		write(audio.Format{Rate: 8000, Channels: 1})
		time.Sleep(100 * ms)
		synctest.Wait()
		mu.Lock()
		reports, packets = nil, nil
		mu.Unlock()
		changed := time.Now()
		if err := x.Audio().Update(&AudioUpdate{Send: codec.Params{Name: "L16", PayloadType: 97, ClockRate: 16000, Channels: 1}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * ms)
		synctest.Wait()
		mu.Lock()
		before := len(reports)
		mu.Unlock()
		write(audio.Format{Rate: 16000, Channels: 1})
		time.Sleep(100 * ms)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if before == 0 || len(reports) == before || len(packets) != 100 {
			t.Fatalf("%d reports in the pause, %d after it; %d packets", before, len(reports)-before, len(packets))
		}
		for _, r := range reports {
			if r.at.Sub(changed) < 100*ms {
				continue // it was on its way
			}
			want := packets[0].timestamp + uint32(int64(r.at.Sub(packets[0].at))*16000/int64(time.Second))
			if off := int32(r.timestamp - want); off < -16 || off > 16 {
				t.Errorf("a report %v before the first packet is off by %d", packets[0].at.Sub(r.at), off)
			}
		}
	})
}

// A frame in the midst of which the codec takes another format goes on in that: all but
// what was in the queue, and what the change of the rate held back, is heard.
func TestLongFrameGoesOnInAnotherFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wide := codec.Params{Name: "G722", PayloadType: 9, ClockRate: 8000}
		both := AudioConfig{Receive: []codec.Params{pcmu, wide}}
		x, _, _, _ := pair(t, both, both, Deadlines{})
		a := x.Audio()
		const length = 8 * time.Second
		written := make(chan error)
		go func() {
			written <- a.WriteFrame(&audio.Frame{Format: audio.Format{Rate: 16000, Channels: 1}, Samples: make([]int16, 16000*length/time.Second)})
		}()
		for _, send := range []codec.Params{wide, pcmu, wide, pcmu} {
			time.Sleep(1003 * ms)
			if err := a.Update(&AudioUpdate{Send: send}); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		if err := a.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		p := a.Played()
		if lost := length - p.Sent - p.Dropped; lost < -ms || lost > 28*ms || p.Dropped > 800*ms {
			t.Errorf("of %v %+v", length, p)
		}
	})
}
