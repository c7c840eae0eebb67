package mls

import (
	"bytes"
	"testing"
)

// decoders lists every decoder with what encodes its result again.
func decoders() map[string]func([]byte) ([]byte, error) {
	out := map[string]func([]byte) ([]byte, error){
		"welcome message":     message(WireWelcome, decodeWelcome),
		"group info message":  message(WireGroupInfo, decodeGroupInfo),
		"key package message": message(WireKeyPackage, decodeKeyPackage),
		"public message":      message(WirePublic, decodePublicMessage),
		"private message":     message(WirePrivate, decodePrivateMessage),
		"welcome":             body(decodeWelcome),
		"group info":          body(decodeGroupInfo),
		"key package":         body(decodeKeyPackage),
		"leaf":                body(decodeLeafNode),
		"parent":              body(decodeParentNode),
		"proposal":            body(decodeProposal),
		"commit":              body(decodeCommit),
		"update path":         body(decodeUpdatePath),
		"group secrets":       body(decodeGroupSecrets),
		"psk id":              body(decodePSKID),
		"authenticated":       body(decodeAuthenticated),
		"credential":          body(decodeCredential),
		"capabilities":        body(decodeCapabilities),
		"sealed":              body(decodeSealed),
	}
	out["group context"] = func(b []byte) ([]byte, error) {
		c, err := decodeAll(b, decodeGroupContext)
		if err != nil {
			return nil, err
		}
		return encode(c.encode), nil
	}
	out["ratchet tree"] = func(b []byte) ([]byte, error) {
		t, err := decodeTree(X25519.algorithms(), b)
		if err != nil {
			return nil, err
		}
		return encode(t.encode), nil
	}
	out["required capabilities"] = func(b []byte) ([]byte, error) {
		c, err := decodeAll(b, decodeRequiredCapabilities)
		if err != nil {
			return nil, err
		}
		return c.Extension().Data, nil
	}
	out["external senders"] = func(b []byte) ([]byte, error) {
		senders, err := externalSenders([]Extension{{ExtensionExternalSenders, b}})
		if err != nil {
			return nil, err
		}
		return ExternalSendersExtension(senders...).Data, nil
	}
	out["ratchets"] = func(b []byte) ([]byte, error) {
		r, err := decodeAll(b, decodeRatchets)
		if err != nil {
			return nil, err
		}
		t := &secretTree{ratchets: map[LeafIndex]*leafRatchets{0: r}}
		return t.record(ratchetRecord(0)), nil
	}
	return out
}

// FuzzDecoders: what a decoder accepts, it must encode to the same bytes, because
// signatures and hashes are over the encoding.
func FuzzDecoders(f *testing.F) {
	for _, e := range entrances(f) {
		f.Add(e.message)
		f.Add(e.message[4:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = Inspect(b)
		for name, decode := range decoders() {
			if again, err := decode(b); err == nil && !bytes.Equal(again, b) {
				t.Errorf("%s: %x encodes as %x", name, b, again)
			}
		}
	})
}

// FuzzEntrances: bytes from outside are refused without a trace, unless they are
// the valid message itself. Key packages and group infos stand for themselves:
// one that another process of the fuzzer made is as valid.
func FuzzEntrances(f *testing.F) {
	all := entrances(f)
	for i, e := range all {
		f.Add(uint8(i), e.message)
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		e := all[int(which)%len(all)]
		for _, valid := range all {
			if bytes.Equal(b, valid.message) {
				return
			}
		}
		before := ""
		if e.group != nil {
			before = e.group.state()
		}
		if e.enter(b) == nil && e.name != "key package" && e.name != "group info" {
			t.Errorf("%s: %x is accepted", e.name, b)
		}
		if e.group != nil && e.group.state() != before {
			t.Errorf("%s: %x changed the state", e.name, b)
		}
	})
}

// FuzzStored: damaged storage never brings the reader down.
func FuzzStored(f *testing.F) {
	w := crowd(f, X25519, 3)
	m := w.members[0]
	must[[]byte](f)(m.group.ProposeUpdate(Envelope{}))
	records := m.group.Records()
	for i, r := range records {
		f.Add(uint8(i), r.Value)
	}
	staged := must[[]byte](f)(must[*Staged](f)(m.group.Commit(Commit{}, w.now)).MarshalBinary())
	secrets := must[[]byte](f)(w.newMember("x").keyPackage().MarshalBinary())
	f.Add(uint8(len(records)), staged)
	f.Add(uint8(len(records)+1), secrets)
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		switch k := int(which) % (len(records) + 2); k {
		case len(records):
			_, _ = m.group.ParseStaged(b)
		case len(records) + 1:
			_, _ = ParseKeyPackageSecrets(b)
		default:
			changed := append([]Record(nil), records...)
			changed[k].Value = b
			if g, err := Load(changed, w.policy()); err == nil {
				g.Records()
			}
		}
	})
}

// FuzzObserver: what an observer accepts, a member refuses only for reasons that are
// hidden from the observer; what it reads from storage, it writes the same.
func FuzzObserver(f *testing.F) {
	w := crowd(f, X25519, 5)
	bob := w.members[1]
	o := w.observe()
	state, tree := o.State(), o.Tree()
	f.Add(uint8(1), state)
	f.Add(uint8(2), tree)
	joiner := w.newMember("joiner").keyPackage().KeyPackage
	for _, c := range []Commit{{}, {Add: []*KeyPackage{joiner}, SkipPath: true}, {Remove: []LeafIndex{4}}} {
		f.Add(uint8(0), must[*Staged](f)(w.members[0].group.Commit(c, w.now)).Message)
	}
	_, external, err := JoinExternal(must[[]byte](f)(bob.group.GroupInfo(true)), nil, ExternalJoin{Profile: w.newMember("x").profile()}, w.policy())
	check(f, err)
	f.Add(uint8(0), external)
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		var got *Observer
		switch which % 3 {
		case 0:
			seen, err := o.Commit(b, w.now)
			if err != nil {
				return
			}
			if _, err := bob.group.Receive(b, w.now); err != nil && !hidden(err) {
				t.Errorf("an observer accepts what a member refuses: %v", err)
			}
			got = seen.Next
		case 1:
			if got, err = ParseObserver(b, tree, w.policy(), false); err != nil {
				return
			}
			equal2(t, "state", got.State(), b)
		case 2:
			if got, err = ParseObserver(state, b, w.policy(), true); err != nil {
				return
			}
			equal2(t, "tree", got.Tree(), tree)
		}
		must[*Observer](t)(ParseObserver(got.State(), got.Tree(), w.policy(), true))
		equal2(t, "state of the observer that judged", o.State(), state)
	})
}
