package session

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-media/parley/codec"
)

// A picture that is sent at once has room in the socket, as far as the system allows.
func TestRoomForAPicture(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{Video: &VideoConfig{Codecs: []codec.Params{vp8}}})
	raw, err := s.video.pair.RTP.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var room int
	if e := raw.Control(func(fd uintptr) { room, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	if want := 2 * min(videoBuffer, most); room != want { // the system counts its own part too
		t.Errorf("room for %d bytes, want %d", room, want)
	}
}
