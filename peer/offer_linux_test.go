package peer_test

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-media/parley/peer"
)

// A machine that has no descriptors left is no fault of the offer, which may be good
// in a moment.
func TestOfferWithoutDescriptors(t *testing.T) {
	e := listen(t, nil)
	offer := recorded(t, "chromium")
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	next, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	n := next.Fd()
	next.Close()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(n), Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	_, _, err = e.Answer(t.Context(), offer, nil)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.EMFILE) || errors.Is(err, peer.ErrOffer) {
		t.Errorf("error %v, want that of the machine", err)
	}
	p, _, err := e.Answer(t.Context(), offer, nil)
	if err != nil {
		t.Fatal("with descriptors again:", err)
	}
	p.Close()
}
