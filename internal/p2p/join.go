package p2p

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/wire"
)

// joinProtocol is the only one that strangers reach: one question, one answer
// (docs/protocol.md#joining).
const joinProtocol protocol.ID = "/demes/join/1"

const (
	// joinTime bounds a question and its answer, for either side.
	joinTime = strangerTime
	// maxJoins bounds the questions that are answered at once.
	maxJoins = 16
	// negotiateTime bounds what comes before a stranger's question.
	negotiateTime = 5 * time.Second
)

// joins answers questions over the join protocol.
type joins struct {
	t      *Transport
	places chan struct{}
	mux    *multistream.MultistreamMuxer[protocol.ID]
}

func newJoins(t *Transport) *joins {
	j := &joins{
		t: t, places: make(chan struct{}, maxJoins),
		mux: multistream.NewMultistreamMuxer[protocol.ID](),
	}
	j.mux.AddHandler(joinProtocol, nil)
	return j
}

// receive takes a stream of a stranger: the join protocol or nothing.
func (j *joins) receive(stream network.Stream) {
	err := stream.SetDeadline(time.Now().Add(negotiateTime))
	if err == nil {
		_, _, err = j.mux.Negotiate(stream)
	}
	if err == nil {
		err = stream.SetProtocol(joinProtocol)
	}
	if err != nil {
		_ = stream.Reset()
		return
	}
	j.answer(stream)
}

// answer reads a question, has it answered and writes the answer.
func (j *joins) answer(stream network.Stream) {
	if !j.t.begin() {
		_ = stream.Reset()
		return
	}
	defer j.t.work.Done()
	if err := j.serve(stream); err != nil {
		_ = stream.Reset()
		j.t.complain("join question dropped", "err", err)
		return
	}
	_ = stream.Close()
}

func (j *joins) serve(stream network.Stream) error {
	id := stream.Conn().RemotePeer()
	device, err := deviceOf(id)
	if err != nil {
		return err
	}
	if !j.t.gate.mayAsk(id) {
		return errors.New("a second question")
	}
	select {
	case j.places <- struct{}{}:
		defer func() { <-j.places }()
	default:
		return errors.New("too many questions at once")
	}
	ctx, cancel := context.WithTimeout(j.t.ctx, joinTime)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = stream.Reset() })
	defer stop()
	ask, err := newInlet(stream, wire.MaxJoinAsk).next(time.Now().Add(joinTime))
	if err != nil {
		return fmt.Errorf("read question: %w", err)
	}
	if err := j.t.disturb(ctx, device); err != nil {
		return err
	}
	answer := j.t.handler.Joining(ctx, device, stream.Conn().RemoteMultiaddr().String(), ask)
	if answer == nil || len(answer) > wire.MaxJoinAnswer {
		return errors.New("no answer to give")
	}
	if err := j.t.disturb(ctx, device); err != nil {
		return err
	}
	return writeMessage(stream, answer)
}

// writeMessage writes one frame and ends the writing side.
func writeMessage(stream network.Stream, message []byte) error {
	out := outlet{stream: stream}
	if err := out.put(message); err != nil {
		return err
	}
	if err := out.flush(); err != nil {
		return err
	}
	return stream.CloseWrite()
}

// disturb does to one message what the fault of a device says.
func (t *Transport) disturb(ctx context.Context, device demes.DeviceID) error {
	fault, _ := t.faults.of(device)
	if fault.Cut || lost(fault) {
		return errors.New("lost by a fault")
	}
	late := lateness(fault)
	if late <= 0 {
		return nil
	}
	select {
	case <-time.After(late):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unreachable is the error of Join for its user.
func unreachable(detail string, cause error) error {
	return &demes.Error{
		Code: demes.CodeUnreachable, Title: "This device does not answer.", Detail: detail, Cause: cause,
	}
}

const (
	detailAddress = "Check the address: it looks like 192.168.1.20:4001."
	detailOffline = "Ask whether it is online and reachable from here, then try again."
	detailOther   = "Another device answers at this address. Ask for a new link."
	detailSelf    = "This is the address of this very device."
)

// Join asks the node at an address (or a known device) one question over the
// join protocol and returns its answer and who gave it. Errors are
// *demes.Error with CodeUnreachable; the question may have arrived all the same.
func (t *Transport) Join(ctx context.Context, contact wire.Target, ask []byte) ([]byte, demes.DeviceID, error) {
	var device demes.DeviceID
	if len(ask) > wire.MaxJoinAsk {
		return nil, device, unreachable("The question is too long.", errOversized)
	}
	ctx, cancel := context.WithTimeout(ctx, joinTime+negotiateTime)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	id, addrs, err := t.target(ctx, contact)
	if err != nil {
		return nil, device, err
	}
	if device, err = deviceOf(id); err != nil {
		return nil, device, unreachable(detailOther, err)
	}
	if device == t.self {
		return nil, device, unreachable(detailSelf, nil)
	}
	if err := t.disturb(ctx, device); err != nil {
		return nil, device, unreachable(detailOffline, err)
	}
	answer, err := t.question(ctx, id, addrs, ask)
	if err == nil {
		err = t.disturb(ctx, device)
	}
	if err != nil {
		return nil, device, unreachable(detailOffline, err)
	}
	return answer, device, nil
}

// target finds out whom a contact means.
func (t *Transport) target(ctx context.Context, contact wire.Target) (peer.ID, []ma.Multiaddr, error) {
	var expected peer.ID
	if len(contact.Device) > 0 {
		device := demes.DeviceID{}
		if len(contact.Device) != len(device) {
			return "", nil, unreachable(detailOther, errNoDevice)
		}
		copy(device[:], contact.Device)
		id, err := PeerID(device)
		if err != nil {
			return "", nil, unreachable(detailOther, err)
		}
		expected = id
	}
	if contact.Address == "" && expected != "" {
		return expected, nil, nil
	}
	addrs, named, err := parseAddress(contact.Address)
	if err != nil {
		return "", nil, unreachable(detailAddress, err)
	}
	switch {
	case expected != "" && named != "" && expected != named:
		return "", nil, unreachable(detailOther, errors.New("the address names another device"))
	case expected != "":
		return expected, addrs, nil
	case named != "":
		return named, addrs, nil
	}
	found, err := t.learn(ctx, addrs)
	if err != nil {
		return "", nil, unreachable(detailOffline, err)
	}
	return found, addrs, nil
}

// question dials where needed, and asks.
func (t *Transport) question(ctx context.Context, id peer.ID, addrs []ma.Multiaddr, ask []byte) ([]byte, error) {
	done := t.gate.ask(id)
	defer func() {
		if done() {
			_ = t.swarm.ClosePeer(id)
		}
	}()
	t.swarm.Backoff().Clear(id)
	t.host.Peerstore().AddAddrs(id, addrs, peerstore.TempAddrTTL)
	if device, err := deviceOf(id); err == nil {
		if p := t.pairOf(device); p != nil {
			t.host.Peerstore().AddAddrs(id, p.knownNow(), peerstore.TempAddrTTL)
		}
	}
	conn, err := t.swarm.DialPeer(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	stream, err := openStream(ctx, conn, joinProtocol)
	if err != nil {
		return nil, fmt.Errorf("open join stream: %w", err)
	}
	defer func() { _ = stream.Reset() }()
	stop := context.AfterFunc(ctx, func() { _ = stream.Reset() })
	defer stop()
	if err := writeMessage(stream, ask); err != nil {
		return nil, fmt.Errorf("ask: %w", err)
	}
	answer, err := newInlet(stream, wire.MaxJoinAnswer).next(time.Now().Add(joinTime))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	return answer, nil
}
