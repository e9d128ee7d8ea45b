package bench

import (
	"context"
	_ "embed"
	"os/exec"
)

//go:embed peers.py
var aiortcSource string

// startAiortc runs peers.py with the first of some Pythons that has aiortc.
func startAiortc(ctx context.Context, pythons []string) (*peersProcess, error) {
	for _, python := range pythons {
		if exec.CommandContext(ctx, python, "-c", "import aiortc").Run() == nil {
			return startPeers(exec.CommandContext(ctx, python, "-c", aiortcSource))
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, missing("aiortc (Debian package python3-aiortc)")
}
