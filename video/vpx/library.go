// Package vpx decodes and encodes VP8 and VP9 with the system's libvpx, which is
// loaded at run time: no C compiler is needed, and a program without the library
// still runs.
//
//	d, err := vpx.NewDecoder(vpx.DecoderConfig{Codec: "VP8"})
//	...
//	var picture image.YCbCr
//	err = d.Decode(&picture, &frame) // errors.Is(err, video.ErrFrame): ask for a key frame
//	...
//	e, err := vpx.NewEncoder(vpx.EncoderConfig{Codec: "VP8"})
//	...
//	err = e.Encode(&frame, &picture, at, false)
//
// Where there is no library, [Available] says what to install.
//
// Known limits: profile 0, which is 8 bits and 4:2:0, and is all that browsers
// send unasked. One layer is encoded. A picture of VP9 with several spatial
// layers is decoded if they are a superframe with its index (VP9 bitstream
// specification, annex B); without an index, only the lowest layer is. Not on
// Windows, and not on 32-bit systems.
//
// Importing this package makes a program dynamically linked: it does not start in an
// empty container, which has no loader of a C library. On Alpine it has to be built there,
// or with -ldflags "-I /lib/ld-musl-x86_64.so.1".
package vpx

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// ErrUnavailable is returned, wrapped with what to install, if there is no
// usable libvpx on this machine.
var ErrUnavailable = errors.New("libvpx is not available")

// Available returns nil if libvpx can be used, or why not.
func Available() error {
	_, err := load()
	return err
}

// Version returns what the library calls itself, such as "v1.12.0", or "" if
// there is none.
func Version() string {
	l, err := load()
	if err != nil {
		return ""
	}
	return l.version
}

// library are the functions of libvpx.
type library struct {
	version    string
	encoderABI uintptr

	decoders, encoders [codecs]uintptr // their interfaces

	errorText, errorDetail, destroy, control    uintptr
	decoderInit, decode, getFrame               uintptr
	encoderDefaults, encoderInit, encoderChange uintptr
	encode, getData                             uintptr
}

// names are tried in this order.
var names = map[string][]string{
	"darwin": {"libvpx.dylib", "/opt/homebrew/lib/libvpx.dylib", "/usr/local/lib/libvpx.dylib"},
}

var load = sync.OnceValues(func() (*library, error) {
	if runtime.GOOS == "windows" || unsafe.Sizeof(uintptr(0)) != 8 {
		return nil, fmt.Errorf("%w: not used on %s/%s", ErrUnavailable, runtime.GOOS, runtime.GOARCH)
	}
	tried, ok := names[runtime.GOOS]
	if !ok {
		tried = []string{"libvpx.so.7", "libvpx.so.8", "libvpx.so.9", "libvpx.so.11", "libvpx.so.12", "libvpx.so"}
	}
	for _, name := range tried {
		handle, err := open(name)
		if err != nil {
			continue
		}
		return bind(handle, name)
	}
	return nil, fmt.Errorf("%w: none of %s can be loaded; install libvpx7 (Debian 12, Ubuntu 22.04), libvpx9 (Debian 13, Ubuntu 24.04) or libvpx (Fedora, Alpine, Arch, Homebrew)",
		ErrUnavailable, strings.Join(tried, ", "))
})

func bind(handle uintptr, name string) (*library, error) {
	l := &library{}
	var version uintptr
	var interfaces [2 * codecs]uintptr
	for symbol, fn := range map[string]*uintptr{
		"vpx_codec_version_str":        &version,
		"vpx_codec_vp8_dx":             &interfaces[vp8],
		"vpx_codec_vp9_dx":             &interfaces[vp9],
		"vpx_codec_vp8_cx":             &interfaces[codecs+vp8],
		"vpx_codec_vp9_cx":             &interfaces[codecs+vp9],
		"vpx_codec_err_to_string":      &l.errorText,
		"vpx_codec_error_detail":       &l.errorDetail,
		"vpx_codec_destroy":            &l.destroy,
		"vpx_codec_control_":           &l.control,
		"vpx_codec_dec_init_ver":       &l.decoderInit,
		"vpx_codec_decode":             &l.decode,
		"vpx_codec_get_frame":          &l.getFrame,
		"vpx_codec_enc_config_default": &l.encoderDefaults,
		"vpx_codec_enc_config_set":     &l.encoderChange,
		"vpx_codec_enc_init_ver":       &l.encoderInit,
		"vpx_codec_encode":             &l.encode,
		"vpx_codec_get_cx_data":        &l.getData,
	} {
		var err error
		if *fn, err = symbolOf(handle, symbol); err != nil || *fn == 0 {
			return nil, fmt.Errorf("%w: %s has no function %s", ErrUnavailable, name, symbol)
		}
	}
	text, _, _ := purego.SyscallN(version)
	l.version = text2go(text)
	for i := range codecs {
		l.decoders[i], _, _ = purego.SyscallN(interfaces[i])
		l.encoders[i], _, _ = purego.SyscallN(interfaces[codecs+i])
	}
	if !l.checkABI() {
		return nil, fmt.Errorf("%w: %s is %s, want v1.11 to v1.16", ErrUnavailable, name, l.version)
	}
	return l, nil
}

// checkABI finds the version of the interface that the library has among those
// that layout.go is right for. The library compares the version before anything
// else, so that it needs no codec to ask. Debian's takes all older versions too,
// so that the library's own is the last that it takes.
func (l *library) checkABI() bool {
	has := func(init, version uintptr) bool {
		status, _, _ := purego.SyscallN(init, 0, 0, 0, 0, version)
		next, _, _ := purego.SyscallN(init, 0, 0, 0, 0, version+1)
		return int32(status) == invalidParameter && int32(next) == abiMismatch
	}
	for _, version := range encoderABIs {
		if has(l.encoderInit, version) {
			l.encoderABI = version
		}
	}
	return l.encoderABI != 0 && has(l.decoderInit, decoderABI)
}

// text2go copies a string of C, which is at most 256 bytes long.
func text2go(p uintptr) string {
	var b []byte
	for i := uintptr(0); p != 0 && i < 256; i++ {
		c := *at[byte](p + i)
		if c == 0 {
			break
		}
		b = append(b, c)
	}
	return string(b)
}

// at returns what is at an address that comes from C as a number, and is in
// memory that C owns.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// address returns what C is given for p, which must be on the heap: nothing
// moves there, and C keeps nothing that p's owner does not outlive.
func address[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }
