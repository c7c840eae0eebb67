package api

import (
	"context"
	"fmt"
	"math"
	"net/http"

	"github.com/demes-chat/demes"
)

const (
	maxFaults     = 1024
	maxFaultDelay = 600_000 // ten minutes, in milliseconds
)

func (s *Server) registerFaults() {
	register(s, call("get-faults", http.MethodGet, "/faults", http.StatusOK, "The faults of this node's links (only with --faults)"),
		func(ctx context.Context, _ *empty) (*answer[faultsBody], error) { return s.faults(ctx) })
	register(s, call("put-faults", http.MethodPut, "/faults", http.StatusOK, "Replace all faults; they live in memory only (only with --faults)"), s.putFaults)
}

type faultsBody struct {
	Links []demes.LinkFault `json:"links"`
}

type faultInput struct {
	Peer     string  `json:"peer" maxLength:"256" doc:"A device, or * for all that are not named."`
	DelayMs  float64 `json:"delay_ms,omitempty"`
	JitterMs float64 `json:"jitter_ms,omitempty"`
	Loss     float64 `json:"loss,omitempty" doc:"0 to 1"`
	Cut      bool    `json:"cut,omitempty"`
}

type faultsInput struct {
	Body struct {
		Links []faultInput `json:"links" maxItems:"1024"`
	}
}

func (s *Server) faultsOff() error {
	if s.cfg.Faults {
		return nil
	}
	return newProblem(http.StatusNotFound, codeFaultsOff, "This node injects no faults", "Start it with --faults to test and to demonstrate.")
}

func (s *Server) faults(ctx context.Context) (*answer[faultsBody], error) {
	if err := s.faultsOff(); err != nil {
		return nil, err
	}
	return answered(faultsBody{list(s.node().Faults(ctx))}, nil)
}

func (s *Server) putFaults(ctx context.Context, in *faultsInput) (*answer[faultsBody], error) {
	if err := s.faultsOff(); err != nil {
		return nil, err
	}
	faults := make([]demes.LinkFault, 0, len(in.Body.Links))
	seen := map[string]bool{}
	for i, fault := range in.Body.Links {
		if err := checkFault(fmt.Sprintf("body.links[%d]", i), fault, seen); err != nil {
			return nil, err
		}
		faults = append(faults, demes.LinkFault(fault))
	}
	if err := s.node().SetFaults(ctx, faults); err != nil {
		return nil, err
	}
	return s.faults(ctx)
}

func checkFault(location string, fault faultInput, seen map[string]bool) error {
	if _, err := demes.ParseDeviceID(fault.Peer); err != nil && fault.Peer != "*" {
		return badField(location+".peer", "is neither a device nor *")
	}
	if seen[fault.Peer] {
		return badField(location+".peer", "is named twice")
	}
	seen[fault.Peer] = true
	for name, value := range map[string]float64{"delay_ms": fault.DelayMs, "jitter_ms": fault.JitterMs} {
		if value < 0 || value > maxFaultDelay || math.IsNaN(value) {
			return badField(location+"."+name, fmt.Sprintf("is not between 0 and %d", maxFaultDelay))
		}
	}
	if fault.Loss < 0 || fault.Loss > 1 {
		return badField(location+".loss", "is not between 0 and 1")
	}
	return nil
}
