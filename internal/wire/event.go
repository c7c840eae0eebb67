package wire

import (
	"crypto/ed25519"
	"fmt"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

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
	e, _ := SealWith(key, d, func(demes.Hash) ([]byte, error) { return d.Payload, nil })
	return e
}

// SealWith signs a draft whose payload is made from the draft's context: what
// is encrypted names the event that it stands in (docs/protocol.md#payloads).
func SealWith(key ed25519.PrivateKey, d Draft, payload func(context demes.Hash) ([]byte, error)) (*demes.Event, error) {
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
	var err error
	if d.Payload, err = payload(demes.Sum(Marshal(body))); err != nil {
		return nil, fmt.Errorf("seal event %s: %w", d.ID, err)
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
	return e, nil
}

// payloadHashField is the number of EventBody.payload_hash.
const payloadHashField = 10

// Context is the hash of an event's body without its payload hash: the
// authenticated data of what is encrypted in the payload
// (docs/protocol.md#payloads). The field is cut out of the bytes that were
// signed; nothing is encoded again. A body that cannot be read has none.
func Context(e *demes.Event) (demes.Hash, error) {
	rest, kept := e.Body, make([]byte, 0, len(e.Body))
	for len(rest) > 0 {
		number, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			return demes.Hash{}, fmt.Errorf("context of %s: %w", e.ID, ErrMalformed)
		}
		if number != payloadHashField {
			kept = append(kept, rest[:n]...)
		}
		rest = rest[n:]
	}
	return demes.Sum(kept), nil
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

// PutContent makes the plaintext of a sealed payload and the content_commit to
// it. The salt hides the content from who sees the commitment only.
func PutContent(salt [16]byte, content *MessageContent) (plain []byte, commit demes.Hash) {
	raw := Marshal(content)
	return Marshal(&Message{Salt: salt[:], Content: raw}), demes.Sum(salt[:], raw)
}

// Commitment is the content_commit of a plaintext.
func Commitment(plain []byte) (demes.Hash, error) {
	sealed := &Message{}
	if err := Unmarshal(plain, sealed); err != nil {
		return demes.Hash{}, err
	}
	if len(sealed.GetSalt()) != 16 {
		return demes.Hash{}, fmt.Errorf("salt of %d bytes: %w", len(sealed.GetSalt()), ErrMalformed)
	}
	return demes.Sum(sealed.GetSalt(), sealed.GetContent()), nil
}

// OpenContent reads what was said in an event from its plaintext, and checks it
// against the commitment that the event's author signed. It has the shape that
// the event's kind asks for.
func OpenContent(e *demes.Event, plain []byte) (*MessageContent, error) {
	commit, err := Commitment(plain)
	if err != nil {
		return nil, err
	}
	if commit != e.Content {
		return nil, fmt.Errorf("content of %s is not the committed one: %w", e.ID, ErrMalformed)
	}
	sealed, content := &Message{}, &MessageContent{}
	if err := Unmarshal(plain, sealed); err != nil {
		return nil, err
	}
	if err := Unmarshal(sealed.GetContent(), content); err != nil {
		return nil, err
	}
	if e.Kind == demes.KindAmend {
		return content, checkAmend(content.GetAmend())
	}
	return content, checkText(content.GetText())
}

func checkText(text string) error {
	if text == "" || len(text) > demes.MaxText || !utf8.ValidString(text) {
		return fmt.Errorf("text of %d bytes: %w", len(text), ErrMalformed)
	}
	return nil
}

// checkAmend judges the shape of an amend; whether its author may do it is for
// the chat to say.
func checkAmend(a *Amend) error {
	target := GetRef(a.GetTarget())
	_, titles := a.GetKind().(*Amend_Title)
	if titles != target.Device.IsZero() || !titles && target.Seq == 0 {
		return fmt.Errorf("amend of nothing: %w", ErrMalformed)
	}
	switch kind := a.GetKind().(type) {
	case *Amend_Edit:
		return checkText(kind.Edit)
	case *Amend_React:
		return checkEmoji(kind.React)
	case *Amend_Unreact:
		return checkEmoji(kind.Unreact)
	case *Amend_Delete:
		return nil
	case *Amend_Title:
		if ValidTitle(kind.Title) {
			return nil
		}
	}
	return fmt.Errorf("amend: %w", ErrMalformed)
}

// MaxEmoji is how long a reaction may be, in bytes: the longest emoji that are in
// use are joined from ten code points.
const MaxEmoji = 48

// ValidEmoji reports whether a reaction may be shown: something short on one
// line that begins with no letter, digit, blank or mark.
func ValidEmoji(text string) bool {
	first, _ := utf8.DecodeRuneInString(text)
	return len(text) <= MaxEmoji && validLine(text, MaxEmoji) && first > 0x7f && !unicode.IsLetter(first) && !unicode.IsDigit(first) &&
		!unicode.IsSpace(first) && !unicode.IsMark(first) && !unicode.Is(unicode.Cf, first)
}

func checkEmoji(text string) error {
	if !ValidEmoji(text) {
		return fmt.Errorf("reaction: %w", ErrMalformed)
	}
	return nil
}

// PutRef names an event.
func PutRef(id demes.EventID) *EventRef { return &EventRef{Device: id.Device[:], Seq: id.Seq} }

// GetRef reads which event is named; nil and malformed ones are the zero id.
func GetRef(r *EventRef) demes.EventID {
	return demes.EventID{Device: Device(r.GetDevice()), Seq: r.GetSeq()}
}
