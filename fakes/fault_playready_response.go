package fakes

import (
	"encoding/base64"
	"slices"
	"strings"

	"keyflow/drm"
)

// playReadyResponseFaults spoil the response around the licenses.
func playReadyResponseFaults() []definition {
	fault := func(name, description string, layer Layer, spoil func(*exchange, *playReadyResponse) bool) definition {
		return playReadyFault(name, description, layer, func(x *exchange, g *playReadyResponse, _ *drm.KID) bool { return spoil(x, g) })
	}
	return []definition{
		fault(faultPRNamespace, "the element License is in no namespace", Protocol, func(_ *exchange, g *playReadyResponse) bool {
			g.text = func(text string) string { return strings.ReplaceAll(text, "<License>", `<License xmlns="">`) }
			return true
		}),
		fault(faultPRContentType, "the response is of type application/octet-stream", HTTP, func(_ *exchange, g *playReadyResponse) bool {
			g.contentType = contentTypeBinary
			return true
		}),
		fault(faultPRCacheable, "the response may be cached by everybody for an hour", HTTP, func(_ *exchange, g *playReadyResponse) bool {
			g.cache = "public, max-age=3600"
			return true
		}),
		fault(faultPRNonceOfAnother, "the LicenseNonce of a signed response is not the request's", Protocol, func(_ *exchange, g *playReadyResponse) bool {
			if g.response.Nonce == "" {
				return false
			}
			g.response.Nonce = base64.StdEncoding.EncodeToString(random(licenseNonceLen))
			return true
		}),
		fault(faultPRUnsigned, "a response that is to be signed has no Signature, no SigningCertificateChain and no ResponseID", Protocol, unsigned),
		fault(faultPRResponseID, "the ResponseID of signed responses is the same in all", Protocol, func(x *exchange, g *playReadyResponse) bool {
			if g.response.ResponseID == nil {
				return false
			}
			g.response.ResponseID = slices.Concat(x.server.faultBytes("response id"), x.server.faultBytes("response id, second half"))
			return true
		}),
		fault(faultPRSignerForeign, "a response is signed under a certificate chain that ends at another root", Protocol, foreignSigner),
		fault(faultPRResponseDigest, "a line break is put into a signed response after its digest was taken", Protocol, func(_ *exchange, g *playReadyResponse) bool {
			if g.signed {
				g.tampered = func(text string) string { return strings.Replace(text, "<Licenses>", "\n<Licenses>", 1) }
			}
			return g.signed
		}),
		fault(faultPRTransactionConst, "the TransactionID for acknowledgements is the same in all responses", Protocol, func(x *exchange, g *playReadyResponse) bool {
			if g.response.Transaction == "" {
				return false
			}
			g.response.Transaction = drm.KID(x.server.faultBytes("transaction id")).String()
			return true
		}),
	}
}

// unsigned is a fault: the nonce stays, so that nothing else is wrong.
func unsigned(_ *exchange, g *playReadyResponse) bool {
	acted := g.signed
	g.signed, g.response.ResponseID, g.response.SigningChain = false, nil, nil
	return acted
}

// foreignSigner is a fault: the signature is right, and made by somebody else.
func foreignSigner(_ *exchange, g *playReadyResponse) bool {
	if !g.signed {
		return false
	}
	other, err := newPlayReadyAuthority(0)
	if err != nil {
		return false
	}
	g.signer, g.response.SigningChain = other.signer, other.signerChain.Raw
	return true
}
