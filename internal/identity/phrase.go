package identity

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/tyler-smith/go-bip39"

	"github.com/demes-chat/demes"
)

const (
	// PhraseWords is how many words an account is written down as (BIP-39, English,
	// 256 bits and a checksum of eight).
	PhraseWords = 24
	// maxPhrase bounds what is read as a phrase: 24 words with numbers and lines.
	maxPhrase = 4096
	// enough letters of a word tell it from every other one of the list.
	enough = 4
)

// Phrase writes a seed down as words.
func Phrase(seed []byte) ([]string, error) {
	if len(seed) != SeedSize {
		return nil, fmt.Errorf("write a seed of %d bytes as words: it has to have %d", len(seed), SeedSize)
	}
	text, err := bip39.NewMnemonic(seed)
	if err != nil {
		return nil, fmt.Errorf("write a seed as words: %w", err)
	}
	return strings.Fields(text), nil
}

// ReadPhrase reads words back. Case, line ends, numbers and punctuation between
// the words do not matter, and the first four letters of a word are enough, since
// the list was made that way. The error says which word is wrong.
func ReadPhrase(text string) (seed []byte, err error) {
	if len(text) > maxPhrase {
		return nil, badPhrase("This is more than 24 words", "Type the 24 words of the account and nothing else.")
	}
	words := splitPhrase(text)
	for i, word := range words {
		known, ok := findWord(word)
		if !ok {
			return nil, badPhrase(fmt.Sprintf("Word %d, %q, is not on the list of words", i+1, shorten(word)),
				"Look at how it was written down: each of the 24 is a plain English word.")
		}
		words[i] = known
	}
	if len(words) != PhraseWords {
		return nil, badPhrase(fmt.Sprintf("These are %d words, and an account has %d", len(words), PhraseWords), "Look whether one is missing or stands there twice.")
	}
	seed, err = bip39.EntropyFromMnemonic(strings.Join(words, " "))
	switch {
	case errors.Is(err, bip39.ErrChecksumIncorrect):
		return nil, badPhrase("These 24 words do not belong together", "Each is on the list, but one is not the one written down, or their order is another: compare them one by one.")
	case err != nil:
		return nil, fmt.Errorf("read words: %w", err)
	}
	return seed, nil
}

func badPhrase(title, detail string) error { return demes.Problem(demes.CodeBadInput, title, detail) }

// splitPhrase finds the words: whatever is no letter divides them, except marks
// that nobody sees, which copying from a page may bring along.
func splitPhrase(text string) []string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Cf, r):
			return -1
		case unicode.IsLetter(r) || unicode.IsMark(r):
			return unicode.ToLower(r)
		}
		return ' '
	}, text)
	return strings.Fields(text)
}

// findWord finds a word of the list by itself or by its first four letters.
func findWord(typed string) (word string, ok bool) {
	if _, ok := bip39.GetWordIndex(typed); ok {
		return typed, true
	}
	if len(typed) != enough {
		return "", false
	}
	for _, candidate := range bip39.GetWordList() {
		if strings.HasPrefix(candidate, typed) {
			return candidate, true
		}
	}
	return "", false
}

// shorten keeps an error on one line.
func shorten(word string) string {
	const most = 24
	if runes := []rune(word); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return word
}
