package council

import (
	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// ElectorConfig says whose decision it is.
type ElectorConfig struct {
	Chat     demes.ChatID
	Parent   uint64
	Self     demes.DeviceID
	Electors []demes.DeviceID
	Sign     func(body []byte) []byte // signs a VoteBody
	Verify   func(device demes.DeviceID, body, signature []byte) bool
	Rand     func() uint64
}

// Situation is what the chat knows when a message about convening arrives.
type Situation struct {
	Settled demes.Head            // this device's settled head
	Holds   func(demes.Head) bool // does it durably hold the log up to this head?
	Quorum  bool                  // a host is known
}

// Out is one message to one device.
type Out struct {
	To      demes.DeviceID
	Convene *wire.Convene
}

// Elector is one elector's part in ending one generation.
type Elector struct{}

func NewElector(cfg ElectorConfig, saved []byte) (*Elector, error) { return nil, nil }

// Propose starts convening; the value is made once the base is known.
func (e *Elector) Propose(now demes.Now, planned bool, s Situation, makeValue func(base demes.Head) (council, electors []demes.DeviceID)) []Out {
	return nil
}
func (e *Elector) Step(now demes.Now, from demes.DeviceID, m *wire.Convene, s Situation) []Out {
	return nil
}
func (e *Elector) Tick(now demes.Now, s Situation) []Out                      { return nil }
func (e *Elector) Deadline() int64                                            { return 0 }
func (e *Elector) Saved() (data []byte, changed bool)                         { return nil, false }
func (e *Elector) Frozen() bool                                               { return false }
func (e *Elector) Busy() bool                                                 { return false }
func (e *Elector) Wants() (base demes.Head, from demes.DeviceID, wanted bool) { return }
func (e *Elector) Decided() *wire.Certificate                                 { return nil }

// VerifyCertificate checks a certificate against the parent's electors.
func VerifyCertificate(c *wire.Certificate, chat demes.ChatID, parentElectors []demes.DeviceID, verify func(device demes.DeviceID, body, signature []byte) bool) (*wire.Value, error) {
	return nil, nil
}
