package dtmf_test

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/tone"
	"github.com/parley-media/parley/dtmf"
)

// The packets of two short digits, one of which is lost on the way, and what
// the far end makes of them.
func Example() {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	start := now
	sender, err := dtmf.NewSender(dtmf.SenderConfig{ClockRate: 8000})
	if err != nil {
		fmt.Println(err)
		return
	}
	receiver, err := dtmf.NewReceiver(dtmf.ReceiverConfig{ClockRate: 8000})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := sender.Queue(now, "4#", &dtmf.Options{Duration: 40 * time.Millisecond}); err != nil {
		fmt.Println(err)
		return
	}
	for seq := uint16(0); !sender.Next().IsZero(); {
		now = sender.Next() // a program waits until then
		timestamp := uint32(now.Sub(start).Milliseconds()) * 8
		p, ok := sender.Pull(now, timestamp)
		if !ok {
			continue
		}
		payload := p.Event.AppendTo(nil)
		fmt.Printf("%v: % x at %d, marker %v\n", now.Sub(start), payload, p.Timestamp, p.Marker)
		if seq++; seq == 1 {
			continue // lost
		}
		if err := receiver.Push(now, seq, p.Timestamp, payload); err != nil {
			fmt.Println(err)
		}
		for r, ok := receiver.Pull(now); ok; r, ok = receiver.Pull(now) {
			fmt.Println("  ", r.Digit, "released", r.End, r.Duration)
		}
	}
	// Output:
	// 20ms: 04 0a 00 a0 at 0, marker true
	// 40ms: 04 8a 01 40 at 0, marker false
	//    4 released false 40ms
	//    4 released true 40ms
	// 60ms: 04 8a 01 40 at 0, marker false
	// 80ms: 04 8a 01 40 at 0, marker false
	// 130ms: 0b 0a 00 a0 at 880, marker true
	//    # released false 20ms
	// 150ms: 0b 8a 01 40 at 880, marker false
	//    # released true 40ms
	// 170ms: 0b 8a 01 40 at 880, marker false
	// 190ms: 0b 8a 01 40 at 880, marker false
}

func ExampleDetector() {
	format := audio.Format{Rate: 8000, Channels: 1}
	signal, err := tone.DTMF("42#", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	g, err := tone.NewGenerator(format, signal)
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := dtmf.NewDetector(format)
	if err != nil {
		fmt.Println(err)
		return
	}
	var f audio.Frame
	for !errors.Is(err, io.EOF) {
		if err = g.ReadFrame(&f); err != nil {
			continue
		}
		if err := d.Push(&f); err != nil {
			fmt.Println(err)
		}
		for t, ok := d.Pull(); ok; t, ok = d.Pull() {
			if t.End {
				fmt.Println(t.Digit, "for", t.Duration.Round(20*time.Millisecond))
			}
		}
	}
	// Output:
	// 4 for 100ms
	// 2 for 100ms
	// # for 100ms
}
