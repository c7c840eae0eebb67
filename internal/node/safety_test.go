package node_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/node"
	"github.com/demes-chat/demes/internal/node/contract"
)

func (p *party) safety(id demes.ChatID, with demes.AccountID) demes.SafetyView {
	p.w.t.Helper()
	v, err := p.Safety(context.Background(), id, with)
	if err != nil {
		p.w.t.Fatalf("%s: safety: %v", p.name, err)
	}
	return v
}

// sees reports how a party's view of a chat marks the members of an account.
func (p *party) sees(id demes.ChatID, account demes.AccountID) (marks []bool) {
	for _, m := range p.chat(id).Members {
		if m.Account == account.String() {
			marks = append(marks, m.Verified)
		}
	}
	return marks
}

func TestSafetyNumbersAreVerifiedUntilADeviceIsNew(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Ann", "Bo")
	ann, bo := all[0], all[1]
	a, b := accountOf(ann), accountOf(bo)
	one, two := ann.safety(id, b), bo.safety(id, a)
	if one.Digits != two.Digits || len(strings.Fields(one.Digits)) != 12 || one.Name != "Bo" || one.Account != b.String() || one.Verified || one.Changed {
		t.Errorf("Ann sees %+v, Bo %+v", one, two)
	}
	if err := ann.SetVerified(context.Background(), b, true); err != nil {
		t.Fatal(err)
	}
	if v := ann.safety(id, b); !v.Verified || v.Changed || !slices.Equal(ann.sees(id, b), []bool{true}) || !slices.Equal(ann.sees(id, a), []bool{false}) {
		t.Errorf("verified: %+v", v)
	}
	w.until("the page hears of the mark", func() bool { return ann.heardVerified(b) })
	if v := bo.safety(id, a); v.Verified {
		t.Error("Bo has compared nothing")
	}

	ann.close()
	ann.open()
	w.live(id, ann, bo)
	if v := ann.safety(id, b); !v.Verified {
		t.Errorf("after a restart: %+v", v)
	}

	seed, err := bo.store.Value("account")
	if err != nil {
		t.Fatal(err)
	}
	fresh := contract.NewMemoryStore()
	if err := node.Recover(fresh, seed, "Bo"); err != nil {
		t.Fatal(err)
	}
	second := w.add("Bo", func(c *node.Config) { c.Store = fresh })
	if v := second.join(bo.invite(id), ""); v.State != demes.JoinJoined {
		t.Fatalf("Bo's second device did not join: %+v", v)
	}
	w.until("Ann sees both devices", func() bool { return len(ann.sees(id, b)) == 2 })
	if v := ann.safety(id, b); v.Verified || !v.Changed || slices.Contains(ann.sees(id, b), true) {
		t.Errorf("with a new device: %+v, %v", v, ann.sees(id, b))
	}
	if err := ann.SetVerified(context.Background(), b, true); err != nil {
		t.Fatal(err)
	}
	if v := ann.safety(id, b); !v.Verified || v.Changed || !slices.Equal(ann.sees(id, b), []bool{true, true}) {
		t.Errorf("compared again: %+v", v)
	}
	if err := ann.SetVerified(context.Background(), b, false); err != nil {
		t.Fatal(err)
	}
	if v := ann.safety(id, b); v.Verified || v.Changed || slices.Contains(ann.sees(id, b), true) {
		t.Errorf("withdrawn: %+v", v)
	}
}

// heardVerified reports whether a live event showed the account as verified.
func (p *party) heardVerified(account demes.AccountID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.seen {
		if v, ok := e.Detail.(demes.ChatView); ok {
			for _, m := range v.Members {
				if m.Account == account.String() && m.Verified {
					return true
				}
			}
		}
	}
	return false
}

func TestNobodyElseCanBeVerified(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Ann", "Bo")
	ann := all[0]
	stranger := demes.AccountID{1, 2, 3}
	wantCode(t, ann.SetVerified(context.Background(), stranger, true), demes.CodeUnknownMember, "Nobody")
	wantCode(t, ann.SetVerified(context.Background(), accountOf(ann), true), demes.CodeBadInput, "your own")
	_, err := ann.Safety(context.Background(), id, stranger)
	wantCode(t, err, demes.CodeUnknownMember, "Nobody")
	_, err = ann.Safety(context.Background(), id, accountOf(ann))
	wantCode(t, err, demes.CodeBadInput, "your own")
	_, err = ann.Safety(context.Background(), demes.ChatID{9}, accountOf(all[1]))
	wantCode(t, err, demes.CodeUnknownChat, "")
	if err := ann.SetVerified(context.Background(), stranger, false); err != nil {
		t.Errorf("a mark that is not there cannot be withdrawn: %v", err)
	}
}
