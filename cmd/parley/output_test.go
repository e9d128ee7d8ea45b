package main

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var controls = regexp.MustCompile(`^(\r|\n|\x1b\[K|\x1b\[\?7[lh])`)

// screen returns the rows of a terminal of that many columns after it was sent text.
func screen(text string, columns int) (rows []string) {
	all, row, column, wraps := [][]rune{nil}, 0, 0, true
	for text != "" {
		if control := controls.FindString(text); control != "" {
			text = text[len(control):]
			switch control {
			case "\r":
				column = 0
			case "\n":
				all, row, column = append(all, nil), row+1, 0
			case "\x1b[K":
				all[row] = all[row][:min(column, len(all[row]))]
			default:
				wraps = strings.HasSuffix(control, "h")
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		if column == columns && wraps {
			all, row, column = append(all, nil), row+1, 0
		}
		column = min(column, columns-1)
		all[row] = append(all[row][:min(column, len(all[row]))], r)
		column++
	}
	for _, r := range all {
		rows = append(rows, string(r))
	}
	return rows
}

// Progress that is longer than a row of the terminal leaves nothing behind.
func TestProgressOfManyColumns(t *testing.T) {
	var b bytes.Buffer
	o := newOutput(false, &b, &b)
	o.isTerm = true
	o.emit(event{}, "begins")
	note := strings.Repeat("25.0 fps, ", 10) + "0 lost"
	for s := range time.Duration(3) {
		o.bar(s*time.Second, 3*time.Second, note)
	}
	if rows := screen(b.String(), 80); len(rows) != 2 || !strings.Contains(rows[1], "0:02 / 0:03") {
		t.Errorf("the screen has %q", rows)
	}
	o.emit(event{}, "ends")
	if rows, want := screen(b.String(), 80), []string{"begins", "ends", ""}; !slices.Equal(rows, want) {
		t.Errorf("the screen has %q, want %q", rows, want)
	}
}
