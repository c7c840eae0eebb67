package test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNothingReadableLies has three processes chat, and looks for what was said, for
// titles, names of invites and the words of an account in every file of their folders
// while they run and after kill -9, in their temporary folder and in what they log
// (promise C1).
func TestNothingReadableLies(t *testing.T) {
	if testing.Short() {
		t.Skip("a real run of many seconds")
	}
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	g := live(t, 3)
	host := g.Host()
	host.Send("the canary sings")
	g.UntilEqual()
	rest := g.Others(host)[0]
	demes(t, rest, "react", "1", "🐤")
	demes(t, g.Running()[0], "retitle", "canary club") // the founder
	rest.Send("a second canary")
	g.UntilEqual()
	link := host.Invite()
	words := strings.Fields(demes(t, host, "words"))
	canaries := [][]byte{[]byte("canary"), []byte("🐤"), []byte(strings.TrimPrefix(link, "demes://join#"))}
	if n := len(words); n >= 24 {
		canaries = append(canaries, []byte(strings.Join(words[n-3:], " ")))
	}
	look := func(when string, dir string) {
		t.Helper()
		files := 0
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return nil // a file that went meanwhile
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return nil
			}
			files++
			for _, canary := range canaries {
				if bytes.Contains(raw, canary) {
					t.Errorf("%s: %s holds %q", when, path, canary)
				}
			}
			return nil
		})
		if err != nil || dir != temporary && files < 4 {
			t.Errorf("%s: %d files of %s were read, %v", when, files, dir, err)
		}
	}
	for _, n := range g.Running() {
		look("while it runs", n.Dir)
	}
	look("the temporary folder", temporary)
	for _, n := range g.Running() {
		n.Kill()
		look("after a kill", n.Dir)
		for _, canary := range canaries {
			if strings.Contains(n.Logged(), string(canary)) {
				t.Errorf("%s logs %q", n.Name, canary)
			}
		}
	}
}
