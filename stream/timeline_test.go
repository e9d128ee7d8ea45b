package stream

import (
	"testing"
	"time"

	"github.com/parley-media/parley/jitter"
)

// A placing is a packet that comes to a timeline, and where it shall lie.
type placing struct {
	at        time.Duration // its arrival
	seq       int64
	timestamp uint32
	rate      int  // of its clock; 0: 8000
	follows   bool // its timestamp is no measure of time
	wantSeq   int64
	wantTime  time.Duration
	restart   bool
}

// What has a timestamp of its own, as a telephone event or comfort noise on another
// clock, lies behind what came before it, and changes nothing for what comes next. What
// was not sent during a hold is no gap.
func TestTimelinePlaces(t *testing.T) {
	for name, packets := range map[string][]placing{
		"a digit at its time": {
			{at: 0, seq: 10, timestamp: 800, wantSeq: 10},
			{at: 20 * ms, seq: 11, timestamp: 960, wantSeq: 11, wantTime: 20 * ms},
			{at: 40 * ms, seq: 12, timestamp: 1120, follows: true, wantSeq: 12, wantTime: 40 * ms},
			{at: 60 * ms, seq: 13, timestamp: 1120, follows: true, wantSeq: 13, wantTime: 40 * ms},
			{at: 80 * ms, seq: 14, timestamp: 1440, wantSeq: 14, wantTime: 80 * ms},
		},
		"a digit with a timestamp of before": {
			{at: 0, seq: 10, timestamp: 800, wantSeq: 10},
			{at: 20 * ms, seq: 11, timestamp: 960, wantSeq: 11, wantTime: 20 * ms},
			{at: 40 * ms, seq: 12, timestamp: 640, follows: true, wantSeq: 12, wantTime: 20 * ms},
			{at: 60 * ms, seq: 13, timestamp: 1280, wantSeq: 13, wantTime: 60 * ms},
		},
		"a digit with any timestamp": {
			{at: 0, seq: 10, timestamp: 800, wantSeq: 10},
			{at: 20 * ms, seq: 11, timestamp: 1 << 20, follows: true, wantSeq: 11},
			{at: 40 * ms, seq: 12, timestamp: 1120, wantSeq: 12, wantTime: 40 * ms},
		},
		"a digit on another clock": {
			{at: 0, seq: 10, timestamp: 800, wantSeq: 10},
			{at: 20 * ms, seq: 11, timestamp: 1000, rate: 48000, follows: true, wantSeq: 11},
			{at: 40 * ms, seq: 12, timestamp: 1120, wantSeq: 12, wantTime: 40 * ms},
		},
		"a digit, late": {
			{at: 0, seq: 10, timestamp: 800, wantSeq: 10},
			{at: 20 * ms, seq: 12, timestamp: 1120, wantSeq: 12, wantTime: 40 * ms},
			{at: 40 * ms, seq: 11, timestamp: 960, follows: true, wantSeq: 11, wantTime: 40 * ms},
			{at: 60 * ms, seq: 13, timestamp: 1280, wantSeq: 13, wantTime: 60 * ms},
		},
		"a digit first": {
			{at: 0, seq: 10, timestamp: 800, follows: true, wantSeq: 10},
			{at: 20 * ms, seq: 11, timestamp: 960, wantSeq: 11, wantTime: 20 * ms},
		},
		"another clock": {
			{at: 0, seq: 10, timestamp: 800, wantSeq: 10},
			{at: 20 * ms, seq: 11, timestamp: 77777, rate: 48000, wantSeq: 11, wantTime: 20 * ms},
			{at: 40 * ms, seq: 12, timestamp: 77777 + 960, rate: 48000, wantSeq: 12, wantTime: 40 * ms},
			{at: 60 * ms, seq: 13, timestamp: 100, wantSeq: 13, wantTime: 60 * ms},
			{at: 80 * ms, seq: 14, timestamp: 260, wantSeq: 14, wantTime: 80 * ms},
		},
		"a restart": {
			{at: 0, seq: 10, timestamp: 800, wantSeq: 10},
			{at: 20 * ms, seq: 11, timestamp: 960, wantSeq: 11, wantTime: 20 * ms},
			{at: 40 * ms, seq: 12, timestamp: 1 << 30, wantSeq: 12, wantTime: 40 * ms},
			{at: 60 * ms, seq: 13, timestamp: 1<<30 + 160, wantSeq: 13, wantTime: 60 * ms},
		},
		"a restart of the numbers too": {
			{at: 0, seq: 10, timestamp: 800, wantSeq: 10},
			{at: 20 * ms, seq: 11, timestamp: 960, wantSeq: 11, wantTime: 20 * ms},
			{at: 40 * ms, seq: 2, timestamp: 2000, wantSeq: 12, wantTime: 40 * ms, restart: true},
			{at: 60 * ms, seq: 3, timestamp: 2160, wantSeq: 13, wantTime: 60 * ms},
			{at: 80 * ms, seq: 5, timestamp: 2480, wantSeq: 15, wantTime: 100 * ms},
			{at: 100 * ms, seq: 4, timestamp: 2320, wantSeq: 14, wantTime: 80 * ms},
			{at: 120 * ms, seq: 6, timestamp: 2640, follows: true, wantSeq: 16, wantTime: 120 * ms},
			{at: 140 * ms, seq: 7, timestamp: 2640, follows: true, wantSeq: 17, wantTime: 120 * ms},
			{at: 160 * ms, seq: 900, timestamp: 4000, wantSeq: 910, wantTime: 290 * ms},
			{at: 180 * ms, seq: 2, timestamp: 1 << 20, wantSeq: 911, wantTime: 310 * ms, restart: true},
		},
	} {
		var l timeline
		begin := time.Now()
		for i, c := range packets {
			p := jitter.Packet{Arrival: begin.Add(c.at), Seq: c.seq, Timestamp: c.timestamp}
			rate := 8000
			if c.rate > 0 {
				rate = c.rate
			}
			if c.follows {
				l.follow(&p, rate)
			} else {
				l.place(&p, rate, 0)
			}
			if p.Seq != c.wantSeq || p.Time != c.wantTime || p.Restart != c.restart {
				t.Errorf("%s, packet %d: number %d at %v, restart %v; want %d at %v, %v", name, i, p.Seq, p.Time, p.Restart, c.wantSeq, c.wantTime, c.restart)
			}
		}
	}
}

// The numbers that are missing when a hold ends were not sent; those that are missing
// after that were lost.
func TestTimelineClosesHold(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	for _, n := range []int{0, 1, 2} {
		f.send(time.Duration(n)*20*ms, n)
	}
	f.r.Rejoin()
	f.send(5*20*ms, 5)
	if l := &f.r.line; l.seqShift != -2 || l.closes || l.rejoins {
		t.Errorf("numbers are shifted by %d", l.seqShift)
	}
	f.send(7*20*ms, 7)
	f.send(8*20*ms, 6)
	if l := &f.r.line; l.seqShift != -2 {
		t.Errorf("numbers are shifted by %d", l.seqShift)
	}
	f.r.Rejoin()
	f.send(11*20*ms, 11)
	if l := &f.r.line; l.seqShift != -5 {
		t.Errorf("numbers are shifted by %d after a second hold", l.seqShift)
	}
}

// The fastest packet tells when media time 0 would have arrived: of video in coding
// order the fastest picture that was not held back for one that is shown before it, by
// its first packet.
func TestTimelineFastest(t *testing.T) {
	type came struct{ at, time time.Duration }
	for name, tt := range map[string]struct {
		unordered bool
		packets   []came
		want      time.Duration
	}{
		"sound":            {false, []came{{0, 0}, {30 * ms, 20 * ms}, {35 * ms, 40 * ms}, {65 * ms, 60 * ms}}, -5 * ms},
		"pictures":         {true, []came{{0, 0}, {30 * ms, 40 * ms}, {50 * ms, 40 * ms}, {60 * ms, 80 * ms}, {130 * ms, 120 * ms}}, -20 * ms},
		"pictures ahead":   {true, []came{{0, 0}, {10 * ms, 120 * ms}, {50 * ms, 40 * ms}, {90 * ms, 80 * ms}, {130 * ms, 240 * ms}, {170 * ms, 160 * ms}, {210 * ms, 200 * ms}}, 0},
		"the last of them": {true, []came{{0, 0}, {30 * ms, 40 * ms}}, 0},
	} {
		l := timeline{unordered: tt.unordered}
		for _, c := range tt.packets {
			l.arrived(c.at, c.time)
		}
		if got := l.fastest.zero(); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
