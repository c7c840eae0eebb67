package p2p

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/demes-chat/demes/internal/wire"
)

func TestInletReadsWhatOutletWrites(t *testing.T) {
	near, far := net.Pipe()
	sizes := []int{0, 1, 100, stepBytes - lengthBytes, stepBytes, 3*stepBytes + 7, wire.MaxFrame}
	go func() {
		out := outlet{stream: near}
		for i, size := range sizes {
			if err := out.put(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				panic(err)
			}
		}
		if err := out.flush(); err != nil {
			panic(err)
		}
		_ = near.Close()
	}()
	in := newInlet(far, wire.MaxFrame)
	for i, size := range sizes {
		frame, err := in.next(time.Time{})
		if err != nil || !bytes.Equal(frame, bytes.Repeat([]byte{byte(i)}, size)) {
			t.Fatalf("frame %d: %d bytes (%v), want %d", i, len(frame), err, size)
		}
	}
	if _, err := in.next(time.Time{}); err == nil {
		t.Error("a frame after the end")
	}
}

func TestInletCutsDrippingPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		done := make(chan struct{})
		go func() { // one byte per ten seconds
			defer close(done)
			for _, b := range prefixLength(1000) {
				if _, err := near.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(10 * time.Second)
			}
		}()
		start := time.Now()
		_, err := newInlet(far, wire.MaxFrame).next(time.Time{})
		if err == nil || time.Since(start) > 2*patience {
			t.Errorf("a dripping peer was read for %v (%v)", time.Since(start), err)
		}
		_ = far.Close()
		<-done
	})
}

func TestInletAllocatesWhatArrives(t *testing.T) {
	var before, after runtime.MemStats
	claimed := bytes.NewReader(append(prefixLength(wire.MaxFrame), make([]byte, 10)...))
	in := newInlet(endless{claimed}, wire.MaxFrame)
	runtime.ReadMemStats(&before)
	_, err := in.next(time.Time{})
	runtime.ReadMemStats(&after)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a frame cut short: %v", err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 4*stepBytes {
		t.Errorf("%d bytes allocated for 10 that came", got)
	}
}

// endless is a reader without deadlines.
type endless struct{ io.Reader }

func (endless) SetReadDeadline(time.Time) error { return nil }

func prefixLength(size int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(size)) }

func TestInletWaitsForStartOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		until := time.Now().Add(silence)
		if _, err := newInlet(far, 10).next(until); err == nil || !time.Now().Equal(until) {
			t.Errorf("waited until %v (%v), want %v", time.Now(), err, until)
		}
		_ = near.Close()
	})
}

func TestQueueIsBoundedInBytesAndCount(t *testing.T) {
	q := newQueue()
	count := 0
	for q.push(nil, time.Time{}) {
		count++
	}
	if want := wire.MaxQueue / frameCost; count != want {
		t.Errorf("%d empty frames fit, want %d", count, want)
	}
	for n := range count {
		if _, ok, _ := q.pop(); !ok {
			t.Fatalf("only %d frames came out of %d", n, count)
		}
	}
	if q.bytes != 0 || !q.push(make([]byte, 10), time.Time{}) {
		t.Errorf("an empty queue holds %d bytes", q.bytes)
	}
	q.finish()
	if _, ok, over := q.pop(); !ok || over {
		t.Error("a finished queue lost what waited")
	}
	if _, ok, over := q.pop(); ok || !over {
		t.Error("a finished queue does not end")
	}
}

func TestQueueKeepsOrderWhileItMoves(t *testing.T) {
	q := newQueue()
	next, want := uint64(0), uint64(0)
	for range 5000 {
		for range 3 {
			q.push(binary.BigEndian.AppendUint64(nil, next), time.Time{})
			next++
		}
		for range 2 {
			item, ok, _ := q.pop()
			if !ok || binary.BigEndian.Uint64(item.frame) != want {
				t.Fatalf("frame %v, want %d", item.frame, want)
			}
			want++
		}
	}
}

func TestGateCountsStrangersPerAddress(t *testing.T) {
	g := newGate()
	now := time.Now()
	home, office := ma.StringCast("/ip4/192.0.2.1/tcp/1"), ma.StringCast("/ip4/192.0.2.2/tcp/1")
	allowed := 0
	for range 100 {
		if g.spend(home, now) {
			allowed++
		}
	}
	if allowed != strangerBurst {
		t.Errorf("%d strangers at once from one address, want %d", allowed, strangerBurst)
	}
	if !g.spend(office, now) {
		t.Error("another address pays for it")
	}
	if g.spend(home, now.Add(strangerEvery/2)) || !g.spend(home, now.Add(strangerEvery+strangerEvery/2)) {
		t.Error("the rate is not one per strangerEvery")
	}
	for i := range 3 * maxRates {
		g.spend(ma.StringCast(fmt.Sprintf("/ip4/10.%d.%d.1/tcp/1", i/256, i%256)), now)
	}
	if len(g.rates) > maxRates {
		t.Errorf("%d addresses remembered, want at most %d", len(g.rates), maxRates)
	}
}

func TestAddressesAreRead(t *testing.T) {
	key := "12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5"
	id, err := peer.Decode(key)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		text string
		want string // addresses joined by a space; empty: refused
		id   peer.ID
	}{
		{"192.168.1.20:4001", "/ip4/192.168.1.20/udp/4001/quic-v1 /ip4/192.168.1.20/tcp/4001", ""},
		{" [2001:db8::1]:4001 ", "/ip6/2001:db8::1/udp/4001/quic-v1 /ip6/2001:db8::1/tcp/4001", ""},
		{"node.example:4001", "/dns/node.example/udp/4001/quic-v1 /dns/node.example/tcp/4001", ""},
		{"/ip4/192.0.2.1/tcp/4001", "/ip4/192.0.2.1/tcp/4001", ""},
		{"/ip4/192.0.2.1/tcp/4001/p2p/" + key, "/ip4/192.0.2.1/tcp/4001", id},
		{"/p2p/" + key, "", ""},
		{"192.168.1.20", "", ""},
		{":4001", "", ""},
		{"a/b:4001", "", ""},
		{"host:70000", "", ""},
		{"/ip4/999.0.0.1/tcp/1", "", ""},
		{strings.Repeat("a", 600) + ":1", "", ""},
		{"", "", ""},
	}
	for _, test := range tests {
		addrs, got, err := parseAddress(test.text)
		var texts []string
		for _, addr := range addrs {
			texts = append(texts, addr.String())
		}
		if (err != nil) != (test.want == "") || strings.Join(texts, " ") != test.want || got != test.id {
			t.Errorf("%q: %v, id %q, error %v; want %q, id %q", test.text, texts, got, err, test.want, test.id)
		}
	}
}

func FuzzParseBeat(f *testing.F) {
	f.Add([]byte{8, 1, 16, 100})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if beat, err := parseBeat(raw); err == nil && (beat.Seq == 0 || len(beat.Hosting) > maxHosting) {
			t.Errorf("took %v", beat)
		}
	})
}

func FuzzParseAddress(f *testing.F) {
	f.Add("192.168.1.20:4001")
	f.Add("/dns4/a/tcp/1/p2p/x")
	f.Fuzz(func(_ *testing.T, text string) { _, _, _ = parseAddress(text) })
}
