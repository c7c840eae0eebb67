package mls_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/demes-chat/demes/mls"
)

// The directory of the examples: who may use which signature key. An application
// has signed certificates or a key transparency log here.
var directory = map[string]string{}

var policy = mls.Policy{Credential: func(a mls.Admission) error {
	if directory[string(a.Leaf.SignatureKey)] != string(a.Leaf.Credential.Identity) {
		return errors.New("key is not known for this name")
	}
	return nil
}}

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// client makes the key package of a new member and enters its key in the directory.
func client(name string) *mls.KeyPackageSecrets {
	key := must(mls.X25519.NewSigningKey())
	directory[string(key.Public())] = name
	profile := mls.Profile{Suite: mls.X25519, Credential: mls.Basic([]byte(name)), Key: key}
	return must(mls.NewKeyPackage(profile, mls.LifetimeOf(now.Add(-time.Hour), 30*24*time.Hour)))
}

func Example() {
	alice, bob := client("alice"), client("bob")
	group := must(mls.Create([]byte("sixteen random b"), alice, policy))

	staged := must(group.Commit(mls.Commit{Add: []*mls.KeyPackage{bob.KeyPackage}}, now))
	// Here staged.Message goes to the ordering service, which accepts it.
	if err := group.Merge(staged); err != nil {
		panic(err)
	}
	joined := must(mls.Join(staged.Welcome, nil, bob, policy))

	message := must(group.Send([]byte("hello"), mls.Envelope{PadTo: 256}))
	received := must(joined.Receive(message, now))
	fmt.Printf("%s: %s\n", received.Leaf.Credential.Identity, received.Data)
	// Output: alice: hello
}

// Two members commit at once. One commit wins; the other is discarded and leaves
// nothing behind.
func ExampleStaged() {
	alice, bob := client("alice"), client("bob")
	a := must(mls.Create([]byte("group"), alice, policy))
	add := must(a.Commit(mls.Commit{Add: []*mls.KeyPackage{bob.KeyPackage}}, now))
	fmt.Println("merge:", a.Merge(add))
	b := must(mls.Join(add.Welcome, nil, bob, policy))

	lost := must(a.Commit(mls.Commit{}, now))
	won := must(b.Commit(mls.Commit{}, now))

	lost.Discard()
	received := must(a.Receive(won.Message, now))
	staged := received.Commit
	fmt.Printf("%s committed, %d added, %d removed\n", staged.Leaf.Credential.Identity, len(staged.Added), len(staged.Removed))
	fmt.Println("merge:", a.Merge(staged), b.Merge(won))
	fmt.Println("same epoch:", string(a.Authenticator()) == string(b.Authenticator()))
	// Output:
	// merge: <nil>
	// bob committed, 0 added, 0 removed
	// merge: <nil> <nil>
	// same epoch: true
}

// The application keeps a table of records for each group. In one transaction it
// writes what the message brought and what changed in the group.
func ExampleGroup_Changes() {
	table := map[string][]byte{}
	store := func(g *mls.Group) {
		changes := g.Changes()
		if changes.Reset {
			clear(table)
		}
		for _, name := range changes.Delete {
			delete(table, name)
		}
		for _, record := range changes.Put {
			table[record.Name] = record.Value
		}
		// The transaction is committed here, and only then:
		g.Saved()
	}
	load := func() *mls.Group {
		var records []mls.Record
		for name, value := range table {
			records = append(records, mls.Record{Name: name, Value: value})
		}
		return must(mls.Load(records, policy))
	}

	alice, bob := client("alice"), client("bob")
	a := must(mls.Create([]byte("group"), alice, policy))
	add := must(a.Commit(mls.Commit{Add: []*mls.KeyPackage{bob.KeyPackage}}, now))
	fmt.Println("merge:", a.Merge(add))
	store(must(mls.Join(add.Welcome, nil, bob, policy)))

	message := must(a.Send([]byte("once"), mls.Envelope{}))
	b := load()
	fmt.Printf("%s\n", must(b.Receive(message, now)).Data)
	store(b)

	_, err := load().Receive(message, now) // the key is gone from the table, too
	fmt.Println(errors.Is(err, mls.ErrReplayed))
	// Output:
	// merge: <nil>
	// once
	// true
}

// A member that lost its state comes back by an external commit that replaces its
// old leaf.
func ExampleJoinExternal() {
	alice, bob := client("alice"), client("bob")
	a := must(mls.Create([]byte("group"), alice, policy))
	add := must(a.Commit(mls.Commit{Add: []*mls.KeyPackage{bob.KeyPackage}}, now))
	fmt.Println("merge:", a.Merge(add))

	key := must(mls.X25519.NewSigningKey())
	directory[string(key.Public())] = "bob"
	old := mls.LeafIndex(1)
	info := must(a.GroupInfo(true))
	b, commit, err := mls.JoinExternal(info, nil, mls.ExternalJoin{
		Profile: mls.Profile{Suite: mls.X25519, Credential: mls.Basic([]byte("bob")), Key: key},
		Replace: &old,
	}, policy)
	if err != nil {
		panic(err)
	}

	staged := must(a.Receive(commit, now)).Commit
	fmt.Println("external:", staged.External, "replaces:", staged.Removed)
	fmt.Println("merge:", a.Merge(staged), "members agree:", string(a.Authenticator()) == string(b.Authenticator()))
	// Output:
	// merge: <nil>
	// external: true replaces: [1]
	// merge: <nil> members agree: true
}
