package group

// CanPause says whether this system can stop a process and let it go on.
const CanPause = false

// Pause is not to be had here.
func (n *Node) Pause() { n.g.Fatalf("this system cannot pause a process") }

// Resume is not to be had here.
func (n *Node) Resume() {}

// Leave asks the process to leave cleanly.
func (n *Node) Leave() {
	n.g.Helper()
	n.Must("POST", "/shutdown", nil, nil)
}
