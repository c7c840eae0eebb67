//go:build unix

package group

import "syscall"

// CanPause says whether this system can stop a process and let it go on.
const CanPause = true

// Pause stops the process where it stands.
func (n *Node) Pause() {
	n.g.Helper()
	n.Signal(syscall.SIGSTOP)
	n.paused = true
}

// Resume lets it go on.
func (n *Node) Resume() {
	n.g.Helper()
	n.Signal(syscall.SIGCONT)
	n.paused = false
}

// Leave asks the process to leave cleanly.
func (n *Node) Leave() {
	n.g.Helper()
	n.Signal(syscall.SIGTERM)
}
