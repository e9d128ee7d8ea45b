// Command channels answers what a page says on data channels: "ping" with "pong",
// and files with the same and their hash. Open http://127.0.0.1:8080 in a browser.
package main

import (
	"flag"
	"log"
	"net/http"

	"github.com/parley-media/parley/apps/data"
	"github.com/parley-media/parley/server"
)

func main() {
	address := flag.String("http", "127.0.0.1:8080", "address of the page")
	flag.Parse()
	s, err := server.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	s.Handle("/offer", data.Handler{})
	log.Printf("open http://%s", *address)
	log.Fatal(http.ListenAndServe(*address, s))
}
