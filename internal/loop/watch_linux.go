//go:build !portable

package loop

import (
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Watch tells when something has come in on a socket that no goroutine waits for.
type Watch struct {
	fd     int
	ready  func()
	poller *poller
}

// A poller is the goroutine that all watches of the process share. It is there while
// there are watches.
type poller struct {
	epoll *os.File
	raw   syscall.RawConn

	mu      sync.Mutex
	watches map[int32]*Watch
}

var watching struct {
	sync.Mutex
	poller *poller
	count  int
}

// NewWatch has ready called from now on when datagrams have come in on the socket fd,
// and at once if there are some, until Close. It may be called when there is nothing,
// and it is called again only after more has come, so all that is there has to be
// read. ready must not block. What comes within a millisecond is told of together.
func NewWatch(fd int, ready func()) (*Watch, error) {
	p, err := join()
	if err != nil {
		return nil, err
	}
	w := &Watch{fd: fd, ready: ready, poller: p}
	if err := w.Resume(); err != nil {
		leave()
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
	leave()
}

func join() (*poller, error) {
	watching.Lock()
	defer watching.Unlock()
	if watching.poller == nil {
		fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return nil, os.NewSyscallError("epoll_create1", err)
		}
		unix.SetNonblock(fd, true) //nolint:errcheck // has no reason to fail
		p := &poller{epoll: os.NewFile(uintptr(fd), "epoll"), watches: map[int32]*Watch{}}
		if p.raw, err = p.epoll.SyscallConn(); err != nil {
			p.epoll.Close()
			return nil, err
		}
		watching.poller = p
		go p.run()
	}
	watching.count++
	return watching.poller, nil
}

func leave() {
	watching.Lock()
	defer watching.Unlock()
	if watching.count--; watching.count == 0 {
		watching.poller.epoll.Close() // ends run
		watching.poller = nil
	}
}

func (p *poller) control(operation, fd int) error {
	var failed error
	err := p.raw.Control(func(epoll uintptr) {
		failed = unix.EpollCtl(int(epoll), operation, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(fd)})
	})
	if err == nil && failed != nil {
		err = os.NewSyscallError("epoll_ctl", failed)
	}
	return err
}

// run waits as goroutines wait for sockets: a set of epoll can be in another one.
func (p *poller) run() {
	var events [128]unix.EpollEvent
	var n int
	take := func(epoll uintptr) bool {
		n, _ = unix.EpollWait(int(epoll), events[:], 0)
		return n > 0
	}
	for p.raw.Read(take) == nil {
		for _, e := range events[:n] {
			p.mu.Lock()
			w := p.watches[e.Fd]
			p.mu.Unlock()
			if w != nil {
				w.ready()
			}
		}
		if n < len(events) {
			time.Sleep(slotWidth)
		}
	}
}
