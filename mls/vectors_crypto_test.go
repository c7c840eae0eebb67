package mls

import (
	"crypto/hpke"
	"testing"
)

type deserializationCase struct {
	Header hexBytes `json:"vlbytes_header"`
	Length int      `json:"length"`
}

func TestVectorsDeserialization(t *testing.T) {
	runVectors(t, "deserialization.json", func(t *testing.T, v deserializationCase) {
		r := reader{b: v.Header}
		if n := r.length(); r.finish() != nil || n != v.Length {
			t.Fatalf("length: got %d, %v, want %d", n, r.err, v.Length)
		}
		equal(t, "header", appendLength(nil, v.Length), v.Header)
	})
}

type treeMathCase struct {
	Leaves  uint32    `json:"n_leaves"`
	Nodes   int       `json:"n_nodes"`
	Root    uint32    `json:"root"`
	Left    []*uint32 `json:"left"`
	Right   []*uint32 `json:"right"`
	Parent  []*uint32 `json:"parent"`
	Sibling []*uint32 `json:"sibling"`
}

func TestVectorsTreeMath(t *testing.T) {
	runVectors(t, "tree-math.json", func(t *testing.T, v treeMathCase) {
		if got := rootOf(v.Leaves); got != nodeIndex(v.Root) {
			t.Fatalf("root: got %d, want %d", got, v.Root)
		}
		if len(v.Left) != v.Nodes || int(2*v.Leaves-1) != v.Nodes {
			t.Fatalf("%d leaves, %d nodes, %d entries", v.Leaves, v.Nodes, len(v.Left))
		}
		for x := range nodeIndex(v.Nodes) {
			same := func(what string, want *uint32, defined bool, got func() nodeIndex) {
				if (want != nil) != defined {
					t.Fatalf("%s of %d: defined %v, vector says %v", what, x, defined, want != nil)
				}
				if defined && got() != nodeIndex(*want) {
					t.Fatalf("%s of %d: got %d, want %d", what, x, got(), *want)
				}
			}
			same("left", v.Left[x], !x.isLeaf(), x.left)
			same("right", v.Right[x], !x.isLeaf(), x.right)
			same("parent", v.Parent[x], x != nodeIndex(v.Root), x.parent)
			same("sibling", v.Sibling[x], x != nodeIndex(v.Root), x.sibling)
		}
	})
}

type cryptoBasicsCase struct {
	vectorSuite
	RefHash struct {
		Label string   `json:"label"`
		Value hexBytes `json:"value"`
		Out   hexBytes `json:"out"`
	} `json:"ref_hash"`
	Expand struct {
		Secret  hexBytes `json:"secret"`
		Label   string   `json:"label"`
		Context hexBytes `json:"context"`
		Length  int      `json:"length"`
		Out     hexBytes `json:"out"`
	} `json:"expand_with_label"`
	Derive struct {
		Secret hexBytes `json:"secret"`
		Label  string   `json:"label"`
		Out    hexBytes `json:"out"`
	} `json:"derive_secret"`
	DeriveTree struct {
		Secret     hexBytes `json:"secret"`
		Label      string   `json:"label"`
		Generation uint32   `json:"generation"`
		Length     int      `json:"length"`
		Out        hexBytes `json:"out"`
	} `json:"derive_tree_secret"`
	Sign struct {
		Private   hexBytes `json:"priv"`
		Public    hexBytes `json:"pub"`
		Content   hexBytes `json:"content"`
		Label     string   `json:"label"`
		Signature hexBytes `json:"signature"`
	} `json:"sign_with_label"`
	Encrypt struct {
		Private    hexBytes `json:"priv"`
		Public     hexBytes `json:"pub"`
		Label      string   `json:"label"`
		Context    hexBytes `json:"context"`
		Plaintext  hexBytes `json:"plaintext"`
		KEMOutput  hexBytes `json:"kem_output"`
		Ciphertext hexBytes `json:"ciphertext"`
	} `json:"encrypt_with_label"`
}

func TestVectorsCryptoBasics(t *testing.T) {
	runVectors(t, "crypto-basics.json", func(t *testing.T, v cryptoBasicsCase) {
		s := must[*suite](t)(v.CipherSuite.lookup())
		get := must[[]byte](t)
		equal(t, "ref hash", s.refHash(v.RefHash.Label, v.RefHash.Value), v.RefHash.Out)
		equal(t, "expand", get(s.expandWithLabel(v.Expand.Secret, v.Expand.Label, v.Expand.Context, v.Expand.Length)), v.Expand.Out)
		equal(t, "derive", get(s.deriveSecret(v.Derive.Secret, v.Derive.Label)), v.Derive.Out)
		equal(t, "derive tree", get(s.deriveTreeSecret(v.DeriveTree.Secret, v.DeriveTree.Label, v.DeriveTree.Generation,
			v.DeriveTree.Length)), v.DeriveTree.Out)

		key := must[*SigningKey](t)(v.CipherSuite.ParseSigningKey(v.Sign.Private))
		equal(t, "signature key", key.Public(), v.Sign.Public)
		if !s.verifyWithLabel(v.Sign.Public, v.Sign.Label, v.Sign.Content, v.Sign.Signature) {
			t.Fatal("signature does not verify")
		}
		signature := get(key.signWithLabel(v.Sign.Label, v.Sign.Content))
		if s.scheme == ed25519Scheme {
			equal(t, "signature", signature, v.Sign.Signature)
		} else if !s.verifyWithLabel(v.Sign.Public, v.Sign.Label, v.Sign.Content, signature) {
			t.Fatal("own signature does not verify")
		}
		if s.verifyWithLabel(v.Sign.Public, v.Sign.Label+"x", v.Sign.Content, v.Sign.Signature) {
			t.Fatal("signature verifies under another label")
		}

		private := must[hpke.PrivateKey](t)(s.privateKey(v.Encrypt.Private))
		equal(t, "encryption key", private.PublicKey().Bytes(), v.Encrypt.Public)
		equal(t, "decrypt", get(s.decryptWithLabel(private, v.Encrypt.Label, v.Encrypt.Context,
			sealed{v.Encrypt.KEMOutput, v.Encrypt.Ciphertext})), v.Encrypt.Plaintext)
		box := must[sealed](t)(s.encryptWithLabel(v.Encrypt.Public, v.Encrypt.Label, v.Encrypt.Context, v.Encrypt.Plaintext))
		equal(t, "round trip", get(s.decryptWithLabel(private, v.Encrypt.Label, v.Encrypt.Context, box)), v.Encrypt.Plaintext)
		if _, err := s.decryptWithLabel(private, v.Encrypt.Label, append(v.Encrypt.Context, 0), box); err == nil {
			t.Fatal("decrypts under another context")
		}
	})
}

type secretTreeCase struct {
	vectorSuite
	SenderData struct {
		Secret     hexBytes `json:"sender_data_secret"`
		Ciphertext hexBytes `json:"ciphertext"`
		Key        hexBytes `json:"key"`
		Nonce      hexBytes `json:"nonce"`
	} `json:"sender_data"`
	EncryptionSecret hexBytes              `json:"encryption_secret"`
	Leaves           [][]secretTreeRatchet `json:"leaves"`
}

type secretTreeRatchet struct {
	Generation       uint32   `json:"generation"`
	ApplicationKey   hexBytes `json:"application_key"`
	ApplicationNonce hexBytes `json:"application_nonce"`
	HandshakeKey     hexBytes `json:"handshake_key"`
	HandshakeNonce   hexBytes `json:"handshake_nonce"`
}

func TestVectorsSecretTree(t *testing.T) {
	runVectors(t, "secret-tree.json", func(t *testing.T, v secretTreeCase) {
		s := must[*suite](t)(v.CipherSuite.lookup())
		key, nonce, err := s.senderKey(v.SenderData.Secret, v.SenderData.Ciphertext)
		check(t, err)
		equal(t, "sender data key", key, v.SenderData.Key)
		equal(t, "sender data nonce", nonce, v.SenderData.Nonce)

		tree := newSecretTree(s, uint32(len(v.Leaves)), v.EncryptionSecret)
		for i, generations := range v.Leaves {
			for _, g := range generations {
				for kind, want := range map[ratchetKind][2]hexBytes{
					applicationRatchet: {g.ApplicationKey, g.ApplicationNonce},
					handshakeRatchet:   {g.HandshakeKey, g.HandshakeNonce},
				} {
					k, a, err := tree.receive(LeafIndex(i), kind, g.Generation)
					check(t, err)
					equal(t, "key", k.key, want[0])
					equal(t, "nonce", k.nonce, want[1])
					tree.apply(a)
					if _, _, err := tree.receive(LeafIndex(i), kind, g.Generation); err == nil {
						t.Fatal("a key was given twice")
					}
				}
			}
		}
	})
}

type messageProtectionCase struct {
	vectorSuite
	GroupID                 hexBytes `json:"group_id"`
	Epoch                   uint64   `json:"epoch"`
	TreeHash                hexBytes `json:"tree_hash"`
	ConfirmedTranscriptHash hexBytes `json:"confirmed_transcript_hash"`
	SignaturePriv           hexBytes `json:"signature_priv"`
	SignaturePub            hexBytes `json:"signature_pub"`
	EncryptionSecret        hexBytes `json:"encryption_secret"`
	SenderDataSecret        hexBytes `json:"sender_data_secret"`
	MembershipKey           hexBytes `json:"membership_key"`
	Proposal                hexBytes `json:"proposal"`
	ProposalPub             hexBytes `json:"proposal_pub"`
	ProposalPriv            hexBytes `json:"proposal_priv"`
	Commit                  hexBytes `json:"commit"`
	CommitPub               hexBytes `json:"commit_pub"`
	CommitPriv              hexBytes `json:"commit_priv"`
	Application             hexBytes `json:"application"`
	ApplicationPriv         hexBytes `json:"application_priv"`
}

// context builds the GroupContext of the case.
func (v messageProtectionCase) context() []byte {
	c := GroupContext{Version: MLS10, Suite: v.CipherSuite, GroupID: v.GroupID, Epoch: v.Epoch, TreeHash: v.TreeHash,
		ConfirmedTranscriptHash: v.ConfirmedTranscriptHash}
	return encode(c.encode)
}

// openPublic verifies a PublicMessage of leaf 1 as a receiver would.
func (v messageProtectionCase) openPublic(s *suite, message []byte) (*authenticated, error) {
	m, err := decodeMessage(message, WirePublic, decodePublicMessage)
	if err != nil {
		return nil, err
	}
	if err := m.checkMembership(s, v.MembershipKey, v.context()); err != nil {
		return nil, err
	}
	return &m.authenticated, m.verify(s, v.SignaturePub, v.context())
}

// openPrivate opens a PrivateMessage of leaf 1 as a receiver would.
func (v messageProtectionCase) openPrivate(s *suite, message []byte) (*authenticated, error) {
	m, err := decodeMessage(message, WirePrivate, decodePrivateMessage)
	if err != nil {
		return nil, err
	}
	from, err := m.openSender(s, v.SenderDataSecret)
	if err != nil {
		return nil, err
	}
	key, _, err := newSecretTree(s, 2, v.EncryptionSecret).receive(from.leaf, ratchetOf(m.kind), from.generation)
	if err != nil {
		return nil, err
	}
	a, err := m.openContent(s, from, key)
	if err != nil {
		return nil, err
	}
	return a, a.verify(s, v.SignaturePub, v.context())
}

func TestVectorsMessageProtection(t *testing.T) {
	runVectors(t, "message-protection.json", func(t *testing.T, v messageProtectionCase) {
		s := must[*suite](t)(v.CipherSuite.lookup())
		key := must[*SigningKey](t)(v.CipherSuite.ParseSigningKey(v.SignaturePriv))
		open := must[*authenticated](t)
		proposal := must[Proposal](t)(decodeAll(v.Proposal, decodeProposal))
		change := must[*commit](t)(decodeAll(v.Commit, decodeCommit))
		for _, c := range []struct {
			name         string
			want         []byte
			pub, priv    []byte
			content      framedContent
			confirmation []byte
		}{
			{"proposal", v.Proposal, v.ProposalPub, v.ProposalPriv, framedContent{kind: ContentProposal, proposal: &proposal}, nil},
			{"commit", v.Commit, v.CommitPub, v.CommitPriv, framedContent{kind: ContentCommit, commit: change}, s.zero()},
			{"application", v.Application, nil, v.ApplicationPriv, framedContent{kind: ContentApplication, data: v.Application}, nil},
		} {
			body := func(a *authenticated) []byte {
				if a.content.kind == ContentApplication {
					return a.content.data
				}
				return encode(a.content.encodeBody)
			}
			if c.pub != nil {
				equal(t, c.name+" public", body(open(v.openPublic(s, c.pub))), c.want)
			}
			equal(t, c.name+" private", body(open(v.openPrivate(s, c.priv))), c.want)

			a := &authenticated{wire: WirePrivate, content: c.content, confirmationTag: c.confirmation}
			a.content.groupID, a.content.epoch, a.content.sender = v.GroupID, v.Epoch, memberSender(1)
			check(t, a.sign(key, v.context()))
			k, _, err := newSecretTree(s, 2, v.EncryptionSecret).send(1, ratchetOf(c.content.kind))
			check(t, err)
			private := must[[]byte](t)(a.protectPrivate(s, v.SenderDataSecret, k, 64))
			equal(t, c.name+" private round trip", body(open(v.openPrivate(s, private))), c.want)
			if c.pub == nil {
				continue
			}
			a.wire = WirePublic
			check(t, a.sign(key, v.context()))
			equal(t, c.name+" public round trip", body(open(v.openPublic(s, a.protectPublic(s, v.MembershipKey, v.context())))), c.want)
		}
	})
}

type keyScheduleCase struct {
	vectorSuite
	GroupID           hexBytes           `json:"group_id"`
	InitialInitSecret hexBytes           `json:"initial_init_secret"`
	Epochs            []keyScheduleEpoch `json:"epochs"`
}

type keyScheduleEpoch struct {
	CommitSecret            hexBytes `json:"commit_secret"`
	PSKSecret               hexBytes `json:"psk_secret"`
	ConfirmedTranscriptHash hexBytes `json:"confirmed_transcript_hash"`
	TreeHash                hexBytes `json:"tree_hash"`
	GroupContext            hexBytes `json:"group_context"`
	JoinerSecret            hexBytes `json:"joiner_secret"`
	WelcomeSecret           hexBytes `json:"welcome_secret"`
	InitSecret              hexBytes `json:"init_secret"`
	SenderDataSecret        hexBytes `json:"sender_data_secret"`
	EncryptionSecret        hexBytes `json:"encryption_secret"`
	ExporterSecret          hexBytes `json:"exporter_secret"`
	ExternalSecret          hexBytes `json:"external_secret"`
	ConfirmationKey         hexBytes `json:"confirmation_key"`
	MembershipKey           hexBytes `json:"membership_key"`
	ResumptionPSK           hexBytes `json:"resumption_psk"`
	EpochAuthenticator      hexBytes `json:"epoch_authenticator"`
	ExternalPub             hexBytes `json:"external_pub"`
	Exporter                struct {
		Label   string   `json:"label"`
		Context hexBytes `json:"context"`
		Length  int      `json:"length"`
		Secret  hexBytes `json:"secret"`
	} `json:"exporter"`
}

func TestVectorsKeySchedule(t *testing.T) {
	runVectors(t, "key-schedule.json", func(t *testing.T, v keyScheduleCase) {
		s := must[*suite](t)(v.CipherSuite.lookup())
		get := must[[]byte](t)
		initSecret := []byte(v.InitialInitSecret)
		for i, e := range v.Epochs {
			c := GroupContext{Version: MLS10, Suite: v.CipherSuite, GroupID: v.GroupID, Epoch: uint64(i), TreeHash: e.TreeHash,
				ConfirmedTranscriptHash: e.ConfirmedTranscriptHash}
			context := encode(c.encode)
			equal(t, "group context", context, e.GroupContext)
			joiner := get(s.joinerSecret(initSecret, e.CommitSecret, context))
			equal(t, "joiner secret", joiner, e.JoinerSecret)
			member := get(s.memberSecret(joiner, e.PSKSecret))
			equal(t, "welcome secret", get(s.deriveSecret(member, "welcome")), e.WelcomeSecret)
			secrets, encryption, err := s.epoch(member, context)
			check(t, err)
			equal(t, "encryption secret", encryption, e.EncryptionSecret)
			equal(t, "init secret", secrets.init, e.InitSecret)
			equal(t, "sender data secret", secrets.senderData, e.SenderDataSecret)
			equal(t, "exporter secret", secrets.exporter, e.ExporterSecret)
			equal(t, "external secret", secrets.external, e.ExternalSecret)
			equal(t, "confirmation key", secrets.confirmation, e.ConfirmationKey)
			equal(t, "membership key", secrets.membership, e.MembershipKey)
			equal(t, "resumption psk", secrets.resumption, e.ResumptionPSK)
			equal(t, "epoch authenticator", secrets.authenticator, e.EpochAuthenticator)
			equal(t, "external pub", must[hpke.PrivateKey](t)(s.externalKey(secrets)).PublicKey().Bytes(), e.ExternalPub)
			equal(t, "exporter", get(s.export(secrets, e.Exporter.Label, e.Exporter.Context, e.Exporter.Length)), e.Exporter.Secret)
			initSecret = secrets.init
		}
	})
}

type pskSecretCase struct {
	vectorSuite
	PSKs   []pskSecretInput `json:"psks"`
	Secret hexBytes         `json:"psk_secret"`
}

type pskSecretInput struct {
	ID    hexBytes `json:"psk_id"`
	PSK   hexBytes `json:"psk"`
	Nonce hexBytes `json:"psk_nonce"`
}

func TestVectorsPSKSecret(t *testing.T) {
	runVectors(t, "psk_secret.json", func(t *testing.T, v pskSecretCase) {
		s := must[*suite](t)(v.CipherSuite.lookup())
		var psks []preSharedKey
		for _, p := range v.PSKs {
			psks = append(psks, preSharedKey{PSKID{Type: PSKExternal, ID: p.ID, Nonce: p.Nonce}, p.PSK})
		}
		equal(t, "psk secret", must[[]byte](t)(s.foldPSKs(psks)), v.Secret)
	})
}

type transcriptCase struct {
	vectorSuite
	ConfirmationKey hexBytes `json:"confirmation_key"`
	Content         hexBytes `json:"authenticated_content"`
	InterimBefore   hexBytes `json:"interim_transcript_hash_before"`
	ConfirmedAfter  hexBytes `json:"confirmed_transcript_hash_after"`
	InterimAfter    hexBytes `json:"interim_transcript_hash_after"`
}

func TestVectorsTranscriptHashes(t *testing.T) {
	runVectors(t, "transcript-hashes.json", func(t *testing.T, v transcriptCase) {
		s := must[*suite](t)(v.CipherSuite.lookup())
		a := must[*authenticated](t)(decodeAll(v.Content, decodeAuthenticated))
		equal(t, "content", encode(a.encode), v.Content)
		confirmed := s.confirmedHash(v.InterimBefore, a)
		equal(t, "confirmed hash", confirmed, v.ConfirmedAfter)
		equal(t, "confirmation tag", s.mac(v.ConfirmationKey, confirmed), a.confirmationTag)
		equal(t, "interim hash", s.interimHash(confirmed, a.confirmationTag), v.InterimAfter)
	})
}
