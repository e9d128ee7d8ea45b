package file_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/parley-media/parley/file"
)

func TestPacketsDoNotAllocate(t *testing.T) {
	for _, c := range containers() {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			w, err := c.create(&b, c.tracks)
			if err != nil {
				t.Fatal(err)
			}
			// Files long enough for the buffers to have their size.
			for round := range 20 {
				for _, p := range c.in {
					p.Time += time.Duration(round) * 40 * time.Second
					if err := w.WritePacket(&p); err != nil {
						t.Fatal(err)
					}
				}
			}
			finish(t, w)
			r, err := c.open(&b)
			if err != nil {
				t.Fatal(err)
			}
			var p file.Packet
			read := func() {
				if err := r.ReadPacket(&p); err != nil {
					t.Fatal(err)
				}
			}
			for range 100 {
				read()
			}
			if n := testing.AllocsPerRun(500, read); n != 0 {
				t.Errorf("reading a packet allocates %v times", n)
			}

			if w, err = c.create(io.Discard, c.tracks); err != nil {
				t.Fatal(err)
			}
			at, i := time.Duration(0), 0
			var q file.Packet
			next := func() {
				p := &c.in[i%len(c.in)]
				q = *p
				q.Time += at
				if i++; i%len(c.in) == 0 {
					at += p.Time + 20*ms
				}
				if err := w.WritePacket(&q); err != nil {
					t.Fatal(err)
				}
			}
			for range 1000 {
				next()
			}
			if n := testing.AllocsPerRun(500, next); n != 0 {
				t.Errorf("writing a packet allocates %v times", n)
			}
		})
	}
}
