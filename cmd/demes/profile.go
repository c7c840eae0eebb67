package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/demes-chat/demes"
)

const (
	defaultProfile = "default"

	// tokenFile and portFile lead clients to the node that runs.
	tokenFile = "api-token"
	portFile  = "api-port"
)

var profileName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$`)

// folder is where the profile's data lives.
func (p *program) folder() (string, error) {
	if p.data != "" {
		dir, err := filepath.Abs(p.data)
		if err != nil {
			return "", fmt.Errorf("find the data folder: %w", err)
		}
		return dir, nil
	}
	if !profileName.MatchString(p.profile) {
		return "", usageError{fmt.Errorf("a profile's name has 1 to 64 letters, digits, dots, dashes and underscores: %q has not", plain(p.profile))}
	}
	base, err := dataHome(p.env)
	if err != nil {
		return "", err
	}
	return filepath.Join(base, "demes", p.profile), nil
}

// dataHome is the platform's place for data of programs.
func dataHome(env func(string) string) (string, error) {
	home := env("HOME")
	switch {
	case runtime.GOOS == "windows" && env("LOCALAPPDATA") != "":
		return env("LOCALAPPDATA"), nil
	case runtime.GOOS == "darwin" && home != "":
		return filepath.Join(home, "Library", "Application Support"), nil
	case filepath.IsAbs(env("XDG_DATA_HOME")):
		return env("XDG_DATA_HOME"), nil
	case home != "":
		return filepath.Join(home, ".local", "share"), nil
	}
	return "", errors.New("there is no home folder; name a folder with --data")
}

// isFresh reports whether nothing stands in a folder yet.
func isFresh(dir string) bool {
	entries, err := os.ReadDir(dir)
	return errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0
}

// announce writes the files that lead clients here, and returns how to take
// them away again.
func announce(dir, token string, port int) (withdraw func(), err error) {
	withdraw = func() {
		_ = os.Remove(filepath.Join(dir, tokenFile))
		_ = os.Remove(filepath.Join(dir, portFile))
	}
	err = replaceFile(filepath.Join(dir, tokenFile), token+"\n")
	if err == nil {
		err = replaceFile(filepath.Join(dir, portFile), strconv.Itoa(port)+"\n")
	}
	if err != nil {
		err = &demes.Error{Code: demes.CodeStorage, Title: "The data folder " + dir + " cannot be written: " + reason(err), Cause: err,
			Detail: "Make sure that it belongs to you, that you may write to it and that its disk has room, or name another with --data FOLDER."}
	}
	return withdraw, err
}

// reason is what the operating system says, without the names of files.
func reason(err error) string {
	var system syscall.Errno
	if errors.As(err, &system) {
		return system.Error()
	}
	return err.Error()
}

// replaceFile writes a file that only its user can read, whole or not at all.
func replaceFile(name, content string) error {
	temporary, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+"-*") // 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	_, err = temporary.WriteString(content)
	err = errors.Join(err, temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), errors.Join(err, os.Remove(temporary.Name())))
	}
	return nil
}

// announced reads where the node of a folder serves.
func announced(dir string) (token string, port int, err error) {
	rawToken, err := os.ReadFile(filepath.Join(dir, tokenFile))
	if err != nil {
		return "", 0, err
	}
	rawPort, err := os.ReadFile(filepath.Join(dir, portFile))
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(strings.TrimSpace(string(rawPort)))
	if err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("%s holds no port", portFile)
	}
	return strings.TrimSpace(string(rawToken)), port, nil
}

// notRunning says that no node of this profile answers.
func (p *program) notRunning() error {
	start := "demes run --no-browser"
	which := "No node is running"
	switch {
	case p.data != "":
		which, start = "No node is running in "+p.data, "demes run --data "+p.data
	case p.profile != defaultProfile:
		which, start = "No node of the profile "+p.profile+" is running", "demes run --profile "+p.profile
	}
	return demes.Problem(demes.CodeUnreachable, which, "Start it: "+start)
}
