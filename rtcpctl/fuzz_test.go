package rtcpctl

import (
	"bytes"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

func seeds(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendBYE(AppendSDES(AppendSR(nil, 2, SenderInfo{NTP: 1 << 40, Timestamp: 5}, []ReportBlock{{SSRC: 1, LastSR: 3}}), 2, "a@b"), 2, "reason"))
	f.Add(AppendSDES(AppendRR(nil, 2, make([]ReportBlock, MaxBlocks)), 1, ""))
	f.Add(unhex(f, "80c900010000000281cb000200000002ff000000"))
	f.Add(unhex(f, "81ca00020000000201ff6162"))
	f.Add(unhex(f, "82ca0006000000020101610000000003010362636400000000000000"))
	f.Add(unhex(f, "9fc900070000000200000001"))
	f.Add(unhex(f, "a0cb000100000004"))
	f.Add(unhex(f, "80c9000100000002"+"80cf0004"+"00000002"+"04000002"+"0000000100000000"))
	f.Add(unhex(f, "80cf0005"+"00000002"+"05000003"+"00000001"+"00010000"+"00000100"))
	f.Add(UnknownVoIPMetrics(1).AppendTo(unhex(f, "80cf000a"+"00000002")))
	f.Add(unhex(f, "81cd0003"+"00000002"+"00000001"+"ffff8001"))
	f.Add(AppendFIR(AppendPLI(nil, 2, 1), 2, 1, 7))
	f.Add(unhex(f, "8fce0005"+"00000002"+"00000000"+"52454d42"+"01ffffff"+"00000001"))
}

// FuzzMembers: members tile the compound, and bodies lie within them.
func FuzzMembers(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var raw []byte
		for m, err := range Members(b) {
			if err != nil && !errors.Is(err, ErrMalformed) {
				t.Fatalf("error %v", err)
			}
			raw = append(raw, m.Raw...)
			if err == nil && !bytes.HasPrefix(m.Raw[headerSize:], m.Body) {
				t.Fatalf("body %x of %x", m.Body, m.Raw)
			}
		}
		if !bytes.Equal(raw, b) {
			t.Fatalf("members are %x", raw)
		}
	})
}

// FuzzReceive: whatever comes in, the session goes on, and what it writes can be
// read.
func FuzzReceive(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		r := heard(2, epoch)
		s := newSession(Config{
			SSRC: 1, ClockRate: 8000, XR: true,
			Sources: func(dst []*Reception) []*Reception { return append(dst, r) },
			VoIP:    func(time.Time) (VoIPMetrics, bool) { return UnknownVoIPMetrics(2), true },
		})
		s.Sent(epoch, 0, 160)
		now := epoch
		for range 3 {
			text, told, lost := 0, 0, 0
			s.Receive(now, b, func(e Event) {
				told++
				text += len(e.Text)
				if e.Kind == Nacked {
					for range e.Member.Lost() {
						lost++
					}
				}
			})
			if text > 64*len(b) || told > len(b) || lost > 17*len(b)/4 {
				t.Fatalf("%d bytes of text, %d events and %d lost packets from %d", text, told, lost, len(b))
			}
			if fb, ok := s.AppendFeedback(nil, now, Feedback{Media: 2, Lost: []uint16{1, 5, 70}}); ok {
				if _, err := rtcp.Unmarshal(fb); err != nil {
					t.Fatalf("%x: %v", fb, err)
				}
			}
			now = s.Next()
			if now.Sub(epoch) < 0 || now.Sub(epoch) > time.Hour {
				t.Fatalf("next report at %v", now)
			}
			out, ok := s.AppendReport(nil, now)
			if ok {
				if _, err := rtcp.Unmarshal(out); err != nil {
					t.Fatalf("%x: %v", out, err)
				}
			}
		}
		var st Stats
		s.Stats(&st)
		if st.Members < 1 || st.Senders < 0 || st.Senders > st.Members || len(s.members) > MaxMembers {
			t.Fatalf("%+v", st)
		}
	})
}

// FuzzNACK: whatever is to be asked for can be read back, up to what fits.
func FuzzNACK(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2}, 16)
	f.Add([]byte{255, 255, 0, 0, 0, 17}, 100)
	f.Add([]byte{0, 9, 0, 9, 0, 3}, 20)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		var lost []uint16
		for ; len(b) >= 2; b = b[2:] {
			lost = append(lost, uint16(b[0])<<8|uint16(b[1]))
		}
		out, taken := AppendNACK(nil, 1, 2, lost, limit)
		if len(out) > max(0, limit) || taken > len(lost) || (taken == 0) != (len(out) == 0) {
			t.Fatalf("%d of %d in %d bytes, limit %d", taken, len(lost), len(out), limit)
		}
		asked := map[uint16]bool{}
		for m, err := range Members(out) {
			if err != nil {
				t.Fatal(err)
			}
			for q := range m.Lost() {
				asked[q] = true
			}
		}
		wanted := map[uint16]bool{}
		for _, q := range lost[:taken] {
			wanted[q] = true
		}
		if !maps.Equal(asked, wanted) {
			t.Fatalf("asked %v, want %v", asked, wanted)
		}
	})
}

// FuzzRequester: whatever is missing when, memory and requests stay bounded, and
// time goes on.
func FuzzRequester(f *testing.F) {
	f.Add([]byte("\x00\x05\x20\x01\x04\x10\x02\x00\x30\x02\x00\x60"))
	f.Add([]byte("\x00\xff\xff\x00\xff\xff\x02\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewRequester(RequesterConfig{})
		now, seq := epoch, int64(1<<16)
		for ; len(b) >= 3; b = b[3:] {
			n, d := int64(b[1]), time.Duration(b[2])*time.Millisecond
			switch b[0] % 4 {
			case 0:
				r.Missing(now, d, Hole{First: seq, Count: int(n) * 16, Wait: d, Deadline: now.Add(2 * d), Spacing: d / 8})
				seq += 16 * n
			case 1:
				r.Arrived(now, seq-n)
			case 2:
				now = now.Add(d)
				if got := r.Append(nil, now, d); len(got) > 256 || !r.Next().IsZero() && !r.Next().After(now) {
					t.Fatalf("%d requests, next %v at %v", len(got), r.Next(), now)
				}
			default:
				seq -= n
			}
			if len(r.pending) > 256 {
				t.Fatalf("%d pending", len(r.pending))
			}
			for i := 1; i < len(r.pending); i++ {
				if r.pending[i].seq <= r.pending[i-1].seq {
					t.Fatal("out of order")
				}
			}
		}
	})
}
