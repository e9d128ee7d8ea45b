//go:build !portable

package loop

import (
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-media/parley/internal/prefetch"
)

// A Watch tells when something has come in on a socket that no goroutine waits for.
type Watch struct {
	fd     int
	ahead  func()
	ready  func(scratch []byte)
	poller *poller
}

// Haste says how soon a [Watch] tells.
type Haste int

const (
	Patient Haste = iota // what comes within a millisecond is told of together, and once
	Prompt               // at once, and again until it has been read
)

// A poller is a goroutine that waits for the sockets of many watches of one haste.
type poller struct {
	haste Haste
	epoll *os.File
	raw   syscall.RawConn
	count int // of watches, also those in a pause; guarded by pollers

	mu      sync.Mutex
	watches map[int32]*Watch // by descriptor, without those in a pause
}

// pollers are there while there are watches for them: at most as many of each haste as
// Go uses processors, and no more than are needed, so that few are woken.
var pollers struct {
	sync.Mutex
	all []*poller
}

// maxWatches is how many a poller has, while there may be more pollers.
const maxWatches = 1024

// NewWatch has ready called from now on when datagrams have come in on the socket fd,
// and at once if there are some, until Close. It may be called when there is nothing.
// With Patient it is called again only after more has come, so all that is there has to
// be read. ready must not block, and may use scratch, at least [ScratchSize] long, until it
// returns. It is called by one goroutine at a time. Some time before it ahead is called,
// if that is not nil, which may ask the processor for the memory that ready needs.
func NewWatch(fd int, haste Haste, ahead func(), ready func(scratch []byte)) (*Watch, error) {
	p, err := join(haste)
	if err != nil {
		return nil, err
	}
	w := &Watch{fd: fd, ahead: ahead, ready: ready, poller: p}
	if err := w.Resume(); err != nil {
		p.leave()
		return nil, err
	}
	return w, nil
}

// Pause stops the calls of ready; one that has begun may still be under way.
func (w *Watch) Pause() error {
	p := w.poller
	p.mu.Lock()
	delete(p.watches, int32(w.fd))
	p.mu.Unlock()
	return p.control(unix.EPOLL_CTL_DEL, w.fd)
}

// Resume undoes Pause.
func (w *Watch) Resume() error {
	p := w.poller
	p.mu.Lock()
	p.watches[int32(w.fd)] = w
	p.mu.Unlock()
	return p.control(unix.EPOLL_CTL_ADD, w.fd)
}

// Close ends the watch. It has to be called before fd is closed, and once.
func (w *Watch) Close() {
	w.Pause() //nolint:errcheck // it may be paused
	w.poller.leave()
}

// join returns a poller for one more watch.
func join(haste Haste) (*poller, error) {
	pollers.Lock()
	defer pollers.Unlock()
	var least *poller
	same := 0
	for _, p := range pollers.all {
		if p.haste != haste {
			continue
		}
		if same++; least == nil || p.count < least.count {
			least = p
		}
	}
	if least == nil || least.count >= maxWatches && same < runtime.GOMAXPROCS(0) {
		p, err := newPoller(haste)
		if err != nil {
			return nil, err
		}
		pollers.all = append(pollers.all, p)
		go p.run()
		least = p
	}
	least.count++
	return least, nil
}

func newPoller(haste Haste) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	unix.SetNonblock(fd, true) //nolint:errcheck // has no reason to fail
	p := &poller{haste: haste, epoll: os.NewFile(uintptr(fd), "epoll"), watches: map[int32]*Watch{}}
	if p.raw, err = p.epoll.SyscallConn(); err != nil {
		p.epoll.Close()
		return nil, err
	}
	return p, nil
}

func (p *poller) leave() {
	pollers.Lock()
	defer pollers.Unlock()
	if p.count--; p.count == 0 {
		p.epoll.Close() // ends run
		pollers.all = slices.DeleteFunc(pollers.all, func(o *poller) bool { return o == p })
	}
}

func (p *poller) control(operation, fd int) error {
	var failed error
	events := uint32(unix.EPOLLIN)
	if p.haste == Patient {
		events |= unix.EPOLLET
	}
	err := p.raw.Control(func(epoll uintptr) {
		failed = unix.EpollCtl(int(epoll), operation, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
	})
	if err == nil && failed != nil {
		err = os.NewSyscallError("epoll_ctl", failed)
	}
	return err
}

func (w *Watch) prefetch() {
	if w != nil && w.ahead != nil {
		w.ahead()
	}
}

// run waits as goroutines wait for sockets: a set of epoll can be in another one.
func (p *poller) run() {
	var events [128]unix.EpollEvent
	var ready [len(events)]*Watch
	var n int
	scratch := make([]byte, ScratchSize)
	take := func(epoll uintptr) bool {
		n, _ = unix.EpollWait(int(epoll), events[:], 0)
		return n > 0
	}
	for p.raw.Read(take) == nil {
		p.mu.Lock()
		for i := range n {
			ready[i] = p.watches[events[i].Fd]
		}
		p.mu.Unlock()
		for i, w := range ready[:n] {
			prefetch.Value(w)
			if i == 0 {
				w.prefetch()
			}
		}
		for i, w := range ready[:n] {
			if i+1 < n {
				ready[i+1].prefetch()
			}
			if w != nil {
				w.ready(scratch)
			}
			ready[i] = nil
		}
		if p.haste == Patient && n < len(events) {
			time.Sleep(slotWidth)
		}
	}
}
