package api

import (
	"fmt"
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

// line checks a name or a title: one line of visible text.
func line(location, text string, limit int) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", badField(location, "is empty")
	case utf8.RuneCountInString(text) > limit:
		return "", badField(location, fmt.Sprintf("is longer than %d characters", limit))
	case strings.ContainsFunc(text, unseen):
		return "", badField(location, "has a line break or a control character")
	}
	return text, nil
}

// unseen are characters that make one text look like another, or like two.
func unseen(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' ||
		(r >= '\u202a' && r <= '\u202e') || (r >= '\u2066' && r <= '\u2069')
}

// messageText checks what a message says.
func messageText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return demes.Problem(demes.CodeTextEmpty, "The message is empty", "Write something first.")
	case len(text) > demes.MaxText:
		return demes.Problem(demes.CodeTextTooLong, "The message is too long",
			fmt.Sprintf("It has %d bytes, and %d is the most. Send it in parts.", len(text), demes.MaxText))
	}
	return nil
}
