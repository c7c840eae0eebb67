package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/demes-chat/demes"
)

// A sealed file is
//
//	"DeMes sealed\n"  13 bytes
//	version           1 byte: 1
//	purpose           1 byte: what the content is
//	passes            4 bytes, big endian: argon2id's time
//	memory            4 bytes, big endian: argon2id's memory in KiB
//	lanes             1 byte: argon2id's parallelism
//	salt              16 bytes
//	nonce             12 bytes
//	content           AES-256-GCM under the derived key, with all before it as
//	                  associated data; the tag is its last 16 bytes

// Purpose says what a sealed file holds. One that was made for another purpose
// does not open.
type Purpose byte

// The purposes of sealed files.
const (
	PurposeAccount Purpose = 1 // an account to take elsewhere
	PurposeLock    Purpose = 2 // the key of a profile's database
)

const (
	sealedMagic   = "DeMes sealed\n"
	sealedVersion = 1
	saltSize      = 16
	nonceSize     = 12
	tagSize       = 16
	headerSize    = len(sealedMagic) + 1 + 1 + 4 + 4 + 1 + saltSize + nonceSize

	// MaxSealed bounds a sealed file: an account with a thousand chats has less
	// than a tenth of it.
	MaxSealed = 16 << 20
	// MaxPassphrase bounds a passphrase in bytes; nobody types more.
	MaxPassphrase = 1024
)

// work is how much deriving the key costs: about 0.2 s and 64 MiB, the second
// choice of RFC 9106 §4.
var work = cost{passes: 3, memoryKiB: 64 << 10, lanes: 4}

// cost are the parameters of argon2id.
type cost struct {
	passes    uint32
	memoryKiB uint32
	lanes     uint8
}

// The most that a file may ask for: 256 MiB and some seconds. Whoever sends a
// file chooses its parameters.
const (
	maxPasses = 10
	maxMemory = 256 << 10
	maxLanes  = 16
)

// bounded reports whether reading a file with this cost is harmless.
func (c cost) bounded() bool {
	return c.passes >= 1 && c.passes <= maxPasses && c.lanes >= 1 && c.lanes <= maxLanes &&
		c.memoryKiB >= 8*uint32(c.lanes) && c.memoryKiB <= maxMemory
}

// Seal encrypts content under a passphrase. The caller has decided that the
// passphrase is good enough; random gives salt and nonce.
func Seal(purpose Purpose, passphrase string, content []byte, random io.Reader) ([]byte, error) {
	return seal(purpose, passphrase, content, random, work)
}

func seal(purpose Purpose, passphrase string, content []byte, random io.Reader, c cost) ([]byte, error) {
	if headerSize+len(content)+tagSize > MaxSealed {
		return nil, fmt.Errorf("seal %d bytes: the most is %d", len(content), MaxSealed)
	}
	header := append([]byte(sealedMagic), sealedVersion, byte(purpose))
	header = binary.BigEndian.AppendUint32(header, c.passes)
	header = binary.BigEndian.AppendUint32(header, c.memoryKiB)
	header = append(header, c.lanes)
	fresh := make([]byte, saltSize+nonceSize)
	if _, err := io.ReadFull(random, fresh); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	header = append(header, fresh...)
	box, err := derive(passphrase, fresh[:saltSize], c)
	if err != nil {
		return nil, err
	}
	return box.Seal(header, fresh[saltSize:], content, header), nil
}

// Open decrypts a sealed file. A wrong passphrase cannot be told from a changed
// file: both are demes.CodeWrongPassphrase.
func Open(purpose Purpose, passphrase string, sealed []byte) ([]byte, error) {
	c, err := readHeader(purpose, sealed)
	if err != nil {
		return nil, err
	}
	header, body := sealed[:headerSize:headerSize], sealed[headerSize:]
	fresh := header[headerSize-saltSize-nonceSize:]
	box, err := derive(passphrase, fresh[:saltSize], c)
	if err != nil {
		return nil, err
	}
	content, err := box.Open(nil, fresh[saltSize:], body, header)
	if err != nil {
		return nil, demes.Problem(demes.CodeWrongPassphrase, "The passphrase is wrong", "Try again; if you are sure of it, the file was changed or damaged.")
	}
	return content, nil
}

// readHeader checks everything about a file that can be checked without its key.
func readHeader(purpose Purpose, sealed []byte) (c cost, err error) {
	switch {
	case len(sealed) > MaxSealed:
		return c, badSealed("The file is too large", "It is not what it is named after.")
	case len(sealed) < headerSize+tagSize || string(sealed[:len(sealedMagic)]) != sealedMagic:
		return c, badSealed("This is no sealed file of DeMes, or only a part of one", "Choose the file that DeMes made, and copy it whole.")
	}
	fields := sealed[len(sealedMagic):]
	if fields[0] != sealedVersion {
		return c, badSealed("The file was made by a newer DeMes", "Update DeMes, then try again.")
	}
	if Purpose(fields[1]) != purpose {
		return c, badSealed("The file holds something else", "Choose the file that was made for this.")
	}
	c = cost{binary.BigEndian.Uint32(fields[2:]), binary.BigEndian.Uint32(fields[6:]), fields[10]}
	if !c.bounded() {
		return c, badSealed("The file asks for more work than DeMes does", "It is damaged, or somebody made it to do harm: do not use it.")
	}
	return c, nil
}

func badSealed(title, detail string) error { return demes.Problem(demes.CodeBadInput, title, detail) }

// derive makes the cipher of a passphrase. Keyboards write the same letter with an
// accent as one character or as two; both are the same passphrase (NFC).
func derive(passphrase string, salt []byte, c cost) (cipher.AEAD, error) {
	if len(passphrase) > MaxPassphrase {
		return nil, demes.Problem(demes.CodeBadInput, "The passphrase is too long", fmt.Sprintf("The most is %d bytes.", MaxPassphrase))
	}
	block, err := aes.NewCipher(argon2.IDKey(norm.NFC.Bytes([]byte(passphrase)), salt, c.passes, c.memoryKiB, c.lanes, 32))
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return cipher.NewGCM(block)
}

// MinPassphrase is the least number of characters of a passphrase. It stops the
// worst ones; argon2id makes the others expensive to guess.
const MinPassphrase = 8

// CheckPassphrase refuses a passphrase that nothing should be sealed under.
func CheckPassphrase(text string) error {
	switch {
	case !utf8.ValidString(text):
		return badSealed("The passphrase is not UTF-8 text", "Type it again.")
	case len(text) > MaxPassphrase:
		return badSealed("The passphrase is too long", fmt.Sprintf("The most is %d bytes.", MaxPassphrase))
	case utf8.RuneCountInString(text) < MinPassphrase:
		return badSealed("The passphrase is too short", fmt.Sprintf("It has %d characters or more; four or five random words are best.", MinPassphrase))
	}
	return nil
}
