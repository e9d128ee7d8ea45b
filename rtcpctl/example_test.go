package rtcpctl_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/parley-media/parley/rtcpctl"
)

func ExampleSession() {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

	// One end sends, and loses every tenth packet on the way to the other.
	var reception rtcpctl.Reception
	reception.Init(1111, 8000)
	sender := rtcpctl.NewSession(rtcpctl.Config{SSRC: 1111, CNAME: "alice@example.com", ClockRate: 8000})
	receiver := rtcpctl.NewSession(rtcpctl.Config{
		SSRC:    2222,
		CNAME:   "bob@example.com",
		Sources: func(dst []*rtcpctl.Reception) []*rtcpctl.Reception { return append(dst, &reception) },
	})
	sender.Start(now)
	receiver.Start(now)
	for i := range 200 {
		now = now.Add(20 * time.Millisecond)
		sender.Sent(now, uint32(160*i), 160)
		if i%10 != 5 {
			reception.Update(uint16(i), uint32(160*i), now)
		}
	}

	show := func(e rtcpctl.Event) {
		switch e.Kind {
		case rtcpctl.SenderReported:
			fmt.Println(e.SSRC, "has sent", e.Sender.Packets, "packets")
		case rtcpctl.Named:
			fmt.Println(e.SSRC, "is", e.Text)
		case rtcpctl.Reported:
			fmt.Println(e.SSRC, "has lost", e.Block.Lost, "of ours, round trip", e.RTT.Round(time.Millisecond))
		case rtcpctl.Goodbye:
			fmt.Println(e.SSRC, "leaves:", e.Text)
		}
	}
	if b, ok := sender.AppendReport(nil, now); ok {
		receiver.Receive(now.Add(30*time.Millisecond), b, show)
	}
	if b, ok := receiver.AppendReport(nil, now.Add(time.Second)); ok {
		sender.Receive(now.Add(1030*time.Millisecond), b, show)
	}
	if b, ok := receiver.AppendBye(nil, "hung up", now.Add(2*time.Second)); ok {
		sender.Receive(now.Add(2030*time.Millisecond), b, show)
	}
	// Output:
	// 1111 has sent 200 packets
	// 1111 is alice@example.com
	// 2222 has lost 20 of ours, round trip 60ms
	// 2222 is bob@example.com
	// 2222 leaves: hung up
}

func ExampleReception() {
	var r rtcpctl.Reception
	r.Init(1111, 8000)
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for i, seq := range []uint16{65533, 65534, 1, 65535, 1, 40000, 2} {
		timestamp := uint32(seq+3) * 160
		order := r.Update(seq, timestamp, now.Add(time.Duration(i)*20*time.Millisecond))
		fmt.Println(seq, r.Seq(), order, r.Skipped())
	}
	fmt.Println(r.Received(), "received,", r.Lost(), "lost")
	// Output:
	// 65533 131069 probation 0
	// 65534 131070 first 0
	// 1 131073 gap 2
	// 65535 131071 reordered 0
	// 1 131073 duplicate 0
	// 40000 171072 stray 0
	// 2 131074 in order 0
	// 6 received, 0 lost
}

// A packet is lost, asked for again, and sent again.
func ExampleRequester() {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	sender := rtcpctl.NewSession(rtcpctl.Config{SSRC: 1111})
	receiver := rtcpctl.NewSession(rtcpctl.Config{SSRC: 2222, ReducedSize: true})
	sender.Start(now)
	receiver.Start(now)
	history := rtcpctl.NewHistory(rtcpctl.HistoryConfig{})
	requester := rtcpctl.NewRequester(rtcpctl.RequesterConfig{})
	var reception rtcpctl.Reception
	reception.Init(1111, 8000)

	for seq := range uint16(20) {
		now = now.Add(20 * time.Millisecond)
		packet := fmt.Appendf(nil, "packet %d", seq)
		history.Sent(now, seq, packet)
		if seq == 17 {
			continue // lost
		}
		if reception.Update(seq, 160*uint32(seq), now) == rtcpctl.Gap {
			n := reception.Skipped()
			requester.Missing(now, receiver.RTT(), rtcpctl.Hole{
				First:    reception.Seq() - int64(n),
				Count:    n,
				Deadline: now.Add(100 * time.Millisecond),
				Spacing:  20 * time.Millisecond,
			})
		}
	}

	now = requester.Next()
	if at, ok := receiver.NextFeedback(); ok && !now.Before(at) {
		lost := requester.Append(nil, now, receiver.RTT())
		if b, ok := receiver.AppendFeedback(nil, now, rtcpctl.Feedback{Media: 1111, Lost: lost}); ok {
			fmt.Printf("feedback of %d bytes\n", len(b))
			sender.Receive(now, b, func(e rtcpctl.Event) {
				for seq := range e.Member.Lost() {
					if packet, ok := history.Again(now, sender.RTT(), seq); ok {
						fmt.Printf("again: %s\n", packet)
					}
				}
			})
		}
	}
	// Output:
	// feedback of 16 bytes
	// again: packet 17
}

// What became of the packets of a call, in the terms of RFC 3611 and of a
// listener.
func ExampleBursts() {
	var bursts rtcpctl.Bursts
	for i := range 1000 {
		switch {
		case i%100 == 30:
			bursts.Add(rtcpctl.Lost)
		case i >= 500 && i < 510 && i%3 == 0:
			bursts.Add(rtcpctl.Discarded)
		default:
			bursts.Add(rtcpctl.Played)
		}
	}
	m := rtcpctl.UnknownVoIPMetrics(1111)
	bursts.Fill(&m, 20*time.Millisecond)
	m.Rate(rtcpctl.CodecImpairment("PCMU"), bursts.Conditions(120*time.Millisecond))
	fmt.Printf("burst of %d ms, bad %d/256 of it\n", m.BurstDuration, m.BurstDensity)
	fmt.Printf("R %d, MOS %.1f\n", m.RFactor, float64(m.MOSCQ)/10)
	// Output:
	// burst of 140 ms, bad 109/256 of it
	// R 86, MOS 4.2
}

// The far end uses our SSRC: we say goodbye and take another. What comes back of
// our own packets from then on is a loop, and changes nothing.
func ExampleSession_Collided() {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	from := netip.MustParseAddrPort("192.0.2.1:4000")
	s := rtcpctl.NewSession(rtcpctl.Config{SSRC: 1111, ClockRate: 8000})
	s.Start(now)
	s.Sent(now, 0, 160)
	for range 3 {
		now = now.Add(20 * time.Millisecond)
		if s.Collided(now, from) {
			goodbye, ok := s.AppendRename(nil, 2222, now)
			fmt.Println("now", s.SSRC(), ok, len(goodbye) > 0)
		}
	}
	var st rtcpctl.Stats
	s.Stats(&st)
	fmt.Println(st.Collisions, "collision,", st.Loops, "loops")
	// Output:
	// now 2222 true true
	// 1 collision, 2 loops
}

// The far end vanishes in the middle of a call.
func ExampleSession_Tripped() {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	s := rtcpctl.NewSession(rtcpctl.Config{SSRC: 1111, ClockRate: 8000})
	s.Start(start)
	for i := range 3000 {
		now := start.Add(time.Duration(i) * 20 * time.Millisecond)
		s.Sent(now, uint32(160*i), 160)
		if i == 500 {
			s.Receive(now, rtcpctl.AppendRR(nil, 2222, []rtcpctl.ReportBlock{{SSRC: 1111, Highest: 499}}), nil)
		}
		if !now.Before(s.Next()) {
			s.AppendReport(nil, now)
		}
		if trip, at := s.Tripped(); trip != rtcpctl.NotTripped {
			fmt.Println(trip, "after", at.Sub(start))
			break
		}
	}
	// Output:
	// reports stopped after 25s
}
