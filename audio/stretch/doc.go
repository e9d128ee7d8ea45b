// Package stretch makes audio a little shorter or longer without changing its
// pitch: what a playout buffer does to lose or gain delay unheard.
//
//	s, err := stretch.New(8000, 1)
//	...
//	rest, removed := s.Compress(pcm, most, false) // removed samples per channel less
//	if removed == 0 {
//		// nothing there to remove unheard: play pcm as it is, try the next
//	}
//
// One call takes out one pitch period, or puts one in, by a cross-fade between
// two neighbouring periods as long as the period. It does so only where two such
// neighbours are alike, or where the audio is no louder than the background;
// anywhere else it leaves the audio alone and says so. It is exact to the
// sample: the caller can add up what was removed and inserted.
//
// Known limits: periods are 2.5 to 15 ms; music of several instruments is seldom
// periodic enough, and is left alone.
package stretch
