package api

import (
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/demes-chat/demes"
)

// Ids in a path are opaque to callers: one that is malformed names nothing.

func chatID(text string) (demes.ChatID, error) {
	id, err := demes.ParseChatID(text)
	if err != nil {
		return id, demes.Problem(demes.CodeUnknownChat, "There is no such chat", "GET "+BasePath+"/chats lists the chats of this node.")
	}
	return id, nil
}

func deviceID(text string) (demes.DeviceID, error) {
	id, err := demes.ParseDeviceID(text)
	if err != nil {
		return id, demes.Problem(demes.CodeUnknownMember, "There is no such device", "The chat lists the devices of its members.")
	}
	return id, nil
}

// memberOf reads the chat and the device of a path.
func memberOf(in MemberPath) (chat demes.ChatID, device demes.DeviceID, err error) {
	if chat, err = chatID(in.Chat); err != nil {
		return chat, device, err
	}
	device, err = deviceID(in.Device)
	return chat, device, err
}

// line checks a name or a title, and what says which: one line of visible
// text.
func line(what, text string, limit int) (string, error) {
	text = strings.TrimSpace(text)
	wrong := ""
	switch {
	case !utf8.ValidString(text):
		wrong = "is not UTF-8 text"
	case blank(text):
		wrong = "is empty"
	case utf8.RuneCountInString(text) > limit:
		wrong = "is too long"
	case strings.ContainsFunc(text, unseen):
		wrong = "has a line break or a character that cannot be seen"
	default:
		return text, nil
	}
	p := newProblem(http.StatusBadRequest, demes.CodeBadInput, "The "+what+" "+wrong,
		fmt.Sprintf("A %s has 1 to %d characters on one line.", what, limit))
	p.Errors = []FieldError{{"body." + what, wrong}}
	return "", p
}

// unseen are characters that make one text look like another, or like two.
// Joiners are needed by emoji and by some scripts.
func unseen(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d'
}

// blank reports that nothing of a text can be seen.
func blank(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) })
}

// messageText checks what a message says.
func messageText(text string) error {
	switch {
	case blank(text):
		return demes.Problem(demes.CodeTextEmpty, "The message is empty", "Write something first.")
	case len(text) > demes.MaxText:
		return demes.Problem(demes.CodeTextTooLong, "The message is too long",
			fmt.Sprintf("It has %d bytes, and %d is the most. Send it in parts.", len(text), demes.MaxText))
	}
	return nil
}
