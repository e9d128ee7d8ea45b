// Command sendwav sends a WAV file over RTP:
//
//	go run ./examples/sendwav prompt.wav 192.0.2.2:5004
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/netip"
	"os"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/session"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: sendwav FILE HOST:PORT")
	}
	remote, err := netip.ParseAddrPort(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	in, err := file.OpenWAV(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer in.Close()
	call, err := session.Open(context.Background(), &session.Config{Remote: remote})
	if err != nil {
		log.Fatal(err)
	}
	defer call.Close()

	// The file may have any rate; WriteFrame blocks while enough is queued, so
	// this loop runs at the pace of the call.
	for f := new(audio.Frame); ; {
		err := in.ReadFrame(f)
		if err == io.EOF {
			break
		}
		if err == nil {
			err = call.Audio().WriteFrame(f)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	if err := call.Audio().Drain(context.Background()); err != nil {
		log.Fatal(err)
	}
	var s parley.Stats
	call.Stats(&s)
	fmt.Printf("sent %d packets\n", s.Audio.PacketsSent)
}
