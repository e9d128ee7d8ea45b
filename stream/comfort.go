package stream

import (
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/payload"
)

// comfortNoise is the noise that the sender has described for a pause (RFC
// 3389), or has only announced (Opus DTX).
type comfortNoise struct {
	on        bool // since the packet played last, until media returns
	described bool // by a comfort noise packet, not by the background
	begins    bool // nothing of what is described was given out yet
	rate      int
	generator *payload.NoiseGenerator
}

// set begins or changes the noise. A malformed payload changes nothing.
func (n *comfortNoise) set(p []byte, f audio.Format) bool {
	cn, err := payload.ParseCN(p)
	if err != nil {
		return false
	}
	if n.generator == nil || n.rate != f.Rate {
		g, err := payload.NewNoiseGenerator(f.Rate, 1)
		if err != nil {
			return false
		}
		n.generator, n.rate = g, f.Rate
	}
	n.generator.Set(cn)
	n.begins = n.begins || !n.on || !n.described
	n.on, n.described = true, true
	return true
}

// fill overwrites interleaved samples with noise.
func (n *comfortNoise) fill(pcm []int16, f audio.Format) {
	if n.rate != f.Rate {
		clear(pcm)
		return
	}
	if f.Channels == 1 {
		n.generator.Fill(pcm)
		return
	}
	n.generator.Fill(pcm[:len(pcm)/f.Channels])
	for i := len(pcm) - 1; i >= 0; i-- { // from the end, so that none is read after its change
		pcm[i] = pcm[i/f.Channels]
	}
}
