package identity

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	mathrand "math/rand/v2"
	"strings"
	"testing"

	"github.com/demes-chat/demes"
)

// cheap is work that tests can do often.
var cheap = cost{passes: 1, memoryKiB: 8, lanes: 1}

func sealCheaply(t testing.TB, content string) []byte {
	t.Helper()
	sealed, err := seal(PurposeAccount, "correct horse", []byte(content), rand.Reader, cheap)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestSealedContentComesBack(t *testing.T) {
	for _, content := range []string{"", "x", strings.Repeat("long ", 10_000)} {
		sealed, err := Seal(PurposeAccount, "correct horse", []byte(content), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Open(PurposeAccount, "correct horse", sealed)
		if err != nil || string(got) != content {
			t.Errorf("%d bytes came back as %d, %v", len(content), len(got), err)
		}
	}
	if c, err := readHeader(PurposeAccount, sealNow(t)); err != nil || c != (cost{3, 64 << 10, 4}) {
		t.Errorf("the work is %+v, %v; want 3 passes over 64 MiB in 4 lanes", c, err)
	}
}

func sealNow(t *testing.T) []byte {
	sealed, err := Seal(PurposeAccount, "p", nil, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// TestSealedFormatStays keeps files of today readable: the vector is of version 1.
func TestSealedFormatStays(t *testing.T) {
	const vector = "44654d6573207365616c65640a0101000000010000000801"
	made, err := seal(PurposeAccount, "passé", []byte("content"), mathrand.NewChaCha8([32]byte{1}), cheap)
	if err != nil || !strings.HasPrefix(hex.EncodeToString(made), vector) {
		t.Fatalf("got %x, %v; want it to begin with %s", made, err, vector)
	}
	const whole = vector + sealedVector
	if hex.EncodeToString(made) != whole {
		t.Errorf("got\n%x want\n%s", made, whole)
	}
	raw, _ := hex.DecodeString(whole)
	for _, typed := range []string{"passé", "passe\u0301"} {
		if got, err := Open(PurposeAccount, typed, raw); err != nil || string(got) != "content" {
			t.Errorf("%q: %q, %v", typed, got, err)
		}
	}
}

func TestTwoSealsOfTheSameDiffer(t *testing.T) {
	a, b := sealCheaply(t, "same"), sealCheaply(t, "same")
	if bytes.Equal(a[headerSize-saltSize-nonceSize:], b[headerSize-saltSize-nonceSize:]) {
		t.Error("salt or nonce repeat")
	}
	if bytes.Contains(a, []byte("same")) {
		t.Error("the content is readable")
	}
	if _, err := seal(PurposeAccount, "p", nil, bytes.NewReader(nil), cheap); err == nil {
		t.Error("sealed without randomness")
	}
}

func TestWrongPassphraseOpensNothing(t *testing.T) {
	sealed := sealCheaply(t, "secret")
	for _, wrong := range []string{"", "correct hors", "Correct horse", "correct horse "} {
		got, err := Open(PurposeAccount, wrong, sealed)
		if !errors.Is(err, &demes.Error{Code: demes.CodeWrongPassphrase}) || got != nil {
			t.Errorf("%q: %q, %v", wrong, got, err)
		}
	}
	if _, err := Open(PurposeAccount, strings.Repeat("x", MaxPassphrase+1), sealed); !errors.Is(err, &demes.Error{Code: demes.CodeBadInput}) {
		t.Errorf("too long: %v", err)
	}
}

func TestAnyChangedByteIsNoticed(t *testing.T) {
	sealed := sealCheaply(t, "secret")
	for i := range sealed {
		for _, flip := range []byte{1, 0x80} {
			changed := bytes.Clone(sealed)
			changed[i] ^= flip
			if c, err := readHeader(PurposeAccount, changed); err == nil && c.memoryKiB > 1<<10 {
				continue // it is bounded; deriving it 50 times is slow
			}
			if got, err := Open(PurposeAccount, "correct horse", changed); err == nil {
				t.Errorf("byte %d changed by %#x: opened as %q", i, flip, got)
			}
		}
	}
	for n := range sealed {
		if got, err := Open(PurposeAccount, "correct horse", sealed[:n]); err == nil {
			t.Errorf("cut to %d bytes: opened as %q", n, got)
		}
	}
	if _, err := Open(PurposeAccount, "correct horse", append(bytes.Clone(sealed), 0)); err == nil {
		t.Error("one byte more: opened")
	}
	if _, err := Open(PurposeLock, "correct horse", sealed); !errors.Is(err, &demes.Error{Code: demes.CodeBadInput}) {
		t.Errorf("another purpose: %v", err)
	}
}

func TestHostileParametersCostNothing(t *testing.T) {
	for name, c := range map[string]cost{
		"4 TiB": {1, 1<<32 - 1, 1}, "1 GiB": {1, 1 << 20, 4}, "endless": {1<<32 - 1, 8, 1}, "no pass": {0, 8, 1}, "no lane": {1, 8, 0},
		"no memory": {1, 0, 1}, "less than a lane needs": {1, 31, 4}, "255 lanes": {1, 8 * 255, 255},
	} {
		sealed := sealCheaply(t, "x")
		binary.BigEndian.PutUint32(sealed[len(sealedMagic)+2:], c.passes)
		binary.BigEndian.PutUint32(sealed[len(sealedMagic)+6:], c.memoryKiB)
		sealed[len(sealedMagic)+10] = c.lanes
		var err error
		size := testing.AllocsPerRun(1, func() { _, err = Open(PurposeAccount, "p", sealed) })
		if !errors.Is(err, &demes.Error{Code: demes.CodeBadInput}) || size > 20 {
			t.Errorf("%s: %v after %.0f allocations", name, err, size)
		}
	}
	if _, err := Open(PurposeAccount, "p", make([]byte, MaxSealed+1)); err == nil {
		t.Error("a file above the limit was read")
	}
	if _, err := Seal(PurposeAccount, "p", make([]byte, MaxSealed), rand.Reader); err == nil {
		t.Error("a file above the limit was made")
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(sealCheaply(f, "content"))
	f.Add([]byte(sealedMagic))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if c, err := readHeader(PurposeAccount, sealed); err != nil || c.memoryKiB > 64 || c.passes > 2 {
			return // refused, or bounded and slow
		}
		if content, err := Open(PurposeAccount, "another passphrase", sealed); err == nil {
			t.Errorf("%x opens without its passphrase as %q", sealed, content)
		}
	})
}

// sealedVector is what follows the parameters of the vector: salt, nonce and
// content.
const sealedVector = "6ae6783f4fbde91b6eb88b73a48ed247dbe5882e2579683432c1bfc5906f5ce764958c167e0815a2739d41d1cec28c02fcc12e"
