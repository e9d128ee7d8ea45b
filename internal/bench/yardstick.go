package bench

import (
	"bufio"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed yardstick
var sources embed.FS

// A yardstick is a C program.
type yardstick struct {
	source    string // file in the folder yardstick
	libraries []library
}

type library struct{ file, debian string }

// A missing error says what a yardstick wants of the system.
type missing string

func (m missing) Error() string { return string(m) }

// unpack writes the sources of all yardsticks to dir.
func unpack(dir string) error {
	files, err := fs.Sub(sources, "yardstick")
	if err != nil {
		return err
	}
	return os.CopyFS(dir, files)
}

// compile builds y in dir, where the sources are, and returns the program.
func (y *yardstick) compile(ctx context.Context, dir string) (string, error) {
	const compiler = "a C compiler (Debian packages gcc and libc6-dev)"
	cc, err := exec.LookPath("cc")
	if err != nil {
		return "", missing(compiler)
	}
	program := filepath.Join(dir, strings.TrimSuffix(y.source, ".c"))
	args := []string{"-O2", "-o", program, filepath.Join(dir, y.source)}
	for _, l := range y.libraries {
		args = append(args, "-l:"+l.file)
	}
	cmd := exec.CommandContext(ctx, cc, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	text, err := cmd.CombinedOutput()
	if err == nil {
		return program, nil
	}
	for _, l := range y.libraries {
		if strings.Contains(string(text), l.file) {
			return "", missing(fmt.Sprintf("%s (Debian package %s)", l.file, l.debian))
		}
	}
	if strings.Contains(string(text), "stdio.h") {
		return "", missing(compiler)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return "", missing(fmt.Sprintf("a compiler that takes %s: %v: %s", y.source, err, first))
}

// A process is a running yardstick.
type process struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	replies *bufio.Scanner
	stderr  strings.Builder
}

func launch(ctx context.Context, program, input string, args []string) (*process, error) {
	return launchCommand(ctx, append([]string{program, input}, args...)...)
}

// launchCommand runs a program with its arguments.
func launchCommand(ctx context.Context, command ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, command[0], command[1:]...)}
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	p.replies = bufio.NewScanner(stdout)
	return p, p.cmd.Start()
}

// run does n frames, and returns the nanoseconds that each took and the checksum
// of the last one's output.
func (p *process) run(n int) (float64, uint32, error) {
	_, err := fmt.Fprintf(p.stdin, "run %d\n", n)
	if err == nil && p.replies.Scan() {
		return parseReply(p.replies.Text())
	}
	return 0, 0, errors.Join(err, p.replies.Err(), io.ErrUnexpectedEOF)
}

// parseReply reads what a yardstick answers: "9354.120 1b2c3d4e".
func parseReply(line string) (ns float64, sum uint32, err error) {
	n, err := fmt.Sscanf(line, "%f %x", &ns, &sum)
	if err == nil && !(ns > 0) {
		err = errors.New("no time has passed")
	}
	if err != nil || n != 2 {
		return 0, 0, fmt.Errorf("bench: a yardstick said %q: %w", line, err)
	}
	return ns, sum, nil
}

// stop ends the process, and returns what it complained about.
func (p *process) stop() string {
	p.stdin.Close()
	err := p.cmd.Wait()
	if text := strings.TrimSpace(p.stderr.String()); text != "" || err == nil {
		return text
	}
	return err.Error()
}
