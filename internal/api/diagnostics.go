package api

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Stats are the numbers that a node tells /metrics. Totals count since its
// start.
type Stats struct {
	Chats             int     // chats that this device is a member of
	Connections       int     // devices that are connected now
	Messages          uint64  // messages settled on this device, total
	Elections         uint64  // changes of host that this device saw, total
	Commits           uint64  // transactions of the store, total
	CommitSeconds     float64 // time that they took, total
	CommitSecondsMost float64 // the longest of them
}

type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(Stats) float64
}

func newMetric(name, help string, kind prometheus.ValueType, read func(Stats) float64) metric {
	return metric{prometheus.NewDesc("demes_"+name, help, nil, nil), kind, read}
}

var metrics = []metric{
	newMetric("chats", "Chats of this node.", prometheus.GaugeValue, func(s Stats) float64 { return float64(s.Chats) }),
	newMetric("connections", "Devices that are connected.", prometheus.GaugeValue, func(s Stats) float64 { return float64(s.Connections) }),
	newMetric("messages_total", "Messages settled on this device.", prometheus.CounterValue, func(s Stats) float64 { return float64(s.Messages) }),
	newMetric("elections_total", "Changes of host that this device saw.", prometheus.CounterValue, func(s Stats) float64 { return float64(s.Elections) }),
	newMetric("store_commits_total", "Transactions of the store.", prometheus.CounterValue, func(s Stats) float64 { return float64(s.Commits) }),
	newMetric("store_commit_seconds_total", "Time that the transactions took.", prometheus.CounterValue, func(s Stats) float64 { return s.CommitSeconds }),
	newMetric("store_commit_seconds_max", "The longest transaction.", prometheus.GaugeValue, func(s Stats) float64 { return s.CommitSecondsMost }),
}

// statsCollector reads the node's numbers when they are asked for.
type statsCollector func() Stats

func (c statsCollector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range metrics {
		out <- m.desc
	}
}

func (c statsCollector) Collect(out chan<- prometheus.Metric) {
	stats := c()
	for _, m := range metrics {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.read(stats))
	}
}

// handleDiagnostics serves what operators and developers look at.
func (s *Server) handleDiagnostics() {
	registry := prometheus.NewRegistry() // of its own: nothing else registers here
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registry.MustRegister(statsCollector(s.stats))
	s.calls.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	s.calls.HandleFunc("GET /debug/pprof/", pprof.Index)
	s.calls.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	s.calls.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	s.calls.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	s.calls.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // a client that is gone needs no answer
}
