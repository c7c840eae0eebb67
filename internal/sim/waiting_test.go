package sim

import (
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// TestAdmissionWaitsForAnElectorAndSaysSo has a third join a chat of two while
// the other elector is away: the add is settled by the council of one, and final
// only when the other is back.
func TestAdmissionWaitsForAnElectorAndSaysSo(t *testing.T) {
	w := live(t, 21, 2, lan)
	settleQuiet(t, w)
	secret := []byte("sixteen bytes !!")
	host := w.Host()
	if err := w.Invite(host.index, secret); err != nil {
		t.Fatal(err)
	}
	settleQuiet(t, w)
	other := others(w, host)[0]
	other.Crash()
	w.Run(2_000)
	late := w.addLate(1)[0]
	key, _ := wire.InviteKey(w.Chat, secret)
	request := late.request(key)
	var answer *wire.JoinAnswer
	for range 20 {
		answer = host.chat.Ask(host.clock(), late.ID, "127.0.0.1:1", request)
		host.turn()
		w.Run(200)
	}
	if answer.GetState() != wire.JoinAnswer_WAITING || answer.GetDetail() != other.Name {
		t.Fatalf("answer %s, waits for %q; want WAITING for %s", answer.GetState(), answer.GetDetail(), other.Name)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	w.ask(late, host.index, request)
	if !w.Until(10_000, func() bool { return late.chat != nil && late.chat.Phase() == demes.PhaseLive }) {
		t.Fatalf("not welcomed when the other elector was back\n%s", w.Describe())
	}
}
