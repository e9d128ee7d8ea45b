package bench

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// appendBencode appends v, which is made of strings, ints, []any and map[string]any.
func appendBencode(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return append(append(strconv.AppendInt(b, int64(len(v)), 10), ':'), v...)
	case int:
		return append(strconv.AppendInt(append(b, 'i'), int64(v), 10), 'e')
	case []any:
		b = append(b, 'l')
		for _, e := range v {
			b = appendBencode(b, e)
		}
	case map[string]any:
		b = append(b, 'd')
		for _, k := range slices.Sorted(maps.Keys(v)) {
			b = appendBencode(appendBencode(b, k), v[k])
		}
	default:
		panic(fmt.Sprintf("bench: bencode has no %T", v))
	}
	return append(b, 'e')
}

var errBencode = errors.New("bench: malformed bencode")

// parseBencode returns the first value in s, and what is behind it.
func parseBencode(s string) (v any, rest string, err error) { return parseBencoded(s, 16) }

func parseBencoded(s string, depth int) (v any, rest string, err error) {
	if s == "" || depth == 0 {
		return nil, "", errBencode
	}
	switch s[0] {
	case 'i':
		text, rest, ok := strings.Cut(s[1:], "e")
		n, err := strconv.Atoi(text)
		if !ok || err != nil {
			return nil, "", errBencode
		}
		return n, rest, nil
	case 'l', 'd':
		var all []any
		rest := s[1:]
		for !strings.HasPrefix(rest, "e") {
			var e any
			if e, rest, err = parseBencoded(rest, depth-1); err != nil {
				return nil, "", err
			}
			all = append(all, e)
		}
		if s[0] == 'l' {
			return all, rest[1:], nil
		}
		return bencodedMap(all, rest[1:])
	}
	text, rest, ok := strings.Cut(s, ":")
	n, err := strconv.Atoi(text)
	if !ok || err != nil || n < 0 || n > len(rest) {
		return nil, "", errBencode
	}
	return rest[:n], rest[n:], nil
}

// bencodedMap makes a map of keys and values.
func bencodedMap(all []any, rest string) (any, string, error) {
	m := make(map[string]any)
	for pair := range slices.Chunk(all, 2) {
		k, ok := pair[0].(string)
		if !ok || len(pair) != 2 {
			return nil, "", errBencode
		}
		m[k] = pair[1]
	}
	return m, rest, nil
}
