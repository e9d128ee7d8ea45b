package payload

import (
	"fmt"
	"math"

	"github.com/parley-media/parley/codec"
)

// MaxCNOrder is how many reflection coefficients of a comfort noise payload are
// used. RFC 3389 section 3 leaves the order open, and allows a receiver to
// reduce it.
const MaxCNOrder = 12

// A CN is the content of a comfort noise payload (RFC 3389 section 3).
type CN struct {
	// Level is the mean power of the noise in -dBov, 0..127: 60 is 60 dB less
	// than a square wave of full scale.
	Level int

	// Order is how many coefficients describe the spectrum, 0..MaxCNOrder. 0 is
	// white noise.
	Order int

	// Reflection has the coefficients of the all-pole model, in Order of its
	// elements. A positive first one is a spectrum that rises with frequency:
	// the first one is -r1/r0 of the noise's autocorrelation.
	Reflection [MaxCNOrder]float64
}

// AppendCN appends to dst a comfort noise payload: the level in -dBov, limited
// to 0..127, and a byte for each of the first [MaxCNOrder] reflection
// coefficients, limited to what a byte can tell, which is ±0.99995. See [CN]
// for their sign. A coefficient that is not a number is sent as 0.
func AppendCN(dst []byte, level int, reflection []float64) []byte {
	dst = append(dst, byte(min(max(level, 0), 127)))
	for _, k := range reflection[:min(len(reflection), MaxCNOrder)] {
		if math.IsNaN(k) {
			k = 0
		}
		n := math.Round(min(max(k, -1), 1) * 32768 / 258)
		dst = append(dst, byte(127+min(max(n, -127), 127)))
	}
	return dst
}

// ParseCN reads a comfort noise payload. The top bit of the level, which a
// sender must leave 0, is ignored. So are coefficients beyond [MaxCNOrder], and
// those from the first on that has the reserved value 255.
//
// An empty payload is an error that wraps [codec.ErrPayload]: it has no level.
func ParseCN(payload []byte) (CN, error) {
	if len(payload) == 0 {
		return CN{}, fmt.Errorf("%w: comfort noise without a level", codec.ErrPayload)
	}
	cn := CN{Level: int(payload[0] & 0x7f)}
	for _, n := range payload[1:min(len(payload), 1+MaxCNOrder)] {
		if n == 255 {
			break
		}
		cn.Reflection[cn.Order] = 258 * float64(int(n)-127) / 32768
		cn.Order++
	}
	return cn, nil
}

// AppendTo appends the payload of cn to dst, as [AppendCN] does.
func (cn CN) AppendTo(dst []byte) []byte {
	return AppendCN(dst, cn.Level, cn.Reflection[:min(max(cn.Order, 0), MaxCNOrder)])
}
