package api

import (
	"context"
	"net/http"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/identity"
)

func (s *Server) registerAccount() {
	register(s, call("get-account", http.MethodGet, "/account", http.StatusOK, "The account of this device"),
		func(ctx context.Context, _ *empty) (*answer[demes.AccountView], error) {
			return answered(s.node().Account(ctx))
		})
	register(s, call("note-words", http.MethodPatch, "/account", http.StatusOK, "Note that the 24 words are written down"), s.noteWords)
	register(s, call("show-words", http.MethodPost, "/account/words", http.StatusOK, "The account's 24 words; they need the passphrase again where one is set"), s.showWords)
	register(s, call("export-account", http.MethodPost, "/account/export", http.StatusOK, "A file of the account, sealed under a passphrase of its own"), s.exportAccount)
	register(s, call("get-safety", http.MethodGet, "/chats/{chat}/safety/{account}", http.StatusOK, "The safety number of this account and a member's"), s.getSafety)
	register(s, call("set-verified", http.MethodPut, "/chats/{chat}/safety/{account}", http.StatusOK, "Keep that the safety numbers were compared, or are not any more"), s.setVerified)
}

type noteWordsInput struct {
	Body struct {
		WordsSaved bool `json:"words_saved"`
	}
}

func (s *Server) noteWords(ctx context.Context, in *noteWordsInput) (*answer[demes.AccountView], error) {
	if err := s.node().SetWordsSaved(ctx, in.Body.WordsSaved); err != nil {
		return nil, err
	}
	return answered(s.node().Account(ctx))
}

type wordsInput struct {
	Body struct {
		Passphrase string `json:"passphrase,omitempty" doc:"That of the profile, where one is set."`
	}
}

type wordsOutput struct {
	Words []string `json:"words"`
}

func (s *Server) showWords(ctx context.Context, in *wordsInput) (*answer[wordsOutput], error) {
	if err := s.cfg.Lock.Check(ctx, in.Body.Passphrase); err != nil {
		return nil, err
	}
	words, err := s.node().Words(ctx)
	return answered(wordsOutput{list(words)}, err)
}

type exportInput struct {
	Body struct {
		Passphrase string `json:"passphrase" doc:"The passphrase that opens the file, of at least 8 characters."`
		Current    string `json:"current,omitempty" doc:"The passphrase of the profile, where one is set."`
	}
}

type exportOutput struct {
	Name string `json:"name" doc:"What to call the file."`
	File []byte `json:"file" doc:"Its content, in base64."`
}

func (s *Server) exportAccount(ctx context.Context, in *exportInput) (*answer[exportOutput], error) {
	if err := identity.CheckPassphrase(in.Body.Passphrase); err != nil {
		return nil, err
	}
	if err := s.cfg.Lock.Check(ctx, in.Body.Current); err != nil {
		return nil, err
	}
	file, err := s.node().ExportAccount(ctx, in.Body.Passphrase)
	return answered(exportOutput{ExportName, file}, err)
}

// ExportName is what the file of an account is called.
const ExportName = "demes-account.sealed"

// SafetyPath names an account in a chat in a path.
type SafetyPath struct {
	Chat    string `path:"chat" maxLength:"256" doc:"The chat's id."`
	Account string `path:"account" maxLength:"256" doc:"The account's id."`
}

func (in SafetyPath) read() (chat demes.ChatID, account demes.AccountID, err error) {
	if chat, err = chatID(in.Chat); err != nil {
		return chat, account, err
	}
	raw, err := demes.ParseDeviceID(in.Account) // ids are all written alike
	if err != nil {
		return chat, account, demes.Problem(demes.CodeUnknownMember, "There is no such account", "The chat lists the accounts of its members.")
	}
	return chat, demes.AccountID(raw), nil
}

func (s *Server) getSafety(ctx context.Context, in *SafetyPath) (*answer[demes.SafetyView], error) {
	chat, account, err := in.read()
	if err != nil {
		return nil, err
	}
	return answered(s.safety(ctx, chat, account))
}

func (s *Server) safety(ctx context.Context, chat demes.ChatID, account demes.AccountID) (demes.SafetyView, error) {
	view, err := s.node().Safety(ctx, chat, account)
	if err != nil {
		return view, err
	}
	number, err := identity.ReadSafety(view.Digits)
	if err != nil {
		return view, err
	}
	view.QRSVG, err = QRSVG(number.QR())
	return view, err
}

type verifiedInput struct {
	SafetyPath
	Body struct {
		Verified bool `json:"verified" doc:"The user has compared the digits, and they are the same on both sides."`
	}
}

func (s *Server) setVerified(ctx context.Context, in *verifiedInput) (*answer[demes.SafetyView], error) {
	chat, account, err := in.read()
	if err != nil {
		return nil, err
	}
	if _, err := s.node().Safety(ctx, chat, account); err != nil { // the account is a member there
		return nil, err
	}
	if err := s.node().SetVerified(ctx, account, in.Body.Verified); err != nil {
		return nil, err
	}
	return answered(s.safety(ctx, chat, account))
}
