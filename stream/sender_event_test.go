package stream

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/dtmf"
)

// describeAll tells payload type, time, timestamp and marker of each packet, and
// checks that sequence numbers follow each other.
func (n *near) describeAll(got []sent) (words []string) {
	n.t.Helper()
	for i, p := range got {
		if i > 0 && p.SequenceNumber != got[i-1].SequenceNumber+1 {
			n.t.Errorf("sequence number %d after %d", p.SequenceNumber, got[i-1].SequenceNumber)
		}
		word := fmt.Sprintf("%d: %v", p.PayloadType, p)
		if p.PayloadType == dial.PayloadType {
			e, _, err := dtmf.ParseEvent(p.Payload)
			if err != nil {
				n.t.Fatal(err)
			}
			word += fmt.Sprintf(" %d", e.Duration)
			if e.End {
				word += " E"
			}
		}
		words = append(words, word)
	}
	return words
}

func (n *near) wantAll(got []sent, want ...string) {
	n.t.Helper()
	if words := n.describeAll(got); fmt.Sprintf("%q", words) != fmt.Sprintf("%q", want) {
		n.t.Errorf("sent %q\nwant %q", words, want)
	}
}

// A digit begins where the frame under way ends, and what is written meanwhile
// is gone when its time has come (RFC 4733, section 2.5.1).
func TestDigitAmidSpeech(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: pcmu, Event: dial})
	var got []sent
	for k := range 15 {
		n.mustWrite(160)
		if k == 2 {
			n.at += 5 * ms
			if err := n.s.QueueDigits(n.begin.Add(n.at), "5", &dtmf.Options{Duration: 60 * ms}); err != nil {
				t.Fatal(err)
			}
		}
		got = append(got, n.run(time.Duration(k)*20*ms+10*ms)...)
	}
	n.wantAll(got, "0: 0s 0 M", "0: 20ms 160",
		"101: 60ms 320 M 160", "101: 80ms 320 320", "101: 100ms 320 480 E", "101: 120ms 320 480 E", "101: 140ms 320 480 E",
		"0: 140ms 1120 M", "0: 160ms 1280", "0: 180ms 1440", "0: 200ms 1600", "0: 220ms 1760", "0: 240ms 1920", "0: 260ms 2080", "0: 280ms 2240")
	if p, want := n.s.Played(), (Played{Sent: 200 * ms, Muted: 100 * ms}); p != want {
		t.Errorf("played %+v, want %+v", p, want)
	}
	if n.s.PendingDigits() != 0 || n.s.Queued() != 0 {
		t.Errorf("%d digits and %v left", n.s.PendingDigits(), n.s.Queued())
	}
}

func TestDigitsFirst(t *testing.T) {
	for _, immediate := range []bool{false, true} {
		n := newNear(t, SenderConfig{Codec: pcmu, Event: dial, Immediate: immediate, Timestamp: 1000})
		n.at = 3 * ms
		if err := n.s.QueueDigits(n.begin.Add(n.at), "12", &dtmf.Options{Duration: 40 * ms, Gap: 60 * ms}); err != nil {
			t.Fatal(err)
		}
		if n.s.PendingDigits() != 2 {
			t.Error("not two digits")
		}
		n.wantAll(n.run(time.Second),
			"101: 23ms 1000 M 160", "101: 43ms 1000 320 E", "101: 63ms 1000 320 E", "101: 83ms 1000 320 E",
			"101: 123ms 1800 M 160", "101: 143ms 1800 320 E", "101: 163ms 1800 320 E", "101: 183ms 1800 320 E")
		if immediate {
			continue
		}
		n.mustWrite(160)
		n.wantAll(n.poll(), fmt.Sprintf("0: 1s %d M", 1000+997*8))
	}
}

// Events of 8 kHz beside audio of 48 kHz tell the same time by a clock of their
// own.
func TestDigitsOfAnotherClockRate(t *testing.T) {
	studio := codec.Params{Name: "L16", PayloadType: 96, ClockRate: 48000, Channels: 1}
	n := newNear(t, SenderConfig{Codec: studio, Event: dial, Timestamp: 500})
	n.mustWrite(960)
	n.want(n.run(19*ms), "0s 500 M", "0s 980")
	if err := n.s.QueueDigits(n.begin.Add(n.at), "1", &dtmf.Options{Duration: 20 * ms}); err != nil {
		t.Fatal(err)
	}
	n.wantAll(n.run(time.Second), "101: 40ms 660 M 160 E", "101: 60ms 660 160 E", "101: 80ms 660 160 E")
}

// Only events are sent that the far end takes, all or none (RFC 4733, section 2.4.1).
func TestEventsOfTheFarEnd(t *testing.T) {
	for _, tt := range []struct{ fmtp, taken, refused string }{
		{"", "0123456789*#ABCD", "!"},
		{"0-15", "0123456789*#ABCD", "!"},
		{"0-16", "0123456789*#ABCD!", ""},
		{"0-11,16,66,70", "0123456789*#!", "ABCD"},
		{"16,0-3, 5", "01235!", "4*A"},
		{"32-49", "", "05#!"},
		{"5-3", "", "345"},
		{"DTMF", "0123456789*#ABCD", "!"},
	} {
		n := newNear(t, SenderConfig{Event: dial})
		event := dial
		event.FMTP = tt.fmtp
		if err := n.s.Reconfigure(n.begin, SenderConfig{Codec: n.s.config.Codec, Event: event}); err != nil {
			t.Fatal(err)
		}
		if err := n.s.QueueDigits(n.begin, tt.taken, nil); err != nil {
			t.Errorf("%q: %v", tt.fmtp, err)
		}
		for _, c := range tt.refused {
			if err := n.s.QueueDigits(n.begin, tt.taken+string(c), nil); !errors.Is(err, ErrNoEvents) {
				t.Errorf("%q: %c: %v, want ErrNoEvents", tt.fmtp, c, err)
			}
		}
		if got := n.s.PendingDigits(); got != len(tt.taken) {
			t.Errorf("%q: %d digits wait, want %d", tt.fmtp, got, len(tt.taken))
		}
	}
}

func TestDigitErrors(t *testing.T) {
	n := newNear(t, SenderConfig{})
	if err := n.s.QueueDigits(n.begin, "1", nil); !errors.Is(err, ErrNoEvents) {
		t.Errorf("without events: %v", err)
	}
	if n.s.PendingDigits() != 0 || n.s.ClearDigits() != 0 {
		t.Error("digits without events")
	}
	n = newNear(t, SenderConfig{Event: dial})
	if err := n.s.QueueDigits(n.begin, "x", nil); !errors.Is(err, dtmf.ErrDigit) {
		t.Errorf("x: %v", err)
	}
	if err := n.s.QueueDigits(n.begin, "123", nil); err != nil || n.s.ClearDigits() != 3 {
		t.Errorf("three digits were not cleared: %v", err)
	}
	n.s.Hold(n.begin, true)
	if err := n.s.QueueDigits(n.begin, "1", nil); !errors.Is(err, ErrHeld) {
		t.Errorf("on hold: %v", err)
	}
}

// The first comfort noise has the timestamp at which the audio ended, more
// follows each two seconds, and the next talkspurt has the marker.
func TestComfortNoise(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: pcmu, Noise: cn})
	n.wantAll(n.run(time.Second)) // none before any audio
	n.mustWrite(320)
	got := n.run(6 * time.Second)
	n.wantAll(got, "0: 1s 0 M", "0: 1.02s 160", "13: 1.06s 320", "13: 3.06s 16480", "13: 5.06s 32480")
	if p := got[2].Payload; len(p) != 1+8 && len(p) != 1 {
		t.Errorf("comfort noise of %d bytes", len(p))
	}
	n.mustWrite(160)
	n.wantAll(n.run(6020*ms), "0: 6s 40000 M")

	n = newNear(t, SenderConfig{Codec: g722, Noise: cn})
	n.mustWrite(320)
	if got := n.run(time.Second); len(got) != 2 || len(got[1].Payload) != 1 {
		t.Errorf("G.722: sent %v, want a level without a spectrum", got)
	}
}

func TestHold(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: pcmu, Noise: cn, Queue: time.Second})
	n.mustWrite(1600)
	n.wantAll(n.run(30*ms), "0: 0s 0 M", "0: 20ms 160")
	n.s.Hold(n.begin.Add(n.at), true)
	n.wantAll(n.run(100 * ms))
	if q, p := n.s.Queued(), n.s.Played(); q != 80*ms || p.Muted != 80*ms {
		t.Errorf("queued %v, played %+v", q, p)
	}
	n.s.Hold(n.begin.Add(n.at), false)
	n.wantAll(n.run(190*ms), "0: 120ms 960 M", "0: 140ms 1120", "0: 160ms 1280", "0: 180ms 1440")
	n.s.Hold(n.begin.Add(n.at), true)
	n.wantAll(n.run(time.Second))
	n.s.Hold(n.begin.Add(n.at), false)
	n.wantAll(n.run(1100*ms), "13: 1s 8000")
}

func TestEventAndNoiseDoNotAllocate(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: pcmu, Event: dial, Noise: cn, RED: red, Generations: 2, Duplicate: true, LevelExtension: 1})
	f := audio.Frame{Format: n.s.Format(), Samples: make([]int16, 160)}
	buf := make([]byte, 0, 1600)
	k := 0
	step := func() {
		now := n.begin.Add(n.at)
		if k++; k%20 < 10 {
			if err := n.s.Write(now, &f); err != nil {
				t.Fatal(err)
			}
		}
		if k%40 == 5 {
			if err := n.s.QueueDigits(now, "1", nil); err != nil {
				t.Fatal(err)
			}
		}
		for ok := true; ok; {
			_, ok = n.s.AppendPacket(buf, now)
		}
		n.at += 20 * ms
	}
	for range 200 {
		step()
	}
	a := testing.AllocsPerRun(2000, step)
	var st SenderStats
	n.s.Stats(&st)
	if a != 0 || st.Events < 100 || st.Noise < 40 || st.Duplicates < 500 {
		t.Errorf("%v allocations per step, want 0; %+v", a, st)
	}
}
