package session

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/transport"
	"github.com/parley-media/parley/video"
)

// videoPair opens two calls with video that knows where the other one is.
func videoPair(t *testing.T, ours, theirs *SRTP, capture *Capture) (a, b *Session) {
	t.Helper()
	v := VideoConfig{Codecs: []codec.Params{vp8}, Immediate: true}
	b = open(t, Config{Local: local, SRTP: theirs, Video: &v})
	far := v
	far.Remote = b.LocalVideo()
	a = open(t, Config{Local: local, Remote: b.LocalAddr(), SRTP: ours, Video: &far, Capture: capture})
	return a, b
}

// records returns the lengths of the payloads of UDP in a capture.
func records(t *testing.T, file []byte) (lengths []int) {
	t.Helper()
	for file = file[24:]; len(file) > 0; {
		n := int(binary.LittleEndian.Uint32(file[8:]))
		lengths = append(lengths, n-20-8)
		file = file[16+n:]
	}
	return lengths
}

// A large frame leaves in few pieces, and nothing that counts packets or keeps
// them sees it.
func TestBatchInACall(t *testing.T) {
	near, far := key(t), key(t)
	for name, keys := range map[string][2]*SRTP{
		"plain":     {nil, nil},
		"encrypted": {{Local: near, Remote: far}, {Local: far, Remote: near}},
	} {
		t.Run(name, func(t *testing.T) {
			var file bytes.Buffer
			capture := transport.NewCapture(&file)
			a, b := videoPair(t, keys[0], keys[1], &Capture{To: capture, Secret: keys[0] != nil})
			const packets, content = 40, 1196
			f := shot(0, true)
			f.Data = append(f.Data, make([]byte, packets*content-len(f.Data)-100)...)
			var got video.Frame
			sent := 0
			for len(got.Data) == 0 { // b has to be sure of whom it hears
				if err := a.Video().WriteFrame(f); err != nil {
					t.Fatal(err)
				}
				sent++
				b.Video().SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				if err := b.Video().ReadFrame(&got); err != nil && sent == 100 {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got.Data, f.Data) {
				t.Error("another frame was received")
			}
			if err := a.Video().Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			var st parley.Stats
			if a.Stats(&st); st.Video.PacketsSent != int64(sent*packets) || st.Video.SendErrors != 0 {
				t.Errorf("%d packets sent of %d frames, %d errors", st.Video.PacketsSent, sent, st.Video.SendErrors)
			}
			a.Close()
			if err := capture.Close(); err != nil {
				t.Fatal(err)
			}
			full, short, overhead := 0, 0, 0
			if name == "encrypted" {
				overhead = 16
			}
			for _, n := range records(t, file.Bytes()) {
				switch n {
				case 12 + 1200 + overhead:
					full++
				case 12 + 1100 + overhead:
					short++
				}
			}
			if full != sent*(packets-1) || short != sent {
				t.Errorf("the capture has %d full packets and %d others of %d frames", full, short, sent)
			}
		})
	}
}

func TestBatchAllocatesNothing(t *testing.T) {
	near, far := key(t), key(t)
	for name, keys := range map[string]*SRTP{"plain": nil, "encrypted": {Local: near, Remote: far}} {
		far := from(t, "127.0.0.1:0") // which reads nothing, as to read allocates
		to := far.LocalAddr().(*net.UDPAddr).AddrPort()
		a := open(t, Config{Local: local, SRTP: keys, Video: &VideoConfig{Codecs: []codec.Params{vp8}, Immediate: true, Remote: to}})
		var b []byte
		var sizes []int
		for range 16 {
			packet := make([]byte, 1212)
			packet[0], packet[1] = 0x80, 96
			b, sizes = append(b, packet...), append(sizes, len(packet))
		}
		seq := uint16(0)
		if n := testing.AllocsPerRun(100, func() {
			for i := range sizes {
				seq++
				binary.BigEndian.PutUint16(b[1212*i+2:], seq)
			}
			if sent, err := a.video.WriteBatch(b, sizes); sent != len(sizes) || err != nil {
				t.Fatal(sent, err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestBatchErrors(t *testing.T) {
	waiting := open(t, Config{Local: local, Video: &VideoConfig{Codecs: []codec.Params{vp8}}})
	if sent, err := waiting.video.WriteBatch(make([]byte, 24), []int{12, 12}); sent != 0 || !errors.Is(err, errNobody) {
		t.Errorf("to nobody: %d sent, %v", sent, err)
	}
	keyless := open(t, Config{Local: local, Secure: true, Video: &VideoConfig{Codecs: []codec.Params{vp8}, Remote: waiting.LocalVideo()}})
	if sent, err := keyless.video.WriteBatch(make([]byte, 24), []int{12, 12}); sent != 0 || !errors.Is(err, errKeys) {
		t.Errorf("without keys: %d sent, %v", sent, err)
	}
	near, far := key(t), key(t)
	a, _ := videoPair(t, &SRTP{Local: near, Remote: far}, &SRTP{Local: far, Remote: near}, nil)
	b := bytes.Repeat([]byte{0x80}, 300)
	if sent, err := a.video.WriteBatch(b, []int{100, 8, 192}); sent != 2 || err == nil {
		t.Errorf("with one that is no packet: %d sent, %v", sent, err)
	}
	huge := bytes.Repeat([]byte{0x80}, 100<<10)
	if sent, err := a.video.WriteBatch(huge, []int{1200, 90 << 10, 1200}); sent != 2 || !errors.Is(err, errLong) {
		t.Errorf("with one that is too long: %d sent, %v", sent, err)
	}
}
