package vpx

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"

	"github.com/ebitengine/purego"
)

// codecs is how many codecs there are.
const codecs = 2

type codecID int

const (
	vp8 codecID = iota
	vp9
)

func (c codecID) String() string { return [...]string{"VP8", "VP9"}[c] }

// codecOf returns the codec of a name as it is in a session description.
func codecOf(name string) (codecID, error) {
	for c := range codecID(codecs) {
		if strings.EqualFold(name, c.String()) {
			return c, nil
		}
	}
	return 0, fmt.Errorf("vpx: codec %q: %w", name, errors.ErrUnsupported)
}

// maxThreads bounds the threads of one coder. The pictures that are allowed gain
// nothing from more.
const maxThreads = 16

func checkThreads(n int) (uint32, error) {
	if n < 0 || n > maxThreads {
		return 0, fmt.Errorf("vpx: %d threads, want 0 to %d", n, maxThreads)
	}
	return uint32(max(n, 1)), nil
}

// An instance is a codec of libvpx at work. Its memory in C is freed by close,
// or when owner is collected.
type instance struct {
	library *library
	codec   codecID
	context *codecContext // on the heap, where C has its address
	args    []uintptr
	cleanup runtime.Cleanup
	closed  bool
}

// start fills in i, which is a part of owner.
func start[T any](owner *T, i *instance, l *library, c codecID) {
	*i = instance{library: l, codec: c, context: new(codecContext), args: make([]uintptr, 0, 16)}
	i.cleanup = runtime.AddCleanup(owner, func(context *codecContext) {
		purego.SyscallN(l.destroy, address(context))
	}, i.context)
}

// call calls fn with the context before the other arguments. What they point to
// must be on the heap, and alive behind the call.
func (i *instance) call(fn uintptr, args ...uintptr) uintptr {
	i.args = append(append(i.args[:0], address(i.context)), args...)
	r, _, _ := purego.SyscallN(fn, i.args...)
	runtime.KeepAlive(i)
	return r
}

// set calls vpx_codec_control_, which has a variable number of arguments; on
// Apple's arm64 those are passed on the stack: the arguments in between fill the
// registers.
func (i *instance) set(request int, value int32) error {
	i.args = append(i.args[:0], address(i.context), uintptr(request))
	if runtime.GOOS == "darwin" && runtime.GOARCH == "arm64" {
		i.args = append(i.args, 0, 0, 0, 0, 0, 0)
	}
	i.args = append(i.args, uintptr(value))
	r, _, _ := purego.SyscallN(i.library.control, i.args...)
	runtime.KeepAlive(i)
	if err := i.check(r); err != nil {
		return fmt.Errorf("%w (request %d, value %d)", err, request, value)
	}
	return nil
}

// check turns a vpx_codec_err_t into an error.
func (i *instance) check(status uintptr) error {
	if int32(status) == 0 {
		return nil
	}
	text, _, _ := purego.SyscallN(i.library.errorText, uintptr(uint32(status)))
	if detail := text2go(i.call(i.library.errorDetail)); detail != "" {
		return fmt.Errorf("libvpx: %s: %s", text2go(text), detail)
	}
	return fmt.Errorf("libvpx: %s", text2go(text))
}

var errClosed = fmt.Errorf("libvpx: %w", net.ErrClosed)

func (i *instance) close() {
	if !i.closed {
		i.closed = true
		i.cleanup.Stop()
		i.call(i.library.destroy)
	}
}
