package council

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// Limits of a certificate (docs/protocol.md#certificates).
const (
	// MaxValue bounds a value: two lists of nine devices and a head.
	MaxValue = 2 << 10
	// maxVotes bounds the votes: every old and every new elector.
	maxVotes = 2 * MaxElectors
	// maxVote bounds the signed part of a vote: a ballot and a hash. The value
	// stands in a certificate once, not in each vote: certificates are kept.
	maxVote = 256
)

// ErrCertificate says that a certificate does not prove what it claims.
var ErrCertificate = errors.New("invalid certificate")

// VerifyCertificate checks a certificate against the parent's electors: a
// majority of them accepted the value in one ballot, and so did a majority of
// the new electors. Whoever accepts durably holds the base.
func VerifyCertificate(c *wire.Certificate, chat demes.ChatID, parentElectors []demes.DeviceID, verify func(device demes.DeviceID, body, signature []byte) bool) (*wire.Value, error) {
	value, err := readValue(c.GetValue(), chat, anyParent)
	if err != nil {
		return nil, err
	}
	if len(c.GetVotes()) > maxVotes {
		return nil, fmt.Errorf("%w: %d votes", ErrCertificate, len(c.GetVotes()))
	}
	var first ballot
	var voters []demes.DeviceID
	for i, vote := range c.GetVotes() {
		device, b, voted, err := readVote(vote, verify)
		switch {
		case err != nil:
			return nil, err
		case i == 0:
			first = b
		case b != first:
			return nil, fmt.Errorf("%w: votes of two ballots", ErrCertificate)
		}
		if voted != demes.Sum(c.GetValue()) || among(voters, device) || !among(parentElectors, b.device) {
			return nil, fmt.Errorf("%w: vote of %s for something else, or twice", ErrCertificate, device.Short())
		}
		voters = append(voters, device)
	}
	if !majorityOf(parentElectors, voters) || !majorityOf(readDevices(value.GetElectors()), voters) {
		return nil, fmt.Errorf("%w: %d votes are no majority", ErrCertificate, len(voters))
	}
	return value, nil
}

// majorityOf reports whether more than half of the electors are among voters.
func majorityOf(electors, voters []demes.DeviceID) bool {
	n := 0
	for _, d := range electors {
		if among(voters, d) {
			n++
		}
	}
	return n > len(electors)/2
}

// readVote checks form and signature of a vote; value is the hash of what it is for.
func readVote(v *wire.Vote, verify func(demes.DeviceID, []byte, []byte) bool) (device demes.DeviceID, b ballot, value demes.Hash, err error) {
	body := &wire.VoteBody{}
	if len(v.GetDevice()) != len(device) || len(v.GetBody()) > maxVote || proto.Unmarshal(v.GetBody(), body) != nil || len(body.GetValueHash()) != len(value) {
		return device, b, value, fmt.Errorf("%w: malformed vote", ErrCertificate)
	}
	device, b = demes.DeviceID(v.GetDevice()), readBallot(body.GetBallot())
	if b.round == 0 || !verify(device, v.GetBody(), v.GetSignature()) {
		return device, b, value, fmt.Errorf("%w: vote of %s is not signed by it", ErrCertificate, device.Short())
	}
	return device, b, demes.Hash(body.GetValueHash()), nil
}

// anyParent lets readValue take a value of every generation.
const anyParent = ^uint64(0)

// readValue checks the form of a value: a council among at most MaxElectors
// different electors, and a base.
func readValue(data []byte, chat demes.ChatID, parent uint64) (*wire.Value, error) {
	value := &wire.Value{}
	if len(data) == 0 || len(data) > MaxValue || proto.Unmarshal(data, value) != nil {
		return nil, fmt.Errorf("%w: malformed value", ErrCertificate)
	}
	if string(value.GetChat()) != string(chat[:]) || parent != anyParent && value.GetParent() != parent {
		return nil, fmt.Errorf("%w: value of another generation", ErrCertificate)
	}
	base, electors, council := value.GetBase(), readDevices(value.GetElectors()), readDevices(value.GetCouncil())
	if len(base.GetHash()) != len(demes.Hash{}) || base.GetGeneration() != value.GetParent() {
		return nil, fmt.Errorf("%w: value without a base of its parent", ErrCertificate)
	}
	if len(electors) == 0 || len(electors) > MaxElectors || len(council) == 0 || len(council) > MaxVoters {
		return nil, fmt.Errorf("%w: value with %d electors and a council of %d", ErrCertificate, len(electors), len(council))
	}
	for i, d := range electors {
		if among(electors[:i], d) {
			return nil, fmt.Errorf("%w: elector %s is named twice", ErrCertificate, d.Short())
		}
	}
	for i, d := range council {
		if among(council[:i], d) || !among(electors, d) {
			return nil, fmt.Errorf("%w: voter %s is no elector, or named twice", ErrCertificate, d.Short())
		}
	}
	return value, nil
}

// readDevices gives nothing when one of them is malformed.
func readDevices(raw [][]byte) []demes.DeviceID {
	if len(raw) > MaxElectors {
		return nil
	}
	out := make([]demes.DeviceID, 0, len(raw))
	for _, r := range raw {
		if len(r) != len(demes.DeviceID{}) {
			return nil
		}
		out = append(out, demes.DeviceID(r))
	}
	return out
}

func writeDevices(devices []demes.DeviceID) (out [][]byte) {
	for _, d := range devices {
		out = append(out, d[:])
	}
	return out
}

func writeHead(h demes.Head) *wire.Head {
	return &wire.Head{Generation: h.Generation, Index: h.Index, Hash: h.Hash[:]}
}

func readHead(w *wire.Head) (h demes.Head) {
	h.Generation, h.Index = w.GetGeneration(), w.GetIndex()
	copy(h.Hash[:], w.GetHash())
	return h
}
