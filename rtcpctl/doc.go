// Package rtcpctl decides what RTCP says and when (RFC 3550, section 6), and
// keeps the statistics that it says it from.
//
// A [Reception] follows the packets of one remote source: it validates their
// sequence numbers, extends them, and counts loss, duplicates and jitter. A
// [Session] is the RTCP of one RTP session: it tells when the next report is
// due, writes it, and understands what the far end reports. Neither owns a
// socket, a goroutine, a lock or a timer; every time they need is an argument,
// and all times of one session must derive from one [time.Now] by Add, so that
// they stay monotonic. Their wall clock goes into the sender reports.
//
//	s := rtcpctl.NewSession(rtcpctl.Config{
//		SSRC:      ssrc,
//		ClockRate: 8000,
//		Sources:   receiver.AppendReceptions, // what the reports are about
//	})
//	s.Start(now)
//	// for each packet sent
//	s.Sent(now, timestamp, len(payload))
//	// for each RTCP datagram received
//	s.Receive(now, datagram, func(e rtcpctl.Event) { ... })
//	// at s.Next()
//	if b, ok := s.AppendReport(buf[:0], now); ok {
//		conn.Write(b)
//	}
//	// at the end
//	if b, ok := s.AppendBye(buf[:0], "hung up", now); ok {
//		conn.Write(b)
//	}
//
// Limits: a session sends from one SSRC; extended reports and feedback are
// passed on as [Other] events, not interpreted; a collision of SSRCs is counted,
// not resolved.
package rtcpctl
