package rtcpctl

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// transportFeedback is feedback on 20 packets from number 65530 on, with a chunk
// of each form: the first six have arrived, ten have not, and of the last four
// the second one has.
func transportFeedback(t testing.TB, ssrc, media uint32) []byte {
	t.Helper()
	small := func(d int64) *rtcp.RecvDelta {
		return &rtcp.RecvDelta{Type: rtcp.TypeTCCPacketReceivedSmallDelta, Delta: d * 250}
	}
	large := func(d int64) *rtcp.RecvDelta {
		return &rtcp.RecvDelta{Type: rtcp.TypeTCCPacketReceivedLargeDelta, Delta: d * 250}
	}
	p := rtcp.TransportLayerCC{
		SenderSSRC: ssrc, MediaSSRC: media,
		BaseSequenceNumber: 65530, PacketStatusCount: 20, ReferenceTime: 1<<24 - 2, FbPktCount: 7,
		PacketChunks: []rtcp.PacketStatusChunk{
			&rtcp.RunLengthChunk{PacketStatusSymbol: rtcp.TypeTCCPacketReceivedSmallDelta, RunLength: 4},
			&rtcp.RunLengthChunk{PacketStatusSymbol: rtcp.TypeTCCPacketReceivedLargeDelta, RunLength: 1},
			&rtcp.StatusVectorChunk{
				SymbolSize: rtcp.TypeTCCSymbolSizeTwoBit,
				SymbolList: []uint16{rtcp.TypeTCCPacketReceivedLargeDelta, 0, 0, 0, 0, 0, 0},
			},
			&rtcp.StatusVectorChunk{
				SymbolSize: rtcp.TypeTCCSymbolSizeOneBit,
				SymbolList: []uint16{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0},
			},
		},
		RecvDeltas: []*rtcp.RecvDelta{
			small(4), small(0), small(255), small(1), large(2), large(-40),
			small(8),
		},
	}
	p.Header = rtcp.Header{Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback, Padding: true, Length: uint16(p.MarshalSize()/4 - 1)}
	b, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTransportFeedbackAgainstPion(t *testing.T) {
	var got []Arrival
	for m, err := range Members(transportFeedback(t, 2, 1)) {
		if err != nil {
			t.Fatal(err)
		}
		got = slices.Collect(m.Arrivals())
	}
	begin := -2 * 64 * time.Millisecond // the reference time is signed
	at := map[uint16]time.Duration{
		65530: time.Millisecond, 65531: time.Millisecond, 65532: 64750 * time.Microsecond,
		65533: 65 * time.Millisecond, 65534: 65500 * time.Microsecond, 65535: 55500 * time.Microsecond,
		11: 57500 * time.Microsecond,
	}
	if len(got) != 20 {
		t.Fatalf("%d packets", len(got))
	}
	for i, a := range got {
		want, arrived := at[a.Seq]
		if arrived {
			want += begin
		}
		if a.Seq != uint16(65530+i) || a.Arrived != arrived || a.At != want {
			t.Errorf("packet %d: %+v, want %v at %v", i, a, arrived, want)
		}
	}
}

// Only feedback on our source is heeded, whoever says that it is from; none is believed
// that has less than it says.
func TestTransportFeedback(t *testing.T) {
	good := transportFeedback(t, 2, 1)
	reserved := slices.Clone(good)
	binary.BigEndian.PutUint16(reserved[20:], 0x6000|20)
	endless := slices.Clone(good)
	binary.BigEndian.PutUint16(endless[14:], 65535)
	cut := func(chunk uint16) []byte { // 7 packets of which the deltas are missing, but for one
		b := []byte{0x80 | formatTransport, 205, 0, 5, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 1}
		return append(binary.BigEndian.AppendUint16(b, chunk), 9, 0)
	}
	for name, test := range map[string]struct {
		b         []byte
		events    int
		malformed int64
	}{
		"good":             {good, 1, 0},
		"of others":        {transportFeedback(t, 2, 3), 0, 0},
		"in our name":      {transportFeedback(t, 1, 1), 1, 0},
		"from us":          {transportFeedback(t, 1, 3), 0, 0},
		"reserved":         {reserved, 0, 1},
		"endless":          {endless, 0, 1},
		"a run cut off":    {cut(0x2007), 0, 1},
		"a vector cut off": {cut(0xd555), 0, 1},
		"without more":     {[]byte{0x80 | formatTransport, 205, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1}, 0, 1},
	} {
		s := NewSession(Config{SSRC: 1, ClockRate: 90000})
		events := 0
		s.Receive(time.Now(), test.b, func(e Event) {
			events++
			if e.Kind != TransportReported || e.SSRC != binary.BigEndian.Uint32(test.b[4:]) || e.Arrived != 7 || e.Missing != 13 {
				t.Errorf("%s: %+v", name, e)
			}
		})
		var st Stats
		if s.Stats(&st); events != test.events || st.Malformed != test.malformed {
			t.Errorf("%s: %d events, %d malformed", name, events, st.Malformed)
		}
	}
	s := NewSession(Config{SSRC: 1, ClockRate: 90000})
	now, n := time.Now(), 0
	count := func(e Event) {
		for range e.Member.Arrivals() {
			n++
		}
	}
	if allocs := testing.AllocsPerRun(100, func() { s.Receive(now, good, count) }); allocs != 0 || n == 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// FuzzArrivals: whatever is read, the counts are those of the packets.
func FuzzArrivals(f *testing.F) {
	f.Add(transportFeedback(f, 2, 1))
	f.Add([]byte{0x8f, 205, 0, 5, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 255, 255, 0, 0, 0, 1, 0x1f, 0xff, 0x1f, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		for m, err := range Members(b) {
			if err != nil {
				continue
			}
			chunks, deltas, arrived, ok := m.statuses()
			n, seen := 0, 0
			for a := range m.Arrivals() {
				if n++; a.Arrived {
					seen++
				} else if a.At != 0 {
					t.Fatalf("%+v", a)
				}
			}
			if !ok && n > 0 || seen != arrived || ok && transportHead+len(chunks)+len(deltas) > len(m.Body) || seen > len(deltas) {
				t.Fatalf("%d packets, %d arrived, %d counted", n, seen, arrived)
			}
		}
	})
}
