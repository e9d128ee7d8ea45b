// Command room lets all who open its page talk with each other. Open
// http://127.0.0.1:8080 in a browser, twice.
package main

import (
	"flag"
	"log"
	"net/http"

	"github.com/parley-media/parley/apps/room"
	_ "github.com/parley-media/parley/codec/opus/libopus" // the encoder, where the library is installed
	"github.com/parley-media/parley/server"
)

func main() {
	address := flag.String("http", "127.0.0.1:8080", "address of the page")
	flag.Parse()
	s, err := server.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	s.Handle("/offer", new(room.Handler))
	log.Printf("open http://%s", *address)
	log.Fatal(http.ListenAndServe(*address, s))
}
