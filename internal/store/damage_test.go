package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/store"
)

// richProfile makes a closed profile with something in every table.
func richProfile(t *testing.T) (dir string) {
	dir = filepath.Join(t.TempDir(), "profile")
	s := openStore(t, dir)
	record := chat.SettledEntry{Index: 61, Record: []byte("record"), Hash: demes.Hash{1}}
	commit(t, s, &chat.Batch{
		Chat: chatID, Put: []chat.Value{{Name: "vote", Data: []byte("v")}, {Name: "base", Data: make([]byte, 20_000)}},
		Raft:    &chat.RaftChange{Generation: 1, Entries: []chat.RaftEntry{{Index: 1, Term: 1, Data: []byte("entry")}}},
		Settled: append(newEntries(newEvents(1, 60)), record), Events: newEvents(61, 5),
		Outbox: []chat.OutboxItem{{Seq: 66, Kind: demes.KindMessage, Payload: []byte("unsent")}},
		Contents: []chat.Content{
			{Event: eventID(1), Plain: []byte("one"), ExpiresMs: 1000},
			{Event: eventID(2), Plain: []byte("two"), Amends: true, Target: new(eventID(1))},
			{Event: eventID(3), Plain: make([]byte, 20_000), Amends: true},
			{Event: eventID(61), Plain: []byte("held")},
		},
		Secrets: []chat.SecretChange{
			{Space: "mls", Put: []chat.Value{{Name: "a", Data: []byte("key a")}, {Name: "b", Data: []byte("key b")}}},
			{Space: "old", Put: []chat.Value{{Name: "a", Data: []byte("key c")}}},
		},
	})
	if err := errors.Join(s.SetValue("account", []byte("seed")), s.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// eventID names one of newEvents.
func eventID(seq int) demes.EventID { return newEvents(seq, 1)[0].ID }

// everything reads all that a profile holds. Each part stands for itself: nil
// when it could not be read.
func everything(s *store.Store) (parts map[string]any, err error) {
	parts = map[string]any{}
	keep := func(name string, v any, failed error) {
		if failed != nil {
			err = errors.Join(err, failed)
			return
		}
		parts[name] = v
	}
	chats, failed := s.Chats()
	keep("chats", chats, failed)
	saved, failed := s.Load(chatID)
	keep("saved", saved, failed)
	log, failed := s.Settled(chatID, 1, 1<<30)
	keep("settled", log, failed)
	page, failed := s.Messages(chatID, 0, 0, 100)
	keep("messages", page, failed)
	for _, e := range []*demes.Event{newEvents(1, 1)[0], newEvents(61, 1)[0]} {
		entry, ok, failed := s.Event(chatID, e.ID)
		keep(fmt.Sprint("event ", e.ID.Seq), []any{entry, ok}, failed)
	}
	ids, next, failed := s.Expiring(chatID, 2000, 10)
	keep("expiring", []any{ids, next}, failed)
	for name, targets := range map[string][]demes.EventID{"amends": {eventID(1)}, "amends of the chat": nil} {
		amends, failed := s.Amends(chatID, targets)
		keep(name, amends, failed)
	}
	account, failed := s.Value("account")
	keep("account", account, failed)
	return parts, err
}

func TestChangedRowsAreReported(t *testing.T) {
	whole := richProfile(t)
	for _, change := range []string{
		`UPDATE profile SET data = flip(data)`,
		`UPDATE profile SET name = 'account', data = (SELECT data FROM value WHERE name = 'vote') WHERE name = 'account'`,
		`UPDATE chat SET data = flip(data)`,
		`UPDATE chat SET id = flip(id)`,
		`UPDATE value SET data = flip(data) WHERE name = 'vote'`,
		`UPDATE value SET data = substr(data, 1, 9) WHERE name = 'base'`,
		`UPDATE value SET name = 'other' WHERE name = 'vote'`,
		`UPDATE raft SET data = flip(data)`,
		`UPDATE raft SET idx = 2`,
		`UPDATE held SET event = flip(event) WHERE seq = 61`,
		`UPDATE held SET event = (SELECT event FROM held WHERE seq = 62) WHERE seq = 61`,
		`UPDATE held SET device = flip(device) WHERE seq = 61`,
		`UPDATE settled SET event = flip(event) WHERE idx = 1`,
		`UPDATE settled SET event = NULL, device = NULL, seq = NULL WHERE idx = 1`,
		`UPDATE settled SET data = flip(data) WHERE idx = 1`,
		`UPDATE settled SET data = (SELECT data FROM settled WHERE idx = 2) WHERE idx = 1`,
		`UPDATE settled SET position = 100 WHERE idx = 1`,
		`UPDATE settled SET data = x'' WHERE idx = 61`,
		`UPDATE outbox SET data = flip(data)`,
		`UPDATE outbox SET seq = 3`,
		`UPDATE content SET data = flip(data) WHERE seq = 1`,
		`UPDATE content SET data = flip(data) WHERE seq = 61`,
		`UPDATE content SET data = x'' WHERE seq = 1`,
		`UPDATE content SET data = (SELECT data FROM content WHERE seq = 2) WHERE seq = 1`,
		`UPDATE content SET seq = 4 WHERE seq = 1`,
		`UPDATE content SET expires = 1 WHERE seq = 1`,
		`UPDATE content SET expires = NULL WHERE seq = 1`,
		`UPDATE content SET target = x'00' WHERE seq = 2`,
		`UPDATE content SET target = NULL WHERE seq = 3`,
	} {
		t.Run(change, func(t *testing.T) {
			dir := copyProfile(t, whole)
			db := rawDatabase(t, dir)
			err := createFlip(db)
			if err == nil {
				err = db.Exec(change)
			}
			if err = errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			_, err = everything(openStore(t, dir))
			wantProblem(t, err, demes.CodeProfileDamaged, "Nothing was deleted")
		})
	}
}

// TestDamagedSecretsAreLeftOut: the chat comes back without the keys of the
// space, with all the rest.
func TestDamagedSecretsAreLeftOut(t *testing.T) {
	whole := richProfile(t)
	for change, want := range map[string][]string{
		`SELECT 1`: {"mls", "old"},
		`UPDATE secret SET data = flip(data) WHERE space = 'mls' AND name = 'a'`:                                    {"old"},
		`UPDATE secret SET data = flip(data) WHERE space = 'mls' AND name = 'b'`:                                    {"old"},
		`UPDATE secret SET data = x'00' WHERE space = 'old'`:                                                        {"mls"},
		`UPDATE secret SET name = 'c' WHERE space = 'old'`:                                                          {"mls"},
		`UPDATE secret SET data = (SELECT data FROM secret WHERE name = 'b') WHERE space = 'mls' AND name = 'a'`:    {"old"},
		`UPDATE secret SET data = (SELECT data FROM secret WHERE space = 'mls' AND name = 'a') WHERE space = 'old'`: {"mls"},
		`UPDATE secret SET data = flip(data)`:                                                                       nil,
	} {
		t.Run(change, func(t *testing.T) {
			dir := copyProfile(t, whole)
			db := rawDatabase(t, dir)
			err := createFlip(db)
			if err == nil {
				err = db.Exec(change)
			}
			if err = errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			s := openStore(t, dir, store.WithLog(slog.New(slog.NewTextHandler(&said, nil))))
			got, err := everything(s)
			if err != nil {
				t.Fatalf("damaged secrets are an error: %v", err)
			}
			saved := got["saved"].(*chat.Saved)
			if spaces := slices.Sorted(maps.Keys(saved.Secrets)); !slices.Equal(spaces, want) {
				t.Errorf("got the spaces %q, want %q", spaces, want)
			}
			if len(saved.Values) != 2 || len(saved.Tail) != 5 || len(saved.Raft) != 1 {
				t.Errorf("the rest of the chat is not there: %+v", saved)
			}
			if told := strings.Contains(said.String(), "keys of a chat are damaged"); told != (len(want) < 2) {
				t.Errorf("the log says %q", said.String())
			}
			if strings.Contains(said.String(), "key ") {
				t.Errorf("the log tells a key: %s", said.String())
			}
		})
	}
}

// TestSecretsBelongToTheirChat moves one chat's records to another.
func TestSecretsBelongToTheirChat(t *testing.T) {
	dir := richProfile(t)
	s := openStore(t, dir)
	other := demes.ChatID{9}
	commit(t, s, &chat.Batch{Chat: other})
	s.Close()
	db := rawDatabase(t, dir)
	if err := errors.Join(db.Exec(`UPDATE secret SET chat = (SELECT max(number) FROM chat)`), db.Close()); err != nil {
		t.Fatal(err)
	}
	saved, err := openStore(t, dir, store.WithLog(slog.New(slog.DiscardHandler))).Load(other)
	if err != nil || len(saved.Secrets) != 0 {
		t.Errorf("another chat's secrets: got %v, %v, want none", saved.Secrets, err)
	}
}

// createFlip gives a raw connection the function flip: one bit of a value, in
// its middle, is another.
func createFlip(db *sqlite3.Conn) error {
	return db.CreateFunction("flip", 1, sqlite3.DETERMINISTIC, func(ctx sqlite3.Context, args ...sqlite3.Value) {
		data := args[0].Blob(nil)
		data[len(data)/2] ^= 0x10
		ctx.ResultBlob(data)
	})
}

// withSecrets puts back the spaces that were left out, whole, for being damaged.
func withSecrets(got, want *chat.Saved) *chat.Saved {
	out := *got
	out.Secrets = maps.Clone(want.Secrets)
	maps.Copy(out.Secrets, got.Secrets)
	return &out
}

// TestFlippedBitsAreReported flips bits of the file itself. What is then read is
// right or reported; it is never something else.
func TestFlippedBitsAreReported(t *testing.T) {
	whole := richProfile(t)
	s := openStore(t, whole)
	want, err := everything(s)
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(filepath.Join(whole, "demes.db"))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	flips, reported := trials(150), 0
	for range flips {
		bit := random.IntN(8 * len(image))
		dir := copyProfile(t, whole)
		flipped := append([]byte(nil), image...)
		flipped[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(filepath.Join(dir, "demes.db"), flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(dir)
		if err == nil {
			var got map[string]any
			got, err = everything(s)
			for name, part := range got {
				if name == "saved" {
					part = withSecrets(part.(*chat.Saved), want[name].(*chat.Saved))
				}
				if !reflect.DeepEqual(part, want[name]) {
					t.Errorf("bit %d: read other %s than was written:\n got %+v\nwant %+v", bit, name, part, want[name])
				}
			}
			s.Close()
		}
		if err != nil {
			reported++
			wantProblem(t, err, demes.CodeProfileDamaged, "damaged")
		}
	}
	if reported < flips/2 {
		t.Errorf("%d of %d flipped bits were reported: want most, nearly all of the file is in use", reported, flips)
	}
}
