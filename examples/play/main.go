// Command play plays the file that it is given, again and again. Open
// http://127.0.0.1:8080 in a browser.
package main

import (
	"flag"
	"log"
	"net/http"

	"github.com/parley-media/parley/apps/play"
	_ "github.com/parley-media/parley/codec/opus/libopus" // the encoder, where the library is installed
	"github.com/parley-media/parley/server"
)

func main() {
	address := flag.String("http", "127.0.0.1:8080", "address of the page")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: play FILE")
	}
	s, err := server.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	s.Handle("/offer", play.Handler{File: flag.Arg(0), Loop: true})
	log.Printf("open http://%s", *address)
	log.Fatal(http.ListenAndServe(*address, s))
}
