package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	// ffmpegPatience is how long the output of a process that is to end may stay
	// open.
	ffmpegPatience = 2 * time.Second

	// maxComplaint is how much is kept of what the program says last.
	maxComplaint = 512
)

// An FFmpegReader reads the packets of a file that the ffmpeg program takes
// apart: MP4, MPEG-TS, AVI, WAV, MP3, FLAC and whatever else it knows. Pictures are passed
// over whose codec is not one of [WebMReader]'s, and sound of such a codec is decoded to
// PCM of one or two channels. All else is as it was coded. Of AVI, which does not tell
// when pictures are shown, the times are in the order in which they are decoded.
//
// The program may read other local files that the named one refers to, such as
// the parts of a playlist, but nothing from the network. Files that strangers
// hand in are better read by the other readers of this package, or the program
// be kept in a sandbox.
type FFmpegReader struct {
	webm *WebMReader
	name string
	cmd  *exec.Cmd
	stop context.CancelFunc
	gone func() error // why the caller's context ended
	said complaint
	done bool // the process has ended
	err  error
}

// OpenFFmpeg starts the ffmpeg program, which has to be in one of the folders of
// PATH, to read the named file. The process ends with ctx, or [FFmpegReader.Close],
// which must be called.
//
// The error wraps [exec.ErrNotFound] if there is no such program, and
// [errors.ErrUnsupported] if the file has no track of a known codec. For a file
// that the program cannot read, it has what the program says.
func OpenFFmpeg(ctx context.Context, name string) (*FFmpegReader, error) {
	return openFFmpeg(ctx, name, false)
}

// openFFmpeg has sound decoded that is not known, and to play also what no call takes.
func openFFmpeg(ctx context.Context, name string, play bool) (*FFmpegReader, error) {
	program, err := exec.LookPath("ffmpeg")
	if err != nil {
		return nil, fmt.Errorf("%s: this kind of file is read by the ffmpeg program: %w", name, err)
	}
	// A name with a colon, or with a dash, would mean something else.
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	r, sound, err := startFFmpeg(ctx, program, path, name)
	var args []string
	for i, t := range sound {
		if t.Codec == "" || play && !t.playable() {
			args = append(args, fmt.Sprintf("-c:a:%d", i), "pcm_s16le", fmt.Sprintf("-filter:a:%d", i), oneOrTwo)
		}
	}
	if sound == nil && err != nil && !errors.Is(err, errors.ErrUnsupported) { // it may be what Matroska has no place for
		args = []string{"-c:a", "pcm_s16le", "-filter:a", oneOrTwo}
	}
	if len(args) == 0 || ctx.Err() != nil {
		return r, err
	}
	if r != nil {
		r.Close()
	}
	r, _, err = startFFmpeg(ctx, program, path, name, args...)
	return r, err
}

// oneOrTwo is a filter that makes two channels of more.
const oneOrTwo = "aformat=channel_layouts=mono|stereo"

// startFFmpeg starts the program with some more arguments. What it returns of the sound
// is known even after an error.
func startFFmpeg(ctx context.Context, program, path, name string, more ...string) (*FFmpegReader, []Track, error) {
	gone := ctx.Err
	ctx, stop := context.WithCancel(ctx)
	r := &FFmpegReader{name: name, stop: stop, gone: gone}
	args := append([]string{
		"-nostdin", "-hide_banner", "-loglevel", "error",
		"-fflags", "+genpts", // AVI does not tell when pictures are shown, and Matroska has to
		"-protocol_whitelist", "file,pipe", "-i", "file:" + path,
		"-map", "0:V?", "-map", "0:a?", "-c", "copy",
	}, more...)
	r.cmd = exec.CommandContext(ctx, program, append(args, "-f", "matroska", "pipe:1")...)
	r.cmd.Stderr = &r.said
	r.cmd.WaitDelay = ffmpegPatience
	out, err := r.cmd.StdoutPipe()
	if err == nil {
		err = r.cmd.Start()
	}
	if err != nil {
		stop()
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	r.webm = newWebMReader(out)
	if err := r.webm.begin(); err != nil {
		return nil, r.webm.sound, fmt.Errorf("%s: %w", name, r.end(err))
	}
	return r, r.webm.sound, nil
}

// end waits for the process, which it stops if the error of reading was not that
// there is no more. That error or, if it tells more, the one of the process is
// what it returns.
func (r *FFmpegReader) end(reading error) error {
	if r.done {
		return reading
	}
	r.done = true
	own := reading == io.EOF || errors.Is(reading, io.ErrUnexpectedEOF)
	if !own {
		r.stop()
	}
	err := r.cmd.Wait()
	r.stop()
	switch text := bytes.TrimSpace(r.said.text); {
	case err == nil || !own:
		return reading
	case r.gone() != nil:
		return r.gone()
	case len(text) > 0:
		return fmt.Errorf("ffmpeg: %w: %s", err, text)
	}
	return fmt.Errorf("ffmpeg: %w", err)
}

// Tracks returns the tracks that can be read.
func (r *FFmpegReader) Tracks() []Track { return r.webm.Tracks() }

// ReadPacket fills p with the next packet. The error is [io.EOF] only if the
// program read the file to its end. See [PacketReader].
func (r *FFmpegReader) ReadPacket(p *Packet) error {
	if r.err != nil {
		return r.err
	}
	err := r.webm.ReadPacket(p)
	if err == nil {
		return nil
	}
	if r.err = r.end(err); r.err != io.EOF {
		r.err = fmt.Errorf("%s: %w", r.name, r.err)
	}
	return r.err
}

// Close stops the program, if it runs, and waits for its end.
func (r *FFmpegReader) Close() error {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %w", r.name, os.ErrClosed)
	}
	r.end(os.ErrClosed)
	return nil
}

// A complaint keeps the end of what a program says.
type complaint struct{ text []byte }

func (c *complaint) Write(b []byte) (int, error) {
	c.text = append(c.text, b[max(len(b)-maxComplaint, 0):]...)
	c.text = append(c.text[:0], c.text[max(len(c.text)-maxComplaint, 0):]...)
	return len(b), nil
}
