package file_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-media/parley/file"
)

// What Create writes Open reads, by what it finds and not by the name.
func TestCreateAndOpen(t *testing.T) {
	for _, c := range containers() {
		for _, ext := range map[string][]string{
			"VP8 in IVF": {".ivf"}, "VP9 in IVF": {".IVF"}, "Annex B": {".h264", ".264"}, "Opus in Ogg": {".ogg", ".opus"},
			"VP8 and Opus in WebM": {".webm"}, "H264 and PCM in Matroska": {".mkv"},
		}[c.name] {
			t.Run(c.name+ext, func(t *testing.T) {
				name := filepath.Join(t.TempDir(), "a"+ext)
				w, err := file.Create(name, c.tracks...)
				if err != nil {
					t.Fatal(err)
				}
				write(t, w, c.in)
				finish(t, w)
				finish(t, w)
				odd := filepath.Join(t.TempDir(), "-c:odd name.mp4")
				if err := os.Rename(name, odd); err != nil {
					t.Fatal(err)
				}
				r, err := file.Open(t.Context(), odd)
				if err != nil {
					t.Fatal(err)
				}
				got, err := readPackets(r)
				if err != nil {
					t.Fatal(err)
				}
				same(t, got, c.in, c.within)
				if err := r.Close(); err != nil {
					t.Error(err)
				}
				if err := r.Close(); err == nil {
					t.Error("the file was still open")
				}
			})
		}
	}
}

func TestCreateErrors(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept.mp4")
	if err := os.WriteFile(kept, text("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	vp8Track, h264Track := file.Track{Codec: file.VP8}, file.Track{Codec: file.H264}
	for _, tt := range []struct {
		name   string
		tracks []file.Track
		want   error
	}{
		{"kept.mp4", []file.Track{vp8Track}, errors.ErrUnsupported},
		{"kept.mp4", nil, file.ErrTrack},
		{"a.avi", []file.Track{vp8Track}, errors.ErrUnsupported},
		{"a", []file.Track{vp8Track}, errors.ErrUnsupported},
		{"a.ivf", []file.Track{vp8Track, vp8Track}, file.ErrTrack},
		{"a.ogg", nil, file.ErrTrack},
		{"no/a.mp4", []file.Track{h264Track}, fs.ErrNotExist},
	} {
		if _, err := file.Create(filepath.Join(dir, tt.name), tt.tracks...); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if b, err := os.ReadFile(kept); err != nil || string(b) != "precious" {
		t.Errorf("the file that was there is %q, %v", b, err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("files were made: %v, %v", all, err)
	}
}

// The error of a file that is broken tells which one it is.
func TestOpenBrokenFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "cut.ivf")
	w, err := file.Create(name, file.Track{Codec: file.VP8})
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, video(1, vp8))
	finish(t, w)
	info, err := os.Stat(name)
	if err == nil {
		err = os.Truncate(name, info.Size()-1)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := file.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var p file.Packet
	if err := r.ReadPacket(&p); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(err.Error(), name) {
		t.Errorf("%v", err)
	}
}

// Without the program the error says so.
func TestOpenWithoutFFmpeg(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	dir := t.TempDir()
	for _, content := range []string{"", "\x00\x00\x00\x18ftypmp42", "\x00\x00\x01\xBA", "\x00\x00\x00\x01\x40\x01", "RIFF"} {
		name := filepath.Join(dir, "a")
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if r, err := file.Open(t.Context(), name); !errors.Is(err, exec.ErrNotFound) || r != nil {
			t.Errorf("%q: %v, %v", content, r, err)
		}
	}
	for content, want := range map[string]error{
		"DKIF":             io.ErrUnexpectedEOF,
		"OggS":             io.ErrUnexpectedEOF,
		"\x1A\x45\xDF\xA3": io.ErrUnexpectedEOF,
	} {
		name := filepath.Join(dir, "b")
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if r, err := file.Open(t.Context(), name); !errors.Is(err, want) || r != nil {
			t.Errorf("%q: %v, %v, want %v", content, r, err, want)
		}
	}
	if _, err := file.Open(t.Context(), filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := file.Open(t.Context(), dir); err == nil {
		t.Error("a folder is opened")
	}
}
