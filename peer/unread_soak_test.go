//go:build interop && soak

package peer_test

import "time"

// unread is for how long [TestUnreadLive] reads nothing.
const unread = time.Minute
