package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxSecret bounds a line that holds a passphrase, and a text that holds 24 words.
const maxSecret = 16 << 10

// readLine reads the next line of standard input. All who read lines share one
// buffer, so that none takes another's.
func (p *program) readLine(what string) (string, error) {
	if p.lines == nil {
		p.lines = bufio.NewReader(p.stdin)
	}
	var line []byte
	for len(line) <= maxSecret {
		b, err := p.lines.ReadByte()
		if errors.Is(err, io.EOF) && len(line) > 0 || err == nil && b == '\n' {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		if errors.Is(err, io.EOF) {
			return "", usageError{fmt.Errorf("there is no %s on standard input", what)}
		}
		if err != nil {
			return "", fmt.Errorf("read the %s: %w", what, err)
		}
		line = append(line, b)
	}
	return "", usageError{fmt.Errorf("the %s on standard input is too long", what)}
}

// secret asks for something that nobody should see: on the terminal without
// showing it, or with "-" from a line of standard input.
func (p *program) secret(ctx context.Context, what string, fromInput bool) (string, error) {
	if fromInput {
		return p.readLine(what)
	}
	file, is := p.stdin.(*os.File)
	if !is || !term.IsTerminal(int(file.Fd())) {
		return "", usageError{fmt.Errorf("there is no terminal to ask for the %s; put - behind the command to read it from standard input", what)}
	}
	_, _ = fmt.Fprintf(p.stderr, "%s: ", strings.ToUpper(what[:1])+what[1:])
	text, err := readHidden(ctx, int(file.Fd()))
	_, _ = fmt.Fprintln(p.stderr)
	if err != nil {
		return "", fmt.Errorf("read the %s: %w", what, err)
	}
	return text, nil
}

// newSecret asks for a new passphrase, on the terminal twice.
func (p *program) newSecret(ctx context.Context, what string, fromInput bool) (string, error) {
	first, err := p.secret(ctx, what, fromInput)
	if err != nil || fromInput {
		return first, err
	}
	again, err := p.secret(ctx, what+" again", false)
	if err == nil && again != first {
		err = usageError{errors.New("the two are not the same: nothing was changed")}
	}
	return first, err
}

// readHidden reads a line from a terminal that does not show it. A signal ends
// that, and the terminal shows again what is typed. The goroutine that reads ends
// with the line or with the process.
func readHidden(ctx context.Context, terminal int) (string, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	type read struct {
		text []byte
		err  error
	}
	typed := make(chan read, 1)
	go func() {
		text, err := term.ReadPassword(terminal)
		typed <- read{text, err}
	}()
	select {
	case r := <-typed:
		return string(r.text), r.err
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(terminal, before))
	}
}
