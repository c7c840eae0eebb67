package api

import (
	"net/http"
	"testing"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/api/apitest"
)

func TestDevicesAreAddedConfirmedAndRevoked(t *testing.T) {
	s, _ := newTestServer(t)
	path := "account/devices"
	refused(t, s, 404, demes.CodeUnknownDevice, ask{method: http.MethodPost, path: path + "/confirm"})
	var made demes.InviteView
	want(t, s, 201, ask{method: http.MethodPost, path: path}, &made)
	if made.Link != apitest.DeviceLink || made.QRSVG == "" || made.ExpiresAt.IsZero() {
		t.Errorf("a device link: %+v", made)
	}
	var devices demes.DevicesView
	want(t, s, 200, ask{path: path}, &devices)
	if len(devices.Devices) != 1 || !devices.Devices[0].This || devices.Pending == nil || devices.Pending.Code != "123456" {
		t.Errorf("devices: %+v", devices)
	}
	want(t, s, 200, ask{method: http.MethodPost, path: path + "/confirm"}, &devices)
	if len(devices.Devices) != 2 {
		t.Errorf("devices once it is confirmed: %+v", devices)
	}
	refused(t, s, 404, demes.CodeUnknownDevice, ask{method: http.MethodDelete, path: path + "/nobody"})
	want(t, s, 200, ask{method: http.MethodDelete, path: path + "/" + apitest.Other.String()}, &devices)
	refused(t, s, 404, demes.CodeUnknownDevice, ask{method: http.MethodDelete, path: path + "/" + apitest.Other.String()})
	want(t, s, 200, ask{method: http.MethodPost, path: path + "/renew"}, nil)
}
