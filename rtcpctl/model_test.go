package rtcpctl

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"pgregory.net/rapid"
)

// Whatever happens to a session: what it writes is a valid compound within its
// size, its clock goes on, and its counts stay sane.
func TestSessionProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := heard(2, epoch)
		seq := uint16(10)
		s := newSession(Config{
			SSRC: 1, ClockRate: 8000, CNAME: rapid.StringN(1, -1, 300).Draw(t, "cname"),
			MinInterval: time.Duration(rapid.SampledFrom([]int{0, -1, 500}).Draw(t, "minimum")) * msec,
			XR:          rapid.Bool().Draw(t, "xr"), ReducedSize: rapid.Bool().Draw(t, "reduced"),
			Sources: func(dst []*Reception) []*Reception { return append(dst, r) },
			VoIP:    func(time.Time) (VoIPMetrics, bool) { return UnknownVoIPMetrics(2), true },
		})
		now, highest := epoch, uint32(0)
		valid := func(b []byte, compound bool) {
			packets, err := rtcp.Unmarshal(b)
			if err == nil && compound {
				err = rtcp.CompoundPacket(packets).Validate()
			}
			if err != nil || len(b) > MaxCompound {
				t.Fatalf("%x: %v", b, err)
			}
		}
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "op") {
			case 0, 1, 2:
				if next := s.Next(); next.After(now) {
					now = next
				}
				trip, _ := s.Tripped()
				b, ok := s.AppendReport(nil, now)
				if ok {
					valid(b, true)
				}
				if !s.Next().After(now) {
					t.Fatalf("at %v the next report is due at %v", now, s.Next())
				}
				if again, _ := s.Tripped(); trip != NotTripped && again != trip {
					t.Fatalf("%v became %v", trip, again)
				}
			case 3:
				now = now.Add(20 * msec)
				s.Sent(now, uint32(now.Sub(epoch)/msec*8), 160)
			case 4:
				now = now.Add(20 * msec)
				r.Update(seq, uint32(seq)*160, now)
				seq++
			case 5:
				highest += rapid.Uint32Range(0, 2).Draw(t, "grown")
				block := ReportBlock{
					SSRC: s.SSRC(), Highest: highest, FractionLost: rapid.Uint8().Draw(t, "lost"),
					LastSR: s.sentSRs[rapid.IntRange(0, 7).Draw(t, "which")], Delay: rapid.Uint32Range(0, 1<<17).Draw(t, "delay"),
				}
				b := AppendSDES(AppendRR(nil, 2, []ReportBlock{block}), 2, "x")
				b = append(b, 0x80, 0xcf, 0, 4, 0, 0, 0, 2, xrReference, 0, 0, 2, 0, 0, 0, 1, 2, 3, 4, 5)
				s.Receive(now, b, nil)
			case 6:
				lost := rapid.SliceOfN(rapid.Uint16(), 1, 400).Draw(t, "missing")
				if b, ok := s.AppendFeedback(nil, now, Feedback{Media: 2, Lost: lost}); ok {
					valid(b, !s.config.ReducedSize)
					if at, _ := s.NextFeedback(); !at.After(now) {
						t.Fatal("feedback without end")
					}
				}
			case 7:
				s.SetBandwidth(now, rapid.IntRange(0, 1<<24).Draw(t, "bandwidth"))
			case 8:
				from := netip.AddrPortFrom(netip.IPv4Unspecified(), rapid.Uint16Range(1, 3).Draw(t, "from"))
				if s.Collided(now, from) {
					if b, ok := s.AppendRename(nil, s.SSRC()+1000, now); ok {
						valid(b, true)
					}
				}
			case 9:
				s.ResetBreaker(now)
			}
			if s.RTT() < 0 || s.present > 1 || s.asking > maxQuestions {
				t.Fatalf("round trip %v, %d others, %d questions", s.RTT(), s.present, s.asking)
			}
		}
		if b, ok := s.AppendBye(nil, "enough", now); ok {
			valid(b, true)
		}
		if !s.Next().IsZero() && s.left {
			t.Fatal("it goes on after the goodbye")
		}
	})
}
