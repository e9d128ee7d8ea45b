package file_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"github.com/parley-media/parley/file"
)

// Access units are found as H.264 section 7.4.1.2.3 says.
func TestReadAnnexB(t *testing.T) {
	idr, delta := slice(true, true, 1), slice(false, true, 2)
	disposable := append([]byte{0x01}, delta[1:]...) // nal_ref_idc 0
	otherSet := []byte{0x41, 0x52, 'x'}              // pic_parameter_set_id 1, first_mb_in_slice 1
	aud, sei := []byte{9, 0xF0}, []byte{6, 5, 1, 2, 0x80}
	end := []byte{10} // end of sequence
	for _, tt := range []struct {
		name string
		want [][]byte // one access unit each
	}{
		{"one", [][]byte{annexB(sps, pps, idr)}},
		{"slices", [][]byte{annexB(sps, pps, idr, slice(true, false, 2), slice(true, false, 3)), annexB(delta, slice(false, false, 4))}},
		{"delimiters", [][]byte{annexB(aud, sps, pps, idr), annexB(aud, delta), annexB(aud, delta)}},
		{"messages", [][]byte{annexB(sei, idr), annexB(sei, sei, delta), annexB(delta)}},
		{"parameter sets between", [][]byte{annexB(idr), annexB(sps, pps, idr), annexB(pps, delta)}},
		{"end of sequence", [][]byte{annexB(idr, end), annexB(sps, pps, idr, end)}},
		{"a slice for another parameter set", [][]byte{annexB(idr), annexB(delta), annexB(otherSet)}},
		{"a picture without references that begins with a lost slice", [][]byte{annexB(delta), annexB(append([]byte{0x01}, slice(false, false, 1)[1:]...))}},
		{"after IDR, the first slice lost", [][]byte{annexB(idr), annexB(slice(false, false, 3))}},
		{"disposable", [][]byte{annexB(delta), annexB(disposable), annexB(disposable), annexB(delta)}},
		{"short start codes", [][]byte{{0, 0, 1, 0x65, 0x88, 7}, {0, 0, 1, 0x41, 0x9A, 8}}},
		{"empty units", [][]byte{{0, 0, 1, 0, 0, 1, 0x65, 0x88, 7}, {0, 0, 1, 0x41, 0x9A, 8, 0, 0, 1}}},
		{"larger than the buffers", [][]byte{annexB(sps, pps, append(slices.Clone(idr), bytes.Repeat([]byte{7}, 1<<17)...)), annexB(delta), annexB(delta)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := slices.Concat(tt.want...)
			for name, r := range map[string]io.Reader{
				"at once": bytes.NewReader(in), "by bytes": iotest.OneByteReader(bytes.NewReader(in)),
				"with zeros before": io.MultiReader(bytes.NewReader(make([]byte, 9)), bytes.NewReader(bytes.TrimLeft(in, "\x00")[1:])),
				"after garbage":     io.MultiReader(bytes.NewReader(text("garbage")), bytes.NewReader(in)),
			} {
				if name == "with zeros before" {
					r = io.MultiReader(bytes.NewReader(make([]byte, 9)), bytes.NewReader(in))
				}
				a, err := file.NewAnnexBReader(r)
				if err != nil {
					t.Fatal(err)
				}
				got, err := readPackets(a)
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != len(tt.want) {
					t.Fatalf("%s: %d access units, want %d", name, len(got), len(tt.want))
				}
				for i, p := range got {
					if !bytes.Equal(p.Data, tt.want[i]) && (i > 0 || !bytes.HasSuffix(p.Data, tt.want[i]) || len(p.Data) > len(tt.want[i])+1) {
						t.Errorf("%s: access unit %d is %x, want %x", name, i, p.Data[:min(len(p.Data), 50)], tt.want[i][:min(len(tt.want[i]), 50)])
					}
					if key := bytes.Contains(p.Data, []byte{0, 0, 1, 0x65}); p.Key != key || p.Time != time.Duration(i)*picture || p.Duration != picture {
						t.Errorf("%s: access unit %d is key: %t, at %v for %v", name, i, p.Key, p.Time, p.Duration)
					}
				}
			}
		})
	}
}

func TestAnnexBFrameDuration(t *testing.T) {
	in := slices.Concat(h264(true, 0), h264(false, 1), h264(false, 2))
	r, err := file.NewAnnexBReader(bytes.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	r.FrameDuration = 10 * ms
	var p file.Packet
	for _, want := range []time.Duration{0, 10 * ms, 20 * ms} {
		if err := r.ReadPacket(&p); err != nil || p.Time != want || p.Duration != 10*ms {
			t.Errorf("%v, at %v for %v, want %v", err, p.Time, p.Duration, want)
		}
	}
}

func TestReadMalformedAnnexB(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   io.Reader
		want error
	}{
		{"empty", bytes.NewReader(nil), io.ErrUnexpectedEOF},
		{"text", bytes.NewReader(text("text")), io.ErrUnexpectedEOF},
		{"much text", bytes.NewReader(make([]byte, 3<<20)), file.ErrMalformed},
		{"endless access unit", io.MultiReader(bytes.NewReader(annexB(slice(true, true, 0))), io.LimitReader(ones{}, 40<<20)), file.ErrMalformed},
		{"failing input", iotest.ErrReader(errFull), errFull},
		{"input that fails later", io.MultiReader(bytes.NewReader(h264(true, 0)), iotest.ErrReader(errFull)), errFull},
	} {
		r, err := file.NewAnnexBReader(tt.in)
		if err == nil {
			_, err = readPackets(r)
		}
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: the error is %v, want %v", tt.name, err, tt.want)
		}
	}
}

type ones struct{}

func (ones) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 1
	}
	return len(b), nil
}

// A large picture must not make those after it slow.
func TestAnnexBIsNotQuadratic(t *testing.T) {
	in := annexB(append(slice(true, true, 0), bytes.Repeat([]byte{7}, 8<<20)...))
	const pictures = 200000
	for i := range pictures {
		in = append(in, annexB(slice(false, true, i%1000))...)
	}
	r, err := file.NewAnnexBReader(bytes.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	n := 0
	for p := new(file.Packet); r.ReadPacket(p) == nil; n++ {
	}
	if took := time.Since(start); n != pictures+1 || took > 10*time.Second {
		t.Errorf("%d pictures in %v", n, took)
	}
}

// The parameter sets of the track go before a first packet that has none.
func TestWriteAnnexB(t *testing.T) {
	key := annexB(slice(true, true, 0))
	for _, tt := range []struct {
		config []byte
		first  []byte
		want   []byte
	}{
		{sets, key, append(slices.Clone(sets), key...)},
		{annexB(highSPS, pps), h264(true, 0), h264(true, 0)},
		{nil, key, key},
	} {
		var b bytes.Buffer
		w, err := file.NewAnnexBWriter(&b, file.Track{Codec: file.H264, Config: tt.config})
		if err != nil {
			t.Fatal(err)
		}
		write(t, w, []file.Packet{{Data: h264(false, 9)}, {Key: true, Data: tt.first}, {Data: h264(false, 1)}})
		finish(t, w)
		if want := append(tt.want, h264(false, 1)...); !bytes.Equal(b.Bytes(), want) {
			t.Errorf("the file is %x, want %x", b.Bytes(), want)
		}
	}
}
