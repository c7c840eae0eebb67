package mls

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A group is stored as records: small named values in a table of the application,
// keyed by group and name. One record holds the epoch, its tree and its keys, and
// is written once an epoch; the others hold the ratchets, and an operation changes
// a few of them by some hundred bytes however large the group is.
//
// After each operation the application writes Changes, and what it made of the
// operation, in one transaction, and then calls Saved. So the deletion of a
// message key and the message that it opened reach the disk together or not at
// all.

// Record is one stored value. Name is short printable ASCII, unique in its group.
// Value holds secrets: encrypt it at rest.
type Record struct {
	Name  string
	Value []byte
}

// Changes is what has to be stored since Saved was last called: first drop all
// records of the group if Reset, then those named in Delete, then write Put.
type Changes struct {
	Reset  bool
	Delete []string
	Put    []Record
}

const (
	epochName      = "epoch"
	nodePrefix     = "node/"
	ratchetPrefix  = "ratchet/"
	proposalPrefix = "proposal/"
)

func nodeRecord(x nodeIndex) string { return nodePrefix + strconv.FormatUint(uint64(x), 10) }

func ratchetRecord(i LeafIndex) string { return ratchetPrefix + strconv.FormatUint(uint64(i), 10) }

// Changes lists what to store. It lists the same again until Saved is called, so a
// transaction that was rolled back loses nothing.
func (g *Group) Changes() Changes {
	if g.reset {
		return Changes{Reset: true, Put: g.Records()}
	}
	var c Changes
	names := make([]string, 0, len(g.ratchets.dirty))
	for name := range g.ratchets.dirty {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if value := g.ratchets.record(name); value != nil {
			c.Put = append(c.Put, Record{name, value})
		} else {
			c.Delete = append(c.Delete, name)
		}
	}
	for _, ref := range g.Pending() {
		if p := g.proposals[string(ref)]; p.dirty {
			c.Put = append(c.Put, p.record(ref))
		}
	}
	return c
}

// Saved tells the group that the last Changes are stored.
func (g *Group) Saved() {
	g.reset = false
	clear(g.ratchets.dirty)
	for _, p := range g.proposals {
		p.dirty = false
	}
}

// Records lists all records of the group, sorted by kind and place: a snapshot. A
// group that removed this member has none.
func (g *Group) Records() []Record {
	if g.expelled {
		return nil
	}
	out := []Record{{epochName, g.epochRecord()}}
	for _, x := range sortedKeys(g.ratchets.nodes) {
		out = append(out, Record{nodeRecord(x), g.ratchets.record(nodeRecord(x))})
	}
	for _, i := range sortedKeys(g.ratchets.ratchets) {
		out = append(out, Record{ratchetRecord(i), g.ratchets.record(ratchetRecord(i))})
	}
	for _, ref := range g.Pending() {
		out = append(out, g.proposals[string(ref)].record(ref))
	}
	return out
}

func sortedKeys[K ~uint32, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// record encodes the ratchet or node of a name, nil if it is gone.
func (t *secretTree) record(name string) []byte {
	if number, ok := strings.CutPrefix(name, nodePrefix); ok {
		x, _ := strconv.ParseUint(number, 10, 32)
		return bytes.Clone(t.nodes[nodeIndex(x)])
	}
	i, _ := strconv.ParseUint(strings.TrimPrefix(name, ratchetPrefix), 10, 32)
	r := t.ratchets[LeafIndex(i)]
	if r == nil {
		return nil
	}
	return encode(func(w *writer) {
		for _, one := range r {
			w.vector(one.secret)
			w.uint32(one.next)
			writeList(w, one.skipped, func(w *writer, k messageKey) {
				w.uint32(k.generation)
				w.vector(k.key)
				w.vector(k.nonce)
			})
		}
	})
}

func decodeRatchets(r *reader) *leafRatchets {
	out := new(leafRatchets)
	for i := range out {
		out[i] = ratchet{secret: r.vector(), next: r.uint32(), skipped: list(r, MaxSkipped, func(r *reader) messageKey {
			return messageKey{generation: r.uint32(), key: r.vector(), nonce: r.vector()}
		})}
		if len(out[i].secret) == 0 {
			r.fail(ErrMalformed)
		}
	}
	return out
}

func (p *cached) record(ref []byte) Record {
	return Record{proposalPrefix + hex.EncodeToString(ref), encode(func(w *writer) {
		w.vector(p.content)
		w.vector(p.key)
	})}
}

// stateVersion numbers the form of the epoch record. A build reads its own version
// and those before.
const stateVersion = 1

// epochRecord encodes what does not change within an epoch.
func (g *Group) epochRecord() []byte {
	e := g.epoch
	return encode(func(w *writer) {
		w.uint8(stateVersion)
		w.present(g.frozen)
		e.context.encode(w)
		w.vector(e.confirmationTag)
		w.uint32(uint32(e.self))
		w.vector(e.signer.private)
		for _, f := range e.secrets.fields() {
			w.vector(*f)
		}
		w.nested(func() {
			for _, x := range sortedKeys(e.keys) {
				private, err := e.keys[x].Bytes()
				if err != nil {
					panic("mls: key that cannot be exported: " + err.Error()) // none of the suites' KEMs has one
				}
				w.uint32(uint32(x))
				w.vector(private)
			}
		})
		w.present(e.reInit != nil)
		if e.reInit != nil {
			Proposal{Type: ProposalReInit, ReInit: e.reInit}.encode(w)
		}
		e.tree.encode(w)
	})
}

// Load reads a group from its records, in any order. They are trusted: signatures
// in the tree are not checked again. Its hash is, and whether the private keys
// belong to it, which shows damage.
func Load(records []Record, policy Policy) (*Group, error) {
	g, err := load(records, policy)
	if err != nil {
		return nil, fmt.Errorf("load group: %w", err)
	}
	return g, nil
}

func load(records []Record, policy Policy) (*Group, error) {
	at := slices.IndexFunc(records, func(r Record) bool { return r.Name == epochName })
	if at < 0 {
		return nil, fmt.Errorf("no record %q: %w", epochName, ErrMalformed)
	}
	g := &Group{policy: policy, proposals: map[string]*cached{}}
	if err := g.decodeEpoch(bytes.Clone(records[at].Value)); err != nil {
		return nil, fmt.Errorf("record %q: %w", epochName, err)
	}
	g.ratchets = newSecretTree(g.epoch.suite, g.epoch.tree.leaves(), nil)
	clear(g.ratchets.nodes)
	for i, r := range records {
		if i == at {
			continue
		}
		if err := g.decodeRecord(r.Name, bytes.Clone(r.Value)); err != nil {
			return nil, fmt.Errorf("record %q: %w", r.Name, err)
		}
	}
	return g, nil
}

// decodeRecord reads one record other than the epoch.
func (g *Group) decodeRecord(name string, value []byte) error {
	kind, rest, _ := strings.Cut(name, "/")
	if kind+"/" == proposalPrefix {
		return g.decodeProposal(value)
	}
	number, err := strconv.ParseUint(rest, 10, 32)
	if err != nil || int(number) >= len(g.epoch.tree.nodes) {
		return ErrMalformed
	}
	switch kind + "/" {
	case nodePrefix:
		if len(value) != g.epoch.suite.nh {
			return ErrMalformed
		}
		g.ratchets.nodes[nodeIndex(number)] = value
		return nil
	case ratchetPrefix:
		r, err := decodeAll(value, decodeRatchets)
		g.ratchets.ratchets[LeafIndex(number)] = r
		return err
	}
	return ErrMalformed
}

func (g *Group) decodeProposal(value []byte) error {
	r := reader{b: value}
	content, key := r.vector(), r.vector()
	if err := r.finish(); err != nil {
		return err
	}
	a, err := decodeAll(content, decodeAuthenticated)
	if err != nil {
		return err
	}
	if a.content.proposal == nil {
		return ErrMalformed
	}
	if len(key) == 0 {
		key = nil
	}
	ref := g.remember(a, key)
	g.proposals[string(ref)].dirty = false
	return nil
}

// decodeEpoch reads the epoch record.
func (g *Group) decodeEpoch(b []byte) (err error) {
	r := reader{b: b}
	if version := r.uint8(); r.err == nil && version != stateVersion {
		return fmt.Errorf("version %d: %w", version, ErrUnsupported)
	}
	g.frozen = r.present()
	context, tag := decodeGroupContext(&r), r.vector()
	e := &epoch{self: LeafIndex(r.uint32()), secrets: new(epochSecrets), keys: keyRing{}}
	private := r.vector()
	for _, f := range e.secrets.fields() {
		*f = r.vector()
	}
	keys := r.nested()
	if r.present() {
		e.reInit = decodeProposal(&r).ReInit
	}
	if r.err != nil {
		return r.err
	}
	if e.publicEpoch, err = restorePublic(context, tag, r.b); err != nil {
		return err
	}
	if e.signer, err = e.suite.id.ParseSigningKey(private); err != nil {
		return err
	}
	for len(keys.b) > 0 {
		x, key := nodeIndex(keys.uint32()), keys.vector()
		if int(x) >= len(e.tree.nodes) {
			return ErrKey
		}
		if e.keys[x], err = e.suite.privateKey(key); err != nil || !bytes.Equal(e.keys[x].PublicKey().Bytes(), e.tree.nodes[x].encryptionKey()) {
			return ErrKey // it would open no path, and its owner could not tell why
		}
	}
	own := e.tree.leaf(e.self)
	if own == nil || keys.err != nil {
		return ErrMalformed
	}
	if !bytes.Equal(own.SignatureKey, e.signer.public) {
		return ErrKey
	}
	g.epoch = e
	return nil
}

// restorePublic makes an epoch of stored parts, of which only the tree hash is
// checked.
func restorePublic(context GroupContext, tag, encodedTree []byte) (publicEpoch, error) {
	s, err := context.Suite.lookup()
	if err != nil {
		return publicEpoch{}, err
	}
	t, err := decodeTree(s, encodedTree)
	if err != nil {
		return publicEpoch{}, err
	}
	if !bytes.Equal(t.treeHash(), context.TreeHash) {
		return publicEpoch{}, ErrTreeHash
	}
	return newPublicEpoch(context, t, tag), nil
}
