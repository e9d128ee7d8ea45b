package file

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
)

// mostBehind is how much may wait for the disk: the sound of a call for minutes, and
// pictures for seconds.
const mostBehind = 8 << 20

// behind writes to a file on a goroutine of its own, in the same order: a disk that
// stands still for a while holds up nobody, and what is recorded goes on. The first error
// is told to failed, if there is that, and returned by each write from then on, and by
// Close.
type behind struct {
	file   *os.File
	failed func(error)
	done   chan struct{} // closed when all is written
	late   atomic.Bool   // a write had to wait for the disk

	mu     sync.Mutex
	cond   sync.Cond
	queue  []delayed
	spare  [][]byte // memory for the next ones
	bytes  int      // in the queue, and being written
	closed bool
	err    error
	pos    int64 // of the next Write; negative: the file has no positions
}

// A delayed write is at a position, or behind the one before if that is negative.
type delayed struct {
	at int64
	b  []byte
}

// newBehind takes over a file. Failed is called with no lock held, on a goroutine that
// nothing waits for.
func newBehind(f *os.File, failed func(error)) *behind {
	w := &behind{file: f, failed: failed, done: make(chan struct{})}
	w.cond.L = &w.mu
	if _, _, ok := seekable(f); !ok {
		w.pos = -1
	}
	go w.run()
	return w
}

func (w *behind) run() {
	defer close(w.done)
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for len(w.queue) == 0 && !w.closed {
			w.cond.Wait()
		}
		if len(w.queue) == 0 {
			return
		}
		next := w.queue[0]
		w.queue = slices.Delete(w.queue, 0, 1)
		if w.err == nil {
			w.mu.Unlock()
			err := w.write(next)
			w.mu.Lock()
			if w.err = err; err != nil && w.failed != nil {
				go w.failed(err)
			}
		}
		w.bytes -= len(next.b)
		if len(w.spare) < 2 {
			w.spare = append(w.spare, next.b[:0])
		}
		w.cond.Broadcast()
	}
}

func (w *behind) write(d delayed) error {
	n, err := 0, error(nil)
	if d.at < 0 {
		n, err = w.file.Write(d.b)
	} else {
		n, err = w.file.WriteAt(d.b, d.at)
	}
	if err == nil && n < len(d.b) {
		err = io.ErrShortWrite
	}
	return err
}

// queueLocked waits while there is too much before b.
func (w *behind) queueLocked(b []byte, at int64) (int, error) {
	for w.bytes > 0 && w.bytes+len(b) > mostBehind && w.err == nil {
		w.late.Store(true)
		w.cond.Wait()
	}
	if w.err != nil {
		return 0, w.err
	}
	d := delayed{at: at}
	if n := len(w.spare); n > 0 {
		d.b, w.spare = w.spare[n-1], w.spare[:n-1]
	}
	d.b = append(d.b, b...)
	w.queue = append(w.queue, d)
	w.bytes += len(b)
	w.cond.Broadcast()
	return len(b), nil
}

func (w *behind) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.queueLocked(b, w.pos)
	if w.pos >= 0 {
		w.pos += int64(n)
	}
	return n, err
}

func (w *behind) WriteAt(b []byte, at int64) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(b) == 0 {
		return 0, w.err
	}
	return w.queueLocked(b, at)
}

// Seek sets where Write goes on, from the beginning of the file or from there.
func (w *behind) Seek(offset int64, whence int) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.pos < 0:
		return 0, errors.ErrUnsupported
	case whence == io.SeekStart:
		w.pos = offset
	default:
		w.pos += offset
	}
	return w.pos, nil
}

// wait returns when all is written, with the first error.
func (w *behind) wait() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.bytes > 0 {
		w.cond.Wait()
	}
	return w.err
}

// Close waits until all is written, and closes the file.
func (w *behind) Close() error {
	w.mu.Lock()
	w.closed = true
	w.cond.Broadcast()
	w.mu.Unlock()
	<-w.done
	err := w.file.Close()
	return cmp.Or(w.err, err)
}
