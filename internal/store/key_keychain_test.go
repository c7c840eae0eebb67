package store

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/zalando/go-keyring"
)

// TestSystemRing runs against the library's memory, never against a real
// keychain.
func TestSystemRing(t *testing.T) {
	keyring.MockInit()
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
	r := SystemRing()
	if _, err := r.Get("s", "n"); !errors.Is(err, ErrNotInKeychain) {
		t.Errorf("an entry that is not there: %v", err)
	}
	if err := r.Set("s", "n", "secret"); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Get("s", "n"); got != "secret" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := r.Delete("s", "n"); err != nil {
		t.Error(err)
	}
	if err := r.Delete("s", "n"); !errors.Is(err, ErrNotInKeychain) {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestHangingKeychainIsGivenUp(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
	hang := make(chan bool)
	defer close(hang)
	_, err := systemRing{wait: time.Millisecond}.ask(func() (string, error) { <-hang; return "", nil })
	if err == nil || !strings.Contains(err.Error(), "did not answer") {
		t.Errorf("got %v", err)
	}
}

func TestNoSessionIsNoKeychain(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a session always has a keychain here")
	}
	for _, bus := range []string{"", "autolaunch:"} {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", bus)
		t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
		_, err := systemRing{wait: time.Second}.ask(func() (string, error) { t.Error("it was asked"); return "", nil })
		if err == nil {
			t.Error("there is a keychain")
		}
	}
}
