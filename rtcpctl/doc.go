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
// # What else there is
//
// Extended reports (RFC 3611) are always understood, and sent with [Config.XR]:
// reference times and their answers give the round trip to an end that only
// receives; [VoIPMetrics] tell how a call sounds. [Bursts] finds the bursts of
// loss for them, and [Impairment.R] and [MOS] rate it (ITU-T G.107).
//
// A [Requester] decides which lost packets to ask for again and when, and
// [Session.AppendFeedback] asks (RFC 4585, and alone with RFC 5506). At the other
// end a [History] has the packets, and keeps what it sends again within bounds.
// Likewise for video a [KeyFrameRequester] decides when to ask for a key frame,
// and a [KeyFrameLimiter] how often an encoder has to make one.
//
// The circuit breaker (RFC 8083) watches the reports on what is sent, and
// [Session.Tripped] says when sending should stop. [Session.Collided] and
// [Session.AppendRename] resolve collisions of SSRCs (RFC 3550, section 8.2).
//
// Limits: a session sends from one SSRC. Of feedback the generic NACK, picture
// loss indications, full intra requests, REMB and transport-wide feedback are
// interpreted; other formats and application packets are passed on as [Other]
// events, whose Member.Raw pion/rtcp can parse. In sessions of more than four
// members no feedback is sent, because the dithering of RFC 4585 is missing. Of
// extended reports the run-length blocks and the statistics summary are passed
// over.
package rtcpctl
