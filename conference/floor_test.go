package conference

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
)

// Who is on hold shows nothing, even if pictures still come, and does when they are
// heard again, of whatever source.
func TestWhoFilms(t *testing.T) {
	vp8 := codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000}
	c, err := parley.New(parley.Config{Video: &parley.VideoConfig{Leg: nowhere{}, Send: vp8, Receive: []codec.Params{vp8}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m := &member{video: c.Video()}
	r := &Room{members: []*member{m}}
	h := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, Marker: true}, Payload: []byte{0x10, 1, 2, 3}}
	begin, at := time.Now(), time.Duration(0)
	for _, step := range []struct {
		direction parley.Direction
		ssrc      uint32
		films     bool
	}{{parley.SendRecv, 7, true}, {parley.SendOnly, 7, false}, {parley.SendRecv, 7, true}, {parley.SendRecv, 8, true}, {parley.SendOnly, 9, false}} {
		if err := c.Video().Update(&parley.VideoUpdate{Direction: step.direction}); err != nil {
			t.Fatal(err)
		}
		before := m.films
		for second := range 3 {
			for range 30 {
				at += time.Second / 30
				h.SSRC = step.ssrc
				h.SequenceNumber++
				h.Timestamp += 3000
				b, err := h.Marshal()
				if err != nil {
					t.Fatal(err)
				}
				c.Video().DeliverRTP(begin.Add(at), netip.AddrPort{}, b)
			}
			if r.lookLocked(at); second == 0 && before && !m.films {
				t.Errorf("direction %v, source %d: nothing is shown after a second", step.direction, step.ssrc)
			}
		}
		if m.films != step.films {
			t.Errorf("direction %v, source %d: films %v", step.direction, step.ssrc, m.films)
		}
	}
}

// The floor goes to who speaks, and from them to who is much louder for a while, but not
// within a second of having gone to somebody. Who has no pictures has no use for it, and
// when its member leaves it goes back to the one before.
func TestFloor(t *testing.T) {
	const aloud = 1e6
	var f floor
	a, b, phone := &member{films: true}, &member{films: true}, &member{}
	members := []*member{phone, a, b}
	at := time.Duration(0)
	talk := func(d time.Duration, powers map[*member]float64) {
		for end := at + d; at < end; at += tick {
			for m, p := range powers {
				m.power = p
			}
			f.step(members, at)
		}
	}
	expect := func(what string, speaker, last *member) {
		t.Helper()
		if f.speaker != speaker || f.last != last {
			t.Fatalf("%s: phone, a and b are %p, speaker %p, last %p", what, members, f.speaker, f.last)
		}
	}
	talk(time.Second, map[*member]float64{a: quiet * .9, phone: aloud})
	expect("noise, and a telephone", nil, nil)
	talk(tick, map[*member]float64{a: aloud})
	expect("a begins", a, nil)
	talk(time.Second-tick, map[*member]float64{b: aloud})
	expect("b interrupts", a, nil)
	talk(tick, map[*member]float64{b: aloud})
	expect("b interrupts for a second", b, a)
	talk(2*time.Second, map[*member]float64{a: louder * .99 * aloud, b: aloud})
	expect("a is hardly louder", b, a)
	talk(2*time.Second, nil)
	expect("nobody speaks", b, a)
	talk(200*time.Millisecond, map[*member]float64{a: aloud, b: aloud / 10})
	expect("a answers", a, b)
	a.films, b.films = false, false
	talk(time.Second, map[*member]float64{a: aloud})
	expect("nobody has pictures", a, b)
	f.left(b)
	expect("b leaves, who spoke before", a, nil)
	f.last = b
	f.left(phone)
	expect("a telephone leaves", a, b)
	f.left(a)
	expect("the speaker leaves", b, nil)
	f.left(b)
	expect("all have left", nil, nil)
}

// Where not all fit on the screens of a member, the speaker comes first, and then who
// spoke before.
func TestShown(t *testing.T) {
	vp8 := codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000}
	c, err := parley.New(parley.Config{Video: &parley.VideoConfig{Leg: nowhere{}, Send: vp8, Receive: []codec.Params{vp8}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var all []*member
	for range 6 {
		all = append(all, &member{films: true, codec: "VP8", shift: time.Duration(len(all))})
	}
	all[1].films = false
	all[2].codec = "VP9"
	r := &Room{members: all}
	for _, tt := range []struct {
		speaker, last *member
		screens       int
		want          []*member
	}{
		{nil, nil, 2, []*member{all[3], all[4]}},
		{all[5], nil, 2, []*member{all[5], all[3]}},
		{all[4], all[5], 2, []*member{all[4], all[5]}},
		{all[0], all[5], 2, []*member{all[5], all[3]}},              // they do not see themselves
		{all[5], all[4], 4, []*member{all[3], all[4], all[5], nil}}, // all fit
	} {
		r.floor = floor{speaker: tt.speaker, last: tt.last}
		for i, want := range tt.want {
			got, shift := r.shown(all[0], c.Video(), i, tt.screens)
			if got != want || got != nil && shift != got.shift {
				t.Errorf("%v: screen %d shows %v", tt, i, got)
			}
		}
	}
}

// The times of a member stay what they are in those of the room while what it says piles
// up before the mixer, so that its pictures stay together with its sound.
func TestTimesOfAMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := newRoom(), newCall(t) // whose clock stands still
		m := r.add(c)
		defer r.remove(m)
		listened := make(chan error)
		go func() { listened <- r.listen(m) }()
		sound := make([]byte, 2*rate/50) // 20 ms of L16
		var first time.Duration
		for n := range 5 {
			p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 97, SSRC: 1, SequenceNumber: uint16(n), Timestamp: uint32(n * rate / 50)}, Payload: sound}
			b, err := p.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			c.Audio().DeliverRTP(time.Now(), netip.AddrPort{}, b)
			time.Sleep(20 * time.Millisecond)
			synctest.Wait()
			r.mu.Lock()
			if first == 0 {
				first = m.shift
			}
			if m.shift != first {
				t.Errorf("after %v in the queue: %v, and %v at first", m.input.Queued(), m.shift, first)
			}
			if n == 4 && m.input.Queued() < 60*time.Millisecond {
				t.Errorf("%v in the queue", m.input.Queued())
			}
			r.mu.Unlock()
		}
		c.Close()
		<-listened
	})
}
