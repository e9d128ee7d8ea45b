package rtcpctl_test

import (
	"fmt"
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
