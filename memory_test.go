//go:build !race

package parley

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// A call of PCMU and digits that echoes what it hears needs no more memory than this,
// with the goroutine that does so and its stack of 4 KiB. It is a tenth more than it
// was when this was written: what makes calls larger should be worth it.
const callMemory = 20300

// The memory of a call and its audio is one block of a size that the runtime has, with
// its own header of 8 bytes; the next one is larger by 1280 bytes.
func TestBlockOfCall(t *testing.T) {
	if n := unsafe.Sizeof(Call{}) + unsafe.Sizeof(Audio{}); n > 6912-8 {
		t.Errorf("%d bytes", n)
	}
}

func TestMemoryPerCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		calls := echo(t, &wg, 1) // what all calls share is there then
		before := memory()
		calls = append(calls, echo(t, &wg, 200)...)
		each := (memory() - before) / int64(len(calls)-1)
		t.Logf("%d bytes", each)
		if each > callMemory {
			t.Errorf("%d bytes, want %d at most", each, callMemory)
		}
		var s Stats
		if calls[1].Stats(&s); s.Audio.Received != 250 || s.Audio.PacketsSent < 240 {
			t.Errorf("%d packets received, %d sent", s.Audio.Received, s.Audio.PacketsSent)
		}
		for _, c := range calls {
			c.Close()
		}
		wg.Wait()
	})
}

// echo makes n calls, of which each has echoed five seconds of audio.
func echo(t *testing.T, wg *sync.WaitGroup, n int) []*Call {
	t.Helper()
	dial := codec.Params{Name: "telephone-event", PayloadType: 101, ClockRate: 8000}
	calls := make([]*Call, n)
	for i := range calls {
		c, err := New(Config{
			Audio: &AudioConfig{Leg: sink{}, Send: pcmu, Event: dial, Receive: []codec.Params{pcmu, dial}},
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Connected()
		calls[i] = c
		wg.Go(func() {
			var f audio.Frame
			for c.Audio().ReadFrame(&f) == nil {
				c.Audio().WriteLive(&f) //nolint:errcheck // the next read fails too
			}
		})
	}
	packet := make([]byte, 172)
	packet[0], packet[11] = 0x80, 7
	for k := range 250 {
		binary.BigEndian.PutUint16(packet[2:], uint16(k))
		binary.BigEndian.PutUint32(packet[4:], uint32(k*160))
		for i := 12; i < len(packet); i++ {
			packet[i] = byte(k*i) | 0x80
		}
		for _, c := range calls {
			c.Audio().DeliverRTP(time.Now(), netip.AddrPort{}, packet)
		}
		time.Sleep(20 * ms)
	}
	synctest.Wait()
	return calls
}

// memory returns the size of the heap and of all stacks.
func memory() int64 {
	runtime.GC()
	runtime.GC() // for what sync.Pool keeps
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
