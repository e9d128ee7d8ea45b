// Command transform shows you yourself as outlines, and answers "ping" on a data
// channel. It needs libvpx to do so. Open http://127.0.0.1:8080 in a browser.
package main

import (
	"flag"
	"log"
	"net/http"

	"github.com/parley-media/parley/apps/data"
	"github.com/parley-media/parley/apps/transform"
	"github.com/parley-media/parley/server"
)

func main() {
	address := flag.String("http", "127.0.0.1:8080", "address of the page")
	effect := flag.String("effect", "edges", "none, edges, cartoon or rotate")
	flag.Parse()
	s, err := server.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	s.Handle("/offer", data.Handler{Media: transform.Handler{Effect: *effect}})
	log.Printf("open http://%s", *address)
	log.Fatal(http.ListenAndServe(*address, s))
}
