package peer_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/parley-media/parley/peer"
)

// A program publishes to a server, which is the smallest possible here.
func ExampleWHIP() {
	there, err := peer.Listen(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer there.Close()
	var published *peer.Peer
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL, r.Header.Get("Authorization"))
		if r.Method == http.MethodDelete {
			published.Close()
			return
		}
		offer, _ := io.ReadAll(r.Body)
		var answer string
		if published, answer, err = there.Answer(r.Context(), string(offer), nil); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/sdp")
		w.Header().Set("Location", "/session/1")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, answer)
	}))
	defer web.Close()

	here, err := peer.Listen(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer here.Close()
	ctx := context.Background()
	whip := peer.WHIP(web.URL+"/whip", "secret", web.Client())
	p, err := here.Dial(ctx, whip.Exchange, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	fmt.Println("sends", p.Audio().Codec().Name)
	fmt.Println(whip.Delete(ctx))
	// Output:
	// POST /whip Bearer secret
	// sends opus
	// DELETE /session/1 Bearer secret
	// <nil>
}
