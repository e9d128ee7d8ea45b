// Command dtmf makes two calls with each other on this machine: one dials, the
// other one reads the digits as an IVR does.
package main

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/session"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	anyPort := netip.MustParseAddrPort("127.0.0.1:0")
	ivr, err := session.Open(ctx, &session.Config{Local: anyPort})
	if err != nil {
		log.Fatal(err)
	}
	defer ivr.Close()
	phone, err := session.Open(ctx, &session.Config{Local: anyPort, Remote: ivr.LocalAddr()})
	if err != nil {
		log.Fatal(err)
	}
	defer phone.Close()

	go phone.SendDigits(ctx, "42*7#", &dtmf.Options{Duration: 80 * time.Millisecond})

	number := ""
	for {
		d, err := ivr.ReadDigit(ctx)
		if err != nil {
			log.Fatal(err)
		}
		if d == '#' {
			break
		}
		number += d.String()
	}
	fmt.Println("dialled", number)
}
