package store_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/store"
)

// canary returns bytes that stand nowhere else, and the same for the same
// number: a word that a search finds in whole, and a third of them overlong so
// that pages of their own are used.
func canary(kind string, n uint64) []byte {
	size := 32
	if n%3 == 0 {
		size = 6000
	}
	return bytes.Repeat(fmt.Appendf(nil, "<%s canary %08d>", kind, n), size/16)
}

// canaries is how many records of each kind these tests write: enough for trees
// of several levels.
const canaries = 400

// device returns one of many authors: contents are written all over their tree,
// as those of a busy chat are, and its pages split.
func device(n uint64) demes.DeviceID { return demes.DeviceID(demes.Sum([]byte{byte(n % 23)})) }

func canaryEvent(n uint64) demes.EventID { return demes.EventID{Device: device(n), Seq: n} }

// leak is a word to be searched for. Of a secret it is the record as it stands in
// the database: who has the key opens it.
type leak struct {
	what string
	word []byte
}

// writeCanaries writes secrets and contents in a random order, deletes and
// overwrites most of them in another, and returns words that must be gone and
// words that must be there.
func writeCanaries(t *testing.T, s *store.Store, dir string, random *rand.Rand) (gone, kept []leak) {
	t.Helper()
	for _, n := range random.Perm(canaries) {
		n := uint64(n)
		expires := int64(n % 2 * 1000)
		commit(t, s, &chat.Batch{
			Chat:     chatID,
			Contents: []chat.Content{{Event: canaryEvent(n), Plain: canary("plain", n), ExpiresMs: expires}},
			Secrets:  []chat.SecretChange{{Space: fmt.Sprint("space ", n%3), Put: []chat.Value{{Name: fmt.Sprint(random.Uint64(), n), Data: canary("key", n)}}}},
		})
	}
	before := sealedSecrets(t, dir)
	saved, err := s.Load(chatID)
	if err != nil {
		t.Fatal(err)
	}
	for space, values := range saved.Secrets {
		for i, v := range values {
			sealed := leak{"a sealed key", before[space+"/"+v.Name][:24]}
			change := chat.SecretChange{Space: space}
			switch i % 5 {
			case 0:
				kept = append(kept, sealed)
				continue
			case 1, 2:
				change.Put = []chat.Value{{Name: v.Name, Data: canary("newer", uint64(i))}}
			default:
				change.Delete = []string{v.Name}
			}
			gone = append(gone, sealed)
			commit(t, s, &chat.Batch{Chat: chatID, Secrets: []chat.SecretChange{change}})
		}
	}
	for _, n := range random.Perm(canaries) {
		n := uint64(n)
		word := leak{"a plaintext", canary("plain", n)[:24]}
		switch n % 5 {
		case 0:
			kept = append(kept, word)
			continue
		case 1:
			commit(t, s, &chat.Batch{Chat: chatID, Contents: []chat.Content{{Event: canaryEvent(n), Plain: canary("newer", n)}}})
		default:
			commit(t, s, &chat.Batch{Chat: chatID, Forget: []demes.EventID{canaryEvent(n)}})
		}
		gone = append(gone, word)
	}
	return gone, kept
}

// sealedSecrets reads the records that hold keys as they stand in the database,
// by space and name.
func sealedSecrets(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	db := rawDatabase(t, dir)
	defer db.Close()
	rows, _, err := db.Prepare(`SELECT space || '/' || name, data FROM secret`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Step() {
		out[rows.ColumnText(0)] = rows.ColumnBlob(1, nil)
	}
	return out
}

// deciphered returns every block of the database and of its write-ahead log, in
// use or not, in plaintext, as they stand on disk.
func deciphered(t *testing.T, dir string) (database, log []byte) {
	t.Helper()
	copied := copyProfile(t, dir)
	log = decipherLog(t, copied)
	if err := os.Remove(filepath.Join(copied, "demes.db-wal")); err != nil {
		t.Fatal(err)
	}
	return plaintext(t, copied), log
}

// decipherLog reads the write-ahead log as if it were a database: both are
// enciphered alike.
func decipherLog(t *testing.T, dir string) []byte {
	t.Helper()
	as := t.TempDir()
	for from, to := range map[string]string{"demes.db-wal": "demes.db", "key": "key"} {
		data, err := os.ReadFile(filepath.Join(dir, from))
		if err == nil {
			err = os.WriteFile(filepath.Join(as, to), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return plaintext(t, as)
}

// trace says where deleted words are found, in a store that was left open as a
// crash would leave it.
func trace(t *testing.T, seed uint64, erase bool, spoil func(*store.Store) error, opts ...store.Option) (found []string) {
	t.Helper()
	dir := t.TempDir()
	s := openStore(t, dir, opts...)
	if err := spoil(s); err != nil {
		t.Fatal(err)
	}
	gone, kept := writeCanaries(t, s, dir, rand.New(rand.NewPCG(seed, 0)))
	if erase {
		if err := s.Erase(); err != nil {
			t.Fatal(err)
		}
	}
	database, log := deciphered(t, dir)
	if key := []byte("<key canary"); bytes.Contains(database, key) || bytes.Contains(log, key) {
		t.Errorf("seed %d: a key is sealed only once", seed)
	}
	for _, w := range kept {
		if !bytes.Contains(database, w.word) && !bytes.Contains(log, w.word) {
			t.Fatalf("seed %d: %s that was kept is nowhere: this test looks at the wrong bytes", seed, w.what)
		}
	}
	for _, w := range gone {
		if bytes.Contains(database, w.word) {
			found = append(found, w.what+" in the database")
		}
		if bytes.Contains(log, w.word) {
			found = append(found, w.what+" in the log")
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return found
}

func nothing(*store.Store) error { return nil }

// TestErasedIsNowhere looks at every block with the key, as an attacker who has
// all of the profile would.
func TestErasedIsNowhere(t *testing.T) {
	for seed := range uint64(trials(10)) {
		if found := trace(t, seed, true, nothing); len(found) > 0 {
			t.Errorf("seed %d: %d deleted words are still there: %.9q", seed, len(found), found)
		}
	}
}

// TestErasingIsNeeded plants the bugs that the test above is there to find.
func TestErasingIsNeeded(t *testing.T) {
	store.RegisterUnscrubbedVFS("unscrubbed")
	for name, test := range map[string]struct {
		erase bool
		spoil func(*store.Store) error
		opts  []store.Option
	}{
		"nobody calls Erase": {false, nothing, nil},
		"secure_delete is off": {true, func(s *store.Store) error {
			return s.ExecWriter("PRAGMA secure_delete = OFF")
		}, nil},
		"copies that page splits leave are not scrubbed": {true, nothing, []store.Option{store.WithVFS("unscrubbed")}},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(10) {
				if found := trace(t, seed, test.erase, test.spoil, test.opts...); len(found) > 0 {
					t.Logf("seed %d: %d deleted words were found", seed, len(found))
					return
				}
			}
			t.Error("nothing was found: the search cannot fail")
		})
	}
}

func TestEraseEmptiesTheLogOnlyWhenSomethingIsToGo(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	put := func(names ...string) []chat.SecretChange {
		change := chat.SecretChange{Space: "mls"}
		for _, name := range names {
			change.Put = append(change.Put, chat.Value{Name: name, Data: []byte("key")})
		}
		return []chat.SecretChange{change}
	}
	said := func(seq uint64, text string) []chat.Content {
		return []chat.Content{{Event: canaryEvent(seq), Plain: []byte(text)}}
	}
	for i, step := range []struct {
		name   string
		batch  *chat.Batch
		erases bool
	}{
		{"opened", &chat.Batch{}, true}, // what an earlier run may have left
		{"events alone", &chat.Batch{Events: newEvents(1, 3)}, false},
		{"first secrets", &chat.Batch{Secrets: put("a", "b")}, false},
		{"first contents", &chat.Batch{Contents: said(1, "one")}, false},
		{"the same content", &chat.Batch{Contents: said(1, "one")}, false},
		{"another content", &chat.Batch{Contents: said(1, "two")}, true},
		{"nothing to forget", &chat.Batch{Forget: []demes.EventID{canaryEvent(9)}}, false},
		{"a forgotten content", &chat.Batch{Forget: []demes.EventID{canaryEvent(1)}}, true},
		{"a secret's next value", &chat.Batch{Secrets: put("a")}, true},
		{"no such secret", &chat.Batch{Secrets: []chat.SecretChange{{Space: "mls", Delete: []string{"c"}}}}, false},
		{"a deleted secret", &chat.Batch{Secrets: []chat.SecretChange{{Space: "mls", Delete: []string{"a"}}}}, true},
		{"an empty space", &chat.Batch{Secrets: []chat.SecretChange{{Space: "other", Reset: true}}}, false},
		{"a reset space", &chat.Batch{Secrets: []chat.SecretChange{{Space: "mls", Reset: true}}}, true},
	} {
		step.batch.Chat = chatID
		step.batch.Put = []chat.Value{{Name: "step", Data: []byte{byte(i + 1)}}} // each writes something
		commit(t, s, step.batch)
		if err := s.Erase(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "demes.db-wal"))
		if err != nil {
			t.Fatal(err)
		}
		if erased := info.Size() == 0; erased != step.erases {
			t.Errorf("%s: the log was emptied: %v, want %v", step.name, erased, step.erases)
		}
	}
}

func TestEraseWaitsForReadersALittleAndTriesAgain(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	forget := &chat.Batch{Chat: chatID, Forget: []demes.EventID{canaryEvent(1)}}
	commit(t, s, &chat.Batch{Chat: chatID, Contents: []chat.Content{{Event: canaryEvent(1), Plain: []byte("x")}}})
	reader := rawDatabase(t, dir)
	if err := reader.Exec(`BEGIN; SELECT * FROM content`); err != nil {
		t.Fatal(err)
	}
	commit(t, s, forget)
	start := time.Now()
	if err := s.Erase(); err == nil {
		t.Error("erased while a reader still sees what was deleted")
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("a reader stopped the writer for %v", took)
	}
	commit(t, s, &chat.Batch{Chat: chatID, Events: newEvents(1, 1)}) // it goes on
	if err := reader.Exec(`COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := s.Erase(); err != nil {
		t.Errorf("erase after the reader has gone: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "demes.db-wal")); err != nil || info.Size() != 0 {
		t.Errorf("the log holds %d bytes, %v, want none", info.Size(), err)
	}
}

// TestNoWordOfAnyoneOnDisk looks without the key, at every file of the profile
// and for files elsewhere.
func TestNoWordOfAnyoneOnDisk(t *testing.T) {
	elsewhere := t.TempDir()
	for _, name := range []string{"TMPDIR", "TMP", "TEMP", "SQLITE_TMPDIR"} {
		t.Setenv(name, elsewhere)
	}
	dir := filepath.Join(elsewhere, "profile")
	s := openStore(t, dir)
	gone, kept := writeCanaries(t, s, dir, rand.New(rand.NewPCG(1, 1)))
	words := append(gone, kept...)
	for _, kind := range []string{"plain", "key", "newer"} {
		words = append(words, leak{"any " + kind, []byte("<" + kind + " canary")})
	}
	look := func(state string) {
		files := 0
		err := filepath.WalkDir(elsewhere, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			if filepath.Dir(path) != dir {
				t.Errorf("%s: there is a file outside of the profile: %s", state, path)
			}
			files++
			data, err := os.ReadFile(path)
			for _, w := range words {
				if bytes.Contains(data, w.word) {
					t.Fatalf("%s: %s can be read in %s without the key", state, w.what, entry.Name())
				}
			}
			return err
		})
		if err != nil || files < 5 {
			t.Fatalf("%s: looked at %d files, %v: this test looks at the wrong place", state, files, err)
		}
	}
	look("open")
	s.Close()
	look("closed")
}
