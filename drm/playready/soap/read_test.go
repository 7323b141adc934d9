package soap_test

import (
	"strings"
	"testing"

	"keyflow/drm/playready/soap"
)

// TestReadPartly: what was read before an error is there to be shown, and Parse does not hand it out.
func TestReadPartly(t *testing.T) {
	t.Parallel()
	text := vectorLA(t).Text()
	public := key(t, deviceScalar).Public()
	whole := string(soap.ChallengeBody(text, soap.SignedInfo(soap.Digest(text)), unb64(t, challengeValue), public[:]))
	for name, c := range map[string]struct {
		old, replacement string
		nonce, header    bool // whether they were read
	}{
		"no signature":     {"Signature", "Seal", true, true},
		"no public key":    {"PublicKey", "Key", true, true},
		"no base64":        {"<SignatureValue>", "<SignatureValue>!", true, true},
		"no encrypted key": {"EncryptedKey", "EncryptedKeys", true, true},
		"no header":        {"ContentHeader", "Headers", true, false},
		"two nonces":       {"<LicenseNonce>", "<LicenseNonce></LicenseNonce><LicenseNonce>", false, false},
	} {
		body := []byte(strings.ReplaceAll(whole, c.old, c.replacement))
		got, err := soap.ReadChallenge(body)
		if err == nil || got == nil || (got.Nonce != "") != c.nonce || (got.Header != "") != c.header || got.Version != "1" || got.SignedInfo != "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if got, err := soap.ParseChallenge(body); err == nil || got != nil {
			t.Errorf("%s: parsed, %v", name, err)
		}
	}
	for name, body := range map[string]string{
		"second LA": strings.Replace(whole, "<challenge>", `<LA xmlns="http://schemas.microsoft.com/DRM/2007/03/protocols"></LA><challenge>`, 1), "cut": whole[:len(whole)/2],
	} {
		if got, err := soap.ReadChallenge([]byte(body)); err == nil || got != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	response := string(soap.ResponseBody(vectorResponse(t).Text(false), "", nil))
	body := []byte(strings.Replace(response, "</Licenses>", "</Licenses><RevInfo><Revocation><ListID></ListID><ListID></ListID></Revocation></RevInfo>", 1))
	if a, err := soap.ReadAnswer(body); err == nil || a == nil || len(a.Response.Licenses) != 1 || len(a.Response.ResponseID) != 32 {
		t.Errorf("response: %+v, %v", a, err)
	}
	if a, err := soap.ParseAnswer(body); err == nil || a != nil {
		t.Errorf("response: parsed, %v", err)
	}
	fault := strings.Replace(string(soap.FaultBody(soap.Fault{Text: "no", Code: soap.CodeInternalError})), "<StatusCode>", "<StatusCode></StatusCode><StatusCode>", 1)
	if a, err := soap.ReadAnswer([]byte(fault)); err == nil || a == nil || a.Fault == nil || a.Fault.Text != "no" {
		t.Errorf("fault: %+v, %v", a, err)
	}
}

func TestCodeName(t *testing.T) {
	t.Parallel()
	if soap.CodeInternalError.Name() != "DRM_E_SERVER_INTERNAL_ERROR" || soap.Code(1).Name() != "" || soap.Code(1).String() != "0x00000001" {
		t.Errorf("%q, %q, %q", soap.CodeInternalError.Name(), soap.Code(1).Name(), soap.Code(1))
	}
}
