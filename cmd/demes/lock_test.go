package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tell runs demes to its end with something on standard input.
func (h home) tell(input string, args ...string) (said string, code int) {
	h.t.Helper()
	var out bytes.Buffer
	command := h.command(args...)
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(input), &out, &out
	_ = command.Run() // its exit code says it
	return out.String(), command.ProcessState.ExitCode()
}

// wants runs demes and fails the test unless it says this and ends with the code.
func (h home) wants(code int, say, input string, args ...string) string {
	h.t.Helper()
	said, got := h.tell(input, args...)
	if got != code || !strings.Contains(said, say) {
		h.t.Fatalf("demes %v: exit code %d, %q; want %d and %q", args, got, said, code, say)
	}
	return said
}

func (p *process) stop(h home, args ...string) {
	h.wants(exitOK, "", "", append([]string{"stop"}, args...)...)
	_ = p.Wait()
}

// TestLifeOfAPassphrase plays a day with the binary itself.
func TestLifeOfAPassphrase(t *testing.T) {
	h := newHome(t)
	p := h.start("--port", "0")
	before := h.wants(exitOK, "not written down yet", "", "account")
	if !strings.Contains(before, "a key file") {
		t.Errorf("account says %q", before)
	}
	h.wants(exitError, "has no passphrase", "", "lock")
	h.wants(exitUsage, "no terminal", "", "passphrase", "set")
	h.wants(exitUsage, "takes - or no words", "", "passphrase", "set", "secret")
	h.wants(exitError, "too short", "short\n", "passphrase", "set", "-")
	h.wants(exitOK, "is set", "correct horse\n", "passphrase", "set", "-")
	h.wants(exitError, "already", "correct horse\n", "passphrase", "set", "-")
	h.wants(exitError, "wrong", "x\nanother horse\n", "passphrase", "change", "-")
	h.wants(exitOK, "is changed", "correct horse\nanother horse\n", "passphrase", "change", "-")
	if _, err := os.Stat(filepath.Join(h.dir, "data", "demes", "default", "key")); !os.IsNotExist(err) {
		t.Errorf("the key file is still there: %v", err)
	}
	p.stop(h)

	p = h.start("--port", "0")
	h.wants(exitError, "locked", "", "chats")
	h.wants(exitError, "locked", "another horse\n", "words", "-")
	if res, err := http.Get("http://127.0.0.1:" + p.port + "/healthz"); err != nil || res.StatusCode != 200 {
		t.Errorf("healthz of a locked node: %v, %v", res, err)
	}
	h.wants(exitError, "is in use", "", "run", "--port", "0", "--no-browser")
	h.wants(exitError, "wrong", "correct horse\n", "unlock", "-")
	h.wants(exitOK, "unlocked", "another horse\n", "unlock", "-")
	h.wants(exitOK, "", "", "unlock")
	h.wants(exitOK, "", "", "new", "Ducks")
	h.wants(exitOK, "locked", "", "lock")
	h.wants(exitError, "locked", "", "chats")
	h.wants(exitOK, "unlocked", "another horse\n", "unlock", "-")
	h.wants(exitOK, "Ducks", "", "chats")
	p.stop(h)
	for _, secret := range []string{"another horse", "correct horse"} {
		if strings.Contains(p.stderr.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}

	h.wants(exitError, "wrong", "no horse at all\n", "run", "--port", "0", "--no-browser", "--passphrase", "-")
	h.wants(exitUsage, "no passphrase on standard input", "", "run", "--port", "0", "--no-browser", "--passphrase", "-")
	h.wants(exitUsage, "takes - only", "", "run", "--passphrase", "secret")
	p = h.startTold("another horse\n", "--port", "0", "--passphrase", "-")
	h.wants(exitOK, "Ducks", "", "chats")
	h.wants(exitOK, "is removed", "another horse\n", "passphrase", "remove", "-")
	p.stop(h)
	p = h.start("--port", "0")
	h.wants(exitOK, "Ducks", "", "chats")
	p.stop(h)
}

func TestLockedNodeLeavesWhenAsked(t *testing.T) {
	h := newHome(t)
	p := h.startTold("correct horse\n", "--port", "0", "--passphrase", "-")
	h.wants(exitOK, "a passphrase", "", "account")
	p.stop(h)
	p = h.start("--port", "0")
	p.stop(h)
	if p.ProcessState.ExitCode() != exitOK {
		t.Errorf("exit code %d\n%s", p.ProcessState.ExitCode(), p.stderr.String())
	}
}

// TestAccountComesBack recovers an account from its words and from a file.
func TestAccountComesBack(t *testing.T) {
	h := newHome(t)
	p := h.start("--port", "0", "--name", "Ann")
	account := h.wants(exitOK, "", "", "account", "--json")
	words := h.wants(exitOK, "24.", "", "words")
	h.wants(exitOK, "written down", "", "account")
	file := filepath.Join(h.dir, "ann.sealed")
	h.wants(exitUsage, "--account FILE", "", "export")
	h.wants(exitError, "too short", "x\n", "export", "--account", file, "-")
	h.wants(exitOK, "ann.sealed", "of the file\n", "export", "--account", file, "-")
	h.wants(exitError, "already", "of the file\n", "export", "--account", file, "-")
	p.stop(h)

	h.wants(exitError, "has an account already", words, "recover", "-")
	h.wants(exitError, "These are 2 words", "abandon art", "recover", "--profile", "new", "-")
	h.wants(exitError, "not on the list", "frobnicate", "recover", "--profile", "new", "-")
	if _, err := os.Stat(filepath.Join(h.dir, "data", "demes", "new")); !os.IsNotExist(err) {
		t.Errorf("wrong words made a profile: %v", err)
	}
	h.wants(exitOK, "demes run --profile new", words, "recover", "--profile", "new", "--name", "Ann B", "-")
	h.wants(exitError, "has an account already", words, "recover", "--profile", "new", "-")
	h.wants(exitError, "wrong", "another\n", "import", file, "--profile", "third", "-")
	h.wants(exitError, "no sealed file", "x\n", "import", filepath.Join(h.dir, "data", "demes", "default", "profile.txt"), "--profile", "third", "-")
	h.wants(exitError, "cannot be read", "x\n", "import", h.dir+"/none", "--profile", "third", "-")
	h.wants(exitOK, "demes run --profile third", "of the file\n", "import", file, "--profile", "third", "-")
	devices := map[string]bool{field(account, "device"): true}
	for profile, name := range map[string]string{"new": "Ann B", "third": "Ann"} {
		p := h.start("--port", "0", "--profile", profile)
		again := h.wants(exitOK, "", "", "account", "--json", "--profile", profile)
		if field(again, "account") != field(account, "account") || devices[field(again, "device")] {
			t.Errorf("%s: %s of %s", profile, again, account)
		}
		devices[field(again, "device")] = true
		h.wants(exitOK, name, "", "status", "--profile", profile)
		p.stop(h, "--profile", profile)
	}
}

// field cuts a text field out of a JSON object.
func field(object, name string) string {
	_, rest, _ := strings.Cut(object, `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}
