package data

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/parley-media/parley"
)

// A Header is a message of text, in JSON, which says that a file follows: as many
// bytes as it says, in messages of bytes, of any size. What comes back is a header
// with the hash too, and the bytes in messages of 16 KiB; or one with an error, and
// then the channel is closed. Several files may follow each other.
type Header struct {
	Name   string `json:"name,omitempty"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"` // in hexadecimal digits
	Error  string `json:"error,omitempty"`
}

// chunk is what any browser takes in one message.
const chunk = 16 << 10

// files takes and returns files until the channel ends.
func (h Handler) files(ctx context.Context, ch parley.Channel, disk chan struct{}) {
	var m parley.Message
	for ch.ReadMessage(ctx, &m) == nil {
		select {
		case disk <- struct{}{}:
		case <-ctx.Done():
			return
		}
		err := h.file(ctx, ch, &m)
		<-disk
		if err != nil {
			// The far end may be gone, which is then the error.
			writeHeader(ctx, ch, Header{Error: err.Error()}) //nolint:errcheck
			return
		}
	}
}

// file takes and returns the file that m announces.
func (h Handler) file(ctx context.Context, ch parley.Channel, m *parley.Message) error {
	var head Header
	if !m.Text || json.Unmarshal(m.Data, &head) != nil {
		return errors.New("a file begins with its name and size in JSON")
	}
	if limit := cmp.Or(h.Limit, 64<<20); head.Size < 0 || head.Size > limit {
		return fmt.Errorf("a file has 0 to %d bytes", limit)
	}
	f, err := os.CreateTemp(h.Folder, "parley-*")
	if err != nil {
		return errors.New("there is no room for a file")
	}
	defer os.Remove(f.Name())
	defer f.Close()
	sum := sha256.New()
	if err := receive(ctx, ch, m, f, sum, head.Size); err != nil {
		return err
	}
	head.SHA256, head.Error = hex.EncodeToString(sum.Sum(nil)), ""
	if err := writeHeader(ctx, ch, head); err != nil {
		return err
	}
	return send(ctx, ch, io.NewSectionReader(f, 0, head.Size))
}

func receive(ctx context.Context, ch parley.Channel, m *parley.Message, f io.Writer, sum hash.Hash, size int64) error {
	for left := size; left > 0; left -= int64(len(m.Data)) {
		if err := ch.ReadMessage(ctx, m); err != nil {
			return err
		}
		if m.Text || int64(len(m.Data)) > left {
			return fmt.Errorf("the file is not of the %d bytes that were announced", size)
		}
		sum.Write(m.Data)
		if _, err := f.Write(m.Data); err != nil {
			return errors.New("there is no room for the file")
		}
	}
	return nil
}

// send writes what r has, as fast as the far end takes it.
func send(ctx context.Context, ch parley.Channel, r io.Reader) error {
	buf := make([]byte, chunk)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			if err := ch.WriteMessage(ctx, &parley.Message{Data: buf[:n]}); err != nil {
				return err
			}
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return nil
		default:
			return errors.New("the file is lost")
		}
	}
}

func writeHeader(ctx context.Context, ch parley.Channel, h Header) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return ch.WriteMessage(ctx, &parley.Message{Text: true, Data: text})
}
