package fakes

import (
	"encoding/json"
	"testing"

	"keyflow/drm"
)

// FuzzGoogleRequest reads arbitrary messages: what is accepted is JSON with what it must have, and its policy has no negative times.
func FuzzGoogleRequest(f *testing.F) {
	f.Add([]byte(`{"payload":"CAQ=","content_id":"AA==","provider":"p"}`))
	f.Add([]byte(`{"payload":"CAQ=","content_id":"AA==","provider":"p","allowed_track_types":"SD_HD","content_key_specs":[{"track_type":"SD","security_level":1,"required_output_protection":{"hdcp":"HDCP_NONE"},"key_id":"AAECAwQFBgcICQoLDA0ODw==","key":"AAECAwQFBgcICQoLDA0ODw=="}],"policy_overrides":{"can_play":true,"license_duration_seconds":3600,"renewal_server_url":"https://license.example/"}}`))
	f.Add([]byte(`{"payload":"CAQ=","content_id":"AA==","provider":"p","content_key_specs":null,"policy_overrides":{"license_duration_seconds":-1}}`))
	f.Add([]byte(`{"payload":"CAQ=","content_id":"AA==","provider":"p","content_key_specs":[[]]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := readMembers(text)
		if err != nil {
			return
		}
		q, flaw := readGoogleRequest(m)
		if flaw != nil {
			return
		}
		p := drm.Policy{}
		q.policy(&p)
		if !json.Valid(text) || len(q.payload) == 0 || q.provider == "" || negative(p) {
			t.Errorf("%s is read as %+v, %+v", text, q, p)
		}
	})
}
