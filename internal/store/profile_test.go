package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/store"
)

// wantProblem fails the test unless err is the problem, with words on what to
// do next.
func wantProblem(t *testing.T, err error, code demes.Code, say string) {
	t.Helper()
	var problem *demes.Error
	if !errors.As(err, &problem) || problem.Code != code {
		t.Fatalf("got error %v, want the code %s", err, code)
	}
	if !strings.Contains(problem.Title+problem.Detail, say) {
		t.Errorf("problem says %q, %q: want it to say %q", problem.Title, problem.Detail, say)
	}
}

// open opens a store that is expected to fail.
func failToOpen(t *testing.T, dir string, opts ...store.Option) error {
	t.Helper()
	s, err := store.Open(dir, opts...)
	if err == nil {
		s.Close()
		t.Fatal("open: got a store, want an error")
	}
	return err
}

// someProfile makes a profile with a little in it.
func someProfile(t *testing.T) (dir string) {
	dir = filepath.Join(t.TempDir(), "profile")
	s := openStore(t, dir)
	commit(t, s, &chat.Batch{Chat: chatID, Settled: newEntries(newEvents(1, 50)), Events: newEvents(51, 5)})
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return dir
}

func TestProfileBelongsToItsOwnerAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("file modes mean nothing here; the folder's own rights hold")
	}
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := openStore(t, dir)
	commit(t, s, &chat.Batch{Chat: chatID})
	check := func(want ...string) {
		t.Helper()
		var got []string
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			got = append(got, entry.Name())
			if info, _ := entry.Info(); info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v, want 0600", entry.Name(), info.Mode().Perm())
			}
		}
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("the folder holds %q, want %q", got, want)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the folder has mode %v, want 0700", info.Mode().Perm())
		}
	}
	check("demes.db", "demes.db-shm", "demes.db-wal", "key", "lock", "mark", "profile.txt")
	s.Close()
	check("demes.db", "key", "lock", "mark", "profile.txt")
}

func TestWiderRightsAreTakenBack(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("file modes mean nothing here")
	}
	dir := someProfile(t)
	for _, name := range []string{"demes.db", "key"} {
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	openStore(t, dir)
	for _, name := range []string{"demes.db", "key"} {
		if info, _ := os.Stat(filepath.Join(dir, name)); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v after opening, want 0600", name, info.Mode().Perm())
		}
	}
}

func TestPathsThatLookLikeAddresses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "50% #1 wie? ä&vfs=x")
	if runtime.GOOS == "windows" {
		dir = strings.ReplaceAll(dir, "?", "")
	}
	s := openStore(t, dir)
	commit(t, s, &chat.Batch{Chat: chatID})
	s.Close()
	if _, err := os.Stat(filepath.Join(dir, "demes.db")); err != nil {
		t.Errorf("the database is not in its folder: %v", err)
	}
	if chats, err := openStore(t, dir).Chats(); err != nil || len(chats) != 1 {
		t.Errorf("chats: got %v, %v, want one", chats, err)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := someProfile(t)
	s := openStore(t, dir)
	wantProblem(t, failToOpen(t, dir), demes.CodeProfileInUse, "--data")
	s.Close()
	openStore(t, dir)
}

func TestNewerProfileIsLeftAlone(t *testing.T) {
	dir := someProfile(t)
	s := openStore(t, dir)
	commit(t, s, &chat.Batch{Chat: chatID, Put: []chat.Value{{Name: "in the log", Data: []byte("x")}}})
	err := s.MigrateWith(2, func(int) (string, error) { return "CREATE TABLE novelty (x)", nil })
	if err != nil {
		t.Fatal(err)
	}
	crashed := copyProfile(t, dir) // with its write-ahead log, as after a crash
	s.Close()
	for _, dir := range []string{dir, crashed} {
		before := contents(t, dir)
		wantProblem(t, failToOpen(t, dir), demes.CodeProfileNewer, "newer DeMes")
		for name, data := range contents(t, dir) {
			if !bytes.Equal(data, before[name]) {
				t.Errorf("opening a newer profile changed %s", name)
			}
		}
	}
}

func TestMigrationIsAllOrNothing(t *testing.T) {
	dir := someProfile(t)
	s := openStore(t, dir)
	steps := map[int]string{2: "ALTER TABLE profile ADD COLUMN extra", 3: "ALTER TABLE nothing ADD COLUMN extra"}
	step := func(n int) (string, error) { return steps[n], nil }
	if err := s.MigrateWith(3, step); err == nil {
		t.Fatal("a migration with a broken step succeeded")
	}
	if format, err := s.Format(); format != 1 || err != nil {
		t.Errorf("format after a failed migration: got %d, %v, want 1", format, err)
	}
	steps[3] = "CREATE TABLE extra (extra)"
	if err := s.MigrateWith(3, step); err != nil {
		t.Fatal(err)
	}
	if format, err := s.Format(); format != 3 || err != nil {
		t.Errorf("format after the migration: got %d, %v, want 3", format, err)
	}
	if page, err := s.Messages(chatID, 0, 0, 100); err != nil || len(page) != 50 {
		t.Errorf("messages after the migration: got %d, %v, want 50", len(page), err)
	}
}

func TestAMissingLogIsNoticed(t *testing.T) {
	dir := someProfile(t)
	s := openStore(t, dir)
	commit(t, s, &chat.Batch{Chat: chatID, Put: []chat.Value{{Name: "in the log", Data: []byte("x")}}})
	crashed := copyProfile(t, dir)
	s.Close()
	if err := os.Remove(filepath.Join(crashed, "demes.db-wal")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(crashed, "demes.db-shm"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, failToOpen(t, crashed), demes.CodeProfileDamaged, "demes.db-wal")
	if err := os.Remove(filepath.Join(crashed, "demes.db-shm")); err != nil {
		t.Fatal(err)
	}
	openStore(t, crashed)
}

func TestWhatCannotBeOpenedIsNamed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inTheWay := someProfile(t)
	if err := os.MkdirAll(filepath.Join(inTheWay, "demes.db-wal"), 0o700); err != nil {
		t.Fatal(err)
	}
	for dir, named := range map[string]string{file: file, filepath.Join(file, "below"): file, inTheWay: filepath.Join(inTheWay, "demes.db-wal")} {
		_, err := store.Open(dir)
		wantProblem(t, err, demes.CodeStorage, named+" cannot be used")
		wantProblem(t, err, demes.CodeStorage, "--data FOLDER")
	}
}

func TestKeyAndDatabaseBelongTogether(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(dir string) error
		say   string
	}{
		"another key": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "key"), []byte(strings.Repeat("ab", 32)), 0o600)
		}, "damaged"},
		"a key cut short": {func(dir string) error { return os.Truncate(filepath.Join(dir, "key"), 20) }, "key file"},
		"no key":          {func(dir string) error { return os.Remove(filepath.Join(dir, "key")) }, "key"},
		"no database":     {func(dir string) error { return os.Remove(filepath.Join(dir, "demes.db")) }, "missing or empty"},
		"empty database":  {func(dir string) error { return os.Truncate(filepath.Join(dir, "demes.db"), 0) }, "missing or empty"},
		"database of another program": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "demes.db"), bytes.Repeat([]byte("SQLite format 3\x00"), 1024), 0o600)
		}, "damaged"},
		"database cut short": {func(dir string) error { return os.Truncate(filepath.Join(dir, "demes.db"), 3*4096) }, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := someProfile(t)
			if err := test.spoil(dir); err != nil {
				t.Fatal(err)
			}
			before := contents(t, dir)
			wantProblem(t, failToOpen(t, dir), demes.CodeProfileDamaged, test.say)
			for name, data := range before {
				if after, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(after, data) {
					t.Errorf("opening a damaged profile changed %s: %v", name, err)
				}
			}
		})
	}
}

func TestFirstStartCutShortIsGoneOnWith(t *testing.T) {
	dir := t.TempDir()
	if _, err := (store.KeyFile{}).Key(dir, true); err != nil { // the key was made, and no more
		t.Fatal(err)
	}
	for _, name := range []string{"demes.db", "demes.db-wal", "profile.txt.new", "key.new"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, openStore(t, dir), &chat.Batch{Chat: chatID})
}

// passphrase is a key source of the test's own.
type passphrase []byte

func (p passphrase) Key(string, bool) ([]byte, error) { return p, nil }

func TestKeyFromElsewhere(t *testing.T) {
	dir := t.TempDir()
	key := store.WithKey(passphrase(bytes.Repeat([]byte{7}, store.KeySize)))
	openStore(t, dir, key).Close()
	if _, err := os.Stat(filepath.Join(dir, "key")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a key file beside a key from elsewhere: %v", err)
	}
	wantProblem(t, failToOpen(t, dir), demes.CodeProfileDamaged, "key")
	openStore(t, dir, key).Close()
	wantProblem(t, failToOpen(t, dir, store.WithKey(passphrase{1, 2, 3})), demes.CodeProfileDamaged, "3 bytes")
}

func TestFolderThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, failToOpen(t, file), demes.CodeStorage, "folder")
	wantProblem(t, failToOpen(t, filepath.Join(file, "below")), demes.CodeStorage, "folder")
}

func TestNothingReadableOnDisk(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	const secret = "the word that must not be found"
	commit(t, s, &chat.Batch{
		Chat: chatID, Put: []chat.Value{{Name: secret, Data: []byte(secret)}},
		Outbox: []chat.OutboxItem{{Seq: 1, Payload: []byte(secret), Key: secret}},
		Raft:   &chat.RaftChange{Generation: 1, Entries: []chat.RaftEntry{{Index: 1, Data: []byte(secret)}}},
	})
	search := func() {
		for name, data := range contents(t, dir) {
			if bytes.Contains(data, []byte(secret)) || bytes.Contains(data, []byte("CREATE TABLE")) {
				t.Errorf("%s can be read without the key", name)
			}
		}
	}
	search()
	s.Close()
	search()
}

// TestDeletedIsGone looks with the key, as an attacker who has both files would.
func TestDeletedIsGone(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	secret := bytes.Repeat([]byte("used up key "), 20)
	commit(t, s, &chat.Batch{Chat: chatID, Put: []chat.Value{{Name: "key", Data: secret}}})
	commit(t, s, &chat.Batch{Chat: chatID, Put: []chat.Value{{Name: "key", Data: bytes.Repeat([]byte("next key "), 20)}}})
	commit(t, s, &chat.Batch{Chat: chatID, Put: []chat.Value{{Name: "key"}}})
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "demes.db-wal")); err != nil || info.Size() != 0 {
		t.Errorf("the write-ahead log holds %d bytes after a checkpoint, want none", info.Size())
	}
	s.Close()
	image := plaintext(t, dir)
	if !bytes.Contains(image, []byte("CREATE TABLE")) {
		t.Fatal("the deciphered database does not look like one: this test is broken")
	}
	if bytes.Contains(image, secret[:24]) || bytes.Contains(image, []byte("next key next key")) {
		t.Error("a deleted value is still in the database")
	}
}

// plaintext deciphers a closed profile's database, block by block.
func plaintext(t *testing.T, dir string) []byte {
	t.Helper()
	pointer, err := rawDatabase(t, dir).FileControl("main", sqlite3.FCNTL_FILE_POINTER)
	if err != nil {
		t.Fatal(err)
	}
	file := pointer.(vfs.File)
	size, err := file.Size()
	if err != nil {
		t.Fatal(err)
	}
	image := make([]byte, size)
	if _, err := file.ReadAt(image, 0); err != nil {
		t.Fatal(err)
	}
	return image
}

// rawDatabase opens a closed profile's database past the store.
func rawDatabase(t testing.TB, dir string) *sqlite3.Conn {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlite3.Open("file:" + filepath.ToSlash(filepath.Join(dir, "demes.db")) + "?vfs=adiantum")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Exec("PRAGMA hexkey = '" + strings.TrimSpace(string(key)) + "'"); err != nil {
		t.Fatal(err)
	}
	return db
}

// contents reads the files that matter of a profile.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, name := range []string{"demes.db", "demes.db-wal", "key", "mark", "profile.txt"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			out[name] = data
		}
	}
	return out
}

// copyProfile copies a profile as it stands on disk.
func copyProfile(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	for _, name := range []string{"demes.db", "demes.db-wal", "key", "mark", "profile.txt"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}
