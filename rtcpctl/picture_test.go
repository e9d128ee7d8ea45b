package rtcpctl

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtcp"
)

// What we write is read alike by pion/rtcp, and the other way round.
func TestPictureFeedbackAgainstPion(t *testing.T) {
	b := AppendFIR(AppendPLI(nil, 2, 1), 2, 1, 7)
	want := []rtcp.Packet{
		&rtcp.PictureLossIndication{SenderSSRC: 2, MediaSSRC: 1},
		&rtcp.FullIntraRequest{SenderSSRC: 2, FIR: []rtcp.FIREntry{{SSRC: 1, SequenceNumber: 7}}},
	}
	got, err := rtcp.Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	s := newSession(Config{SSRC: 1})
	if got, want := events(s, epoch, b), []string{"key frame wanted 2", "key frame wanted 2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, bitrate := range []float32{0, 1, 64_000, 262_143, 262_144, 1_500_000, 8e9} {
		p := &rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 2, Bitrate: bitrate, SSRCs: []uint32{9, 1}}
		b, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var ours float64
		s.Receive(epoch, b, func(e Event) {
			if e.Kind == BandwidthEstimated && e.SSRC == 2 {
				ours = float64(e.Bitrate)
			}
		})
		if math.Abs(ours-float64(bitrate)) > float64(bitrate)/100_000 {
			t.Errorf("%v bit/s was written, %v read", bitrate, ours)
		}
	}
}

func TestPictureFeedback(t *testing.T) {
	fir := func(numbers ...uint8) (b []byte) {
		for _, n := range numbers {
			b = AppendFIR(b, 2, 1, n)
		}
		return b
	}
	two := AppendFIR(nil, 2, 9, 1)
	two = append(two, AppendFIR(nil, 2, 1, 1)[12:]...)
	two[3] = 6
	for _, c := range []struct {
		name      string
		b         []byte
		want      []string
		malformed int64
	}{
		{"a picture loss indication for another", AppendPLI(nil, 2, 9), nil, 0},
		{"one in our own name", AppendPLI(nil, 1, 9), nil, 0},
		{"one that is cut off", AppendPLI(nil, 2, 1)[:8], nil, 1},
		{"a full intra request for another", AppendFIR(nil, 2, 9, 1), nil, 0},
		{"one of two", two, []string{"key frame wanted 2"}, 0},
		{"the same one again", fir(3, 3, 3), []string{"key frame wanted 2"}, 0},
		{"a new one", fir(3, 4, 4), []string{"key frame wanted 2", "key frame wanted 2"}, 0},
		{"one without entries", unhex(t, "84ce00020000000200000000"), nil, 1},
		{"one with half an entry", unhex(t, "84ce0003000000020000000000000001"), nil, 1},
		{"slice loss", unhex(t, "82ce0003000000020000000100000000"), []string{"other 2 PSFB/2"}, 0},
		{"a message of another application", unhex(t, "8fce0003000000020000000100000000"), []string{"other 2 PSFB/15"}, 0},
		{"an estimate for more sources than there are", unhex(t, "8fce0005000000020000000052454d42020000ff00000001"), []string{"other 2 PSFB/15"}, 0},
		{"an estimate for another", unhex(t, "8fce0005000000020000000052454d42010000ff00000009"), nil, 0},
		{"one beyond all bounds", unhex(t, "8fce0005000000020000000052454d4201ffffff00000001"), []string{"bandwidth estimated 2"}, 0},
	} {
		s := newSession(Config{SSRC: 1})
		s.Receive(epoch, AppendSDES(AppendRR(nil, 2, nil), 2, "x"), nil) // a member
		got := events(s, epoch, c.b)
		if !slices.Equal(got, c.want) || s.stats.Malformed != c.malformed {
			t.Errorf("%s: %q, %d malformed; want %q", c.name, got, s.stats.Malformed, c.want)
		}
	}
}

// A request for a key frame goes out with the numbers that are missing, and by
// itself.
func TestKeyFrameFeedback(t *testing.T) {
	s := newSession(Config{SSRC: 1, CNAME: "a@b", ReducedSize: true, ClockRate: 90000})
	b, ok := s.AppendFeedback(nil, epoch, Feedback{Media: 2, KeyFrame: true, FullIntra: true, Request: 5, Lost: []uint16{8}})
	if !ok {
		t.Fatal("no feedback")
	}
	got, err := rtcp.Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	want := []rtcp.Packet{
		&rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: 2},
		&rtcp.FullIntraRequest{SenderSSRC: 1, FIR: []rtcp.FIREntry{{SSRC: 2, SequenceNumber: 5}}},
		&rtcp.TransportLayerNack{SenderSSRC: 1, MediaSSRC: 2, Nacks: []rtcp.NackPair{{PacketID: 8}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	at, _ := s.NextFeedback()
	if b, ok := s.AppendFeedback(nil, at, Feedback{Media: 2, KeyFrame: true}); !ok || len(b) != 12 {
		t.Errorf("%d bytes, %v", len(b), ok)
	}
}

func TestKeyFrameRequester(t *testing.T) {
	const ms = time.Millisecond
	var r KeyFrameRequester
	if !r.Next().IsZero() || r.Wanted() {
		t.Error("wants something from the beginning")
	}
	for _, c := range []struct {
		rtt  time.Duration
		want []time.Duration // from one request to the next
	}{
		{0, []time.Duration{200 * ms, 400 * ms, 800 * ms, 1000 * ms, 1000 * ms}},
		{10 * ms, []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1000 * ms}},
		{300 * ms, []time.Duration{450 * ms, 900 * ms, 1000 * ms}},
		{5 * time.Second, []time.Duration{1000 * ms, 1000 * ms}},
	} {
		now := epoch
		r.Want(now)
		for _, want := range c.want {
			if !r.Next().Equal(now) {
				t.Fatalf("%v: due %v late", c.rtt, r.Next().Sub(now))
			}
			r.Want(now) // changes nothing
			r.Asked(now, c.rtt)
			if got := r.Next().Sub(now); got != want {
				t.Errorf("round trip of %v: asks again after %v, want %v", c.rtt, got, want)
			}
			now = r.Next()
		}
		r.Arrived()
		if !r.Next().IsZero() {
			t.Error("asks for what has come")
		}
	}
	if r.Requests() != 15 {
		t.Errorf("%d requests", r.Requests())
	}
}

// A storm of requests, for ten seconds: one in each interval reaches the
// encoder, and so does the last one.
func TestKeyFrameLimiter(t *testing.T) {
	var l KeyFrameLimiter
	if !l.Next(epoch).IsZero() || l.Take(epoch) {
		t.Error("a request that nobody made")
	}
	taken := 0
	now := epoch
	for ; now.Sub(epoch) < 10*time.Second; now = now.Add(time.Millisecond) {
		l.Ask()
		if due := l.Next(now); due.After(now) == l.Take(now) {
			t.Fatal("taken when it was not due, or not when it was")
		} else if !due.After(now) {
			taken++
		}
	}
	if taken != 34 || l.Limited() != 10_000-34-1 {
		t.Errorf("%d reached the encoder, %d were limited", taken, l.Limited())
	}
	if at := l.Next(now); at.After(now.Add(300 * time.Millisecond)) {
		t.Errorf("the last request waits %v", at.Sub(now))
	}
	// A key frame that comes anyway is the answer.
	l.Sent(now)
	if !l.Next(now).IsZero() {
		t.Error("a request that was answered")
	}
	l.Ask()
	if l.Take(now.Add(299*time.Millisecond)) || !l.Take(now.Add(300*time.Millisecond)) {
		t.Error("the next one does not wait for the interval")
	}
}
