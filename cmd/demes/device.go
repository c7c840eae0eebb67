package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api"
	"github.com/demes-chat/demes/internal/node"
	"github.com/demes-chat/demes/internal/p2p"
	"github.com/demes-chat/demes/internal/store"
)

const devicesPath = "/account/devices"

func (p *program) devicesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "devices",
		Short: "List your devices",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			devices, err := get[demes.DevicesView](cmd.Context(), c, devicesPath)
			if err != nil {
				return err
			}
			p.showDevices(devices)
			return nil
		},
	}
}

func (p *program) showDevices(devices answer[demes.DevicesView]) {
	if p.json {
		p.printJSON(devices.raw)
		return
	}
	rows := [][]string{{"device", "added", "chats", "now"}}
	for _, d := range devices.value.Devices {
		now := "away"
		switch {
		case d.This:
			now = "this one"
		case d.Online:
			now = "online"
		case d.LastSeen != nil:
			now = "away since " + d.LastSeen.Local().Format("2 January 15:04")
		}
		rows = append(rows, []string{d.Device, d.AddedAt.Local().Format("2 January 2006"), fmt.Sprint(d.Chats), now})
	}
	p.table(rows)
	if pending := devices.value.Pending; pending != nil {
		p.printf("A new device wants to be yours: %s at %s, code %s\nIf the new device shows the same code: demes device confirm\n",
			plain(pending.Label), plain(pending.Address), plain(pending.Code))
	}
}

func (p *program) deviceCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "device",
		Short: "Add, confirm, revoke or renew a device of yours",
		Long: `Your devices are equal: each is in all of your chats, and each has keys of its
own. The account's 24 words stay on the first one.

To add one: demes device add here, then demes run --link LINK there. Both show a
code; if it is the same, demes device confirm here.`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	command.AddCommand(p.deviceAdd(), p.deviceConfirm(), p.deviceRevoke(), p.deviceRenew())
	return command
}

func (p *program) deviceAdd() *cobra.Command {
	var qr bool
	command := &cobra.Command{
		Use:   "add",
		Short: "Make a link for a new device of yours",
		Long: `Make a link for a new device of yours: demes run --link LINK there. It is good
for one device and ten minutes, and takes nobody in before you confirm.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			made, err := post[demes.InviteView](cmd.Context(), c, devicesPath, nil)
			if err != nil {
				return err
			}
			p.answered(made.raw, "%s\n", plain(made.value.Link))
			if qr && !p.json {
				drawn, err := api.QRText(made.value.Link)
				if err != nil {
					return err
				}
				p.printf("%s", drawn)
			}
			return nil
		},
	}
	command.Flags().BoolVar(&qr, "qr", false, "draw it as a QR code as well, for a dark terminal")
	return command
}

func (p *program) deviceConfirm() *cobra.Command {
	var code string
	command := &cobra.Command{
		Use:   "confirm",
		Short: "Take in the new device, if both show the same code",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			devices, err := get[demes.DevicesView](cmd.Context(), c, devicesPath)
			if err != nil {
				return err
			}
			if pending := devices.value.Pending; code != "" && (pending == nil || pending.Code != code) {
				return demes.Problem(demes.CodeRefused, "No device with this code waits", "Do not confirm it: make a new link with demes device add.")
			}
			if devices, err = post[demes.DevicesView](cmd.Context(), c, devicesPath+"/confirm", nil); err == nil {
				p.showDevices(devices)
			}
			return err
		},
	}
	command.Flags().StringVar(&code, "code", "", "the code that the new device shows: anything else is refused")
	return command
}

func (p *program) deviceRevoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke DEVICE",
		Short: "Take a lost device of yours out of every chat, for ever",
		Long:  `Take a device out of every chat, for ever. Its id, or the beginning of it, stands in demes devices.`,
		Args:  exactly("a device"),
		RunE: func(cmd *cobra.Command, words []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			devices, err := get[demes.DevicesView](cmd.Context(), c, devicesPath)
			if err != nil {
				return err
			}
			device := words[0]
			for _, d := range devices.value.Devices {
				if strings.HasPrefix(d.Device, device) && !d.This {
					device = d.Device
				}
			}
			if err := c.call(cmd.Context(), http.MethodDelete, devicesPath+"/"+url.PathEscape(device), nil, nil); err != nil {
				return err
			}
			if devices, err = get[demes.DevicesView](cmd.Context(), c, devicesPath); err == nil {
				p.showDevices(devices)
			}
			return err
		},
	}
}

func (p *program) deviceRenew() *cobra.Command {
	return &cobra.Command{
		Use:   "renew",
		Short: "Give a profile that was restored from an old copy a new device",
		Long: `Give this profile a new device, which takes the old one's place in every chat. It
is the way out when DeMes says that this device's copy of a chat is old: a backup
was restored, or a copy of the profile runs elsewhere. Messages stay.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			state, err := post[demes.LockView](cmd.Context(), c, devicesPath+"/renew", nil)
			if err != nil {
				return err
			}
			words := "This profile is a new device now, and comes back into its chats."
			if state.value.Locked {
				words += " Unlock it for that: demes unlock"
			}
			p.answered(state.raw, "%s\n", words)
			return nil
		},
	}
}

// enrol makes what openNode does first in a fresh profile that is to be a further
// device of an account; nil without a link.
func (p *program) enrol(ctx context.Context, link string) (func(*store.Store, p2p.Config) error, error) {
	if link == "" {
		return nil, nil
	}
	link, err := p.joinTarget(link)
	if err != nil {
		return nil, err
	}
	label, _ := os.Hostname() // without a name the other device calls it a device
	return func(kept *store.Store, cfg p2p.Config) error {
		return node.Enrol(ctx, node.Enrolment{
			Store: kept, Link: link, Label: label,
			OpenTransport: func(key ed25519.PrivateKey, handler node.Handler) (node.Transport, error) {
				cfg.Key, cfg.Handler = key, handler
				return openTransport(kept, cfg)
			},
			Show: func(code string) {
				_, _ = fmt.Fprintf(p.stderr, "demes: code %s: if your other device shows the same, confirm it there (demes device confirm)\n", code)
			},
		})
	}, nil
}

// enrolFirst runs what was made by enrol, once.
func (cfg *nodeConfig) enrolFirst(kept *store.Store) error {
	if cfg.enrol == nil {
		return nil
	}
	err := cfg.enrol(kept, p2p.Config{Port: cfg.p2pPort, Log: cfg.log})
	if errors.Is(err, &demes.Error{Code: demes.CodeProfileExists}) {
		return demes.Problem(demes.CodeProfileExists, "A device link is for a new profile, and this one has an account already",
			"Name a new profile: demes run --profile NAME --link LINK")
	}
	return err
}
