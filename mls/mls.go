// Package mls is Messaging Layer Security (RFC 9420) on the standard library
// alone: end-to-end encryption for groups whose members come, go and heal.
//
// A group chat in ten lines (errors left out, see the example of the package):
//
//	alice, _ := mls.NewKeyPackage(profile("alice"), lifetime)
//	bob, _ := mls.NewKeyPackage(profile("bob"), lifetime)
//	group, _ := mls.Create(groupID, alice, policy)
//	staged, _ := group.Commit(mls.Commit{Add: []*mls.KeyPackage{bob.KeyPackage}}, now)
//	order(staged.Message) // the ordering service says which commit of an epoch wins
//	group.Merge(staged)
//	joined, _ := mls.Join(staged.Welcome, nil, bob, policy)
//	message, _ := group.Send([]byte("hello"), mls.Envelope{PadTo: 256})
//	received, _ := joined.Receive(message, now)
//	fmt.Printf("%s: %s\n", received.Leaf.Credential.Identity, received.Data)
//
// # The one idea
//
// The state of a group between two commits, its epoch, is never changed. A commit,
// own or received, is staged: checked in full, with the next epoch ready beside the
// current one. The application looks at it, learns whether it won, and merges or
// discards it. Epochs share what they have in common, down to single tree nodes,
// so a commit costs what it changes and not what the group is large.
//
// What does change within an epoch, the message ratchets, changes by small named
// records (Changes), for the application to store in the transaction that stores
// the message.
//
// An Observer judges the same commits by the same code without any secret, for those
// who have to agree on which of them count.
//
// # What the caller must guarantee
//
//   - Order: all members take the same first valid commit of each epoch. A commit
//     that does not win is discarded, and a Welcome is sent only after its commit
//     won.
//   - Identity: Policy.Credential decides for every leaf whether its signature key
//     belongs to whom its credential names, and alike on all members. Whether a
//     proposer may add or remove is judged on Staged before Merge.
//   - Authorship: the author of a message is Received.Leaf, never a field of its
//     data.
//   - Time: members judge a commit by the same time, that of its place in the order.
//   - Storage: Changes are stored, encrypted, before a message leaves or is shown,
//     and a state once left is never loaded again to send.
//   - Uniqueness: no two groups of a member have one ID; key packages are used once.
//
// # What it is not
//
// It has no goroutine, lock, clock, socket or file, and its only source of
// randomness is crypto/rand. It does not judge certificates, deliver messages or
// open the successor of a group that was reinitialised. README.md lists the
// sections of the RFC.
package mls
