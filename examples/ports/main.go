// Command ports opens calls on ports of a range that a firewall lets through,
// until there are no more, and gives them back.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"

	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/transport"
)

func main() {
	ports, err := transport.NewPorts(20000, 20007) // four pairs, of RTP and RTCP
	if err != nil {
		log.Fatal(err)
	}
	config := session.Config{Local: netip.MustParseAddrPort("127.0.0.1:0"), Ports: ports}
	var calls []*session.Session
	for {
		s, err := session.Open(context.Background(), &config)
		if errors.Is(err, transport.ErrNoPorts) {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("opened", s.LocalAddr())
		calls = append(calls, s)
	}
	fmt.Println("no more ports after", len(calls), "calls")
	for _, s := range calls {
		s.Close()
	}
	again, err := session.Open(context.Background(), &config)
	if err != nil {
		log.Fatal(err)
	}
	defer again.Close()
	fmt.Println("opened again")
}
