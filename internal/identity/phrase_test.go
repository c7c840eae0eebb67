package identity

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/demes-chat/demes"
)

// phraseVectors are the 256-bit ones of BIP-39's reference implementation
// (trezor/python-mnemonic, vectors.json).
var phraseVectors = []struct{ seed, words string }{
	{strings.Repeat("00", 32), strings.Repeat("abandon ", 23) + "art"},
	{strings.Repeat("7f", 32), strings.Repeat("legal winner thank year wave sausage worth useful ", 2) + "legal winner thank year wave sausage worth title"},
	{strings.Repeat("80", 32), strings.Repeat("letter advice cage absurd amount doctor acoustic avoid ", 2) + "letter advice cage absurd amount doctor acoustic bless"},
	{strings.Repeat("ff", 32), strings.Repeat("zoo ", 23) + "vote"},
	{"68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c", "hamster diagram private dutch cause delay private meat slide toddler razor book happy fancy gospel tennis maple dilemma loan word shrug inflict delay length"},
	{"f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f", "void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing screen patrol group space point ten exist slush involve unfold"},
}

func TestPhrasesAreThoseOfBIP39(t *testing.T) {
	for _, v := range phraseVectors {
		seed, _ := hex.DecodeString(v.seed)
		words, err := Phrase(seed)
		if got := strings.Join(words, " "); err != nil || got != v.words {
			t.Errorf("%s: got %q, %v; want %q", v.seed, got, err, v.words)
		}
		back, err := ReadPhrase(v.words)
		if err != nil || !bytes.Equal(back, seed) {
			t.Errorf("%q: got %x, %v; want %s", v.words, back, err, v.seed)
		}
	}
	if _, err := Phrase(make([]byte, 16)); err == nil {
		t.Error("16 bytes were written as words")
	}
}

func TestPhraseIsReadForgivingly(t *testing.T) {
	v := phraseVectors[4]
	words := strings.Fields(v.words)
	var numbered, lines, short []string
	for i, w := range words {
		numbered = append(numbered, string(rune('0'+(i+1)/10))+string(rune('0'+(i+1)%10))+". "+strings.ToUpper(w[:1])+w[1:])
		lines = append(lines, "("+w+"),\r\n\t")
		short = append(short, w[:min(len(w), 4)])
	}
	for name, text := range map[string]string{
		"capitals": strings.ToUpper(v.words), "blanks": "  " + strings.Join(words, " \t\n\u00a0 ") + "\n", "numbers": strings.Join(numbered, "\n"),
		"no blank after the number": strings.ReplaceAll(strings.Join(numbered, "\n"), ". ", "."), "punctuation": strings.Join(lines, ""),
		"unseen marks": "\ufeff" + strings.ReplaceAll(v.words, "a", "a\u200b"), "four letters": strings.Join(short, " "),
	} {
		seed, err := ReadPhrase(text)
		if err != nil || hex.EncodeToString(seed) != v.seed {
			t.Errorf("%s: %x, %v", name, seed, err)
		}
	}
}

func TestPhraseErrorsSayWhatIsWrong(t *testing.T) {
	words := strings.Fields(phraseVectors[4].words)
	change := func(at int, word string) string {
		changed := append([]string(nil), words...)
		changed[at] = word
		return strings.Join(changed, " ")
	}
	for name, c := range map[string]struct{ text, want string }{
		"unknown word":     {change(6, "hamstre"), `Word 7, "hamstre", is not on the list`},
		"a German word":    {change(0, "Straße"), `Word 1, "straße"`},
		"a very long word": {change(23, strings.Repeat("x", 300)), `Word 24, "xxxxxxxxxxxxxxxxxxxxxxxx…"`},
		"one missing":      {strings.Join(words[1:], " "), "These are 23 words"},
		"one too many":     {phraseVectors[4].words + " zoo", "These are 25 words"},
		"nothing":          {"", "These are 0 words"},
		"another word":     {change(3, "zoo"), "do not belong together"},
		"two swapped":      {strings.Join(append([]string{words[1], words[0]}, words[2:]...), " "), "do not belong together"},
		"a book":           {strings.Repeat("zoo ", 2000), "more than 24 words"},
	} {
		seed, err := ReadPhrase(c.text)
		var problem *demes.Error
		if !errors.As(err, &problem) || problem.Code != demes.CodeBadInput || !strings.Contains(problem.Title, c.want) || problem.Detail == "" || seed != nil {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func FuzzReadPhrase(f *testing.F) {
	for _, v := range phraseVectors {
		f.Add(v.words)
	}
	f.Add("1. abandon\n2. \xff")
	f.Fuzz(func(t *testing.T, text string) {
		seed, err := ReadPhrase(text)
		if err != nil {
			return
		}
		words, err := Phrase(seed)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ReadPhrase(strings.Join(words, " "))
		if err != nil || !bytes.Equal(again, seed) {
			t.Errorf("%q was read as %x, which is written %q and read as %x, %v", text, seed, words, again, err)
		}
	})
}
