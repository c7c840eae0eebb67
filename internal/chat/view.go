package chat

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// View is the chat as this device's user is shown it.
func (c *Chat) View() demes.ChatView {
	f := c.fold
	v := demes.ChatView{
		ID: c.id.String(), Title: cmp.Or(c.title, f.Title), Phase: c.phase, Mode: c.mode, Term: f.Term, Generation: f.Head.Generation,
		Position: f.Position, Final: c.final.index, Epoch: f.Epoch, Me: c.self.String(), Founder: f.Founder.String(),
		Head:    demes.HeadView{Generation: f.Head.Generation, Index: f.Head.Index, Hash: f.Head.Hash.String()},
		Problem: c.trouble, Members: c.members(), Latency: c.latency(), Succession: []demes.RankView{},
		Suite: f.Suite.String(), PostQuantum: f.Suite == mls.XWing, Keys: c.keysView(),
		Settings: demes.SettingsView{AdminsInvite: f.Settings.AdminsInvite, DisappearAfterS: f.Settings.DisappearAfter / 1000},
	}
	v.History = c.historyView()
	host, known := c.hostNow()
	if known && !c.gone() {
		v.Host = c.who(host)
	}
	for _, r := range c.ranks() {
		rank := demes.RankView{Device: r.Device.String(), Name: c.name(r.Device)}
		if r.ScoreUs >= 0 {
			score := float64(r.ScoreUs) / 1000
			rank.ScoreMs = &score
		}
		v.Succession = append(v.Succession, rank)
	}
	v.Next = c.next(host, known)
	if c.mode == demes.ModeProvisional {
		v.WaitingFor, v.WaitingText = c.waiting()
	}
	for _, d := range sortedDevices(c.door.knocks) {
		if k := c.door.knocks[d]; !k.refused && c.door.wanted[d] == nil {
			v.Knocks = append(v.Knocks, demes.KnockView{Device: d.String(), Name: k.name, Code: KnockCode(c.self, d), Address: k.address})
		}
	}
	if ahead := c.furthest(); ahead > f.Head.Index+CheckpointEvery {
		v.CatchingUp = &demes.Progress{Done: f.Head.Index, Total: ahead}
	}
	return v
}

// keysView says how this device's keys are.
func (c *Chat) keysView() demes.KeysView {
	v := demes.KeysView{State: demes.KeysGood}
	switch {
	case c.gone():
	case c.keys.group == nil:
		v.State = demes.KeysLost
	case len(c.keys.next) > 0:
		v.State = demes.KeysWaiting
		_, v.Waits = c.missing(c.fold.Electors)
	}
	if lacks := c.reading.lacks; !lacks.empty() {
		left := lacks.to - lacks.from + 1
		v.Missing = &demes.Progress{Done: c.reading.total - left, Total: c.reading.total}
	}
	return v
}

func (c *Chat) who(d demes.DeviceID) *demes.Peer {
	return &demes.Peer{Device: d.String(), Name: c.name(d)}
}

// ranks is the plan with members that it does not know yet behind.
func (c *Chat) ranks() []Rank {
	scores := map[demes.DeviceID]int64{}
	for _, r := range c.fold.Plan {
		scores[r.Device] = r.ScoreUs
	}
	var out []Rank
	for _, d := range c.succession() {
		score, planned := scores[d]
		if !planned {
			score = -1
		}
		out = append(out, Rank{Device: d, ScoreUs: score})
	}
	return out
}

// next is who takes over when the host goes now: the first of the succession
// that has a vote and is there.
func (c *Chat) next(host demes.DeviceID, known bool) *demes.Peer {
	if !c.fold.Live {
		return nil
	}
	var spare *demes.Peer
	for _, d := range c.succession() {
		if known && d == host || !c.online(d) {
			continue
		}
		if c.votes(d) {
			return c.who(d)
		}
		if spare == nil && slices.Contains(c.fold.Electors, d) {
			spare = c.who(d)
		}
	}
	return spare
}

// votes reports whether a device is on the council, as far as is known here.
func (c *Chat) votes(d demes.DeviceID) bool {
	if c.seat.group != nil {
		return slices.Contains(c.seat.group.Voters(), d)
	}
	return slices.Contains(c.door.council, d)
}

func (c *Chat) online(d demes.DeviceID) bool {
	if c.present(d) {
		return true
	}
	host, known := c.hostNow()
	return known && host != c.self && c.door.online[d]
}

func (c *Chat) members() []demes.MemberView {
	out := []demes.MemberView{}
	for _, d := range sortedDevices(c.fold.Members) {
		m, p := c.fold.Members[d], c.peer(d)
		view := demes.MemberView{
			Device: d.String(), Account: m.Account.String(), Name: m.Name, Online: c.online(d), Role: m.Role,
			Council: c.votes(d), Elector: slices.Contains(c.fold.Electors, d), Held: p.held, Read: p.read, Leaving: m.Leaving,
			History: m.History,
		}
		if m.RejoinedMs != 0 {
			at := timeOf(m.RejoinedMs)
			view.RejoinedAt = &at
		}
		if d == c.self {
			view.Online, view.Held, view.Read = !c.gone(), c.fold.Position, c.own.read
		} else if p.ping != nil {
			rtt := float64(p.ping.GetP50Us()) / 1000
			view.RTTms = &rtt
		}
		out = append(out, view)
	}
	return out
}

func (c *Chat) latency() demes.LatencyView {
	v := demes.LatencyView{Devices: []string{}, RTTms: [][]*float64{}}
	all := sortedDevices(c.fold.Members)
	for _, from := range all {
		v.Devices = append(v.Devices, from.String())
		row := make([]*float64, len(all))
		for i, to := range all {
			if r := c.reported(from, to); r != nil && !r.GetUnreachable() {
				rtt := float64(r.GetP50Us()) / 1000
				row[i] = &rtt
			}
		}
		v.RTTms = append(v.RTTms, row)
	}
	return v
}

func (c *Chat) reported(from, to demes.DeviceID) *wire.Report {
	if from == c.self {
		if p := c.peers[to]; p != nil && p.ping != nil {
			return p.ping
		}
	}
	return c.host.reports[[2]demes.DeviceID{from, to}]
}

// waiting says in words whom the chat waits for without a quorum.
func (c *Chat) waiting() (names []string, text string) {
	voters := c.gens.council(c)
	if c.seat.group != nil {
		voters = c.seat.group.Voters()
	} else if len(c.door.council) > 0 {
		voters = c.door.council
	}
	names, text = c.missing(voters)
	if text == "" {
		text = "the election of a host"
	}
	return names, text
}

// missing names those of the devices that are away, and how many of them a
// majority needs: "2 of Ann, Bo, Cy". The text is empty when a majority is here.
func (c *Chat) missing(devices []demes.DeviceID) (names []string, text string) {
	need := len(devices)/2 + 1
	for _, d := range devices {
		if c.present(d) {
			need--
			continue
		}
		names = append(names, c.name(d))
	}
	switch {
	case need <= 0 || len(names) == 0:
		return nil, ""
	case need >= len(names):
		return names, strings.Join(names, " and ")
	}
	return names, fmt.Sprintf("%d of %s", need, strings.Join(names, ", "))
}

// furthest is the highest index that a connected device has settled.
func (c *Chat) furthest() (index uint64) {
	for _, p := range c.peers {
		if p.connected {
			index = max(index, p.head.Index)
		}
	}
	return index
}

// Message shows one stored entry.
func (c *Chat) Message(entry SettledEntry) demes.MessageView {
	e := entry.Event
	v := demes.MessageView{
		ID: e.ID.String(), Chat: c.id.String(), Author: *c.who(e.ID.Device), SentAt: timeOf(e.SentAt),
		State: demes.StateSettled, Members: len(c.fold.Members),
	}
	c.show(&v, e)
	if e.ExpiresMs != 0 {
		at := timeOf(e.ExpiresMs)
		v.ExpiresAt = &at
	}
	switch {
	case entry.Void != "":
		v.State, v.Problem = demes.StateFailed, voidProblem(entry.Void)
	case entry.Position != 0:
		position := entry.Position
		v.Position = &position
		v.HeldBy = c.heldBy(position)
	default:
		v.HeldBy = c.heldUnsettled(e.ID)
		v.State = demes.StateSent
		if e.ID.Device == c.self && v.HeldBy < 2 && len(c.fold.Members) > 1 {
			v.State = demes.StatePending
		}
	}
	return v
}

// show fills in what a message says.
func (c *Chat) show(v *demes.MessageView, e *demes.Event) {
	switch content, err := wire.OpenContent(e, e.Plain); {
	case e.Plain == nil:
		v.Problem = &demes.ProblemView{Code: demes.CodeNoKeys, Title: "This message cannot be opened yet",
			Detail: "Its keys, or a member who can show it, are still to come."}
	case isGone(e.Plain):
		v.Deleted = true
		if e.Plain[0] == expired[0] { // when exactly is not kept
			at := timeOf(e.SentAt)
			v.ExpiresAt = &at
		}
	case err != nil:
		v.Problem = &demes.ProblemView{Code: demes.CodeBadInput, Title: "This message cannot be read", Detail: "Its author sent something that is no message."}
	default:
		v.Text = content.GetText()
		if content.GetReplyTo() != nil {
			v.ReplyTo = wire.GetRef(content.GetReplyTo()).String()
		}
	}
	c.amended(v, e.ID)
}

// heldBy counts the members that hold a settled position.
func (c *Chat) heldBy(position uint64) (n int) {
	for d := range c.fold.Members {
		if d == c.self && c.fold.Position >= position || d != c.self && c.peer(d).held >= position {
			n++
		}
	}
	return n
}

// heldUnsettled counts the members known to hold an unsettled event.
func (c *Chat) heldUnsettled(id demes.EventID) int {
	n := 1
	for d, p := range c.peers {
		if c.fold.Members[d] != nil && d != c.self && (p.holds[id.Device] >= id.Seq || d == id.Device) {
			n++
		}
	}
	return n
}

// Unsettled lists the messages without a position, in provisional order, those
// that nobody was sent yet last.
func (c *Chat) Unsettled() []demes.MessageView {
	out := []demes.MessageView{}
	for _, e := range c.tail.ordered() {
		if e.Kind == demes.KindMessage {
			out = append(out, c.Message(SettledEntry{Event: e}))
		}
	}
	for _, item := range c.own.pending {
		if item.Kind == demes.KindMessage {
			out = append(out, c.pendingMessage(item))
		}
	}
	return out
}

func (c *Chat) pendingMessage(item OutboxItem) demes.MessageView {
	id := demes.EventID{Device: c.self, Seq: item.Seq}
	e := &demes.Event{ID: id, Kind: item.Kind, Plain: item.Payload, Content: commitment(item)}
	v := demes.MessageView{
		ID: id.String(), Chat: c.id.String(), Author: *c.who(c.self), SentAt: timeOf(item.SentAt), State: demes.StatePending,
		HeldBy: 1, Members: len(c.fold.Members),
	}
	c.show(&v, e)
	return v
}

// Find shows one message that is not settled; ok is false when there is none.
func (c *Chat) Find(id demes.EventID) (demes.MessageView, bool) {
	if e := c.tail.get(id); e != nil && e.Kind == demes.KindMessage {
		return c.Message(SettledEntry{Event: e}), true
	}
	for _, item := range c.own.pending {
		if id.Device == c.self && item.Seq == id.Seq && item.Kind == demes.KindMessage {
			return c.pendingMessage(item), true
		}
	}
	return demes.MessageView{}, false
}

var voidProblems = map[string]demes.ProblemView{
	VoidLobby:     {Code: demes.CodeWrongPhase, Title: "The chat had not started", Detail: "Send it again now."},
	VoidKind:      {Code: demes.CodeBadInput, Title: "The members' programs do not know this kind of message", Detail: "Update DeMes on all devices."},
	VoidRight:     {Code: demes.CodeNotAllowed, Title: "Its author had no right to do this", Detail: "Ask the founder."},
	VoidFork:      {Code: demes.CodeBadInput, Title: "Its author's device wrote two histories", Detail: "It is silenced and will be removed."},
	VoidLamport:   {Code: demes.CodeBadInput, Title: "Its author's counter was out of range", Detail: "Send it again."},
	VoidMalformed: {Code: demes.CodeBadInput, Title: "It was malformed", Detail: "Send it again."},
}

func voidProblem(reason string) *demes.ProblemView {
	p, known := voidProblems[reason]
	if !known {
		p = demes.ProblemView{Code: demes.CodeBadInput, Title: "It had no effect", Detail: "Send it again."}
	}
	return &p
}

// Seen says whether a device is there, and else when its connection ended in this
// run: Mono ms, 0 for never.
func (c *Chat) Seen(d demes.DeviceID) (online bool, lostAt int64) {
	if p := c.peers[d]; p != nil && !p.connected {
		lostAt = p.lostAt
	}
	return c.online(d), lostAt
}

// Hosting is what this device's beats say of the chat; nil when it is not host.
func (c *Chat) Hosting() *wire.Hosting {
	if !c.seat.isHost() || c.gone() || c.trouble != nil {
		return nil
	}
	return &wire.Hosting{Chat: c.id[:], Generation: c.fold.Head.Generation, Term: c.seat.group.Term()}
}

// Contacts are the members to be connected to, with the addresses that they gave.
func (c *Chat) Contacts() map[demes.DeviceID][]string {
	out := map[demes.DeviceID][]string{}
	if c.gone() {
		return out
	}
	for d, m := range c.fold.Members {
		if d != c.self {
			out[d] = m.Addresses
		}
	}
	return out
}

// Mates are the members with whom this device keeps a council: the beats between
// them decide elections.
func (c *Chat) Mates() []demes.DeviceID {
	if c.seat.group == nil || c.gone() {
		return nil
	}
	voters := c.seat.group.Voters()
	if slices.Contains(voters, c.self) {
		return voters
	}
	host, known := c.hostNow()
	if !known {
		return voters
	}
	return []demes.DeviceID{host}
}

func timeOf(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
