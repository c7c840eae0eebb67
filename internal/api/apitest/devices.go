package apitest

import (
	"context"
	"time"

	"github.com/demes-chat/demes"
)

// DeviceLink is what AddDevice makes.
const DeviceLink = "demes://device#fake"

// AddDevice makes a link; a device stands at it at once.
func (f *Node) AddDevice(context.Context) (string, time.Time, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending = &demes.PendingDevice{Device: Other.String(), Label: "laptop", Address: "10.0.0.2", Code: "123456"}
	return DeviceLink, time.Unix(2_000_000_000, 0), f.Fail
}

func (f *Node) Devices(context.Context) (demes.DevicesView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := demes.DevicesView{CanAdd: true, Pending: f.pending, Devices: []demes.DeviceView{
		{Device: f.View.Device, This: true, Online: true, AddedAt: time.Unix(1_700_049_600, 0).UTC(), Chats: len(f.chats)},
	}}
	if f.second {
		v.Devices = append(v.Devices, demes.DeviceView{Device: Other.String(), AddedAt: time.Unix(1_800_014_400, 0).UTC()})
	}
	return v, f.Fail
}

func (f *Node) ConfirmDevice(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pending == nil {
		return demes.Problem(demes.CodeUnknownDevice, "No device waits to be confirmed", "Make a link.")
	}
	f.pending, f.second = nil, true
	return f.Fail
}

func (f *Node) RevokeDevice(_ context.Context, device demes.DeviceID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.second || device != Other {
		return demes.Problem(demes.CodeUnknownDevice, "You have no such device", "Look at the list.")
	}
	f.second = false
	return f.Fail
}

func (f *Node) RenewDevice(context.Context) error { return f.Fail }
