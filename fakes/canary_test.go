package fakes_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/wire"
	"keyflow/fakes"
)

// TestNoSecretGetsOut looks for every private key, content key and secret, by value and in any encoding, in all that a
// server says under every fault: answers, history, log and management.
func TestNoSecretGetsOut(t *testing.T) {
	t.Parallel()
	vault := secret.NewVault()
	canary := secret.New([]byte("canary! 16 bytes"))
	var logged journal
	s := start(t, fakes.Options{
		Keys: map[drm.KID]secret.Bytes{kid0: canary}, DeriveKIDs: []drm.KID{kid1},
		Log: logged.add,
	})
	s.AddTo(vault)
	privacyKey := randomBytes(16)
	vault.Add("privacy-key", secret.New(privacyKey))
	encrypted := func(p privacy) []byte {
		p.key = privacyKey
		return ask{edit: private(t, p)}.make(t).body
	}
	wrong := wrongPrivacy(t)
	isTrue(t, len(vault.Names([]byte("… canary! 16 bytes …"))) == 1) // it would be found
	var said bytes.Buffer
	tell := func(method, url string, body []byte) {
		answer, err := do(t.Context(), method, url, body)
		fmt.Fprintf(&said, "%v %v\n", err, answer.header)
		said.Write(answer.body)
	}
	bodies := [][]byte{
		ask{}.make(t).body,
		ask{pssh: [][]byte{psshData(unknown)}}.make(t).body,
		ask{envelope: func(m *wire.SignedMessage) { m.Signature = nil }}.make(t).body,
		ask{device: authority(t, foreign).Devices()[0]}.make(t).body,
		encrypted(privacy{}), encrypted(wrong["padding of 17"]), encrypted(wrong["id is no protobuf"]), encrypted(wrong["another serial"]),
		ask{edit: func(m *wire.LicenseRequest) { m.ClientId = nil }}.make(t).body,
		{8, 4}, {}, []byte("garbage"),
	}
	for _, f := range append(fakes.Catalogue(), fakes.Fault{}) {
		switch f.Name {
		case "never-answers", "malformed-hangs", "endless-body": // nothing to see, or the same zero for 1 GiB
			continue
		case "":
			s.ClearFaults()
		default:
			must(t, s.SetFaults(fakes.Named(f.Name)...))
		}
		for _, body := range bodies {
			tell(http.MethodPost, s.LicenseURL(), body)
		}
	}
	for _, path := range []string{"/healthz", "/requests", "/faults", "/clock", "/nothing"} {
		tell(http.MethodGet, s.ManagementURL()+path, nil)
	}
	tell(http.MethodPut, s.ManagementURL()+"/faults", []byte(`{"faults":[{"name":"x"}]}`))
	history, err := json.Marshal(s.Requests())
	must(t, err)
	for what, text := range map[string][]byte{
		"answers": said.Bytes(), "log": []byte(logged.String()), "history": history,
		"values": fmt.Appendf(nil, "%v %+v %#v", s, s.Authority(), s.Requests()),
	} {
		if len(text) < 1000 && what != "values" {
			t.Errorf("%s: only %d bytes to look at", what, len(text))
		}
		if names := vault.Names(text); len(names) > 0 {
			t.Errorf("%s hold %v", what, names)
		}
	}
}

// TestVaultKnowsTheFiles shows that the vault finds every private file of an authority as it stands on disk.
func TestVaultKnowsTheFiles(t *testing.T) {
	t.Parallel()
	a, dir, vault := authority(t, trusted), t.TempDir(), secret.NewVault()
	must(t, a.Write(dir))
	a.AddTo(vault)
	for file, want := range map[string]string{
		"secret.pem": "authority-secret", "root_key.pem": "authority-root-key", "model_key.pem": "authority-model-key",
		"service_key.pem": "authority-service-key", "service_certificate.bin": "",
		"devices/1/private_key.pem": "device-1-key", "devices/2/private_key.pem": "device-2-key",
		"devices/1/client_id.bin": "", "authority.json": "", "root_public_key.der": "", "README.txt": "",
	} {
		content, err := os.ReadFile(filepath.Join(dir, file))
		must(t, err)
		names := vault.Names(content)
		if want == "" && len(names) > 0 || want != "" && (len(names) != 1 || names[0] != want) {
			t.Errorf("%s: found %v, want %q", file, names, want)
		}
	}
}
