// Package libopus encodes and decodes Opus with the system's libopus, which is
// loaded at run time: no C compiler is needed, and a program without the library
// still runs.
//
//	import _ "github.com/parley-media/parley/codec/opus/libopus"
//
// registers "opus" for encoding and decoding if the library is there. If it is
// not, [Available] says what to install, and decoding stays as package opus has
// it.
//
// Importing this package makes a program dynamically linked: it does not start in an
// empty container, which has no loader of a C library. On Alpine it has to be built there,
// or with -ldflags "-I /lib/ld-musl-x86_64.so.1".
package libopus

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/opus"
)

// ErrUnavailable is returned, wrapped with what to install, if there is no
// usable libopus on this machine.
var ErrUnavailable = errors.New("libopus is not available")

func init() {
	if Available() != nil {
		return
	}
	codec.Register(codec.Codec{
		Name:       "opus",
		Format:     opus.Format,
		NewEncoder: func(p codec.Params) (codec.Encoder, error) { return encoderFor(p) },
		NewDecoder: func(p codec.Params) (codec.Decoder, error) {
			f, err := opus.Format(p)
			if err != nil {
				return nil, err
			}
			return NewDecoder(f)
		},
	})
}

// Available returns nil if libopus can be used, or why not.
func Available() error {
	_, err := load()
	return err
}

// Version returns what the library calls itself, such as "libopus 1.3.1", or ""
// if there is none.
func Version() string {
	l, err := load()
	if err != nil {
		return ""
	}
	return l.version
}

// library are the functions of libopus.
type library struct {
	version string

	encoderCreate, encoderDestroy, encode, encoderCtl uintptr
	decoderCreate, decoderDestroy, decode             uintptr
	strerror                                          uintptr
}

// names are tried in this order.
var names = map[string][]string{
	"darwin":  {"libopus.0.dylib", "libopus.dylib", "/opt/homebrew/lib/libopus.0.dylib", "/usr/local/lib/libopus.0.dylib"},
	"windows": {"opus.dll", "libopus-0.dll", "libopus.dll"},
}

var load = sync.OnceValues(func() (*library, error) {
	tried, ok := names[runtime.GOOS]
	if !ok {
		tried = []string{"libopus.so.0", "libopus.so"}
	}
	for _, name := range tried {
		handle, err := open(name)
		if err != nil {
			continue
		}
		return bind(handle, name)
	}
	return nil, fmt.Errorf("%w: none of %s can be loaded; install libopus0 (Debian, Ubuntu) or opus (Fedora, Alpine, Arch, Homebrew)",
		ErrUnavailable, strings.Join(tried, ", "))
})

func bind(handle uintptr, name string) (*library, error) {
	l := &library{}
	var version uintptr
	for symbol, fn := range map[string]*uintptr{
		"opus_get_version_string": &version,
		"opus_encoder_create":     &l.encoderCreate,
		"opus_encoder_destroy":    &l.encoderDestroy,
		"opus_encode":             &l.encode,
		"opus_encoder_ctl":        &l.encoderCtl,
		"opus_decoder_create":     &l.decoderCreate,
		"opus_decoder_destroy":    &l.decoderDestroy,
		"opus_decode":             &l.decode,
		"opus_strerror":           &l.strerror,
	} {
		var err error
		if *fn, err = symbolOf(handle, symbol); err != nil || *fn == 0 {
			return nil, fmt.Errorf("%w: %s has no function %s", ErrUnavailable, name, symbol)
		}
	}
	text, _, _ := purego.SyscallN(version)
	l.version = text2go(text)
	if !strings.HasPrefix(l.version, "libopus 1.") {
		return nil, fmt.Errorf("%w: %s is %q, want libopus 1.x", ErrUnavailable, name, l.version)
	}
	return l, nil
}

// check turns a status of libopus into an error.
func (l *library) check(status int32) error {
	if status >= 0 {
		return nil
	}
	text, _, _ := purego.SyscallN(l.strerror, uintptr(status))
	return fmt.Errorf("libopus: %s", text2go(text))
}

// text2go copies a string of C, which is at most 256 bytes long.
func text2go(p uintptr) string {
	if p == 0 {
		return ""
	}
	// The address comes from C as a number; it points to memory that C owns.
	b := unsafe.Slice(*(**byte)(unsafe.Pointer(&p)), 256)
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
