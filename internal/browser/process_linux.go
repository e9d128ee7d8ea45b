package browser

import (
	"os/exec"
	"syscall"
)

// ownGroup lets killGroup end the browser's children too, and the kernel end the
// browser if the test process dies without running its cleanups.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
