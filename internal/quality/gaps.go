package quality

import "github.com/parley-media/parley/internal/metric"

// gaps returns where something else was heard than what was sent, though before
// and after it the two are in step.
func (s *simulation) gaps() []metric.Gap {
	frame := s.format.Samples(s.config.PTime)
	step := func(i int) int { // by how much what is heard in frame i is before what was sent
		t := s.ticks[i]
		return s.format.Samples(t.place) - s.format.Samples(t.offset) - i*frame
	}
	var all []metric.Gap
	last := -1
	for i, t := range s.ticks {
		if !t.found {
			continue
		}
		if last >= 0 && i > last+1 && step(last) == step(i) {
			from, to, shift := (last+1)*frame, i*frame, step(i)
			for from < to && s.heard[from] == s.sent[from+shift] {
				from++
			}
			for from < to && s.heard[to-1] == s.sent[to-1+shift] {
				to--
			}
			if from < to {
				all = append(all, metric.Gap{Heard: from, Sent: from + shift, N: to - from})
			}
		}
		last = i
	}
	return all
}
