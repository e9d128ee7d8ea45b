package stream

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/internal/metric"
)

// chord is a tone of three partials at 8 kHz whose pitch goes up slowly, and a softer
// one in a second channel.
func chord(n, channels int) []int16 {
	pcm := make([]int16, 0, n*channels)
	for i := range n {
		at := float64(i) / 8000
		for c := range channels {
			pitch := 150 + 5*at
			var v float64
			for k := 1; k <= 3; k++ {
				v += math.Sin(2*math.Pi*float64(k)*pitch*at) / float64(k)
			}
			pcm = append(pcm, int16(6000/float64(c+1)*v))
		}
	}
	return pcm
}

// played sends pcm in packets of the given length, each to be pulled 200 ms after it was
// sent, but for those that are lost. It returns what was heard from the time of the first
// packet on, and the kinds of the frames.
func played(t *testing.T, pcm []int16, channels int, packet time.Duration, lost func(n int) bool) (heard []int16, kinds []audio.Kind, s ReceiverStats) {
	t.Helper()
	r, err := NewAudioReceiver(ReceiverConfig{
		Playout: Fixed, MinDelay: 200 * ms,
		Codecs: []codec.Params{{Name: "L16", PayloadType: 96, ClockRate: 8000, Channels: channels}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var f audio.Frame
	each := 8 * int(packet/ms)
	begin, size := time.Now(), each*channels
	for n := range len(pcm)/size + int(200*ms/packet) {
		now := begin.Add(time.Duration(n) * packet)
		if n < len(pcm)/size && !lost(n) {
			p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SSRC: 1, SequenceNumber: uint16(n), Timestamp: uint32(each * n)}}
			for _, v := range pcm[n*size:][:size] {
				p.Payload = binary.BigEndian.AppendUint16(p.Payload, uint16(v))
			}
			r.Push(now, &p)
		}
		for next := r.Next(); !next.IsZero() && !next.After(now); next = r.Next() {
			if !r.Pull(next, &f) {
				t.Fatal("no frame at its time")
			}
			heard, kinds = append(heard, f.Samples...), append(kinds, f.Kind)
		}
	}
	r.Stats(&s)
	return heard, kinds, s
}

// channel returns one of the channels of pcm.
func channel(pcm []int16, c, channels int) (one []int16) {
	for i := c; i < len(pcm); i += channels {
		one = append(one, pcm[i])
	}
	return one
}

// A gap is filled with what is like the sound around it, in each channel: with the
// packet after it from both sides, which keeps in phase with a pitch that moves, and
// without one from before it. Neither begins nor ends with a click.
func TestGapsAreFilled(t *testing.T) {
	for _, tt := range []struct {
		name     string
		from, to int     // of the packets that are lost
		snr, max float64 // dB
	}{
		{"one packet", 30, 31, 25, 35},
		{"100 ms", 30, 35, 15, 25},
		{"120 ms", 30, 36, 5, 14}, // at first from one side
	} {
		for channels := 1; channels <= 2; channels++ {
			pcm := chord(50*160, channels)
			lost := func(n int) bool { return n >= tt.from && n < tt.to }
			heard, kinds, s := played(t, pcm, channels, 20*ms, lost)
			if len(heard) != len(pcm) || s.Concealed != time.Duration(tt.to-tt.from)*20*ms {
				t.Fatalf("%s, %d channels: %d samples of %d, %v concealed", tt.name, channels, len(heard), len(pcm), s.Concealed)
			}
			for n, kind := range kinds {
				if lost(n) != (kind == audio.Concealed) {
					t.Errorf("%s, %d channels: frame %d is %v", tt.name, channels, n, kind)
				}
			}
			for c := range channels {
				gap := metric.Gap{Heard: 160 * tt.from, Sent: 160 * tt.from, N: 160 * (tt.to - tt.from)}
				m := metric.Compare(channel(pcm, c, channels), channel(heard, c, channels), 8000, []metric.Gap{gap})
				t.Logf("%s, channel %d of %d: %+v", tt.name, c+1, channels, m)
				if m.SegSNR < tt.snr || m.SegSNR > tt.max || m.Clicks > 0 {
					t.Errorf("%s, channel %d of %d: %+v", tt.name, c+1, channels, m)
				}
			}
		}
	}
}

// Packets that are shorter than a frame are bridged to as long ones are, and to lose some
// of them moves nothing of what follows.
func TestGapsOfShortPackets(t *testing.T) {
	pcm := chord(50*160, 1)
	for _, ptime := range []time.Duration{5 * ms, 10 * ms} {
		for from := range 4 { // of the packets of a frame
			first, size := int(600*ms/ptime)+from, 8*int(ptime/ms)
			heard, _, s := played(t, pcm, 1, ptime, func(n int) bool { return n >= first && n < first+int(40*ms/ptime) })
			if len(heard) != len(pcm) || s.Stretched != 0 || s.Compressed != 0 || s.Concealed != 40*ms || s.Delay.Round(ms) != 200*ms {
				t.Errorf("%v: %d samples of %d, %+v", ptime, len(heard), len(pcm), s)
				continue
			}
			m := metric.Compare(pcm, heard, 8000, []metric.Gap{{Heard: size * first, Sent: size * first, N: 320}})
			t.Logf("%v, from packet %d of a frame: %+v", ptime, from+1, m)
			if m.SegSNR < 25 || m.Clicks > 0 {
				t.Errorf("%v: %+v", ptime, m)
			}
		}
	}
}

// rms returns the root mean square of pcm.
func rms(pcm []int16) float64 {
	var sum float64
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(len(pcm)))
}

// steepest returns the largest step between neighbouring samples.
func steepest(pcm []int16) (most int) {
	for i := 1; i < len(pcm); i++ {
		most = max(most, abs(int(pcm[i])-int(pcm[i-1])))
	}
	return most
}

// When packets stop, what was heard goes on for a moment and fades; when they come after
// all, they follow without a click, in any of which nothing is lost.
func TestStandstillIsFilled(t *testing.T) {
	pcm := chord(60*160, 1)
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	var heard []int16
	var frame audio.Frame
	for n := range 63 {
		at := time.Duration(n) * 20 * ms
		if n < 60 {
			p := f.packet(n, 160)
			for i, v := range pcm[160*n:][:160] {
				binary.BigEndian.PutUint16(p.Payload[2*i:], uint16(v))
			}
			if n >= 30 {
				at += 160 * ms // from here on they come late
			}
			for next := f.r.Next(); !next.IsZero() && !next.After(f.begin.Add(at)); next = f.r.Next() {
				f.r.Pull(next, &frame)
				heard = append(heard, frame.Samples...)
			}
			f.push(at, p)
		}
	}
	if s := f.stats(); s.Lost != 0 || s.Discarded != 0 {
		t.Errorf("%+v", s)
	}
	gap := heard[30*160:][:800]
	first, last := rms(gap[:160]), rms(gap[640:])
	if full := rms(pcm); first < full/2 || last > full/5 {
		t.Errorf("level %.0f, then %.0f and at last %.0f", full, first, last)
	}
	if most, was := steepest(heard), steepest(pcm); most > was*5/4 {
		t.Errorf("steps of %d, where those of what was sent are %d at most", most, was)
	}
}

// mending is a decoder that conceals losses itself. A payload is the sample of its 20 ms
// and that of the packet before, if it has a copy of that.
type mending struct {
	last  int16
	calls []string
}

func (m *mending) Decode(dst []int16, payload []byte) ([]int16, error) {
	m.last = int16(payload[0])
	m.calls = append(m.calls, fmt.Sprint(m.last))
	return fill(dst, m.last, 160), nil
}

func (m *mending) Conceal(dst []int16, n int) ([]int16, error) {
	m.calls = append(m.calls, fmt.Sprint("conceal ", n))
	return fill(dst, m.last+100, n), nil
}

func (m *mending) DecodeFEC(dst []int16, payload []byte, n int) ([]int16, bool) {
	if payload[1] == 0 {
		return dst, false
	}
	m.calls = append(m.calls, fmt.Sprint("copy ", n))
	return fill(dst, int16(payload[1])+50, n), true
}

func fill(dst []int16, v int16, n int) []int16 {
	for range n {
		dst = append(dst, v)
	}
	return dst
}

// A codec that conceals losses itself goes through each gap, so that what it decodes
// next fits, and is heard where nothing comes. A copy of the last packet of a gap is
// heard in its place, and what is before that is bridged to it.
func TestCodecThatMends(t *testing.T) {
	const media, made = audio.Media, audio.Concealed
	for _, tt := range []struct {
		name      string
		lost      func(n int) bool
		copies    bool
		late      time.Duration // by which packets are, from the seventh on
		calls     string        // behind those for the first four packets, up to packet 7
		kinds     []audio.Kind  // of frames 4 to 7
		recovered int64
		values    map[int]int16 // all samples of a frame
	}{
		{
			name: "one, without a copy", lost: func(n int) bool { return n == 4 },
			calls: "conceal 160, 6, 7, 8", kinds: []audio.Kind{made, media, media, media},
		},
		{
			name: "two, without a copy", lost: func(n int) bool { return n == 4 || n == 5 },
			calls: "conceal 160, conceal 160, 7, 8", kinds: []audio.Kind{made, made, media, media},
		},
		{
			name: "one, with a copy", lost: func(n int) bool { return n == 4 }, copies: true,
			calls: "copy 160, 6, 7, 8", kinds: []audio.Kind{media, media, media, media},
			recovered: 1, values: map[int]int16{3: 4, 4: 55, 5: 6},
		},
		{
			name: "two, with a copy", lost: func(n int) bool { return n == 4 || n == 5 }, copies: true,
			calls: "conceal 160, copy 160, 7, 8", kinds: []audio.Kind{made, media, media, media},
			recovered: 1, values: map[int]int16{3: 4, 5: 56, 6: 7},
		},
		{
			name: "seven, with a copy", lost: func(n int) bool { return n >= 4 && n < 11 }, copies: true,
			// From one side at first, until so much is left as is bridged.
			calls: "conceal 160, conceal 160, conceal 640, copy 160, 12, 13", kinds: []audio.Kind{made, made, made, made},
			recovered: 1, values: map[int]int16{3: 4, 4: 104, 5: 104, 10: 61, 11: 12},
		},
		{
			name: "thirteen, with a copy", lost: func(n int) bool { return n >= 4 && n < 17 }, copies: true,
			// Behind what sounds like a pause by then.
			calls: strings.Repeat("conceal 160, ", 6) + "copy 160, 18, 19", kinds: []audio.Kind{made, made, made, made},
			recovered: 1, values: map[int]int16{3: 4, 4: 104, 17: 18},
		},
		{
			name: "nothing comes", lost: func(n int) bool { return false }, late: 90 * ms,
			calls: "5, 6, conceal 160, conceal 160, 7, 8", kinds: []audio.Kind{media, media, made, made},
			values: map[int]int16{4: 5, 5: 6, 6: 106, 7: 106},
		},
	} {
		d := new(mending)
		codec.Register(codec.Codec{
			Name:       "test-mends",
			Format:     func(codec.Params) (audio.Format, error) { return audio.Format{Rate: 8000, Channels: 1}, nil },
			NewDecoder: func(codec.Params) (codec.Decoder, error) { return d, nil },
		})
		f := newFar(t, ReceiverConfig{Playout: Fixed, MinDelay: 200 * ms, Codecs: []codec.Params{{Name: "test-mends", PayloadType: 96, ClockRate: 8000}}})
		if tt.late > 0 {
			f = newFar(t, ReceiverConfig{Playout: Fixed, Codecs: []codec.Params{{Name: "test-mends", PayloadType: 96, ClockRate: 8000}}})
		}
		var frames []audio.Frame
		for n := range 30 {
			at := time.Duration(n) * 20 * ms
			if n >= 6 {
				at += tt.late
			}
			for next := f.r.Next(); !next.IsZero() && !next.After(f.begin.Add(at)); next = f.r.Next() {
				var frame audio.Frame
				f.r.Pull(next, &frame)
				frames = append(frames, frame)
			}
			p := f.packet(n, 160)
			p.Payload = []byte{byte(n + 1), 0}
			if tt.copies {
				p.Payload[1] = byte(n)
			}
			if !tt.lost(n) {
				f.push(at, p)
			}
		}
		if calls := strings.Join(d.calls, ", "); !strings.HasPrefix(calls, "1, 2, 3, 4, "+tt.calls+", ") {
			t.Errorf("%s: calls %s", tt.name, calls)
		}
		for i, kind := range tt.kinds {
			if got := frames[4+i].Kind; got != kind {
				t.Errorf("%s: frame %d is %v, not %v", tt.name, 4+i, got, kind)
			}
		}
		for i, v := range tt.values {
			if got := describe(&audio.Frame{Samples: frames[i].Samples}); got != fmt.Sprint(v) {
				t.Errorf("%s: frame %d is %s, not %d", tt.name, i, got, v)
			}
		}
		if s := f.stats(); s.Recovered != tt.recovered {
			t.Errorf("%s: %d recovered", tt.name, s.Recovered)
		}
	}
}

// A pause sounds like the quietest that was heard before it, or, if the sender says how
// (RFC 3389), as loud as that.
func TestPausesAreNotDead(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	hiss := make([]int16, 100*160) // 2 s at 200
	for i := range hiss {
		hiss[i] = int16(200 * random.NormFloat64())
	}
	for _, described := range []bool{false, true} {
		f := newFar(t, ReceiverConfig{Playout: Fixed, Codecs: []codec.Params{l16, {Name: "CN", PayloadType: 13, ClockRate: 8000}}})
		var frames []audio.Frame
		numbers := 0
		for n := range 250 {
			at := time.Duration(n) * 20 * ms
			p := f.packet(n, 160)
			p.SequenceNumber = f.seq + uint16(numbers)
			switch {
			case n < 100, n >= 200:
				for i, v := range hiss[n%100*160:][:160] {
					binary.BigEndian.PutUint16(p.Payload[2*i:], uint16(v))
				}
				p.Marker = n == 200
			case n == 100 && described:
				p.PayloadType, p.Payload = 13, []byte{30} // dBov below the loudest, which is 32768
			default:
				p = nil
			}
			if p != nil {
				f.push(at, p)
				numbers++
			}
			for next := f.r.Next(); !next.IsZero() && !next.After(f.begin.Add(at)); next = f.r.Next() {
				var frame audio.Frame
				f.r.Pull(next, &frame)
				frames = append(frames, frame)
			}
		}
		kind, least, most := audio.Silence, 80., 220.
		if described {
			kind, least, most = audio.Noise, 900, 1200
		}
		var pause []int16
		for n, frame := range frames[120:190] { // from 400 ms after the last media on
			pause = append(pause, frame.Samples...)
			if frame.Kind != kind {
				t.Errorf("described: %v; frame %d is %v", described, n+120, frame.Kind)
			}
		}
		if level := rms(pause); level < least || level > most {
			t.Errorf("described: %v; a level of %.0f, not %.0f to %.0f", described, level, least, most)
		} else {
			t.Logf("described: %v; a level of %.0f", described, level)
		}
	}
}

// Comfort noise that a sender describes begins without a click, also where the sound
// stopped in the midst of a tone.
func TestComfortNoiseBeginsSmoothly(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed, Codecs: []codec.Params{l16, {Name: "CN", PayloadType: 13, ClockRate: 8000}}})
	var heard []int16
	for n := range 40 {
		at := time.Duration(n) * 20 * ms
		switch p := f.packet(n, 160); {
		case n < 20:
			for i := range 160 {
				v := 8000 * math.Cos(2*math.Pi*200*float64(160*n+i)/8000)
				binary.BigEndian.PutUint16(p.Payload[2*i:], uint16(int16(v)))
			}
			f.push(at, p)
		case n == 20:
			p.PayloadType, p.Payload = 13, []byte{60}
			f.push(at, p)
		}
		for next := f.r.Next(); !next.IsZero() && !next.After(f.begin.Add(at)); next = f.r.Next() {
			var frame audio.Frame
			f.r.Pull(next, &frame)
			heard = append(heard, frame.Samples...)
		}
	}
	most := 0
	for i := 1; i < len(heard); i++ {
		d := int(heard[i]) - int(heard[i-1])
		most = max(most, d, -d)
	}
	if most > 2000 { // the tone itself has 1257
		t.Errorf("a step of %d", most)
	}
	if level := rms(heard[len(heard)-1600:]); level < 20 || level > 50 {
		t.Errorf("a level of %.0f in the pause", level)
	}
}
