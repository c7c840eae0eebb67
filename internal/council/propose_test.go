package council

import (
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

func same(base demes.Head) (council, electors []demes.DeviceID) { return devices(1), devices(1, 2, 3) }

// count says how many of the messages are of which kind.
func count(out []Out) (asks, prepares, accepts int) {
	for _, o := range out {
		switch o.Convene.GetKind().(type) {
		case *wire.Convene_Ask:
			asks++
		case *wire.Convene_Prepare:
			prepares++
		case *wire.Convene_Accept:
			accepts++
		}
	}
	return asks, prepares, accepts
}

func TestNobodyFreezesForAHopelessAttempt(t *testing.T) {
	p := newParliament(1, 3, 3, 3, planted{})
	x := p.members[0]
	if asks, _, _ := count(x.e.Propose(at(0), false, x.situation(), same)); asks != 2 || x.e.Frozen() {
		t.Fatalf("asked %d of 2; frozen %v", asks, x.e.Frozen())
	}
	if asks, _, _ := count(x.e.Tick(at(resendConvene), x.situation())); asks != 2 || len(x.e.Missing()) != 2 {
		t.Errorf("asked again %d of 2", asks)
	}
	x.e.Tick(at(askTime), x.situation())
	if x.e.Frozen() || !x.e.Busy() {
		t.Error("nobody answered: it must wait, unfrozen")
	}
	if due := x.e.Deadline(); due < askTime+firstBackoff || due > askTime+firstBackoff*3/2 {
		t.Errorf("tries again at %d ms, about a minute later", due)
	}
	x.e.Connected(at(askTime+10), testDevice(2))
	if due := x.e.Deadline(); due > askTime+10+resendConvene {
		t.Errorf("an elector connected, and it still waits until %d", due)
	}
	s := x.situation()
	s.Quorum, s.Host = true, testDevice(2)
	x.e.Tick(at(askTime+20_000), s)
	if x.e.Busy() || x.e.Deadline() != 0 {
		t.Error("a host is back: there is nothing to convene")
	}
}

func TestRealFailuresDoubleThePause(t *testing.T) {
	p := newParliament(1, 3, 3, 3, planted{})
	x := p.members[0]
	s := x.situation()
	x.e.Propose(at(0), true, s, same)
	if !x.e.Frozen() {
		t.Fatal("a planned attempt promises at once")
	}
	now, want := int64(0), frozenBackoff
	for range 6 {
		failed := now + prepareTime
		for now < failed {
			now += resendConvene
			x.e.Tick(at(now), s)
		}
		pause := x.e.Deadline() - now
		if pause < want || pause > want*3/2 {
			t.Errorf("pauses %d ms, want %d to %d", pause, want, want*3/2)
		}
		want = min(want*2, maxBackoff)
		now = x.e.Deadline()
		if _, prepares, _ := count(x.e.Tick(at(now), s)); prepares != 2 {
			t.Fatalf("tries again: prepares %d of 2", prepares)
		}
	}
	if round := x.e.promised.round; round != 7 {
		t.Errorf("the seventh attempt has round %d", round)
	}
}

func TestAHigherBallotWins(t *testing.T) {
	p := newParliament(1, 3, 3, 3, planted{})
	x := p.members[0]
	x.e.Propose(at(0), true, x.situation(), same)
	x.e.Step(at(10), testDevice(2), &wire.Convene{Kind: &wire.Convene_Refused{Refused: &wire.Refusal{
		Ballot: ballot{1, testDevice(1)}.wire(), Promised: ballot{8, testDevice(3)}.wire(),
	}}}, x.situation())
	if due := x.e.Deadline(); due < frozenBackoff {
		t.Fatalf("a refused proposer goes on at %d", due)
	}
	x.e.Tick(at(x.e.Deadline()), x.situation())
	if x.e.promised.round != 9 {
		t.Errorf("tries again in round %d, above the 8 that it heard of", x.e.promised.round)
	}
}

func TestNothingIsAcceptedBeforeTheNewElectorsHoldTheBase(t *testing.T) {
	p := newParliament(1, 1, 3, 1, planted{})
	founder := p.members[0]
	three := func(demes.Head) (council, electors []demes.DeviceID) { return devices(1), devices(1, 2, 3) }
	_, _, accepts := count(founder.e.Propose(at(0), true, founder.situation(), three))
	if accepts != 2 || founder.e.accepted.round != 0 || founder.e.Decided() != nil {
		t.Fatalf("asked %d new electors; accepted %v before any held the base", accepts, founder.e.accepted)
	}
	// Nobody answers: the founder may choose others.
	for now := int64(0); now <= witnessTime+resendConvene; now += resendConvene {
		founder.e.Tick(at(now), founder.situation())
	}
	two := func(demes.Head) (council, electors []demes.DeviceID) { return devices(1), devices(1, 2) }
	founder.e.Propose(at(witnessTime+resendConvene), true, founder.situation(), two)
	out := founder.e.Tick(at(founder.e.Deadline()), founder.situation())
	if len(out) != 1 || out[0].To != testDevice(2) {
		t.Fatalf("asks %v, want 2 alone", out)
	}
	second := p.members[1]
	s := second.situation()
	s.Holds = func(demes.Head) bool { return false }
	if answer := second.e.Step(at(0), testDevice(1), out[0].Convene, s); len(answer) != 0 {
		t.Fatal("voted without the base")
	}
	base, from, wanted := second.e.Wants()
	if !wanted || from != testDevice(1) || base.Index != 1 {
		t.Fatalf("wants %v of %v, %v", base, from.Short(), wanted)
	}
	answer := second.e.Tick(at(10), second.situation())
	if len(answer) != 1 || second.e.Frozen() {
		t.Fatalf("holds the base now, and says %v", answer)
	}
	founder.e.Step(founder.p.clock(), testDevice(2), answer[0].Convene, founder.situation())
	if _, err := VerifyCertificate(founder.e.Decided(), demes.ChatID{1}, devices(1), testVerify); err != nil {
		t.Errorf("decided: %v", err)
	}
}

func TestABaseBelowWhatIsFinalIsNotAccepted(t *testing.T) {
	p := newParliament(1, 3, 3, 3, planted{})
	x := p.members[1]
	value := encode(&wire.Value{
		Chat: chatBytes(), Parent: 1, Base: writeHead(headAt(1)), Council: writeDevices(devices(1)), Electors: writeDevices(devices(1, 2, 3)),
	})
	m := &wire.Convene{Kind: &wire.Convene_Accept{Accept: &wire.Accept{Ballot: ballot{1, testDevice(1)}.wire(), Value: value}}}
	s := x.situation()
	s.Final = 5
	if out := x.e.Step(at(0), testDevice(1), m, s); len(out) != 0 || x.e.accepted.round != 0 {
		t.Error("accepted a base that leaves a final entry out")
	}
}
