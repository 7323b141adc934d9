package fakes

import (
	"net/http"
	"sync"

	"keyflow/drm/widevine/wire"
)

// shortRequestLen is the length in bytes of a certificate request in its shortest form, 08 04 (sheet widevine.md §5.1).
const shortRequestLen = 2

// spoiltCertificates are what faults put in the place of the service certificate, by the fault's name. They are made when
// they are first asked for, and stay the same for the server's life.
type spoiltCertificates map[string]func() ([]byte, error)

func newSpoiltCertificates(a *Authority) spoiltCertificates {
	c := make(spoiltCertificates)
	for _, d := range definitions() {
		if d.certificate == nil {
			continue
		}
		c[d.Name] = sync.OnceValues(func() ([]byte, error) {
			signed, err := d.certificate(a)
			if err != nil {
				return nil, err
			}
			return marshal.Marshal(signed)
		})
	}
	return c
}

// serviceCertificate answers a certificate request with a SignedMessage of type SERVICE_CERTIFICATE, form 1 of sheet §5.2.
// What else stands in the request doesn't matter.
func (x *exchange) serviceCertificate() ([]byte, *refusal) {
	if x.acts(faultCertRefused) {
		return nil, refuse(http.StatusBadRequest, reasonNoCertificate, "this server has no service certificate")
	}
	if x.record.RequestBytes != shortRequestLen && x.acts(faultCertLengthExact) {
		return nil, refuse(http.StatusBadRequest, reasonMessageType, "a message of type 4 is no key request")
	}
	certificate, err := x.server.authority.ServiceCertificate(), error(nil)
	if fault := x.certificateFault(); fault != "" {
		certificate, err = x.server.spoilt[fault]()
	}
	kind := wire.SignedMessage_SERVICE_CERTIFICATE
	if x.acts(faultCertWrongType) {
		kind = wire.SignedMessage_LICENSE
	}
	var body []byte
	if err == nil {
		body, err = marshal.Marshal(&wire.SignedMessage{Type: kind.Enum(), Msg: certificate})
	}
	if err != nil {
		return nil, refuse(http.StatusInternalServerError, reasonInternal, "the service certificate could not be made")
	}
	return body, nil
}

// certificateFault returns the fault whose certificate is handed out, "" for none. Where several are on, the first in the
// table acts alone.
func (x *exchange) certificateFault() string {
	for _, d := range definitions() {
		if d.certificate == nil {
			continue
		}
		for _, a := range x.faults {
			if a.Name != d.Name || d.inTurn && a.turns.Add(1)%2 != 0 {
				continue
			}
			x.acted(d.Name)
			return d.Name
		}
	}
	return ""
}
