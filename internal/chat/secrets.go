package chat

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
	"github.com/demes-chat/demes/mls"
)

// load reads the secrets back. What is missing or damaged is lost: then this
// device comes back with new keys.
func (k *keys) load(c *Chat, saved *Saved) error {
	if records := saved.Secrets[spaceNow]; len(records) > 0 {
		group, err := mls.Load(mlsRecords(records), c.policy())
		if k.group = group; err != nil {
			k.fresh = append(k.fresh, SecretChange{Space: spaceNow, Reset: true}) // what it still opens is shown by others
		}
	}
	for _, space := range slices.Sorted(maps.Keys(saved.Secrets)) {
		number, is := strings.CutPrefix(space, spacePast)
		if !is {
			continue
		}
		epoch, err1 := strconv.ParseUint(number, 10, 64)
		group, err2 := mls.Load(mlsRecords(saved.Secrets[space]), c.policy())
		if err1 != nil || err2 != nil {
			k.fresh = append(k.fresh, SecretChange{Space: space, Reset: true})
			continue
		}
		k.past = append(k.past, pastKeys{epoch: epoch, untilMs: int64(readNumber(saved.Values["past."+number])), group: group})
	}
	slices.SortFunc(k.past, func(a, b pastKeys) int { return int(int64(a.epoch) - int64(b.epoch)) })
	k.loadOwn(saved.Secrets[spaceOwn])
	k.loadBack(c, saved.Secrets[spaceBack])
	k.schedulePrune()
	return k.loadNext(c, readNumber(saved.Values["rekey"]))
}

func mlsRecords(values []Value) []mls.Record {
	out := make([]mls.Record, 0, len(values))
	for _, v := range values {
		out = append(out, mls.Record{Name: v.Name, Value: v.Data})
	}
	return out
}

func recordsOf(records []mls.Record) []Value {
	out := make([]Value, 0, len(records))
	for _, r := range records {
		out = append(out, Value{Name: r.Name, Data: r.Value})
	}
	return out
}

func (k *keys) loadOwn(records []Value) {
	own := &ownCommit{}
	for _, r := range records {
		switch r.Name {
		case "event":
			own.event = wire.HashOf(r.Data)
		case "staged":
			if k.group != nil {
				own.staged, _ = k.group.ParseStaged(r.Data) // of an epoch that is over: it lost
			}
		}
	}
	if own.staged != nil {
		k.own = own
	}
}

func (k *keys) loadBack(c *Chat, records []Value) {
	back, rest := &comeback{}, []Value(nil)
	for _, r := range records {
		switch r.Name {
		case "commit":
			back.mls = r.Data
		case "ends":
			back.epoch = readNumber(r.Data)
		default:
			rest = append(rest, r)
		}
	}
	if group, err := mls.Load(mlsRecords(rest), c.policy()); err == nil && len(back.mls) > 0 {
		back.group = group
		k.back = back
	}
}

// loadNext finds the settled commits that were not final.
func (k *keys) loadNext(c *Chat, from uint64) error {
	for from != 0 && from <= c.fold.Head.Index {
		entries, err := c.cfg.Log.Settled(c.id, from, wire.MaxBatch)
		if err != nil || len(entries) == 0 {
			return err
		}
		for _, entry := range entries {
			if entry.Event != nil && entry.Event.Kind == demes.KindCommit && entry.Void == "" {
				k.add(entry.Event, entry.Index, entry.LogMs, nil)
			}
		}
		from = entries[len(entries)-1].Index + 1
	}
	return nil
}

// keep makes all changes of secrets part of this turn's batch, in which stands
// also what was read with them.
func (k *keys) keep(c *Chat) {
	changes := k.fresh
	k.fresh = nil
	if k.used && k.group != nil {
		changes = appendChanges(changes, spaceNow, k.group)
	}
	k.used = false
	for i := range k.past {
		if p := &k.past[i]; p.used {
			p.used = false
			changes = appendChanges(changes, spacePast+strconv.FormatUint(p.epoch, 10), p.group)
		}
	}
	if c.cfg.Planted.Keep {
		changes = slices.DeleteFunc(changes, func(s SecretChange) bool { return !s.Reset })
	}
	if len(changes) > 0 {
		c.batch().Secrets = append(c.batch().Secrets, changes...)
	}
}

func appendChanges(list []SecretChange, space string, group *mls.Group) []SecretChange {
	changes := group.Changes()
	if !changes.Reset && len(changes.Delete) == 0 && len(changes.Put) == 0 {
		return list
	}
	group.Saved() // the batch is durable before anything else happens
	return append(list, SecretChange{Space: space, Reset: changes.Reset, Delete: changes.Delete, Put: recordsOf(changes.Put)})
}
