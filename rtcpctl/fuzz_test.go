package rtcpctl

import (
	"bytes"
	"errors"
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
		s := newSession(Config{SSRC: 1, ClockRate: 8000, Sources: func(dst []*Reception) []*Reception { return append(dst, r) }})
		s.Sent(epoch, 0, 160)
		now := epoch
		for range 3 {
			text := 0
			s.Receive(now, b, func(e Event) { text += len(e.Text) })
			if text > 64*len(b) {
				t.Fatalf("%d bytes of text from %d", text, len(b))
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
