package doctor

import (
	"keyflow/drm"
	"keyflow/drm/provider"
)

// transportHint says what to do where no whole answer came.
func transportHint(reason drm.Reason) string {
	switch reason {
	case provider.ReasonDNS:
		return "is the host name in the profile the one that the provider gave out?"
	case provider.ReasonRefused:
		return "nothing listens there: is the port right, and is the service up?"
	case provider.ReasonUnreachable:
		return "there is no way to that network from here: VPN, firewall, or an address that is private to the provider?"
	case provider.ReasonTimeout:
		return "nobody answered in time: a firewall that drops packets, an address that is not let in, or a service that hangs; --timeout allows more time"
	case provider.ReasonReset, provider.ReasonClosed:
		return "something on the way cuts the connection: a gateway that does not like the request, a client certificate that is missing, or a limit of connections"
	case provider.ReasonTruncated, provider.ReasonTooLarge:
		return "the answer is not whole: look at proxies on the way, and at response.max_bytes"
	case provider.ReasonTLS:
		return "the TLS connection broke after its handshake: does the server want a client certificate (request_tls, tls.NAME.client_cert)?"
	case provider.ReasonExhausted:
		return "this machine has no port or file descriptor left"
	}
	return "try it with another client, e.g. curl -v, from the same machine"
}

// classHints say what to do about refusals, by what the profile calls them.
var classHints = map[provider.ErrorClass]string{
	provider.ErrorAuthMissing:        "the service saw no token: does it look for it where the profile puts it (query, header, custom data, body)? Try the other variants with --variant",
	provider.ErrorAuthMalformed:      "the service cannot read the token: a lost + or = in a query, a missing scheme word, or quotes and line breaks in its file",
	provider.ErrorAuthInvalid:        "the service refuses the token: is it of this environment, test or production, signed with the right key, and for this host?",
	provider.ErrorAuthExpired:        "the token has expired: compare the clocks, and get a fresh one",
	provider.ErrorAuthReused:         "the token was used before: single_use and certificate.consumes_token of the profile say how often one serves",
	provider.ErrorGeoRefused:         "the service serves no client at this address: try it from where the viewers are",
	provider.ErrorRateLimited:        "too many requests: wait, and set limits in the profile",
	provider.ErrorServerTransient:    "the service says that it fails for the moment: try again, and ask its operator",
	provider.ErrorServerFault:        "the service itself fails: its operator's log says why",
	provider.ErrorEdgeHTML:           "a web page came, not the service: is the path right, and does a CDN, gateway or login stand before it (TR-11)?",
	provider.ErrorRequestMalformed:   "the service cannot read the request: compare the rendered request above with the provider's document. It may also be its way to refuse a device that it does not know: --identity DIR gives it one that it does",
	provider.ErrorRequestUnsupported: "the service does not serve this kind of request: compare the rendered request above with the provider's document",
	provider.ErrorNotEntitled:        "the token was understood and is not for this content: --asset FOLDER asks for yours",
	provider.ErrorKeyUnknown:         "the service has no key for this content: were its keys ingested, in this environment, under these KIDs?",
	provider.ErrorPolicyRefused:      "the service's policy refuses the device or the content: its operator knows which rule",
	provider.ErrorDeviceRejected:     "the service does not trust the device: --identity DIR gives it one that the vendor issued",
}
