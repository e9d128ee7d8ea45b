// Command parley serves browsers, and sends and receives audio and video over plain RTP.
//
// Run it with --help for its commands. Exit status is 0 when done, 1 when
// something failed and 2 for wrong use. With --json each event is a line on
// standard output, and text for people goes to standard error.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

const (
	statusDone   = 0
	statusFailed = 1
	statusUse    = 2
)

type commands struct {
	JSON    bool             `name:"json" help:"Write events as JSON, one object per line, on standard output."`
	Version kong.VersionFlag `help:"Print the version."`

	Serve serveCommand `cmd:"" help:"Answer browsers: serves a web page with which you hear and see yourself."`
	Send  sendCommand  `cmd:"" help:"Send the audio and video of a file over RTP, at the pace of the media clock."`
	Recv  recvCommand  `cmd:"" help:"Receive audio and video over RTP, and record them to a file."`
	Netem netemCommand `cmd:"" help:"Relay UDP, and be a bad network: delay, jitter, loss, reordering."`
	Bench benchCommand `cmd:"" help:"Measure this build: its speed beside yardsticks in C, and what a listener gets from a bad network."`
}

// A useError is a mistake in the command line that its grammar does not catch.
type useError struct{ error }

func (e useError) Unwrap() error { return e.error }

// version returns that of the module, as it was built.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// given returns an error if a flag was given nothing, as by a variable of the shell that
// is not set: what it asks for, such as SRTP or a recording, would be left out silently.
func given(command *kong.Context) error {
	for _, p := range command.Path {
		if f := p.Flag; f != nil && f.Enum == "" && (f.Target.Kind() == reflect.String || f.Target.Kind() == reflect.Slice) && f.Target.Len() == 0 {
			return fmt.Errorf("--%s is empty", f.Name)
		}
	}
	return nil
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	var c commands
	if len(args) > 0 && args[0] == "help" {
		args = append(args[1:len(args):len(args)], "--help")
	}
	exited, status := false, statusDone
	parser, err := kong.New(&c,
		kong.Name("parley"),
		kong.Description("Real-time voice and video for Go back ends: telephones over RTP, browsers over WebRTC."),
		kong.ValueFormatter(withDefault),
		kong.Vars{"version": version()},
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited, status = true, code }),
	)
	if err != nil {
		panic(err) // the grammar above is wrong
	}
	command, err := parser.Parse(args)
	if exited { // after --help
		return status
	}
	if err == nil {
		err = given(command)
	}
	if err != nil {
		fmt.Fprintf(stderr, "parley: %v\nRun \"parley --help\" for usage.\n", err)
		return statusUse
	}
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as it is by nohup
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	// A second signal ends what the first one cannot, unless it comes with that, as from
	// who sends it to a process and to its group.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	out := newOutput(c.JSON, stdout, stderr)
	command.BindTo(ctx, (*context.Context)(nil))
	if err := command.Run(out); err != nil {
		out.failed(err)
		if _, ok := errors.AsType[useError](err); ok {
			return statusUse
		}
		return statusFailed
	}
	return statusDone
}
