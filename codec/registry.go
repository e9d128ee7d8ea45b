package codec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

var registry struct {
	sync.RWMutex
	codecs map[string]*Codec // by name in lower case
}

// Register adds c to the codecs that [Lookup] finds, in the place of an earlier
// one with the same name: a package that brings a better back end imports the
// plain one and so is initialised, and registers, after it. Register panics if
// c has no name or no Format.
func Register(c Codec) {
	if c.Name == "" || c.Format == nil {
		panic("codec: Register needs a Name and a Format")
	}
	registry.Lock()
	defer registry.Unlock()
	if registry.codecs == nil {
		registry.codecs = make(map[string]*Codec)
	}
	registry.codecs[strings.ToLower(c.Name)] = &c
}

// Lookup returns the codec that is registered for p.Name, if it exists with the
// clock rate and the channels of p. The error wraps [ErrUnknown] if there is no
// codec of that name.
func Lookup(p Params) (*Codec, error) {
	registry.RLock()
	c := registry.codecs[strings.ToLower(p.Name)]
	registry.RUnlock()
	if c == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, p.Name)
	}
	if _, err := c.Format(p); err != nil {
		return nil, err
	}
	return c, nil
}

// NoEncoder returns the error of one that is to send p while this build only decodes it,
// or does not know it. It wraps [ErrUnknown], and says what is wrong with p, or what a
// program has to import if there is an encoder that it could have.
func NoEncoder(p Params) error {
	if _, err := Lookup(p); err != nil && !errors.Is(err, ErrUnknown) {
		return fmt.Errorf("%w: no encoder for %s: %w", ErrUnknown, p, err)
	}
	if strings.EqualFold(p.Name, "opus") {
		return fmt.Errorf("%w: no encoder for %s: import codec/opus/libopus, which has one", ErrUnknown, p)
	}
	return fmt.Errorf("%w: no encoder for %s", ErrUnknown, p)
}

// Names returns the names of all registered codecs, sorted.
func Names() []string {
	registry.RLock()
	defer registry.RUnlock()
	names := make([]string, 0, len(registry.codecs))
	for _, c := range registry.codecs {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}
