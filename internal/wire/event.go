package wire

import (
	"crypto/ed25519"
	"fmt"
	"unicode/utf8"

	"github.com/demes-chat/demes"
)

// MaxAfter bounds the devices that one event may name in After: one for each
// member that a chat may have.
const MaxAfter = 300

// Draft is an event before it is signed.
type Draft struct {
	Chat    demes.ChatID // zero for a found event
	ID      demes.EventID
	Kind    demes.Kind
	Prev    demes.Hash
	After   []demes.Mark // sorted by device
	Seen    demes.Head
	Lamport uint64
	SentAt  int64
	Content demes.Hash
	Payload []byte
}

// Seal signs a draft (docs/protocol.md#event).
func Seal(key ed25519.PrivateKey, d Draft) *demes.Event {
	body := &EventBody{
		Device: d.ID.Device[:], Seq: d.ID.Seq, Prev: d.Prev[:], Seen: PutHead(d.Seen), Lamport: d.Lamport,
		SentAtMs: d.SentAt, Kind: uint32(d.Kind),
	}
	if !d.Chat.IsZero() {
		body.Chat = d.Chat[:]
	}
	if d.Content != (demes.Hash{}) {
		body.ContentCommit = d.Content[:]
	}
	for _, m := range d.After {
		body.After = append(body.After, PutMark(m))
	}
	payloadHash := demes.Sum(d.Payload)
	body.PayloadHash = payloadHash[:]
	raw := Marshal(body)
	e := &demes.Event{
		ID: d.ID, Chat: d.Chat, Kind: d.Kind, Prev: d.Prev, After: d.After, Seen: d.Seen, Lamport: d.Lamport,
		SentAt: d.SentAt, Hash: demes.Sum(raw), Content: d.Content, Body: raw, Payload: d.Payload,
		Signature: Sign(key, LabelEvent, raw),
	}
	if d.Chat.IsZero() {
		e.Chat = demes.ChatID(e.Hash)
	}
	return e
}

// PutEvent encodes an event as it was signed.
func PutEvent(e *demes.Event) *Event {
	return &Event{Body: e.Body, Signature: e.Signature, Payload: e.Payload}
}

// OpenEvent reads and checks one event from a peer: shape, limits, signature
// and payload hash. It does not judge its place in a log.
func OpenEvent(e *Event) (*demes.Event, error) {
	event, err := ReadEvent(e)
	if err != nil {
		return nil, err
	}
	if !Verify(event.ID.Device[:], LabelEvent, event.Body, event.Signature) {
		return nil, fmt.Errorf("event %s: %w", event.ID, ErrSignature)
	}
	return event, nil
}

// ReadEvent reads an event without checking its signature: for what this
// device checked before it kept it.
func ReadEvent(e *Event) (*demes.Event, error) {
	if len(e.GetBody()) > demes.MaxEventBody {
		return nil, fmt.Errorf("event body of %d bytes: %w", len(e.GetBody()), ErrTooLarge)
	}
	body := &EventBody{}
	if err := Unmarshal(e.GetBody(), body); err != nil {
		return nil, err
	}
	event, err := readBody(body)
	if err != nil {
		return nil, err
	}
	event.Body, event.Signature, event.Payload = e.GetBody(), e.GetSignature(), e.GetPayload()
	event.Hash = demes.Sum(event.Body)
	if event.Kind == demes.KindFound {
		event.Chat = demes.ChatID(event.Hash)
	}
	if len(event.Payload) > PayloadLimit(event.Kind) {
		return nil, fmt.Errorf("payload of %d bytes: %w", len(event.Payload), ErrTooLarge)
	}
	if demes.Sum(event.Payload) != HashOf(body.GetPayloadHash()) {
		return nil, fmt.Errorf("payload of %s is not the signed one: %w", event.ID, ErrMalformed)
	}
	return event, nil
}

func readBody(body *EventBody) (*demes.Event, error) {
	e := &demes.Event{
		ID:   demes.EventID{Device: Device(body.GetDevice()), Seq: body.GetSeq()},
		Kind: demes.Kind(body.GetKind()), Prev: HashOf(body.GetPrev()), Seen: GetHead(body.GetSeen()),
		Lamport: body.GetLamport(), SentAt: body.GetSentAtMs(), Content: HashOf(body.GetContentCommit()),
	}
	chat, ok := Bytes32(body.GetChat())
	if found := e.Kind == demes.KindFound; found == ok || (found && len(body.GetChat()) != 0) {
		return nil, fmt.Errorf("event names no chat: %w", ErrMalformed)
	}
	e.Chat = demes.ChatID(chat)
	if e.ID.Device.IsZero() || e.ID.Seq == 0 || len(body.GetAfter()) > MaxAfter {
		return nil, fmt.Errorf("event without author, without seq or after too many: %w", ErrMalformed)
	}
	if (e.ID.Seq == 1) != (e.Prev == demes.Hash{}) && e.ID.Seq == 1 {
		return nil, fmt.Errorf("first event names a predecessor: %w", ErrMalformed)
	}
	for i, m := range body.GetAfter() {
		mark := GetMark(m)
		if mark.Device.IsZero() || mark.Seq == 0 || mark.Device == e.ID.Device {
			return nil, fmt.Errorf("mark names nobody, nothing or the author: %w", ErrMalformed)
		}
		if i > 0 && e.After[i-1].Device.Compare(mark.Device) >= 0 {
			return nil, fmt.Errorf("marks are not sorted: %w", ErrMalformed)
		}
		e.After = append(e.After, mark)
	}
	return e, nil
}

// PayloadLimit is how many bytes of payload an event of the kind may have.
func PayloadLimit(kind demes.Kind) int {
	switch kind {
	case demes.KindMessage, demes.KindAmend:
		return demes.MaxMessagePayload
	case demes.KindCommit, demes.KindFound:
		return demes.MaxCommitPayload
	}
	return demes.MaxOtherPayload
}

// SealMessage makes the payload and content_commit of a message in suite 0.
// The salt hides the content from who sees the commitment only.
func SealMessage(salt [16]byte, text string, replyTo *demes.EventID) (payload []byte, commit demes.Hash) {
	content := &MessageContent{Text: text}
	if replyTo != nil {
		content.ReplyTo = &EventRef{Device: replyTo.Device[:], Seq: replyTo.Seq}
	}
	raw := Marshal(content)
	return Marshal(&Message{Salt: salt[:], Content: raw}), demes.Sum(salt[:], raw)
}

// OpenMessage reads a message's payload and checks it against its commitment.
func OpenMessage(e *demes.Event) (text string, replyTo *demes.EventID, err error) {
	sealed := &Message{}
	if err := Unmarshal(e.Payload, sealed); err != nil {
		return "", nil, err
	}
	if len(sealed.GetSalt()) != 16 || demes.Sum(sealed.GetSalt(), sealed.GetContent()) != e.Content {
		return "", nil, fmt.Errorf("content is not the committed one: %w", ErrMalformed)
	}
	content := &MessageContent{}
	if err := Unmarshal(sealed.GetContent(), content); err != nil {
		return "", nil, err
	}
	text = content.GetText()
	if text == "" || len(text) > demes.MaxText || !utf8.ValidString(text) {
		return "", nil, fmt.Errorf("text of %d bytes: %w", len(text), ErrMalformed)
	}
	if r := content.GetReplyTo(); r != nil {
		replyTo = &demes.EventID{Device: Device(r.GetDevice()), Seq: r.GetSeq()}
	}
	return text, replyTo, nil
}
