package test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/demes-chat/demes/bench/group"
)

// demes runs a command of the binary on a node's folder.
func demes(t *testing.T, n *group.Node, words ...string) string {
	t.Helper()
	command := exec.Command(binary, append(words, "--data", n.Dir)...)
	command.Env = append(os.Environ(), "DEMES_KEYCHAIN=off")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("demes %q: %v\n%s", words, err, out)
	}
	return string(out)
}

// replace puts a copy of a folder in the place of another.
func replace(t *testing.T, to, from string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func members(n *group.Node) (devices []string) {
	for _, m := range n.View().Members {
		devices = append(devices, m.Device)
	}
	return devices
}

// TestAnOldCopyComesBackAsANewDevice restores a profile from before its device wrote
// something that the others hold.
func TestAnOldCopyComesBackAsANewDevice(t *testing.T) {
	long(t)
	g := live(t, 3)
	rest := g.Others(g.Host())
	n, other := rest[0], rest[1]
	n.Send("before the copy")
	g.UntilEqual()
	n.Leave()
	n.ExitCode()
	backup := t.TempDir()
	replace(t, backup, n.Dir)
	n.Start()
	n.Send("after the copy")
	g.UntilEqual()
	old := n.Device
	n.Leave()
	n.ExitCode()
	replace(t, n.Dir, backup)
	other.Send("while it was away")
	n.Start()
	g.Until(group.Patience, "the old copy to say so", func() error {
		if problem := n.View().Problem; problem == nil || problem.Code != "stale-copy" {
			return fmt.Errorf("its problem is %v", problem)
		}
		return nil
	})
	demes(t, n, "device", "renew")
	g.Until(group.Patience, "the old device to be gone and a new one to be there", func() error {
		if devices := members(other); len(devices) != 3 || slices.Contains(devices, old) {
			return fmt.Errorf("%s sees %v", other.Name, devices)
		}
		var list struct{ Chats []group.Chat }
		if err := n.Call("GET", "/chats", nil, &list); err != nil {
			return err // the node starts again
		}
		if len(list.Chats) != 1 || list.Chats[0].Phase != "live" || list.Chats[0].Problem != nil {
			return fmt.Errorf("%s has %v", n.Name, list.Chats)
		}
		return nil
	})
	n.Send("as a new device")
	g.Until(group.Patience, "the messages to be everywhere", func() error {
		for _, one := range g.Nodes {
			settled, _, _, err := one.Log(g.Chat)
			if err != nil {
				return err
			}
			for _, text := range []string{"before the copy", "after the copy", "while it was away", "as a new device"} {
				if texts(settled)[text] != 1 {
					return fmt.Errorf("%s shows %q %d times of %d messages", one.Name, text, texts(settled)[text], len(settled))
				}
			}
		}
		return nil
	})
}

// TestASecondDeviceIsAdded adds a device by its command line.
func TestASecondDeviceIsAdded(t *testing.T) {
	long(t)
	g := live(t, 3)
	first := g.Nodes[1]
	first.Send("from the first device")
	g.UntilEqual()
	link := demes(t, first, "device", "add")
	confirmed := make(chan error, 1)
	stop := first.Follow(func(e group.Event) {
		if e.Type == "device" {
			confirmed <- first.Call("POST", "/account/devices/confirm", nil, nil)
		}
	})
	defer stop()
	second := g.Add("--link", link)
	if err := <-confirmed; err != nil {
		t.Fatal(err)
	}
	g.Until(group.Patience, "the second device to have the chat and what was said", func() error {
		chats := second.Chats()
		if len(chats) != 1 || len(chats[0].Members) != 4 {
			return fmt.Errorf("it has %v", chats)
		}
		settled, _, _, err := second.Log(g.Chat)
		if err == nil && texts(settled)["from the first device"] != 1 {
			err = fmt.Errorf("it shows %d messages", len(settled))
		}
		return err
	})
	second.Send("from the second device")
	wantOnce(t, g.UntilEqual(), "from the first device", "from the second device")
}
