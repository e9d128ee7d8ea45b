package dtmf

import (
	"errors"
	"fmt"
)

// ErrDigit is wrapped by the error for a character that is no [Digit].
var ErrDigit = errors.New("dtmf: not a digit")

// A Digit is a key of a telephone. Its value is its character: '0' to '9', '*',
// '#', 'A' to 'D', or [Flash].
type Digit byte

// Flash is a short press of the hook, which is an event (RFC 4733, section 3.2,
// code 16), but has no tone.
const Flash Digit = '!'

const events = "0123456789*#ABCD!" // by event code

var codes = func() (t [128]int8) {
	for i := range t {
		t[i] = -1
	}
	for i, c := range events {
		t[c] = int8(i)
	}
	for c := 'a'; c <= 'd'; c++ {
		t[c] = t[c-'a'+'A']
	}
	return t
}()

// ParseDigit returns the digit of a character; a to d are A to D. The error
// wraps [ErrDigit].
func ParseDigit(c rune) (Digit, error) {
	if c < 0 || int(c) >= len(codes) || codes[c] < 0 {
		return 0, fmt.Errorf("%w: %q", ErrDigit, c)
	}
	return Digit(events[codes[c]]), nil
}

// DigitOf returns the digit of an event code (RFC 4733, section 3.2), and false
// if the code is another event.
func DigitOf(code uint8) (Digit, bool) {
	if int(code) >= len(events) {
		return 0, false
	}
	return Digit(events[code]), true
}

// Code returns the event code of d (RFC 4733, section 3.2), and false if d is
// no digit.
func (d Digit) Code() (uint8, bool) {
	c, err := ParseDigit(rune(d))
	if err != nil || c != d {
		return 0, false
	}
	return uint8(codes[d]), true
}

// String returns the character of d.
func (d Digit) String() string { return string(rune(d)) }
