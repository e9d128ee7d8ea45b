// Command record writes what you say and show to files in a folder. Open
// http://127.0.0.1:8080 in a browser.
package main

import (
	"flag"
	"log"
	"net/http"

	"github.com/parley-media/parley/apps/record"
	"github.com/parley-media/parley/server"
)

func main() {
	address := flag.String("http", "127.0.0.1:8080", "address of the page")
	folder := flag.String("folder", "recordings", "where the files go")
	flag.Parse()
	s, err := server.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	s.Handle("/offer", record.Handler{Folder: *folder, Done: func(r record.Recording) {
		log.Printf("recorded %v in %s, error: %v", r.Duration, r.File, r.Err)
	}})
	log.Printf("open http://%s", *address)
	log.Fatal(http.ListenAndServe(*address, s))
}
