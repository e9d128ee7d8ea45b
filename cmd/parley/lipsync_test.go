package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/stream"
)

func TestLipsync(t *testing.T) {
	begin := time.Now()
	type came struct {
		track   int
		arrival time.Duration
		time    time.Duration
	}
	const sound, picture = trackSound, trackPicture
	// Audio from 0 on, in time; each line has times of its own.
	var heard []came
	for i := range 60 {
		heard = append(heard, came{sound, time.Duration(i) * 20 * ms, 7*time.Second + time.Duration(i)*20*ms})
	}
	for _, c := range []struct {
		name  string
		seen  []came
		first time.Duration // where the first picture is
	}{
		{"in time", []came{{picture, 0, 0}, {picture, 40 * ms, 40 * ms}, {picture, 80 * ms, 80 * ms}}, 0},
		{"the first frame is late", []came{{picture, 45 * ms, 0}, {picture, 45 * ms, 40 * ms}, {picture, 81 * ms, 80 * ms}}, ms},
		{"later than the audio", []came{{picture, 200 * ms, 0}, {picture, 240 * ms, 40 * ms}}, 200 * ms},
		{"much later", []came{{picture, 800 * ms, 0}, {picture, 840 * ms, 40 * ms}}, 800 * ms},
		{"pictures that are reordered", []came{{picture, 0, 0}, {picture, 40 * ms, 120 * ms}, {picture, 40 * ms, 40 * ms}, {picture, 80 * ms, 80 * ms}, {picture, 160 * ms, 240 * ms}, {picture, 160 * ms, 160 * ms}}, 0},
		{"one that is reordered comes last", []came{{picture, 0, 0}, {picture, 400 * ms, 400 * ms}, {picture, 440 * ms, 560 * ms}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := lipsync{hold: holdLines}
			all := append(slices.Clone(heard), c.seen...)
			slices.SortStableFunc(all, func(a, b came) int { return int(a.arrival - b.arrival) })
			var got []file.Packet
			write := func(p *file.Packet) error {
				got = append(got, *p)
				return nil
			}
			for _, p := range all {
				if err := l.hands(&file.Packet{Track: p.track, Time: p.time}, begin.Add(p.arrival), write); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.settle(write); err != nil {
				t.Fatal(err)
			}
			var sounds, pictures []time.Duration
			for _, p := range got {
				if p.Track == sound {
					sounds = append(sounds, p.Time)
				} else {
					pictures = append(pictures, p.Time)
				}
			}
			if len(sounds) != 60 || sounds[0] != 0 || sounds[59] != 1180*ms {
				t.Errorf("audio at %v", sounds)
			}
			for i, at := range pictures {
				if want := c.first + c.seen[i].time; at != want {
					t.Errorf("picture %d at %v, want %v", i, at, want)
				}
			}
			if len(pictures) != len(c.seen) {
				t.Errorf("%d pictures, want %d", len(pictures), len(c.seen))
			}
		})
	}
}

// One line alone begins at 0, and is held back by nothing.
func TestOneLine(t *testing.T) {
	var l lipsync
	var got []time.Duration
	for i := range 3 {
		err := l.hands(&file.Packet{Time: time.Minute + time.Duration(i)*time.Second}, time.Now(), func(p *file.Packet) error {
			got = append(got, p.Time)
			return nil
		})
		if err != nil || len(got) != i+1 {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if want := []time.Duration{0, time.Second, 2 * time.Second}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestOpusOrder(t *testing.T) {
	begin := time.Now()
	// Each packet of 20 ms is on time, unless it is said when it comes.
	packet := func(timeline uint64, n int64, late time.Duration) *stream.Packet {
		return &stream.Packet{
			Timeline: timeline, Seq: n, Timestamp: uint32(n)*960 - 2000, // it wraps
			Arrival: begin.Add(time.Duration(n)*20*ms + late),
			Payload: fmt.Appendf([]byte{0xF8}, "%d", n),
		}
	}
	for _, c := range []struct {
		name string
		in   []*stream.Packet
		want string
	}{
		{"in order", []*stream.Packet{packet(1, 0, 0), packet(1, 1, 0), packet(1, 2, 0)}, "0@0s 1@20ms 2@40ms "},
		{"swapped", []*stream.Packet{packet(1, 0, 0), packet(1, 2, 0), packet(1, 1, 25*ms), packet(1, 3, 0)}, "0@0s 1@20ms 2@40ms 3@60ms "},
		{"lost", []*stream.Packet{packet(1, 0, 0), packet(1, 2, 0), packet(1, 3, 0), packet(1, 20, 0)}, "0@0s 2@40ms 3@60ms 20@400ms "},
		{"too late", []*stream.Packet{packet(1, 0, 0), packet(1, 2, 0), packet(1, 20, 0), packet(1, 1, 400*ms)}, "0@0s 2@40ms 20@400ms "},
		{"twice", []*stream.Packet{packet(1, 0, 0), packet(1, 1, 0), packet(1, 1, 0), packet(1, 2, 0)}, "0@0s 1@20ms 2@40ms "},
		{"another source", []*stream.Packet{packet(1, 0, 0), packet(1, 1, 0), packet(2, 10, 0), packet(2, 11, 0)}, "0@0s 1@20ms 10@200ms 11@220ms "},
		{"another source at once", []*stream.Packet{packet(1, 0, 0), packet(1, 1, 0), packet(2, 1, 0), packet(2, 2, 0)}, "0@0s 1@20ms 1@40ms 2@60ms "},
		{"another source with a packet missing before", []*stream.Packet{packet(1, 0, 0), packet(1, 2, 0), packet(2, 3, 0)}, "0@0s 2@40ms 3@60ms "},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := opusOrder{wait: 100 * ms}
			got := ""
			take := func(now time.Time) {
				for q, ok := o.pop(now); ok; q, ok = o.pop(now) {
					got += fmt.Sprintf("%s@%v ", q.data[1:], q.time)
				}
			}
			for _, p := range c.in {
				o.push(p)
				take(p.Arrival)
			}
			o.end()
			take(begin)
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}
