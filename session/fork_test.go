package session

import (
	"testing"

	"github.com/parley-media/parley/codec"
)

// Who has called may hear of several far ends, and who was called has one, whoever offers
// later, and be it a medium that the first agreement turned down.
func TestForks(t *testing.T) {
	config := func(film bool) Config {
		c := Config{Audio: &AudioConfig{}}
		if film {
			c.Video = &VideoConfig{Codecs: []codec.Params{vp8}}
		}
		return c
	}
	describe := func(s *Session) *Description {
		t.Helper()
		d, err := s.Describe()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	caller, callee := open(t, config(true)), open(t, config(true))
	exchange := func(from, to *Session, film bool) {
		t.Helper()
		offer := describe(from)
		if !film {
			offer.Video = nil
		}
		answer, heard, err := Answer(offer, describe(to))
		if err != nil {
			t.Fatal(err)
		}
		agreed, err := Agree(offer, answer)
		if err != nil {
			t.Fatal(err)
		}
		if err := from.Update(agreed); err != nil {
			t.Fatal(err)
		}
		if err := to.Update(heard); err != nil {
			t.Fatal(err)
		}
		for i, l := range []*leg{caller.leg, caller.video, callee.leg, callee.video} {
			if want := i < 2; l.Forks() != want {
				t.Errorf("leg %d: %v, want %v", i, l.Forks(), want)
			}
		}
	}
	exchange(caller, callee, false)
	exchange(callee, caller, true)
	exchange(caller, callee, true)
}
