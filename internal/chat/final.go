package chat

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// Limits of what is kept until it is final.
const (
	MaxCheckpoints = 16 // states that a final proof may still be made for
	MaxReceipts    = 8  // of one elector
)

// finality is what is known of how far the log is final: held as settled,
// durably, by a majority of the electors (docs/protocol.md#final).
type finality struct {
	index    uint64
	proof    *wire.FinalProof // the newest
	base     *wire.Base       // the newest state with its proof: what a joiner goes on from
	group    *mls.Observer    // the public group of base's state
	states   map[uint64]kept
	receipts map[demes.DeviceID][]*wire.Receipt // at the host, the newest last
	due      []checkpoint                       // to be signed with this turn's output
	signedAt int64                              // Mono ms
	signed   demes.Head
	early    *wire.FinalProof // of a head that is not settled here yet
}

// checkpoint is a head that every elector signs a receipt for, however its
// entries came in batches.
type checkpoint struct {
	head  demes.Head
	state demes.Hash
}

// kept is a state that a final proof may still be made for.
type kept struct {
	raw   []byte
	group *mls.Observer
}

func (f *finality) reset() {
	f.states, f.receipts, f.due = map[uint64]kept{}, map[demes.DeviceID][]*wire.Receipt{}, nil
	f.signed, f.early = demes.Head{}, nil
}

// checkpoint remembers the state at the entry that was just consumed.
func (f *finality) checkpoint(c *Chat) {
	state := c.fold.Encode()
	f.states[c.fold.Head.Index] = kept{state, c.fold.group}
	f.due = append(f.due, checkpoint{head: c.fold.Head, state: demes.Sum(state)})
	if len(f.states) > MaxCheckpoints {
		oldest := c.fold.Head.Index
		for index := range f.states {
			oldest = min(oldest, index)
		}
		delete(f.states, oldest)
	}
}

// signs reports whether this device gives receipts now.
func (f *finality) signs(c *Chat) bool {
	return c.isElector() && c.checked && c.trouble == nil && !c.gens.frozen()
}

// sign makes this elector's receipts for what this turn settled; they leave
// after it is durable.
func (f *finality) sign(c *Chat) {
	if early := f.early; early != nil && proofHead(early).Index <= c.fold.Head.Index {
		f.early = nil
		_ = f.accept(c, early) // a proof that contradicts the log is kept by accept
	}
	if !f.signs(c) {
		f.due = nil
		return
	}
	if f.signed.Index < c.fold.Head.Index && c.now.Mono-f.signedAt >= c.cfg.Timing.ReceiptPace {
		if n := len(f.due); n == 0 || f.due[n-1].head != c.fold.Head {
			f.due = append(f.due, checkpoint{head: c.fold.Head, state: c.fold.Hash()})
		}
	}
	for _, due := range f.due {
		f.signedAt, f.signed = c.now.Mono, due.head
		f.hand(c, wire.SealReceipt(c.cfg.Key, c.id, due.head, due.state))
	}
	f.due = nil
}

// hand gives a receipt of this device to the host.
func (f *finality) hand(c *Chat, receipt *wire.Receipt) {
	host, known := c.hostNow()
	switch {
	case known && host != c.self:
		c.send(host, &wire.Frame{Kind: &wire.Frame_Receipt{Receipt: receipt}})
	default: // the host's own; without a host it is kept for when this device is
		f.keep(c.self, receipt)
		f.count(c)
	}
}

// again signs the current head once more, for a new host.
func (f *finality) again() { f.signed, f.signedAt = demes.Head{}, 0 }

// take is the host's part: it collects the electors' receipts.
func (f *finality) take(c *Chat, from demes.DeviceID, receipt *wire.Receipt) error {
	body, device, err := wire.OpenReceipt(receipt)
	if err != nil {
		return fmt.Errorf("receipt from %s: %w", from.Short(), err)
	}
	head := wire.GetHead(body.GetHead())
	if device != from || wire.HashOf(body.GetChat()) != demes.Hash(c.id) || head.Generation != c.fold.Head.Generation ||
		!slices.Contains(c.fold.Electors, device) {
		return fmt.Errorf("receipt from %s: %w", from.Short(), ErrInvalid)
	}
	if mine, here := c.hashAt(head.Index); here && mine != head.Hash {
		c.put("lie:"+device.String(), wire.Marshal(receipt))
		return fmt.Errorf("receipt of %s contradicts the log at %d: %w", device.Short(), head.Index, ErrInvalid)
	}
	f.keep(device, receipt)
	f.count(c)
	return nil
}

// hashAt is the running hash at an index of the current generation, where it is
// cheap to know.
func (c *Chat) hashAt(index uint64) (demes.Hash, bool) {
	if index == c.fold.Head.Index {
		return c.fold.Head.Hash, true
	}
	if index > c.log.durable || index < c.log.first {
		return demes.Hash{}, false
	}
	entries, err := c.cfg.Log.Settled(c.id, index, 1)
	if err != nil || len(entries) == 0 {
		return demes.Hash{}, false
	}
	return entries[0].Hash, true
}

func (f *finality) keep(device demes.DeviceID, receipt *wire.Receipt) {
	kept := append(f.receipts[device], receipt)
	f.receipts[device] = kept[max(0, len(kept)-MaxReceipts):]
}

// count looks for heads that a majority of the electors signed, lowest first, so
// that each checkpoint gets its proof, and tells everybody.
func (f *finality) count(c *Chat) {
	if !c.seat.isHost() {
		return
	}
	proofs := map[uint64]*wire.FinalProof{}
	for _, d := range sortedDevices(f.receipts) {
		for _, r := range f.receipts[d] {
			head := receiptHead(r)
			if head.Index <= f.index || head.Index > c.fold.Head.Index || proofs[head.Index] != nil {
				continue
			}
			if p := f.matching(r); len(p.GetReceipts()) > len(c.fold.Electors)/2 {
				proofs[head.Index] = p
			}
		}
	}
	for _, index := range slices.Sorted(maps.Keys(proofs)) {
		f.advance(c, proofs[index])
		for _, d := range c.connected() {
			c.send(d, &wire.Frame{Kind: &wire.Frame_Final{Final: proofs[index]}})
		}
	}
}

// matching collects the receipts that sign the very same bytes.
func (f *finality) matching(r *wire.Receipt) *wire.FinalProof {
	proof := &wire.FinalProof{}
	for _, d := range sortedDevices(f.receipts) {
		for _, other := range f.receipts[d] {
			if bytes.Equal(other.GetBody(), r.GetBody()) {
				proof.Receipts = append(proof.Receipts, other)
				break
			}
		}
	}
	return proof
}

// accept takes a proof that another device sent.
func (f *finality) accept(c *Chat, proof *wire.FinalProof) error {
	head := proofHead(proof)
	if head.Generation != c.fold.Head.Generation || head.Index <= f.index {
		return nil
	}
	if head.Index > c.fold.Head.Index && proofHead(f.early).Index >= head.Index {
		return nil
	}
	if err := f.verify(c, proof); err != nil {
		return err
	}
	if head.Index > c.fold.Head.Index {
		f.early = proof // compared once the log has come as far
		return nil
	}
	if mine, here := c.hashAt(head.Index); here && mine != head.Hash {
		c.put("lie:final", wire.Marshal(proof))
		c.trouble = &demes.ProblemView{
			Code: demes.CodeInternal, Title: "The members disagree about the order of this chat",
			Detail: "A majority signed another order than the one this device was given. The proof is kept. Ask the others, and export your messages.",
		}
		return fmt.Errorf("final proof contradicts the log at %d: %w", head.Index, ErrInvalid)
	}
	f.advance(c, proof)
	return nil
}

// verify checks that a majority of this generation's electors signed one head.
func (f *finality) verify(c *Chat, proof *wire.FinalProof) error {
	return verifyProof(proof, c.id, c.fold.Electors)
}

func verifyProof(proof *wire.FinalProof, chat demes.ChatID, electors []demes.DeviceID) error {
	signers := map[demes.DeviceID]bool{}
	if len(proof.GetReceipts()) > MaxElectors {
		return fmt.Errorf("final proof: %w", wire.ErrTooLarge)
	}
	for _, r := range proof.GetReceipts() {
		body, device, err := wire.OpenReceipt(r)
		if err != nil {
			return fmt.Errorf("final proof: %w", err)
		}
		if !bytes.Equal(r.GetBody(), proof.GetReceipts()[0].GetBody()) || wire.HashOf(body.GetChat()) != demes.Hash(chat) {
			return fmt.Errorf("final proof of several heads: %w", ErrInvalid)
		}
		if slices.Contains(electors, device) {
			signers[device] = true
		}
	}
	if len(signers) <= len(electors)/2 {
		return fmt.Errorf("final proof signed by %d of %d electors: %w", len(signers), len(electors), ErrInvalid)
	}
	return nil
}

// advance takes a proof that holds.
func (f *finality) advance(c *Chat, proof *wire.FinalProof) {
	head := proofHead(proof)
	f.index, f.proof = head.Index, proof
	c.put("final", wire.Marshal(proof))
	at, have := f.states[head.Index]
	if !have && c.fold.Head == head {
		at, have = kept{c.fold.Encode(), c.fold.group}, true
	}
	if have && demes.Sum(at.raw) == proofState(proof) {
		state := &wire.State{}
		if wire.Unmarshal(at.raw, state) == nil {
			f.group = at.group
			f.base = &wire.Base{State: state, Proof: proof, Certificates: c.gens.chain, Found: c.gens.found}
			c.put("base", wire.Marshal(&wire.Base{State: state, Proof: proof, Found: c.gens.found})) // the chain is kept once
			c.door.keepBase(c)
		}
	}
	for index := range f.states {
		if index <= head.Index {
			delete(f.states, index)
		}
	}
	c.keys.advance(c)
	c.reading.again = c.reading.again || c.reading.from != 0 // what waits for keys that nobody has waits until here
	c.door.changed(c)
	c.notice(Notice{Kind: NoticeMembers})
}

func receiptHead(r *wire.Receipt) demes.Head {
	body := &wire.ReceiptBody{}
	if wire.Unmarshal(r.GetBody(), body) != nil {
		return demes.Head{}
	}
	return wire.GetHead(body.GetHead())
}

// proofHead is the head that a proof is about; nil is the zero head.
func proofHead(p *wire.FinalProof) demes.Head {
	if len(p.GetReceipts()) == 0 {
		return demes.Head{}
	}
	return receiptHead(p.GetReceipts()[0])
}

func proofState(p *wire.FinalProof) demes.Hash {
	body := &wire.ReceiptBody{}
	if len(p.GetReceipts()) == 0 || wire.Unmarshal(p.GetReceipts()[0].GetBody(), body) != nil {
		return demes.Hash{}
	}
	return wire.HashOf(body.GetStateHash())
}

func (c *Chat) isElector() bool { return slices.Contains(c.fold.Electors, c.self) }
