package wire

import (
	"strings"
	"testing"

	"github.com/demes-chat/demes"
)

func TestDeviceLinks(t *testing.T) {
	maker, device := demes.DeviceID{1}, demes.DeviceID{2}
	link := &DeviceLink{
		Account: make([]byte, 32), Secret: []byte("sixteen bytes !!"), NotAfterMs: 5,
		Contacts: []*Contact{{Device: maker[:], Addresses: []string{"/ip4/127.0.0.1/udp/1"}}},
	}
	text := PutDeviceLink(link)
	read, err := GetDeviceLink(text[:20] + "\n " + text[20:])
	if err != nil || !IsProof(read, device, ProveDevice(link, device)) {
		t.Fatalf("a device link with a line break: %v", err)
	}
	if code := DeviceCode(read, device); len(code) != 6 || code != DeviceCode(link, device) || code == DeviceCode(link, maker) {
		t.Errorf("code %q of one device, %q of another", code, DeviceCode(link, maker))
	}
	if IsProof(read, maker, ProveDevice(link, device)) || IsProof(read, device, nil) {
		t.Error("another device's proof holds")
	}
	read.Secret[0]++
	if IsProof(read, device, ProveDevice(link, device)) {
		t.Error("the proof of another secret holds")
	}
	for _, bad := range []string{"", DeviceLinkPrefix, text[:len(text)-9], strings.Replace(text, "device", "join", 1), PutDeviceLink(&DeviceLink{})} {
		if _, err := GetDeviceLink(bad); err == nil {
			t.Errorf("%q is a device link", bad)
		}
	}
}
