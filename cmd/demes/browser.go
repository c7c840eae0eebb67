package main

import (
	"os/exec"
	"runtime"
)

// canBrowse reports whether a browser would show up where the user sits, and
// if not, why.
func canBrowse(env func(string) string) (ok bool, why string) {
	switch {
	case env("SSH_CONNECTION") != "" || env("SSH_TTY") != "":
		return false, "this is a session over SSH"
	case runtime.GOOS == "linux" && env("DISPLAY") == "" && env("WAYLAND_DISPLAY") == "" && env("WSL_DISTRO_NAME") == "":
		return false, "there is no display"
	}
	return true, ""
}

// openBrowser shows a page. The program it starts is not waited for.
func openBrowser(url string) error {
	command := []string{"xdg-open", url}
	switch {
	case runtime.GOOS == "darwin":
		command = []string{"open", url}
	case runtime.GOOS == "windows":
		command = []string{"rundll32", "url.dll,FileProtocolHandler", url}
	default:
		if _, err := exec.LookPath("rundll32.exe"); err == nil { // WSL
			command = []string{"rundll32.exe", "url.dll,FileProtocolHandler", url}
		}
	}
	started := exec.Command(command[0], command[1:]...) // #nosec G204 -- the URL is our own
	if err := started.Start(); err != nil {
		return err
	}
	go func() { _ = started.Wait() }() // ends with the program it started
	return nil
}
