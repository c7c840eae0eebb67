package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is what /proc counts processor time in; Linux has shown 100
// to programs for ever.
const ticksPerSecond = 100

// idle measures three nodes that share so many live chats and say nothing.
func (b *bench) idle(chats int) string {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return "this system has no /proc"
	}
	g := b.live(3)
	for i := 1; i < chats; i++ {
		g.Another(fmt.Sprint("Chat ", i))
	}
	for _, n := range g.Nodes {
		n.Send("then silence")
	}
	g.UntilEqual()
	<-time.After(settleDown)
	var before []float64
	for _, n := range g.Nodes {
		before = append(before, b.cpuSeconds(n.PID()))
	}
	begin := time.Now()
	<-time.After(idleFor)
	worstMB, worstCPU := 0.0, 0.0
	for i, n := range g.Nodes {
		worstCPU = max(worstCPU, 100*(b.cpuSeconds(n.PID())-before[i])/time.Since(begin).Seconds())
		worstMB = max(worstMB, b.rssMB(n.PID()))
	}
	return fmt.Sprintf("%.0f MB RSS, %.2f %% of a core (the worst of three)", worstMB, worstCPU)
}

// settleDown is what a group gets to become idle: a chat counts as active, and
// its council's beats are fast, for a minute after its last message.
const settleDown = 65 * time.Second

// cpuSeconds is the processor time of a process: fields 14 and 15 of its stat,
// behind the name in brackets.
func (b *bench) cpuSeconds(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatalf("%v", err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / ticksPerSecond
}

func (b *bench) rssMB(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatalf("%v", err)
	}
	for line := range strings.Lines(string(text)) {
		if value, is := strings.CutPrefix(line, "VmRSS:"); is {
			kB, _ := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kB * 1024 / 1e6
		}
	}
	return 0
}

// ready measures from the start of the process to its first line.
func ready(b *bench) string {
	var fresh, again times
	for range starts {
		g := b.group()
		begin := time.Now()
		n := g.Add("--open-lobby")
		fresh = append(fresh, time.Since(begin))
		n.Kill()
		begin = time.Now()
		n.Start()
		again = append(again, time.Since(begin))
		n.Kill()
	}
	return fmt.Sprintf("new: %s; with a chat: %s", fresh, again)
}

// size builds the binary as it is given to users.
func size(b *bench) string {
	out := filepath.Join(b.dir, "stripped")
	command := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "github.com/demes-chat/demes/cmd/demes")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := command.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, text)
	}
	info, err := os.Stat(out)
	if err != nil {
		b.Fatalf("%v", err)
	}
	return fmt.Sprintf("%.1f MB", float64(info.Size())/1e6)
}

// load is what else this machine does.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(text))[0]
}
