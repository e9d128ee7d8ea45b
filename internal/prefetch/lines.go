//go:build amd64 || arm64

package prefetch

// lines asks for n lines, at least one, from an address on. It never faults.
func lines(at, n uintptr)
