package parley

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// What is heard is rated, reported and asked for by its own codec and packets, not by
// those that are sent.
func TestWhatIsHeardIsRated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pcma := codec.Params{Name: "PCMA", PayloadType: 8, ClockRate: 8000, Channels: 1}
		x, y, _, _ := pair(t, AudioConfig{Send: pcma, PTime: 60 * ms, Receive: []codec.Params{pcmu}},
			AudioConfig{Send: pcmu, Receive: []codec.Params{pcmu, pcma}}, Deadlines{})
		rated := func(name string, ptime time.Duration) {
			t.Helper()
			a := y.Audio()
			y.mu.Lock()
			defer y.mu.Unlock()
			if n, p := a.speech(); n != name || p != ptime {
				t.Errorf("%s in packets of %v, want %s in %v", n, p, name, ptime)
			}
			r := a.receiver.Reception()
			if r == nil {
				return
			}
			if h := a.hole(time.Now(), 2, r); h.Spacing != ptime || h.Wait < ptime/2 {
				t.Errorf("a hole of %+v", h)
			}
			if m, ok := a.voip(time.Now()); !ok || time.Duration(m.EndSystem)*ms < ptime {
				t.Errorf("end system %d ms, %v", m.EndSystem, ok)
			}
		}
		rated("PCMU", 20*ms)
		var s Stats
		y.Stats(&s)
		if s.Audio.MOS != 0 || s.Audio.RFactor != 0 {
			t.Errorf("what was not received has R %.1f, MOS %.1f", s.Audio.RFactor, s.Audio.MOS)
		}
		for range 20 {
			if err := x.Audio().WriteFrame(ramp(64)); err != nil {
				t.Fatal(err)
			}
		}
		for range 30 {
			if err := y.Audio().ReadFrame(new(audio.Frame)); err != nil {
				t.Fatal(err)
			}
		}
		rated("PCMA", 60*ms)
		if y.Stats(&s); s.Audio.MOS < 4 {
			t.Errorf("MOS %.1f", s.Audio.MOS)
		}
	})
}

// Packets of a payload type that was not agreed on, with numbers of others, whose media
// all comes, do not make a call sound bad.
func TestQualityBesideUnknownType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		for n := range 300 {
			y.Audio().DeliverRTP(time.Now(), netip.AddrPort{}, rtpPacket(7, n, make([]byte, 160)))
			if n%25 == 7 {
				p := rtpPacket(7, n, make([]byte, 160))
				p[1] = 99
				y.Audio().DeliverRTP(time.Now(), netip.AddrPort{}, p) // with the time of the one before
				copy(p[4:], rtpPacket(7, n+1, nil)[4:8])
				y.Audio().DeliverRTP(time.Now(), netip.AddrPort{}, p) // and with another
			}
			time.Sleep(20 * ms)
		}
		var s AudioStats
		if y.Audio().Stats(&s); s.RFactor < 90 || s.Discarded != 24 {
			t.Errorf("R %.1f, %d packets discarded, want 24", s.RFactor, s.Discarded)
		}
	})
}

// Of a call that cannot be understood the rating is 0, and not less.
func TestQualityAtWorst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		for n := range 100 {
			if n < 5 || n > 90 {
				y.Audio().DeliverRTP(time.Now(), netip.AddrPort{}, rtpPacket(7, n, make([]byte, 160)))
			}
			time.Sleep(20 * ms)
		}
		var s AudioStats
		if y.Audio().Stats(&s); s.RFactor != 0 || s.MOS != 1 {
			t.Errorf("R %.1f, MOS %.1f", s.RFactor, s.MOS)
		}
	})
}
