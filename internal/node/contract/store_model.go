package contract

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

// testModel commits drawn batches to the store and to a MemoryStore and
// compares everything the two answer, across restarts.
func testModel(s *storeTest) {
	rapid.Check(s.T, func(t *rapid.T) {
		m := &modelTest{T: t, model: NewMemoryStore()}
		m.store = &storeTest{T: s.T, open: s.open, dir: s.TempDir()}
		m.store.Store = s.open(s.T, m.store.dir)
		defer func() { m.store.Close() }()
		for n := range byte(2) {
			id := chatID(n)
			world := &modelChat{id: id}
			for device := range uint64(3) {
				world.authors = append(world.authors, newAuthor(id, device))
			}
			m.chats = append(m.chats, world)
		}
		actions := []func(*rapid.T){m.commit, m.commit, m.commit, m.erase, m.restart}
		for range rapid.IntRange(1, maxSteps).Draw(t, "steps") {
			rapid.SampledFrom(actions).Draw(t, "action")(t)
			m.compare(t)
		}
	})
}

// maxSteps bounds a drawn history: contradictions show within a few commits, and
// each costs a real store a sync.
const maxSteps = 12

type modelTest struct {
	*rapid.T
	store *storeTest
	model *MemoryStore
	chats []*modelChat
}

// modelChat is what the drawing knows of a chat: enough to draw batches that
// make sense most of the time.
type modelChat struct {
	id      demes.ChatID
	authors []*author
	events  []*demes.Event // all that were ever written
	index   uint64         // the settled log's end
	taken   uint64         // the last position
}

func (m *modelTest) erase(t *rapid.T) {
	if err := m.store.Erase(); err != nil {
		t.Fatalf("erase: %v", err)
	}
}

func (m *modelTest) restart(*rapid.T) { m.store.restart() }

func (m *modelTest) commit(t *rapid.T) {
	var batches []*chat.Batch
	for range rapid.IntRange(1, 3).Draw(t, "batches") {
		batches = append(batches, rapid.SampledFrom(m.chats).Draw(t, "chat").draw(t))
	}
	got, want := m.store.Commit(batches), m.model.Commit(batches)
	if (got == nil) != (want == nil) {
		t.Fatalf("commit: got error %v, the model has %v", got, want)
	}
}

// draw makes one batch.
func (c *modelChat) draw(t *rapid.T) *chat.Batch {
	b := &chat.Batch{Chat: c.id}
	small := rapid.Uint64Range(1, 12)
	for range rapid.IntRange(0, 2).Draw(t, "values") {
		data := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "data")
		b.Put = append(b.Put, chat.Value{Name: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"), Data: data})
	}
	if rapid.Bool().Draw(t, "raft") {
		r := &chat.RaftChange{Generation: rapid.Uint64Range(1, 2).Draw(t, "generation"), Reset: rapid.Bool().Draw(t, "reset")}
		if from := small.Draw(t, "from"); rapid.Bool().Draw(t, "entries") {
			r.Entries = raftEntries(small.Draw(t, "term"), from, from+small.Draw(t, "more"))
		}
		r.CompactedTo = rapid.Uint64Range(0, 6).Draw(t, "compacted")
		b.Raft = r
	}
	for range rapid.IntRange(0, 3).Draw(t, "new events") {
		a := rapid.SampledFrom(c.authors).Draw(t, "author")
		e := a.message(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "payload"))
		c.events = append(c.events, e)
		b.Events = append(b.Events, e)
	}
	c.drawLog(t, b)
	for range rapid.IntRange(0, 2).Draw(t, "outbox") {
		b.Outbox = append(b.Outbox, chat.OutboxItem{
			Seq: small.Draw(t, "seq"), Payload: rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "payload"), SentAt: rapid.Int64().Draw(t, "sent"),
		})
		b.OutboxDone = append(b.OutboxDone, small.Draw(t, "done"))
	}
	c.drawPast(t, b)
	c.drawContents(t, b)
	b.Secrets = drawSecrets(t)
	return b
}

// drawPast keeps entries apart and adopts some: what they take the place of goes.
func (c *modelChat) drawPast(t *rapid.T, b *chat.Batch) {
	if len(c.events) == 0 || c.index == 0 || rapid.IntRange(0, 3).Draw(t, "past") > 0 {
		return
	}
	for range rapid.IntRange(0, 3).Draw(t, "past entries") {
		index := rapid.Uint64Range(1, c.index).Draw(t, "past index")
		b.Past = append(b.Past, settling(index, index, rapid.SampledFrom(c.events).Draw(t, "past event"))...)
	}
	b.DropPast = rapid.IntRange(0, 3).Draw(t, "drop past") == 0
	b.Adopt = rapid.Uint64Range(0, c.index).Draw(t, "adopt")
}

// drawContents says things in events, forgets some, and names any of them as
// what is amended.
func (c *modelChat) drawContents(t *rapid.T, b *chat.Batch) {
	if len(c.events) == 0 {
		return
	}
	event := rapid.SampledFrom(c.events)
	for range rapid.IntRange(0, 3).Draw(t, "contents") {
		content := chat.Content{
			Event: event.Draw(t, "said").ID, Plain: rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "plain"),
			Amends: rapid.Bool().Draw(t, "amends"), ExpiresMs: rapid.Int64Range(0, 5).Draw(t, "expires"),
		}
		if rapid.Bool().Draw(t, "has target") {
			target := event.Draw(t, "target").ID
			content.Target = &target
		}
		b.Contents = append(b.Contents, content)
	}
	if rapid.IntRange(0, 2).Draw(t, "forget") == 0 {
		b.Forget = append(b.Forget, event.Draw(t, "forgotten").ID)
	}
}

func drawSecrets(t *rapid.T) (changes []chat.SecretChange) {
	name := rapid.SampledFrom([]string{"", "a", "b", "c"})
	for range rapid.IntRange(0, 2).Draw(t, "secrets") {
		change := chat.SecretChange{
			Space: name.Draw(t, "space"), Reset: rapid.IntRange(0, 4).Draw(t, "reset") == 0,
			Delete: rapid.SliceOfN(name, 0, 2).Draw(t, "deleted"),
		}
		for range rapid.IntRange(0, 2).Draw(t, "put") {
			data := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "data")
			change.Put = append(change.Put, chat.Value{Name: name.Draw(t, "name"), Data: data})
		}
		changes = append(changes, change)
	}
	return changes
}

// drawLog changes what is dropped, unsettled and settled. Some of it contradicts
// what stands: then both must refuse all of it.
func (c *modelChat) drawLog(t *rapid.T, b *chat.Batch) {
	if len(c.events) == 0 {
		return
	}
	event := rapid.SampledFrom(c.events)
	if rapid.IntRange(0, 3).Draw(t, "drop") == 0 {
		b.Drop = append(b.Drop, event.Draw(t, "dropped").ID)
	}
	if rapid.IntRange(0, 4).Draw(t, "unsettle") == 0 {
		index := rapid.Uint64Range(0, c.index).Draw(t, "to")
		b.Unsettle, c.index = &index, index
		c.taken = index // positions never run ahead of indices here
	}
	for range rapid.IntRange(0, 3).Draw(t, "settled") {
		entry := recordEntry(c.index + 1)
		if rapid.Bool().Draw(t, "event") {
			entry = settling(c.index+1, c.taken+1, event.Draw(t, "settling"))[0]
			c.taken++
			if rapid.IntRange(0, 4).Draw(t, "void") == 0 {
				entry.Void = "void"
			}
		}
		b.Settled = append(b.Settled, entry)
		c.index++
	}
}

// compare asks both for everything.
func (m *modelTest) compare(t *rapid.T) {
	m.same("chats")(m.store.Chats())(m.model.Chats())
	for _, c := range m.chats {
		m.same("load")(answer(m.store.Load(c.id)))(answer(m.model.Load(c.id)))
		for _, from := range []uint64{1, c.index / 2, c.index} {
			m.same(fmt.Sprint("settled from ", from))(answer(m.store.Settled(c.id, from, 1500)))(answer(m.model.Settled(c.id, from, 1500)))
		}
		for _, page := range [][2]uint64{{0, 0}, {c.taken / 2, 0}, {0, c.taken}, {1, c.taken}} {
			m.same(fmt.Sprint("messages ", page))(answer(m.store.Messages(c.id, page[0], page[1], 3)))(
				answer(m.model.Messages(c.id, page[0], page[1], 3)))
		}
		for _, e := range slices.Concat(c.events[:min(2, len(c.events))], c.events[max(0, len(c.events)-2):]) {
			got, ok, err := m.store.Event(c.id, e.ID)
			want, known, _ := m.model.Event(c.id, e.ID)
			if ok != known || err != nil {
				t.Fatalf("event %s: got %v, %v, the model has %v", e.ID, ok, err, known)
			}
			m.same("event")(got, nil)(want, nil)
		}
		m.compareContents(t, c)
	}
}

func (m *modelTest) compareContents(t *rapid.T, c *modelChat) {
	for _, until := range []int64{0, 2, 5} {
		got, next, err := m.store.Expiring(c.id, until, 3)
		want, after, _ := m.model.Expiring(c.id, until, 3)
		if next != after || err != nil {
			t.Fatalf("what expires after %d: got %d, %v, the model has %d", until, next, err, after)
		}
		m.same("expiring")(got, nil)(want, nil)
	}
	var targets []demes.EventID
	for _, e := range c.events {
		targets = append(targets, e.ID)
	}
	for _, count := range []int{0, 1, len(targets)} {
		some := targets[:min(count, len(targets))]
		m.same(fmt.Sprint("amends of ", some))(answer(m.store.Amends(c.id, some)))(answer(m.model.Amends(c.id, some)))
	}
}

func answer[T any](v T, err error) (any, error) { return v, err }

// same compares two answers, and that both or neither are an error.
func (m *modelTest) same(what string) func(any, error) func(any, error) {
	return func(got any, gotErr error) func(any, error) {
		return func(want any, wantErr error) {
			if (gotErr == nil) != (wantErr == nil) || !same(got, want) {
				m.Fatalf("%s:\n got %+v, %v\nwant %+v, %v", what, plain(got), gotErr, plain(want), wantErr)
			}
		}
	}
}
