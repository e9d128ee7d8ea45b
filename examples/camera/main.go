// Command camera shows what this machine sees to all who open its page: a camera, a
// screen, a stream of another server, whatever the ffmpeg program can open, which codes it
// once for all of them. Behind -- is what is opened, /dev/video0 unless said:
//
//	camera -- -f v4l2 -video_size 640x480 -i /dev/video0
//	camera -- -f x11grab -i :0
//	camera -- -rtsp_transport tcp -i rtsp://192.0.2.3/stream
//
// Open http://127.0.0.1:8080 in a browser.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/relay"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/server"
	"github.com/parley-media/parley/session"
)

func main() {
	address := flag.String("http", "127.0.0.1:8080", "address of the page")
	flag.Parse()
	input := flag.Args()
	if len(input) == 0 {
		input = strings.Fields("-f v4l2 -i /dev/video0")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	// The program sends RTP to a call on this machine, which publishes it.
	vp8 := codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000}
	camera, err := session.Open(ctx, &session.Config{
		Local: netip.MustParseAddrPort("127.0.0.1:0"),
		Video: &session.VideoConfig{Codecs: []codec.Params{vp8}},
	})
	if err != nil {
		log.Fatal(err)
	}
	var stage relay.Handler
	go parley.Serve(ctx, camera.Call, stage.Publisher()) //nolint:errcheck // it goes on for as long as this program

	s, err := server.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	s.Handle("/offer", stage.Watcher())
	go func() { log.Fatal(http.ListenAndServe(*address, s)) }()
	log.Printf("open http://%s", *address)

	// Nobody tells the program that a key frame is wanted: one comes every second or two.
	args := append([]string{"-v", "error"}, input...)
	args = append(args, "-an", "-pix_fmt", "yuv420p", "-c:v", "libvpx", "-deadline", "realtime", "-b:v", "1M", "-g", "30",
		"-f", "rtp", "-payload_type", "96", fmt.Sprintf("rtp://%v?pkt_size=1200", camera.LocalVideo()))
	ffmpeg := exec.CommandContext(ctx, "ffmpeg", args...)
	ffmpeg.Stderr = os.Stderr
	if err := ffmpeg.Run(); ctx.Err() == nil { // nobody has interrupted it
		log.Fatal("ffmpeg: ", cmp.Or(err, io.EOF))
	}
}
