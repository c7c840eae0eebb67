package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/chat"
)

// Records that hold keys are sealed with AES-256-GCM inside the encryption of the
// file, which proves nothing: a record that was changed or moved to another chat,
// space or name is never taken for a key. The nonce is random and stands in front
// of the ciphertext, the tag behind it. One key seals 2^32 records, which is a
// message a second for 60 years.

// secretInfo derives the key of records from the profile's.
const secretInfo = "DeMes 1 secrets"

func newSecretBox(key []byte) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, key, nil, secretInfo, KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive key of secrets: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("derive key of secrets: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// secretKey is what a record is bound to. It names the chat by its id, so that
// it means the same in every database.
func secretKey(id demes.ChatID, space, name string) []byte {
	out := make([]byte, 0, 2+len(id)+binary.MaxVarintLen64+len(space)+len(name))
	out = append(out, byte(tableSecret))
	out = append(out, id[:]...)
	out = binary.AppendUvarint(out, uint64(len(space)))
	out = append(out, space...)
	return append(out, name...)
}

func (c change) changeSecrets() error {
	for i := range c.batch.Secrets {
		if err := c.changeSpace(&c.batch.Secrets[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c change) changeSpace(s *chat.SecretChange) error {
	if s.Reset {
		if err := c.remove(sqlSecretReset, c.chat, s.Space); err != nil {
			return err
		}
	}
	for _, name := range s.Delete {
		if err := c.remove(sqlSecretDelete, c.chat, s.Space, name); err != nil {
			return err
		}
	}
	for _, v := range s.Put {
		sealed := c.box.Seal(nil, nil, v.Data, secretKey(c.batch.Chat, s.Space, v.Name))
		if err := c.replace(sqlSecretInsert, sqlSecretUpdate, c.chat, s.Space, v.Name, sealed); err != nil {
			return err
		}
	}
	return nil
}

// secrets reads the records that hold keys. A space in which one is damaged is
// left out as a whole, and so looks as if it had never been: its chat asks for
// new keys, where half of the old ones would mislead it and an error would keep
// the messages from being read as well.
func (l loading) secrets() error {
	damaged := map[string]bool{}
	err := l.each(sqlSecrets, func(r row) error {
		space, name := r.ColumnText(0), r.ColumnText(1)
		if damaged[space] {
			return nil
		}
		data, err := l.box.Open(nil, nil, r.ColumnRawBlob(2), secretKey(l.saved.Chat, space, name))
		if err != nil {
			damaged[space] = true
			delete(l.saved.Secrets, space)
			l.log.Error("keys of a chat are damaged; it goes on with new ones", slog.String("chat", l.saved.Chat.Short()),
				slog.Any("error", fmt.Errorf("secret %q of %q: %w", name, space, errDamaged)))
			return nil
		}
		l.saved.Secrets[space] = append(l.saved.Secrets[space], chat.Value{Name: name, Data: data})
		return nil
	}, l.chat)
	return err
}

const (
	sqlSecrets      = `SELECT space, name, data FROM secret WHERE chat = ? ORDER BY space, name`
	sqlSecretReset  = `DELETE FROM secret WHERE chat = ? AND space = ?`
	sqlSecretDelete = `DELETE FROM secret WHERE chat = ? AND space = ? AND name = ?`
	sqlSecretInsert = `INSERT OR IGNORE INTO secret (chat, space, name, data) VALUES (?1, ?2, ?3, ?4)`
	sqlSecretUpdate = `UPDATE secret SET data = ?4 WHERE chat = ?1 AND space = ?2 AND name = ?3`
)
