package mls

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// The vectors are in the formats of test-vectors.md of mlswg/mls-implementations.
// Those of the working group are looked for beside the project; testdata/vectors
// holds a small set made by this package (go test -run TestWriteVectors -update), which
// also covers the suites that have no official ones.
var vectorFolders = []struct{ name, path string }{
	{"official", "../../shared/mls-vectors"},
	{"own", "testdata/vectors"},
}

// unsupportedReason names why a suite's vectors are passed over.
var unsupportedReason = map[Suite]string{
	0x0003: "ChaCha20-Poly1305 is not in the standard library as a bare AEAD",
	0x0004: "X448 and Ed448 are not in the standard library",
	0x0006: "X448 and Ed448 are not in the standard library",
}

// hexBytes is a byte string in a vector file; null gives nil.
type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil || s == nil {
		return err
	}
	out, err := hex.DecodeString(*s)
	*h = append([]byte{}, out...)
	return err
}

func (h hexBytes) MarshalJSON() ([]byte, error) {
	if h == nil {
		return []byte("null"), nil
	}
	return json.Marshal(hex.EncodeToString(h))
}

// vectorSuite is embedded by the cases that name a suite.
type vectorSuite struct {
	CipherSuite Suite `json:"cipher_suite"`
}

func (v vectorSuite) suiteOf() Suite { return v.CipherSuite }

// runVectors runs every case of one file in each folder that has it. A case of a
// suite that cannot be built is skipped by name; one of no listed reason fails.
func runVectors[T any](t *testing.T, file string, run func(t *testing.T, v T)) {
	for _, folder := range vectorFolders {
		t.Run(folder.name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join(folder.path, file))
			if os.IsNotExist(err) && folder.name == "official" {
				t.Skipf("official vectors are not on this machine: %s", file)
			} else if err != nil {
				t.Fatal(err)
			}
			var cases []T
			if err := json.Unmarshal(raw, &cases); err != nil {
				t.Fatal(err)
			}
			if len(cases) == 0 {
				t.Fatalf("%s holds no case", file)
			}
			for i, c := range cases {
				name := fmt.Sprint(i)
				if v, ok := any(c).(interface{ suiteOf() Suite }); ok {
					name = fmt.Sprintf("%d_%04X", i, uint16(v.suiteOf()))
					if reason, ok := unsupportedReason[v.suiteOf()]; ok {
						t.Run(name, func(t *testing.T) { t.Skip(reason) })
						continue
					}
				}
				t.Run(name, func(t *testing.T) { run(t, c) })
			}
		})
	}
}

// equal fails the test unless both are the same bytes.
func equal(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: got %x, want %x", what, got, want)
	}
}

// must fails the test on an error.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
