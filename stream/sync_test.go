package stream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/jitter"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/video"
)

// A studio sends sound in packets of 20 ms and pictures each 40 ms, captured at
// the same times by its clock, over ways of different length.
type studio struct {
	t      *testing.T
	sync   *Sync
	sound  *AudioReceiver
	camera *VideoReceiver

	heard, seen rtp.Header
	way         [2]time.Duration // of sound and of pictures
	clock       time.Time        // of the studio, at its time 0
	times       []time.Duration  // of pictures
}

func newStudio(t *testing.T, p Playout) *studio {
	s := &studio{t: t, clock: time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)}
	var err error
	if s.sound, err = NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}, Playout: p}); err != nil {
		t.Fatal(err)
	}
	if s.camera, err = NewVideoReceiver(VideoReceiverConfig{Codecs: []codec.Params{vp8}}); err != nil {
		t.Fatal(err)
	}
	s.sync = NewSync(s.sound, s.camera)
	s.heard = rtp.Header{Version: 2, SSRC: 1, SequenceNumber: 65530, Timestamp: 1<<32 - 8000}
	s.seen = rtp.Header{Version: 2, SSRC: 2, SequenceNumber: 65500, Timestamp: 1<<32 - 90000, PayloadType: 96, Marker: true}
	return s
}

// play plays from one time of the studio to another, and reads both.
func (s *studio) play(from, to time.Duration) {
	for at := from; at < to; at += 20 * ms {
		picture := at%(40*ms) == 0
		if picture && s.way[1] < s.way[0] {
			s.show(at)
		}
		s.say(at)
		if picture && s.way[1] >= s.way[0] {
			s.show(at)
		}
	}
}

func (s *studio) say(at time.Duration) {
	now := videoBegin.Add(at + s.way[0])
	p := rtp.Packet{Header: s.heard, Payload: make([]byte, 160)}
	p.Timestamp += uint32(at / ms * 8)
	s.heard.SequenceNumber++
	s.sound.Push(now, &p)
	var f audio.Frame
	for s.sound.Pull(now, &f) {
		// In order, everything is given out.
		if s.sound.config.Playout == InOrder && !f.Captured.IsZero() && !f.Captured.Equal(s.clock.Add(at)) {
			s.t.Errorf("sound of %v was captured at %v", at, f.Captured.Sub(s.clock))
		}
	}
}

func (s *studio) show(at time.Duration) { s.leave(at, at) }

// leave sends the picture of a time of the studio at another one.
func (s *studio) leave(at, left time.Duration) {
	now := videoBegin.Add(left + s.way[1])
	p := rtp.Packet{Header: s.seen, Payload: append([]byte{0x10}, filmed(0, true, 40).Data...)}
	p.Timestamp += uint32(at / ms * 90)
	s.seen.SequenceNumber++
	s.camera.Push(now, &p)
	var f video.Frame
	for s.camera.Pull(now, &f) {
		s.times = append(s.times, f.Time)
	}
}

// reportSound is the sender report on sound at a time of the studio.
func (s *studio) reportSound(at time.Duration) {
	s.sound.Reception().SenderReport(videoBegin.Add(at+s.way[0]), rtcpctl.NTP(s.clock.Add(at)), s.heard.Timestamp+uint32(at/ms*8))
}

func (s *studio) reportPictures(at time.Duration) {
	s.camera.Reception().SenderReport(videoBegin.Add(at+s.way[1]), rtcpctl.NTP(s.clock.Add(at)), s.seen.Timestamp+uint32(at/ms*90))
}

func (s *studio) report(at time.Duration) { s.reportSound(at); s.reportPictures(at) }

// want wants the times of pictures since the last one wanted, each as by how much
// it differs from that of its capture, in order and without repetitions.
func (s *studio) want(from time.Duration, want string) {
	s.t.Helper()
	var words []string
	before := time.Duration(-1)
	for i, at := range s.times {
		if at <= before {
			s.t.Errorf("%v after %v", at, before)
		}
		before = at
		word := (at - from - time.Duration(i)*40*ms).Round(10 * time.Microsecond).String()
		if len(words) == 0 || words[len(words)-1] != word {
			words = append(words, word)
		}
	}
	s.times = s.times[:0]
	if got := strings.Join(words, " "); got != want {
		s.t.Errorf("from %v: %s\nwant %s", from, got, want)
	}
}

// Until there are reports, what arrives together belongs together. Then a shift
// is caught up with by 1/8 of the time.
func TestSyncByReports(t *testing.T) {
	s := newStudio(t, InOrder)
	s.way = [2]time.Duration{30 * ms, 80 * ms}
	s.play(0, time.Second)
	s.want(0, "50ms")
	s.reportSound(time.Second)
	s.play(time.Second, 2*time.Second)
	s.want(time.Second, "50ms") // one report alone says nothing
	s.reportPictures(2 * time.Second)
	s.play(2*time.Second, 4*time.Second)
	s.want(2*time.Second, "45ms 40ms 35ms 30ms 25ms 20ms 15ms 10ms 5ms 0s")
	for at := 4 * time.Second; at < time.Minute; at += 5 * time.Second {
		s.play(at, at+5*time.Second) // over the wrap of the numbers and of the timestamps
		s.report(at + 5*time.Second)
		s.want(at, "0s")
	}
}

// A camera that is switched on seconds after the sound began is believed like one that
// was there from the beginning, also when its clock runs away a little later.
func TestSyncCameraLater(t *testing.T) {
	s := newStudio(t, InOrder)
	s.way = [2]time.Duration{30 * ms, 80 * ms}
	for at := time.Duration(0); at < 3*time.Second; at += 20 * ms {
		s.say(at)
	}
	s.play(3*time.Second, 4*time.Second)
	s.want(3*time.Second, "50ms")
	s.report(4 * time.Second)
	s.play(4*time.Second, 6*time.Second)
	s.want(4*time.Second, "45ms 40ms 35ms 30ms 25ms 20ms 15ms 10ms 5ms 0s")
	s.seen.Timestamp += 20 * 90
	s.play(6*time.Second, 7*time.Second)
	s.want(6*time.Second, "20ms")
	s.report(7 * time.Second)
	s.play(7*time.Second, 9*time.Second)
	s.want(7*time.Second, "15ms 10ms 5ms 0s")
}

// With B-frames, a picture leaves before its time when those that are shown before
// it follow, which is no shorter way.
func TestSyncReordered(t *testing.T) {
	s := newStudio(t, InOrder)
	for n := range 100 {
		at := time.Duration(n) * 40 * ms
		s.say(at)
		s.say(at + 20*ms)
		switch n % 3 {
		case 0:
			if n == 0 {
				s.leave(at, at)
			}
		case 1:
			s.leave(at+80*ms, at)
			s.leave(at, at)
		case 2:
			s.leave(at, at)
		}
	}
	for i, at := range s.times {
		want := time.Duration(i) * 40 * ms
		if i > 0 {
			want += time.Duration([3]int{80, -40, -40}[(i-1)%3]) * ms
		}
		if at != want {
			t.Fatalf("picture %d is at %v, want %v", i, at, want)
		}
	}
	if len(s.times) != 100 {
		t.Errorf("%d pictures", len(s.times))
	}
}

// In the other direction, pictures are put off: the first one was 0, and its
// sound came later.
func TestSyncPutsOff(t *testing.T) {
	s := newStudio(t, InOrder)
	s.way = [2]time.Duration{45 * ms, 30 * ms}
	for at := time.Duration(0); at < 200*ms; at += 40 * ms {
		s.show(at)
	}
	s.play(200*ms, 400*ms)
	s.report(400 * ms)
	s.play(400*ms, time.Second)
	s.want(0, "0s 5ms 10ms 15ms")
}

// Reports that cannot be right change nothing, and right ones afterwards do.
func TestSyncWrongReports(t *testing.T) {
	for name, wrong := range map[string]func(s *studio, at time.Duration){
		"no clock": func(s *studio, at time.Duration) { s.camera.Reception().SenderReport(videoBegin.Add(at), 0, 1) },
		"another clock": func(s *studio, at time.Duration) {
			s.camera.Reception().SenderReport(videoBegin.Add(at), rtcpctl.NTP(s.clock.Add(at)), 123456789)
		},
		"years away": func(s *studio, at time.Duration) {
			s.clock = s.clock.AddDate(60, 0, 0)
			s.reportPictures(at)
			s.clock = s.clock.AddDate(-60, 0, 0)
		},
		"a clock that is set": func(s *studio, at time.Duration) { // which the sound shows later
			s.clock = s.clock.Add(400 * ms)
			s.reportPictures(at)
			s.clock = s.clock.Add(-400 * ms)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStudio(t, InOrder)
			s.way = [2]time.Duration{30 * ms, 80 * ms}
			s.play(0, 200*ms)
			s.report(200 * ms)
			s.play(200*ms, 2*time.Second)
			s.times = s.times[:0]
			wrong(s, 2*time.Second)
			s.play(2*time.Second, 6*time.Second)
			s.want(2*time.Second, "0s")
			s.reportSound(6 * time.Second)
			if name != "a clock that is set" {
				s.play(6*time.Second, 10*time.Second)
				s.want(6*time.Second, "0s")
			}
			s.report(10 * time.Second)
			s.play(10*time.Second, 20*time.Second)
			s.want(10*time.Second, "0s")
		})
	}
	// Nor do they when there never were others.
	for name, wrong := range map[string]func(s *studio, at time.Duration){
		"another clock": func(s *studio, at time.Duration) {
			s.camera.Reception().SenderReport(videoBegin.Add(at), rtcpctl.NTP(s.clock.Add(at)), 123456789)
		},
		"names that differ": func(s *studio, at time.Duration) { s.sync.SetApart(true); s.reportPictures(at) },
	} {
		t.Run("first "+name, func(t *testing.T) {
			s := newStudio(t, InOrder)
			s.way = [2]time.Duration{30 * ms, 80 * ms}
			s.play(0, 200*ms)
			for at := 200 * ms; at < time.Minute; at += 5 * time.Second {
				s.reportSound(at)
				wrong(s, at)
				s.play(at, at+5*time.Second)
			}
			s.want(0, "50ms")
		})
	}
}

// What stays wrong for half a minute makes what was known before be given up, also
// after a source has begun anew.
func TestSyncGivesUpReports(t *testing.T) {
	for _, again := range []bool{false, true} {
		s := newStudio(t, InOrder)
		s.way = [2]time.Duration{30 * ms, 80 * ms}
		s.play(0, 200*ms)
		s.report(200 * ms)
		s.play(200*ms, 2*time.Second)
		if again {
			s.seen.SSRC = 22
			s.play(2*time.Second, 3*time.Second)
			s.times = s.times[:0]
		}
		for at := 3 * time.Second; at < 60*time.Second; at += 5 * time.Second {
			s.reportSound(at)
			s.camera.Reception().SenderReport(videoBegin.Add(at), rtcpctl.NTP(s.clock.Add(at)), 123456789)
			s.play(at, at+5*time.Second)
			if at == 28*time.Second {
				s.times = s.times[:0]
			}
		}
		s.want(33*time.Second, "5ms 10ms 15ms 20ms 25ms 30ms 35ms 40ms 45ms 50ms")
	}
}

// What the clock of the far end is set by is no matter once both have reported.
func TestSyncClockThatIsSet(t *testing.T) {
	s := newStudio(t, InOrder)
	s.play(0, 200*ms)
	s.report(200 * ms)
	s.play(200*ms, 2*time.Second)
	s.clock = s.clock.Add(-time.Hour)
	s.report(2 * time.Second)
	s.play(2*time.Second, 4*time.Second)
	s.want(0, "0s")
}

// A source that begins anew keeps its place, with the ways that are known.
func TestSyncRestart(t *testing.T) {
	for name, restart := range map[string]func(s *studio){
		"sound":             func(s *studio) { s.heard.SSRC, s.heard.Timestamp = 11, 5 },
		"pictures":          func(s *studio) { s.seen.SSRC, s.seen.Timestamp = 12, 1<<31 },
		"both":              func(s *studio) { s.heard.SSRC, s.seen.SSRC = 11, 12 },
		"timestamps":        func(s *studio) { s.heard.Timestamp += 8000 * 5; s.seen.Timestamp -= 90000 * 70 },
		"a numbers' sequel": func(s *studio) { s.heard.SequenceNumber += 20000; s.seen.SequenceNumber += 20000 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStudio(t, InOrder)
			s.way = [2]time.Duration{30 * ms, 80 * ms}
			s.play(0, 200*ms)
			s.report(200 * ms)
			s.play(200*ms, 3*time.Second)
			s.times = s.times[:0]
			restart(s)
			s.play(3*time.Second, 5*time.Second)
			s.want(3*time.Second, "0s")
			s.report(5 * time.Second)
			s.play(5*time.Second, 8*time.Second)
			s.want(5*time.Second, "0s")
		})
	}
}

// A report that left ahead of the first packet, as those of ffmpeg do, counts also if
// it is read after some. One on what a source sent before its timestamps leapt does not.
func TestSyncReportReadLate(t *testing.T) {
	for name, restart := range map[string]func(s *studio){
		"begins": func(*studio) {},
		"others": func(s *studio) { s.heard.SSRC, s.seen.SSRC = 11, 12 },
		"anew":   func(s *studio) { s.heard.SequenceNumber += 20000; s.seen.SequenceNumber += 20000 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStudio(t, InOrder)
			s.way = [2]time.Duration{30 * ms, 80 * ms}
			at := time.Duration(0)
			if name != "begins" {
				at = 2 * time.Second
				s.play(0, at)
			}
			restart(s)
			from := at + 200*ms
			s.play(at, from)
			for _, r := range []*rtcpctl.Reception{s.sound.Reception(), s.camera.Reception()} {
				stamp := s.heard.Timestamp + uint32(at/ms*8)
				if r == s.camera.Reception() {
					stamp = s.seen.Timestamp + uint32(at/ms*90)
				}
				r.SenderReport(videoBegin.Add(at), rtcpctl.NTP(s.clock.Add(at)), stamp)
			}
			s.times = s.times[:0]
			s.play(from, from+time.Second)
			s.want(from, "45ms 40ms 35ms 30ms 25ms 20ms 15ms 10ms 5ms 0s")
		})
	}
	t.Run("leap", func(t *testing.T) {
		s := newStudio(t, InOrder)
		s.way = [2]time.Duration{30 * ms, 80 * ms}
		s.play(0, 2*time.Second)
		at := s.heard.Timestamp + 2*8000
		s.heard.Timestamp += 5 * 8000
		s.play(2*time.Second, 2200*ms)
		s.sound.Reception().SenderReport(videoBegin.Add(2*time.Second), rtcpctl.NTP(s.clock.Add(2*time.Second)), at)
		if wall, _, ok := s.sound.reported(); ok {
			t.Errorf("media time 0 was at %v", wall.Sub(s.clock))
		}
	})
}

// Sound that is taken coded stands still in a pause of its source, if its timestamps
// do. Pictures make that leap as soon as both sources have reported it.
func TestSyncPause(t *testing.T) {
	s := newStudio(t, InOrder)
	s.sound.TakeCoded(&PacketQueue{})
	s.play(0, time.Second)
	s.report(time.Second)
	s.play(time.Second, 4*time.Second)
	s.want(0, "0s")
	const pause = 1500 * ms
	for at := 4 * time.Second; at < 4*time.Second+pause; at += 20 * ms {
		if at%(40*ms) == 0 {
			s.show(at)
		}
	}
	from := 4*time.Second + pause
	s.heard.Timestamp -= uint32(pause / ms * 8)
	s.play(from, from+200*ms)
	s.reportSound(from + 200*ms)
	s.play(from+200*ms, from+400*ms)
	s.want(4*time.Second, "0s")
	s.reportPictures(from + 400*ms)
	s.play(from+400*ms, from+2*time.Second)
	first := (from + 400*ms + 39*ms) / (40 * ms) * (40 * ms)
	s.want(first, "-1.5s")
}

// Sound that has lost a part of a hold is beside its pictures at once, and stays there
// when both sources report again.
func TestSyncHold(t *testing.T) {
	s := newStudio(t, InOrder)
	s.way = [2]time.Duration{30 * ms, 30 * ms}
	s.play(0, 4*time.Second)
	s.report(4 * time.Second)
	s.sound.Rejoin()
	s.heard.Timestamp -= 320 * 8
	s.play(8*time.Second, 10*time.Second)
	if got := s.sound.given; got != 10*time.Second {
		t.Errorf("sound is at %v, want 10s", got)
	}
	s.report(10 * time.Second)
	s.play(10*time.Second, 12*time.Second)
	s.times = slices.Delete(s.times, 0, 100) // of before the hold
	s.want(8*time.Second, "0s")
}

// Pictures of a sender that has stood still make the leap that its sound has made. What
// was held up on the way, and is caught up with, is no leap.
func TestSyncStandstill(t *testing.T) {
	const pause, begin = 3 * time.Second, 4 * time.Second
	for _, still := range []bool{true, false} {
		s := newStudio(t, Adaptive)
		s.play(0, begin)
		s.report(begin)
		var f audio.Frame
		for at := begin; at < begin+pause; at += 20 * ms {
			s.sound.Pull(videoBegin.Add(at), &f)
		}
		resume := begin + pause
		if still {
			s.heard.Timestamp -= uint32(pause / ms * 8)
			s.seen.Timestamp -= uint32(pause / ms * 90)
		} else {
			for at := begin; at < resume; at += 20 * ms {
				s.way = [2]time.Duration{resume - at, resume - at}
				s.play(at, at+20*ms)
			}
			s.way = [2]time.Duration{}
		}
		s.play(resume, resume+4*time.Second)
		for i, at := range s.times {
			off := at - time.Duration(i)*40*ms
			if still && i >= 100+1200/40 { // a second, and the delay of the sound
				off -= pause
			} else if still && i >= 100 {
				continue
			}
			if off.Abs() > 50*ms {
				t.Fatalf("still %v: picture %d is off by %v", still, i, off)
			}
		}
	}
}

// Whichever comes first, its first packet is 0.
func TestSyncBegins(t *testing.T) {
	s := newStudio(t, InOrder)
	for at := time.Duration(0); at < time.Second; at += 40 * ms {
		s.show(at)
	}
	s.play(time.Second, 2*time.Second)
	s.want(0, "0s")
	if got := s.sound.given; got != 2*time.Second {
		t.Errorf("sound is at %v, want 2s", got)
	}

	s = newStudio(t, InOrder)
	for at := time.Duration(0); at < time.Second; at += 20 * ms {
		s.say(at)
	}
	s.play(time.Second, 2*time.Second)
	s.want(time.Second, "0s")

	// The same for packets that stay coded.
	s = newStudio(t, InOrder)
	var q PacketQueue
	s.sound.TakeCoded(&q)
	for at := time.Duration(0); at < time.Second; at += 40 * ms {
		s.show(at)
	}
	s.play(time.Second, 2*time.Second)
	s.want(0, "0s")
	var p Packet
	for n := range 50 {
		if want := time.Second + time.Duration(n)*20*ms; !q.Pop(&p) || p.Time != want {
			t.Errorf("packet %d is at %v", n, p.Time)
		}
	}
}

// Reading both on one timeline allocates nothing.
func TestSyncDoesNotAllocate(t *testing.T) {
	s := newStudio(t, Adaptive)
	s.play(0, time.Second)
	s.report(time.Second)
	sound, picture := rtp.Packet{Header: s.heard, Payload: make([]byte, 160)}, rtp.Packet{Header: s.seen}
	picture.Payload = append([]byte{0x10}, filmed(0, true, 40).Data...)
	var heard audio.Frame
	var seen video.Frame
	at := time.Second
	step := func() {
		for range 2 {
			sound.Timestamp = s.heard.Timestamp + uint32(at/ms*8)
			s.sound.Push(videoBegin.Add(at), &sound)
			s.sound.Pull(videoBegin.Add(at), &heard)
			sound.SequenceNumber++
			at += 20 * ms
		}
		picture.Timestamp = s.seen.Timestamp + uint32(at/ms*90)
		s.camera.Push(videoBegin.Add(at), &picture)
		if !s.camera.Pull(videoBegin.Add(at), &seen) {
			t.Fatal("no picture")
		}
		picture.SequenceNumber++
	}
	for range 100 {
		step()
	}
	if allocs := testing.AllocsPerRun(200, step); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func ExampleNewSync() {
	sound, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}, Playout: InOrder})
	if err != nil {
		panic(err)
	}
	camera, err := NewVideoReceiver(VideoReceiverConfig{Codecs: []codec.Params{vp8}})
	if err != nil {
		panic(err)
	}
	NewSync(sound, camera)

	begin := time.Now()
	picture := rtp.Packet{Header: rtp.Header{PayloadType: 96, SSRC: 2, Marker: true}, Payload: append([]byte{0x10}, filmed(0, true, 20).Data...)}
	for n := range 2 {
		camera.Push(begin.Add(time.Duration(n)*40*time.Millisecond), &picture)
		picture.SequenceNumber++
		picture.Timestamp += 3600
	}
	voice := rtp.Packet{Header: rtp.Header{SSRC: 1}, Payload: make([]byte, 160)}
	for n := range 2 { // it begins half a second later
		sound.Push(begin.Add(500*time.Millisecond+time.Duration(n)*20*time.Millisecond), &voice)
		voice.SequenceNumber++
		voice.Timestamp += 160
	}
	var v video.Frame
	for camera.Pull(begin, &v) {
		fmt.Println("picture at", v.Time)
	}
	var a audio.Frame
	for sound.Pull(begin.Add(time.Second), &a) {
		fmt.Println("sound at", a.Time)
	}
	// Output:
	// picture at 0s
	// picture at 40ms
	// sound at 500ms
	// sound at 520ms
}

// A packet that was sent again long after its time is no reason to take the next
// one, after a pause, for the beginning of something else.
func TestTimelineAfterLatePacket(t *testing.T) {
	const frame = 40 * ms
	l := timeline{unordered: true}
	packet := func(seq int64, media, arrival time.Duration) jitter.Packet {
		p := jitter.Packet{Seq: seq, Timestamp: uint32(timeToUnits(media, 90000)), Arrival: videoBegin.Add(arrival)}
		l.place(&p, 90000, 0)
		return p
	}
	var id uint64
	for i := range int64(100) {
		at := time.Duration(i) * frame
		if p := packet(i, at, at); p.Time != at {
			t.Fatalf("packet %d is at %v", i, p.Time)
		}
		id = l.id
	}
	packet(100, 100*frame, 100*frame+1400*ms)
	if p := packet(101, 9*time.Second, 9*time.Second+5*ms); p.Time != 9*time.Second || l.id != id {
		t.Errorf("after the pause at %v, in another run: %t", p.Time, l.id != id)
	}
	if packet(102, 20*time.Second, 9*time.Second+45*ms); l.id == id {
		t.Error("a jump is none")
	}
}
