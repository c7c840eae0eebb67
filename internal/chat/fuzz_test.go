package chat

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// FuzzStep throws bytes at a live chat of three as a frame of a member. Whatever
// they are, a message of everybody still settles afterwards.
func FuzzStep(f *testing.F) {
	r := newRoom(f, 3)
	for _, seed := range frameSeeds(r) {
		f.Add(uint8(0), seed)
		f.Add(uint8(1), seed)
	}
	f.Fuzz(func(t *testing.T, at uint8, raw []byte) {
		frame := &wire.Frame{}
		if wire.Unmarshal(raw, frame) != nil {
			return
		}
		again := r.reopened(t)
		evil := again.backup()
		to := again.guests[int(at)%len(again.guests)]
		if to == evil {
			return
		}
		chat := evil.chat.id
		frame.Chat = chat[:] // the shell gives a frame to the chat that it names
		_ = to.chat.Step(again.clock(), evil.id, frame)
		again.pump()
		if frame.GetGoodbye() != nil {
			return // nobody counts on a member that goes
		}
		again.goesOn()
	})
}

// frameSeeds are the frames that a room sends while it chats, and one of each
// kind with next to nothing in it.
func frameSeeds(r *room) (seeds [][]byte) {
	seen := map[string]int{}
	note := func(f *wire.Frame) {
		kind := string(f.ProtoReflect().WhichOneof(f.ProtoReflect().Descriptor().Oneofs().Get(0)).Name())
		if seen[kind]++; seen[kind] <= 3 {
			seeds = append(seeds, wire.Marshal(f))
		}
	}
	for _, g := range r.guests {
		_, _ = g.chat.SendText(r.clock(), "seed", nil, "")
	}
	for range 40 {
		for _, g := range r.guests {
			out, _ := g.chat.Output()
			if out.Batch != nil {
				g.disk.commit(out.Batch)
			}
			g.chat.Advance()
			for _, o := range out.Frames {
				note(o.Frame)
				_ = r.guest(o.To).chat.Step(r.clock(), g.id, proto.CloneOf(o.Frame))
			}
		}
		r.now += 50
	}
	c := r.guests[0].chat
	note(&wire.Frame{Generation: 1, Kind: &wire.Frame_Chain{Chain: &wire.Chain{Certificates: c.gens.chain}}})
	note(&wire.Frame{Generation: 1, Kind: &wire.Frame_Fetch{Fetch: &wire.Fetch{From: 2}}})
	note(&wire.Frame{Generation: 1, Kind: &wire.Frame_Typing{}})
	note(&wire.Frame{Generation: 1, Kind: &wire.Frame_HandoverAsk{}})
	info, _ := c.keys.group.GroupInfo(false)
	note(&wire.Frame{Generation: 1, Kind: &wire.Frame_KeysAsk{KeysAsk: &wire.KeysAsk{Epoch: c.fold.Epoch}}})
	note(&wire.Frame{Generation: 1, Kind: &wire.Frame_KeysInfo{KeysInfo: &wire.KeysInfo{Epoch: c.fold.Epoch, GroupInfo: info}}})
	note(&wire.Frame{Generation: 1, Kind: &wire.Frame_Rejoin{Rejoin: &wire.Rejoin{Epoch: c.fold.Epoch, Mls: []byte{1}}}})
	note(&wire.Frame{Generation: 1, Kind: &wire.Frame_Judge{Judge: &wire.Judge{Event: c.id[:], Good: true}}})
	note(&wire.Frame{Generation: 1, Kind: &wire.Frame_RevealAsk{RevealAsk: &wire.RevealAsk{From: 1, To: 1 << 40}}})
	note(&wire.Frame{Generation: 1, Kind: &wire.Frame_Revealed{Revealed: &wire.Revealed{From: 1, To: 1 << 40}}})
	note(&wire.Frame{Generation: 1, Kind: &wire.Frame_Suspicion{Suspicion: &wire.Suspicion{Term: 2, Suspect: c.self[:]}}})
	note(&wire.Frame{Generation: 1, Kind: &wire.Frame_Convene{Convene: &wire.Convene{Kind: &wire.Convene_Prepare{Prepare: &wire.Prepare{}}}}})
	r.run(3_000)
	return seeds
}

// FuzzDecodeState reads bytes as a state: what is accepted has one encoding.
func FuzzDecodeState(f *testing.F) {
	s := newScript(f, 2)
	s.joins(s.a[1])
	s.invites(s.a[1], 1, 3, 1000)
	s.commits(s.a[0], "", remove(s.a[1]))
	f.Add(s.fold.Encode(), s.fold.group.Tree())
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, raw, tree []byte) {
		state := &wire.State{}
		if wire.Unmarshal(raw, state) != nil {
			return
		}
		fold, err := decodeFold(state, tree, false)
		if err != nil {
			return
		}
		again := &wire.State{}
		if err := wire.Unmarshal(fold.Encode(), again); err != nil {
			t.Fatalf("an accepted state does not decode again: %v", err)
		}
		second, err := decodeFold(again, fold.group.Tree(), false)
		if err != nil {
			t.Fatalf("an accepted state is refused the second time: %v", err)
		}
		if second.Hash() != fold.Hash() {
			t.Fatal("a state has two hashes")
		}
	})
}

// FuzzCheckBase reads bytes as the base that a joiner is given by a stranger.
func FuzzCheckBase(f *testing.F) {
	r := newRoom(f, 2)
	c := r.host().chat
	if c.final.base == nil {
		f.Fatal("the host has no base")
	}
	f.Add(wire.Marshal(r.base(r.host())))
	self := r.guests[1].id
	f.Fuzz(func(t *testing.T, raw []byte) {
		base := &wire.Base{}
		if wire.Unmarshal(raw, base) != nil || CheckBase(base, c.id, self, nil) != nil {
			return
		}
		if _, err := Enter((&guest{author: r.guests[1].author, room: r, disk: newMemory()}).config(), demes.Now{Mono: 1}, base, nil); err != nil {
			t.Fatalf("a base that was checked cannot be entered: %v", err)
		}
	})
}
