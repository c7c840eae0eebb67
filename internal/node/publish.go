package node

import (
	"bytes"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
	"github.com/demes-chat/demes/internal/identity"
)

const (
	// gatherFor is how long notices about members and round trips are gathered
	// into one live event, in milliseconds.
	gatherFor = 50
	// maxShown is how many messages one live event names: a catch-up of thousands
	// comes in parts.
	maxShown = 100
)

// news is what listeners are still to be told of a chat.
type news struct {
	members bool
	latency bool
	due     int64 // Mono ms when they are told; 0: nothing waits
	told    int64 // Mono ms of the last time
	typedAt int64 // Mono ms when the user's typing was told last; 0: never
}

// publish turns a chat's notices into live events.
func (r *runner) publish(out *chat.Output) {
	settled := map[demes.EventID]chat.SettledEntry{}
	if out.Batch != nil {
		for _, entry := range out.Batch.Settled {
			if entry.Event != nil && entry.Event.Kind == demes.KindMessage {
				settled[entry.Event.ID] = entry
			}
		}
	}
	said := map[demes.EventID]bool{}
	if out.Batch != nil {
		for _, content := range out.Batch.Contents {
			if target := content.Target; target != nil && !said[*target] { // held: what it does is shown before it is settled
				said[*target] = true
				r.showMessage(*target, settled)
			}
		}
	}
	for _, notice := range out.Notices {
		switch notice.Kind {
		case chat.NoticeMessage:
			if !said[notice.Event] {
				said[notice.Event] = true
				r.showMessage(notice.Event, settled)
			}
		case chat.NoticeSettled:
			r.showSettled(notice.Ids, settled)
		case chat.NoticeMembers, chat.NoticeLatency:
			r.gather(notice.Kind)
		case chat.NoticeKnock:
			r.showKnock(notice.Peer)
			r.moved()
		case chat.NoticeTyping:
			r.publishEvent(demes.LiveEvent{Type: string(notice.Kind), Detail: r.peer(notice.Peer)})
		case chat.NoticeRemoved:
			r.ties.roster = true
			r.moved()
			r.show(chat.NoticeMembers, notice.Text)
		case chat.NoticeHost:
			r.stir()
			if !notice.Peer.IsZero() {
				r.node.stats.elections.Add(1)
			}
			r.show(notice.Kind, notice.Text)
		default:
			r.show(notice.Kind, notice.Text)
		}
	}
}

func (r *runner) publishEvent(e demes.LiveEvent) {
	e.Chat = r.id.String()
	r.node.hub.Publish(e)
}

// show tells of the chat as it is now.
func (r *runner) show(kind chat.NoticeKind, text string) {
	r.publishEvent(demes.LiveEvent{Type: string(kind), Detail: r.view(r.chat), Text: text})
}

// showMessage tells of one message that appeared or changed, also of one that was
// settled long ago; of one that got its position just now the settled event tells.
func (r *runner) showMessage(id demes.EventID, settled map[demes.EventID]chat.SettledEntry) {
	if settled[id].Position != 0 {
		return
	}
	view, known, err := r.lookUp(r.chat, id)
	if err != nil || !known { // the disk says so to its user elsewhere
		return
	}
	r.publishEvent(demes.LiveEvent{Type: string(chat.NoticeMessage), Message: &view})
}

// showSettled tells of messages that got their positions, and of settled ones
// that could be opened only now.
func (r *runner) showSettled(ids []demes.EventID, settled map[demes.EventID]chat.SettledEntry) {
	for len(ids) > 0 {
		n := min(len(ids), maxShown)
		views := make([]demes.MessageView, 0, n)
		for _, id := range ids[:n] {
			if entry, here := settled[id]; here {
				r.node.stats.messages.Add(1)
				views = append(views, r.chat.Message(entry))
			} else if view, known, err := r.lookUp(r.chat, id); known && err == nil {
				views = append(views, view) // settled before, and opened just now
			}
		}
		if len(views) > 0 {
			r.publishEvent(demes.LiveEvent{Type: string(chat.NoticeSettled), Messages: views})
		}
		ids = ids[n:]
	}
}

func (r *runner) showKnock(device demes.DeviceID) {
	for _, k := range r.chat.View().Knocks {
		if k.Device == device.String() {
			r.publishEvent(demes.LiveEvent{Type: string(chat.NoticeKnock), Detail: k})
		}
	}
}

func (r *runner) peer(d demes.DeviceID) demes.Peer {
	p := demes.Peer{Device: d.String(), Name: d.Short()}
	if m := r.chat.Fold().Members[d]; m != nil {
		p.Name = m.Name
	}
	return p
}

// gather notes that members or round trips changed: that is told soon.
func (r *runner) gather(kind chat.NoticeKind) {
	if kind == chat.NoticeMembers {
		r.news.members = true
		r.moved()
	} else {
		r.news.latency = true
	}
	if r.news.due == 0 {
		r.news.due = max(r.node.now().Mono, r.news.told+gatherFor)
	}
}

// tell publishes what was gathered, once it is due.
func (r *runner) tell() {
	now := r.node.now().Mono
	if r.news.due == 0 || now < r.news.due || r.chat == nil {
		return
	}
	members, latency := r.news.members, r.news.latency
	r.news = news{told: now, typedAt: r.news.typedAt}
	view := r.view(r.chat)
	if members {
		r.publishEvent(demes.LiveEvent{Type: string(chat.NoticeMembers), Detail: view})
	}
	if latency {
		r.publishEvent(demes.LiveEvent{Type: string(chat.NoticeLatency), Detail: view})
	}
}

// view is the chat as its user is shown it, with what this node knows of it.
func (r *runner) view(c *chat.Chat) demes.ChatView {
	v := c.View()
	if r.unkept.output != nil {
		v.Problem = problemView(r.unkept.why)
	}
	v.EpochCode = r.code.of(c)
	r.node.safety.look(&v)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown = v
	return v
}

// lastView is the view that was made last; it is all there is of a chat that
// broke.
func (r *runner) lastView() demes.ChatView {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shown
}

// epochCode is the code of the keys that a chat has now. Making one takes some
// milliseconds, so it is made once for an epoch.
type epochCode struct {
	secret []byte
	digits string
}

func (e *epochCode) of(c *chat.Chat) string {
	_, secret := c.Authenticator()
	if len(secret) == 0 {
		return ""
	}
	if !bytes.Equal(secret, e.secret) {
		*e = epochCode{secret: secret, digits: identity.Code(secret)}
	}
	return e.digits
}
