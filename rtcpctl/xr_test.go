package rtcpctl

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtcp"
	"pgregory.net/rapid"
)

var anyVoIP = rapid.Custom(func(t *rapid.T) VoIPMetrics {
	b := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "block")
	return parseVoIP(b)
})

// The VoIP metrics that are written are read by pion/rtcp with the same fields,
// and here too.
func TestVoIPMetricsAgainstPion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := anyVoIP.Draw(t, "metrics")
		b := m.AppendTo(nil)
		if got := parseVoIP(b[4:]); got != m {
			t.Fatalf("%+v came back as %+v", m, got)
		}
		var x rtcp.ExtendedReport
		if err := x.Unmarshal(append([]byte{0x80, 0xcf, 0, 10, 0, 0, 0, 5}, b...)); err != nil {
			t.Fatal(err)
		}
		want := &rtcp.VoIPMetricsReportBlock{
			XRHeader: rtcp.XRHeader{BlockType: rtcp.VoIPMetricsReportBlockType, BlockLength: 8},
			SSRC:     m.SSRC, LossRate: m.LossRate, DiscardRate: m.DiscardRate, BurstDensity: m.BurstDensity, GapDensity: m.GapDensity,
			BurstDuration: m.BurstDuration, GapDuration: m.GapDuration, RoundTripDelay: m.RoundTrip, EndSystemDelay: m.EndSystem,
			SignalLevel: uint8(m.SignalLevel), NoiseLevel: uint8(m.NoiseLevel), RERL: m.EchoLoss, Gmin: m.Gmin,
			RFactor: m.RFactor, ExtRFactor: m.ExternalR, MOSLQ: m.MOSLQ, MOSCQ: m.MOSCQ, RXConfig: m.RXConfig,
			JBNominal: m.JitterNominal, JBMaximum: m.JitterMaximum, JBAbsMax: m.JitterAbsolute,
		}
		if diff := cmp.Diff([]rtcp.ReportBlock{want}, x.Reports); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A receiver that sends nothing learns the round trip by a reference time and its
// answer, and is answered although the other end does not send XR of its own.
func TestReferenceTimeRoundTrip(t *testing.T) {
	const path, skew = 35 * time.Millisecond, 17 * time.Minute
	near := newSession(Config{SSRC: 1, XR: true, ClockRate: 8000})
	far := NewSession(Config{SSRC: 2, ClockRate: 8000})

	at, b := report(t, near)
	far.Start(at.Add(skew))
	x, ok := parse(t, b)[2].(*rtcp.ExtendedReport)
	if !ok || len(x.Reports) != 1 || x.Reports[0].(*rtcp.ReceiverReferenceTimeReportBlock).NTPTimestamp != NTP(at) {
		t.Fatalf("%v", parse(t, b))
	}
	if e := events(far, at.Add(path+skew), b); !slices.Contains(e, "reference time 1") {
		t.Errorf("events %q", e)
	}
	answered, b := report(t, far)
	d := parse(t, b)[2].(*rtcp.ExtendedReport).Reports[0].(*rtcp.DLRRReportBlock).Reports
	if len(d) != 1 || d[0].SSRC != 1 || d[0].LastRR != middle(NTP(at)) || d[0].DLRR != shortUnits(answered.Sub(at.Add(path+skew))) {
		t.Errorf("answer %+v", d)
	}
	var rtt time.Duration
	near.Receive(answered.Add(path-skew), b, func(e Event) {
		if e.Kind == RoundTrip {
			rtt = e.RTT
		}
	})
	if off := rtt - 2*path; rtt == 0 || off.Abs() > time.Millisecond || near.RTT() != rtt {
		t.Errorf("round trip %v, RTT() %v, want %v", rtt, near.RTT(), 2*path)
	}
	if _, b := report(t, far); len(parse(t, b)) != 2 {
		t.Error("one question is answered twice")
	}
}

// A sender asks by its reports, and sends no reference time.
func TestReferenceTimeOnlyOfReceivers(t *testing.T) {
	s := newSession(Config{SSRC: 1, XR: true, ClockRate: 8000})
	s.Sent(epoch, 0, 160)
	_, b := report(t, s)
	if p := parse(t, b); len(p) != 2 {
		t.Errorf("%v", p)
	}
}

func TestQuestionsAreBounded(t *testing.T) {
	s := newSession(Config{SSRC: 1})
	for i := range uint32(100) {
		b := AppendRR(nil, 100+i, nil)
		b = append(b, unhex(t, "80cf0004")...)
		b = append(b, 0, 0, 0, byte(100+i), 4, 0, 0, 2, 0, 0, 0, 1, byte(i), 0, 0, 0)
		s.Receive(epoch.Add(time.Duration(i)*time.Millisecond), b, nil)
	}
	_, b := report(t, s)
	d := parse(t, b)[2].(*rtcp.ExtendedReport).Reports[0].(*rtcp.DLRRReportBlock).Reports
	var who []uint32
	for _, r := range d {
		who = append(who, r.SSRC)
	}
	slices.Sort(who)
	if !slices.Equal(who, []uint32{196, 197, 198, 199}) {
		t.Errorf("answers to %v", who)
	}
}

func TestVoIPReport(t *testing.T) {
	have := true
	s := newSession(Config{SSRC: 1, ClockRate: 8000, XR: true, VoIP: func(time.Time) (VoIPMetrics, bool) {
		m := UnknownVoIPMetrics(2)
		m.MOSCQ = 41
		return m, have
	}})
	s.Sent(epoch, 0, 160)
	s.remote.RTT = 80 * time.Millisecond
	at, b := report(t, s)
	if got := events(newSession(Config{SSRC: 2}), at, b); !slices.Contains(got, "voip reported 1 MOS 41") {
		t.Errorf("events %q", got)
	}
	v := parse(t, b)[2].(*rtcp.ExtendedReport).Reports[0].(*rtcp.VoIPMetricsReportBlock)
	if v.RoundTripDelay != 80 || v.RFactor != Unknown || v.MOSLQ != Unknown || v.SignalLevel != Unknown || v.RERL != Unknown || v.Gmin != 16 {
		t.Errorf("%+v", v)
	}
	if got := events(newSession(Config{SSRC: 3}), at, b); slices.ContainsFunc(got, func(e string) bool { return e[0] == 'v' }) {
		t.Errorf("events %q about the voice of another", got)
	}
	have = false
	if _, b = report(t, s); len(parse(t, b)) != 2 {
		t.Error("metrics that are not there are reported")
	}
}

func TestXRAllocs(t *testing.T) {
	s := newSession(Config{SSRC: 1, ClockRate: 8000, XR: true, VoIP: func(time.Time) (VoIPMetrics, bool) { return UnknownVoIPMetrics(2), true }})
	other := newSession(Config{SSRC: 2, XR: true})
	_, rr := report(t, other)
	buf := make([]byte, 0, MaxCompound)
	s.Receive(epoch, rr, nil)
	if a := testing.AllocsPerRun(1000, func() {
		s.Sent(s.Next(), 0, 160)
		s.Receive(s.Next(), rr, nil)
		s.AppendReport(buf, s.Next())
	}); a != 0 {
		t.Errorf("%v allocations", a)
	}
	if s.reports < 100 {
		t.Errorf("%d reports", s.reports)
	}
}
