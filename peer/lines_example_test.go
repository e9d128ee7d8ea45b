package peer_test

import (
	"context"
	"fmt"
	"log"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/peer"
)

// A program gives the far end a second line of audio in a call that goes on, as for
// one more participant, and takes it away again.
func ExamplePeer_RequestAudio() {
	ctx := context.Background()
	here, err := peer.Listen(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer here.Close()
	there, err := peer.Listen(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer there.Close()

	var far *peer.Peer
	p, err := here.Dial(ctx, func(ctx context.Context, offer string) (answer string, err error) {
		far, answer, err = there.Answer(ctx, offer, nil)
		return answer, err
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	defer far.Close()
	exchange := func() {
		<-p.Negotiate()
		offer, err := p.Offer(ctx, nil)
		if err != nil {
			log.Fatal(err)
		}
		answer, err := far.Answer(ctx, offer) // at the far end
		if err != nil {
			log.Fatal(err)
		}
		if err := p.SetAnswer(ctx, answer); err != nil {
			log.Fatal(err)
		}
	}

	if err := p.RequestAudio(); err != nil {
		log.Fatal(err)
	}
	exchange()
	var added *parley.Audio
	for a := range p.Audios() {
		added = a
		fmt.Println("line", a.Mid(), a.Direction())
	}
	if err := p.Remove(added); err != nil {
		log.Fatal(err)
	}
	exchange()
	for a := range far.Audios() {
		fmt.Println("left: line", a.Mid())
	}
	// Output:
	// line 0 sendrecv
	// line p1 sendrecv
	// left: line 0
}
