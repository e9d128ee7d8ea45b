//go:build soak

package session

import (
	"testing"
	"time"
)

// TestSoakChurn is [TestChurn] for five minutes.
func TestSoakChurn(t *testing.T) {
	if isChild(t) {
		churn(t, 5*time.Minute)
		return
	}
	c := startChild(t)
	t.Log(c.said("churn"))
	c.end()
}
