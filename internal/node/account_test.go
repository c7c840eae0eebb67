package node_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/identity"
	"github.com/demes-chat/demes/internal/node"
	"github.com/demes-chat/demes/internal/node/contract"
	"github.com/demes-chat/demes/internal/wire"
)

func wantCode(t *testing.T, err error, code demes.Code, say string) {
	t.Helper()
	var problem *demes.Error
	if !errors.As(err, &problem) || problem.Code != code || !strings.Contains(problem.Title+problem.Detail, say) {
		t.Errorf("got %v, want %s with %q", err, code, say)
	}
}

func (p *party) account() demes.AccountView {
	p.w.t.Helper()
	v, err := p.Account(context.Background())
	if err != nil {
		p.w.t.Fatal(err)
	}
	return v
}

// at makes a node's clock stand at a Unix second; it still runs.
func at(second int64) func(*node.Config) {
	return func(c *node.Config) {
		mono := int64(1_000)
		c.Now = func() demes.Now { mono++; return demes.Now{Mono: mono, Wall: second*1000 + mono} }
	}
}

func TestAccountStaysTheSameOverRestarts(t *testing.T) {
	w := newWorld(t)
	p := w.add("Ann", at(1_700_000_000))
	before := p.account()
	if before.DeviceNumber < 1_700_000_000 || before.DeviceNumber > 1_700_000_100 || !before.HasWords || before.WordsSaved {
		t.Errorf("account %+v", before)
	}
	if err := p.SetWordsSaved(context.Background(), true); err != nil {
		t.Fatal(err)
	}
	p.close()
	at(1_800_000_000)(&p.config)
	p.open()
	before.WordsSaved = true
	if after := p.account(); after != before {
		t.Errorf("after a restart %+v, before %+v", after, before)
	}
}

func TestClockBeforeItsTimeStillGivesANumber(t *testing.T) {
	p := newWorld(t).add("Ann", at(-5))
	if got := p.account().DeviceNumber; got != 1 {
		t.Errorf("device number %d, want 1", got)
	}
}

func TestRecoveredAccountHasANewDevice(t *testing.T) {
	w := newWorld(t)
	old := w.add("Ann", at(1_700_000_000))
	words, err := old.Words(context.Background())
	if err != nil || len(words) != identity.PhraseWords {
		t.Fatalf("words %q, %v", words, err)
	}
	seed, err := identity.ReadPhrase(strings.Join(words, " "))
	if err != nil {
		t.Fatal(err)
	}
	fresh := contract.NewMemoryStore()
	wantCode(t, node.Recover(fresh, seed, "two\nlines"), demes.CodeBadInput, "name")
	if err := node.Recover(fresh, seed, "Ann again"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, node.Recover(fresh, seed, ""), demes.CodeProfileExists, "--profile")
	p := w.add("", at(1_700_000_001), func(c *node.Config) { c.Store = fresh })
	was, is := old.account(), p.account()
	if is.Account != was.Account || is.Device == was.Device || is.DeviceNumber <= was.DeviceNumber || !is.WordsSaved {
		t.Errorf("recovered %+v of %+v", is, was)
	}
	if name := p.Describe().Name; name != "Ann again" {
		t.Errorf("name %q", name)
	}
}

// TestDeviceOfAnAccountWithoutItsSeed opens a profile that another device has
// certified.
func TestDeviceOfAnAccountWithoutItsSeed(t *testing.T) {
	account := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	deviceSeed := bytes.Repeat([]byte{2}, 32)
	device := demes.DeviceID(ed25519.NewKeyFromSeed(deviceSeed).Public().(ed25519.PublicKey))
	cert := wire.SealCert(account, device, 77)
	store := contract.NewMemoryStore()
	put(t, store, map[string][]byte{"device": deviceSeed, "cert": wire.Marshal(cert)})
	p := newWorld(t).add("Ann", func(c *node.Config) { c.Store = store })
	v := p.account()
	if v.Account != demes.AccountID(account.Public().(ed25519.PublicKey)).String() || v.DeviceNumber != 77 || v.HasWords {
		t.Errorf("account %+v", v)
	}
	_, err := p.Words(context.Background())
	wantCode(t, err, demes.CodeNoWords, "not on this device")
	wantCode(t, p.SetWordsSaved(context.Background(), true), demes.CodeNoWords, "")
	_, err = p.ExportAccount(context.Background(), "long enough")
	wantCode(t, err, demes.CodeNoWords, "")
}

func put(t *testing.T, store node.Store, values map[string][]byte) {
	t.Helper()
	for name, data := range values {
		if err := store.SetValue(name, data); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamagedIdentitiesDoNotOpen(t *testing.T) {
	account, other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
	seed := bytes.Repeat([]byte{2}, 32)
	device := demes.DeviceID(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	forged := wire.SealCert(account, device, 5)
	forged.N = 6
	for name, values := range map[string]map[string][]byte{
		"another device's": {"device": seed, "cert": wire.Marshal(wire.SealCert(account, demes.DeviceID{1}, 5))},
		"another account":  {"account": account.Seed(), "device": seed, "cert": wire.Marshal(wire.SealCert(other, device, 5))},
		"forged":           {"device": seed, "cert": wire.Marshal(forged)},
		"no certificate":   {"device": seed, "cert": []byte("\xff\xff")},
		"no account":       {"device": seed},
		"short seed":       {"account": {1, 2}},
		"short account":    {"account": {1, 2}, "device": seed, "cert": wire.Marshal(wire.SealCert(account, device, 5))},
		"verified":         {"verified": []byte("{")},
	} {
		t.Run(name, func(t *testing.T) {
			store := contract.NewMemoryStore()
			put(t, store, values)
			_, err := node.New(node.Config{Store: store})
			wantCode(t, err, demes.CodeProfileDamaged, "damaged")
		})
	}
}

const exportPassphrase = "correct horse"

func TestExportedAccountCanBeImported(t *testing.T) {
	w := newWorld(t)
	id, all := w.group("Ann", "Bo")
	ann, bo := all[0], all[1]
	if err := ann.SetVerified(context.Background(), accountOf(bo), true); err != nil {
		t.Fatal(err)
	}
	_, err := ann.ExportAccount(context.Background(), "short")
	wantCode(t, err, demes.CodeBadInput, "too short")
	file, err := ann.ExportAccount(context.Background(), exportPassphrase)
	if err != nil {
		t.Fatal(err)
	}
	content, err := identity.Open(identity.PurposeAccount, exportPassphrase, file)
	if err != nil || !strings.Contains(string(content), id.String()) || !strings.Contains(string(content), bo.Describe().Device) {
		t.Fatalf("the export holds %s, %v", content, err)
	}
	device, err := ann.store.Value("device")
	if err != nil || len(device) != 32 || strings.Contains(string(content), base64.StdEncoding.EncodeToString(device)) {
		t.Errorf("the export holds the device's key: %v", err)
	}
	fresh := contract.NewMemoryStore()
	wantCode(t, importInto(fresh, file, "another one"), demes.CodeWrongPassphrase, "wrong")
	if err := importInto(fresh, file, exportPassphrase); err != nil {
		t.Fatal(err)
	}
	wantCode(t, importInto(fresh, file, exportPassphrase), demes.CodeProfileExists, "")
	p := w.add("", func(c *node.Config) { c.Store = fresh })
	was, is := ann.account(), p.account()
	if is.Account != was.Account || is.Device == was.Device || p.Describe().Name != "Ann" {
		t.Errorf("imported %+v of %+v as %q", is, was, p.Describe().Name)
	}
	for _, value := range []string{"verified", "former"} {
		if held, err := fresh.Value(value); err != nil || len(held) == 0 {
			t.Errorf("%s: %q, %v", value, held, err)
		}
	}
}

func TestImportTakesNothingButAccounts(t *testing.T) {
	seed := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for name, content := range map[string]string{
		"nothing": "", "no JSON": "x", "no seed": `{"version":1,"name":"Ann"}`, "short seed": `{"version":1,"name":"Ann","seed":"AAAA"}`,
		"newer": `{"version":2,"name":"Ann","seed":"` + seed + `"}`, "bad name": `{"version":1,"name":"a\nb","seed":"` + seed + `"}`,
		"bad chat": `{"version":1,"name":"Ann","seed":"` + seed + `","chats":[{"id":"x"}]}`, "bad marks": `{"version":1,"name":"Ann","seed":"` + seed + `","verified":[]}`,
		"too many chats": `{"version":1,"name":"Ann","seed":"` + seed + `","chats":[` + strings.Repeat("{},", 1000) + `{}]}`,
	} {
		sealed, err := identity.Seal(identity.PurposeAccount, exportPassphrase, []byte(content), bytes.NewReader(make([]byte, 64)))
		if err != nil {
			t.Fatal(err)
		}
		store := contract.NewMemoryStore()
		wantCode(t, importInto(store, sealed, exportPassphrase), demes.CodeBadInput, "")
		if held, _ := store.Value("account"); len(held) > 0 {
			t.Errorf("%s: an account was made", name)
		}
	}
}

// accountOf is a party's account.
func accountOf(p *party) (a demes.AccountID) {
	p.w.t.Helper()
	raw, err := p.store.Value("account")
	if err != nil || len(raw) != 32 {
		p.w.t.Fatalf("account %x, %v", raw, err)
	}
	return demes.AccountID(ed25519.NewKeyFromSeed(raw).Public().(ed25519.PublicKey))
}

func importInto(store node.Store, sealed []byte, passphrase string) error {
	export, err := node.OpenExport(sealed, passphrase)
	if err != nil {
		return err
	}
	return export.Import(store)
}
