package api

import (
	"context"
	"net/http"

	"github.com/demes-chat/demes"
)

func (s *Server) registerDevices() {
	register(s, call("list-devices", http.MethodGet, "/account/devices", http.StatusOK, "The devices of this account, and the one that wants to be"),
		func(ctx context.Context, _ *empty) (*answer[demes.DevicesView], error) {
			return answered(s.node().Devices(ctx))
		})
	register(s, call("add-device", http.MethodPost, "/account/devices", http.StatusCreated, "Make a link for a new device, good for one device and ten minutes"), s.addDevice)
	register(s, call("confirm-device", http.MethodPost, "/account/devices/confirm", http.StatusOK, "Take the device in that waits, once both screens show the same code"), s.confirmDevice)
	register(s, call("renew-device", http.MethodPost, "/account/devices/renew", http.StatusOK, "Give this profile a new device that takes the old one's place: for an old copy"), s.renewDevice)
	register(s, call("revoke-device", http.MethodDelete, "/account/devices/{device}", http.StatusOK, "Take a device of this account out of every chat, for ever"), s.revokeDevice)
}

func (s *Server) addDevice(ctx context.Context, _ *empty) (*answer[demes.InviteView], error) {
	link, expires, err := s.node().AddDevice(ctx)
	if err != nil {
		return nil, err
	}
	svg, _ := QRSVG(link) // a link that no QR code can hold is still a link
	return answered(demes.InviteView{Link: link, QRSVG: svg, ExpiresAt: expires.UTC()}, nil)
}

func (s *Server) confirmDevice(ctx context.Context, _ *empty) (*answer[demes.DevicesView], error) {
	if err := s.node().ConfirmDevice(ctx); err != nil {
		return nil, err
	}
	return answered(s.node().Devices(ctx))
}

// renewDevice starts the node again: a node is one device for as long as it runs.
func (s *Server) renewDevice(ctx context.Context, _ *empty) (*answer[demes.LockView], error) {
	if err := s.node().RenewDevice(ctx); err != nil {
		return nil, err
	}
	if err := s.cfg.Lock.Reopen(ctx); err != nil {
		return nil, err
	}
	return answered(s.cfg.Lock.State())
}

// DevicePath names a device of the account in a path.
type DevicePath struct {
	Device string `path:"device" maxLength:"256" doc:"The device's id."`
}

func (s *Server) revokeDevice(ctx context.Context, in *DevicePath) (*answer[demes.DevicesView], error) {
	device, err := demes.ParseDeviceID(in.Device)
	if err != nil {
		return nil, demes.Problem(demes.CodeUnknownDevice, "There is no such device", "The list of your devices has their ids.")
	}
	if err := s.node().RevokeDevice(ctx, device); err != nil {
		return nil, err
	}
	return answered(s.node().Devices(ctx))
}
