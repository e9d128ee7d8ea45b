package session

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A child is a process of its own that runs a test of this program, so that what
// happens to it and what it holds is nobody else's.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.Writer
	lines chan string // what it says to its parent, closed at its end
	log   strings.Builder
}

const (
	childVariable = "PARLEY_TEST_CHILD"
	childMark     = "# " // before what is for the parent
)

// isChild reports whether this process was started by startChild for this test.
func isChild(t *testing.T) bool { return os.Getenv(childVariable) == t.Name() }

// startChild starts the present test in a process of its own.
func startChild(t *testing.T, environment ...string) *child {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, lines: make(chan string, 100)}
	c.cmd = exec.Command(program, "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.timeout=6m30s")
	c.cmd.Env = append(append(os.Environ(), childVariable+"="+t.Name()), environment...)
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.cmd.Stdout, c.cmd.Stderr = w, w
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() {
		defer out.Close()
		defer close(c.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			if said, ok := strings.CutPrefix(s.Text(), childMark); ok {
				c.lines <- said
			} else {
				c.log.WriteString(s.Text() + "\n")
			}
		}
	}()
	t.Cleanup(func() {
		c.cmd.Process.Kill() //nolint:errcheck // it has ended, if all is well
		for range c.lines {
		}
		c.cmd.Wait() //nolint:errcheck // end has looked
	})
	return c
}

// tell says a line to the child.
func (c *child) tell(line string) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		c.t.Fatal(err)
	}
}

// said returns the next line of the child that begins with a word, without it.
func (c *child) said(word string) string {
	c.t.Helper()
	select {
	case line, ok := <-c.lines:
		rest, found := strings.CutPrefix(line, word+" ")
		if !ok || !found {
			c.t.Fatalf("the child says %q, want %q\n%s", line, word, c.log.String())
		}
		return rest
	case <-time.After(7 * time.Minute): // no test of a child is longer
		c.cmd.Process.Kill() //nolint:errcheck // it may have ended now
		for range c.lines {
		}
		c.t.Fatalf("the child does not say %q\n%s", word, c.log.String())
	}
	return ""
}

// end waits for the end of the child, which has to be a good one.
func (c *child) end() {
	c.t.Helper()
	for range c.lines {
	}
	if err := c.cmd.Wait(); err != nil {
		c.t.Errorf("the child: %v\n%s", err, c.log.String())
	}
}

// report says a line to the parent of this process.
func report(word, rest string) { fmt.Println(childMark + word + " " + rest) }
