package main

import (
	"errors"
	"io"
	"os"
)

// createPage makes the file for a web page before the measurement, so that a wrong name
// is told before it, not after. It is nil, which can be closed, for no name.
func createPage(name string) (*os.File, error) {
	if name == "" {
		return nil, nil
	}
	return os.Create(name)
}

// writePage fills and closes the page, if there is one.
func writePage(page *os.File, write func(io.Writer) error) error {
	if page == nil {
		return nil
	}
	return errors.Join(write(page), page.Close())
}
