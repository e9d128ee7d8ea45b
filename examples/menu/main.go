// Command menu answers a call over plain RTP as an IVR does: it says the first WAV file
// until a key is pressed, then the file of that key, and so on. The call ends with # or
// when nothing is pressed three times. It prints the port at which it waits.
//
//	go run ./examples/menu welcome.wav opening-hours.wav where-we-are.wav
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/session"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 {
		log.Fatal("usage: menu FILE [FILE of key 1] [FILE of key 2] ...")
	}
	if err := run(ctx, os.Args[1], os.Args[2:]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, welcome string, choices []string) error {
	s, err := session.Open(ctx, &session.Config{}) // whoever sends first
	if err != nil {
		return err
	}
	fmt.Println(s.LocalAddr().Port())
	err = parley.Serve(ctx, s.Call, parley.HandlerFunc(func(ctx context.Context, call *parley.Call) error {
		return answer(ctx, call, welcome, choices)
	}))
	if end, ok := errors.AsType[*parley.EndError](err); ok && end.Reason != parley.Failed {
		fmt.Println(end) // as when they hang up
		return nil
	}
	return err
}

func answer(ctx context.Context, call *parley.Call, welcome string, choices []string) error {
	var first audio.Frame
	if err := call.Audio().ReadFrame(&first); err != nil {
		return err
	}
	prompts := []string{welcome}
	for silent := 0; silent < 3; {
		key, err := ask(ctx, call, 5*time.Second, prompts...)
		prompts = []string{welcome}
		switch {
		case errors.Is(err, errNoKey):
			silent++
			continue
		case err != nil:
			return err
		}
		silent = 0
		fmt.Println("pressed", key)
		if key == '#' {
			break
		}
		if n := int(key) - '1'; n >= 0 && n < len(choices) {
			prompts = []string{choices[n], welcome}
		}
	}
	return nil
}

var errNoKey = errors.New("no key was pressed")

// ask says the prompts, and returns the key that was pressed before, meanwhile, or at
// most so long after.
func ask(ctx context.Context, call *parley.Call, wait time.Duration, prompts ...string) (dtmf.Digit, error) {
	listening, stopListening := context.WithCancel(ctx)
	defer stopListening()
	saying, stopSaying := context.WithCancel(ctx)
	defer stopSaying()
	var key dtmf.Digit
	var keyErr error
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		key, keyErr = call.Audio().ReadDigit(listening)
		stopSaying() // who knows what to press is not kept waiting
	}()
	if err := say(saying, call, prompts...); err != nil && saying.Err() == nil {
		return 0, err
	}
	limit := time.AfterFunc(wait, stopListening)
	defer limit.Stop()
	<-answered
	if keyErr != nil && listening.Err() != nil && ctx.Err() == nil {
		return 0, errNoKey
	}
	return key, keyErr
}

// say says files one behind the other, of any rate.
func say(ctx context.Context, call *parley.Call, names ...string) error {
	for _, name := range names {
		in, err := file.OpenWAV(name)
		if err != nil {
			return err
		}
		_, err = call.Audio().Say(ctx, in)
		in.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
