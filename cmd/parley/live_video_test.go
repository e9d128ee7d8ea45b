//go:build interop && soak

package main

import (
	"testing"
	"time"
)

// TestLiveFlashAndBeep plays films of five minutes.
func TestLiveFlashAndBeep(t *testing.T) {
	const d = 5 * time.Minute
	for _, c := range films {
		t.Run(c.name, func(t *testing.T) {
			parallel(t)
			inSync(t, flashes(t, c.in, d, c.encode...), c.codec, c.out, d, c.send...)
		})
	}
}
