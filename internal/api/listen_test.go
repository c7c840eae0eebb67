package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api/apitest"
)

func TestPortsOfBothLoopbacks(t *testing.T) {
	_, _, address := liveServer(t)
	_, port, _ := net.SplitHostPort(address)
	for _, host := range []string{"127.0.0.1", "::1", "localhost"} {
		probe, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Logf("no %s on this machine", host)
			continue
		}
		_ = probe.Close()
		res, err := http.Get("http://" + net.JoinHostPort(host, port) + "/healthz")
		if err != nil || res.StatusCode != 200 {
			t.Errorf("%s: %v, %v", host, res, err)
			continue
		}
		_ = res.Body.Close()
	}
}

func TestTakenPortIsAClearError(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp6"} {
		host := map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"}[network]
		taken, err := net.Listen(network, host)
		if err != nil {
			t.Logf("no %s on this machine", network)
			continue
		}
		port := taken.Addr().(*net.TCPAddr).Port
		_, _, err = Listen(port)
		var problem *demes.Error
		if !errors.As(err, &problem) || problem.Code != demes.CodePortTaken || problem.Detail == "" {
			t.Errorf("%s port taken: got %v, want a problem that says what to do", network, err)
		}
		_ = taken.Close()
		listeners, bound, err := Listen(port)
		if err != nil || bound != port {
			t.Errorf("the port is free again: got %d, %v", bound, err)
		}
		for _, listener := range listeners {
			_ = listener.Close()
		}
	}
}

func TestNextFreePort(t *testing.T) {
	first, one, err := Listen(AnyPort)
	if err != nil {
		t.Fatal(err)
	}
	second, two, err := Listen(AnyPort)
	if err != nil || two <= one || one < DefaultPort {
		t.Errorf("got ports %d and %d, %v; want two from %d on", one, two, err, DefaultPort)
	}
	for _, listener := range append(first, second...) {
		_ = listener.Close()
	}
}

func TestServingEndsWhenAListenerBreaks(t *testing.T) {
	listeners, port, err := Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Node: apitest.NewNode(), Port: port, Token: testToken})
	ended := make(chan error)
	go func() { ended <- s.Serve(context.Background(), listeners, time.Second) }()
	if res, err := http.Get("http://127.0.0.1:" + strconv.Itoa(port) + "/healthz"); err != nil {
		t.Fatal(err)
	} else {
		_ = res.Body.Close()
	}
	_ = listeners[0].Close()
	if err := <-ended; err == nil {
		t.Error("serving ended without an error")
	}
}
