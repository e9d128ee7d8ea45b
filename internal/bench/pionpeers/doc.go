// Package pionpeers is what "parley bench peers" measures the peer package beside:
// plain pion/webrtc that forwards, and far ends of plain pion that stand for
// browsers and are the same for all that is measured.
//
// It is the one package besides peer that imports pion/webrtc, and nothing but the
// bench and its command may import it.
package pionpeers
