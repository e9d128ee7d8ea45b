package file

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
)

// A pipe is refused before it is opened, which would wait until somebody writes, and
// before anything is taken out of it.
func TestOpenRefusesPipe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "film.webm")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	// Both ends are open and there is enough to read, so that nothing waits here.
	pipe, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if _, err := pipe.Write(make([]byte, 1024)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), name); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Open: %v", err)
	}
	if _, err := OpenPlayable(t.Context(), name); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("OpenPlayable: %v", err)
	}
	if _, err := OpenPlayer(t.Context(), name, PlayerConfig{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("OpenPlayer: %v", err)
	}
}

// Whoever writes to a file does not wait for the disk, as nobody reads this pipe before
// all is written.
func TestCreatedFilesDoNotWaitForTheDisk(t *testing.T) {
	stereo := audio.Format{Rate: 48000, Channels: 2}
	for ext, write := range map[string]func(name string) io.Closer{
		".wav": func(name string) io.Closer {
			w, err := CreateWAV(name, stereo)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.WriteSilence(3 * time.Second); err != nil {
				t.Error(err)
			}
			return w
		},
		".h264": func(name string) io.Closer {
			w, err := Create(name, Track{Codec: H264})
			if err != nil {
				t.Fatal(err)
			}
			picture := append([]byte{0, 0, 0, 1, 0x65}, make([]byte, 4000)...)
			for n := range 144 {
				p := Packet{Time: time.Duration(n) * 40 * time.Millisecond, Key: true, Data: picture}
				if err := w.WritePacket(&p); err != nil {
					t.Error(err)
				}
			}
			return w
		},
	} {
		t.Run(ext, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "slow"+ext)
			if err := syscall.Mkfifo(name, 0o600); err != nil {
				t.Fatal(err)
			}
			in, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			w := write(name)
			closed := make(chan error)
			go func() { closed <- w.Close() }()
			b, err := io.ReadAll(in)
			if err := errors.Join(err, <-closed); err != nil || len(b) < 570_000 {
				t.Errorf("%d bytes are in the file, %v", len(b), err)
			}
		})
	}
}

// What has no place for its beginning is no file.
func TestCreateWAVOnAFullDisk(t *testing.T) {
	if _, err := CreateWAV("/dev/full", audio.Format{Rate: 8000, Channels: 1}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("created: %v", err)
	}
}
