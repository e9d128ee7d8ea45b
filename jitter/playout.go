package jitter

import (
	"fmt"
	"time"
)

// An Action is what a playout does with the audio that is due.
type Action uint8

const (
	Play     Action = iota // as it is
	Stretch                // make it longer: playout is too close to the network
	Compress               // make it shorter: playout is further behind than it has to be
	Hurry                  // make it shorter as fast as can be borne
	Jump                   // leave out what is too much
)

// String returns the name of the action in lower case.
func (a Action) String() string {
	switch a {
	case Play:
		return "play"
	case Stretch:
		return "stretch"
	case Compress:
		return "compress"
	case Hurry:
		return "hurry"
	case Jump:
		return "jump"
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

const (
	// above is by how much a delay may be larger than it has to be without
	// anything being done about it. Less is not worth an artefact.
	above = 4 * time.Millisecond

	// hurryAbove is how far the delay is above its target when fewer artefacts
	// are worth less than being back in the conversation.
	hurryAbove = 35 * time.Millisecond

	// jumpAbove is how far it is above its target when audio is left out, and
	// jumpTo to where.
	jumpAbove = 450 * time.Millisecond
	jumpTo    = 250 * time.Millisecond

	// tolerance is how much closer than the target playout may be. The target
	// is rounded up by more.
	tolerance = 2 * time.Millisecond
)

// Decide returns what to do about a playout, and how much it should gain or lose
// of its delay.
//
// At each tick, a frame is given out, and a packet has to be there when the
// frame begins that has its first sample. So what counts is not the delay, but
// the delay less spare, which is how much later in the frame that sample is; it
// is only changed by whole ticks. The best delay is the least one for which that
// is not below the target.
func Decide(delay, spare, target, tick time.Duration) (Action, time.Duration) {
	need := target - tolerance
	have := delay - spare
	best := have
	switch {
	case have < need:
		best += (need - have + tick - 1) / tick * tick
	case have >= need+tick:
		best -= (have - need) / tick * tick
	}
	switch over := delay - best; {
	case over > jumpAbove:
		return Jump, over - jumpTo
	case over > hurryAbove:
		return Hurry, over
	case over > above:
		return Compress, over
	case over < 0:
		return Stretch, -over
	}
	return Play, 0
}
