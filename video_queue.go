package parley

import (
	"time"

	"github.com/parley-media/parley/video"
)

const (
	maxPictures     = 64
	maxPictureBytes = 8 << 20
	keptPicture     = 256 << 10 // memory of a frame that is kept for those to come
)

// A pictureQueue has the frames that were received and not read. When it is
// full, frames are dropped, up to a key frame. It is a ring with one frame more,
// into which the next one is received.
type pictureQueue struct {
	frames  [maxPictures + 1]video.Frame
	first   int
	count   int
	bytes   int
	behind  bool // frames were dropped, and no key frame has come since
	dropped int64
}

func (q *pictureQueue) at(i int) *video.Frame { return &q.frames[(q.first+i)%len(q.frames)] }

// room returns the frame that push takes into the queue.
func (q *pictureQueue) room() *video.Frame { return q.at(q.count) }

func (q *pictureQueue) push() {
	f := q.room()
	if q.behind && !f.Key {
		q.dropped++
		return
	}
	q.behind = false
	q.count++
	q.bytes += len(f.Data)
	for q.count > maxPictures || q.bytes > maxPictureBytes && q.count > 1 {
		q.skip()
	}
}

// skip drops the first frame and those that follow it up to a key frame.
func (q *pictureQueue) skip() {
	q.drop()
	q.dropped++
	for q.count > 0 && !q.at(0).Key {
		q.drop()
		q.dropped++
	}
	q.behind = q.count == 0
}

// clear drops all frames. After that comes a key frame, if there were any.
func (q *pictureQueue) clear() {
	q.behind = q.behind || q.count > 0
	for q.count > 0 {
		q.drop()
		q.dropped++
	}
}

func (q *pictureQueue) drop() {
	f := q.at(0)
	q.bytes -= len(f.Data)
	if cap(f.Data) > keptPicture {
		f.Data = nil
	}
	q.first = (q.first + 1) % len(q.frames)
	q.count--
}

// span returns the time from the first frame to the last.
func (q *pictureQueue) span() time.Duration {
	if q.count == 0 {
		return 0
	}
	return q.at(q.count-1).Time - q.at(0).Time
}

// pop copies the first frame into f.
func (q *pictureQueue) pop(f *video.Frame) bool {
	if q.count == 0 {
		return false
	}
	data := append(f.Data[:0], q.at(0).Data...)
	*f = *q.at(0)
	f.Data = data
	q.drop()
	return true
}
