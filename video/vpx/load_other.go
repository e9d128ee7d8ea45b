//go:build !unix

package vpx

import "errors"

// The structures of layout.go are those of systems where a long of C has 64
// bits.

func open(string) (uintptr, error) { return 0, errors.ErrUnsupported }

func symbolOf(uintptr, string) (uintptr, error) { return 0, errors.ErrUnsupported }
