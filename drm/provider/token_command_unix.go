//go:build unix

package provider

import (
	"os/exec"
	"syscall"
)

// ownGroup makes a command the first of a group of processes that ends as a whole when its time is up: what a script started
// would go on without it.
func ownGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
}
