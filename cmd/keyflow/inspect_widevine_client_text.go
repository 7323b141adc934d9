package main

import (
	"fmt"
	"strings"
)

// printClient prints a client identification; of one that is not whole it is not known what else it would state.
func (a *app) printClient(c *inspectedClient, partly bool) {
	a.printLine("client", "in the clear")
	if !partly || c.Type != "" {
		a.printLine("token type", orDefault(c.Type, "0 (KEYBOX)"))
	}
	a.printBytes("token", c.Token)
	for _, i := range c.Info {
		a.printLine("client info", told(i.Name)+": "+told(i.Value))
	}
	a.printBytes("client token", c.ClientToken)
	printNumber(a, "license counter", c.Counter)
	if c.Capabilities != nil {
		a.printCapabilities(c.Capabilities)
	}
	if c.VMP != nil {
		a.printVMP(c.VMP)
	} else if !partly {
		a.printLine("VMP data", "none")
	}
	for _, d := range c.Credentials {
		a.printLine("device credential", d)
	}
}

func (a *app) printCapabilities(c *inspectedCapabilities) {
	for _, x := range []struct {
		name  string
		value *bool
	}{
		{"client token", c.ClientToken}, {"session token", c.SessionToken}, {"video resolution constraints", c.Resolution},
		{"anti-rollback usage table", c.AntiRollback}, {"can update SRM", c.UpdatesSRM}, {"can disable analog output", c.DisablesAnalog},
	} {
		if x.value != nil {
			a.printLine("capability", x.name+": "+yesNo(*x.value))
		}
	}
	for _, x := range []struct{ name, value string }{
		{"maximum HDCP version", c.MaxHDCP}, {"certificate keys", strings.Join(c.CertificateKeys, ", ")}, {"analog output", c.Analog},
	} {
		if x.value != "" {
			a.printLine("capability", x.name+": "+x.value)
		}
	}
	for _, x := range []struct {
		name  string
		value *uint32
	}{{"OEMCrypto API version", c.API}, {"SRM version", c.SRM}, {"resource rating tier", c.ResourceTier}} {
		if x.value != nil {
			a.printLine("capability", fmt.Sprintf("%s: %d", x.name, *x.value))
		}
	}
}

func (a *app) printVMP(v *inspectedVMP) {
	a.printLine("VMP data", fmt.Sprintf("%s, signer %s", plural(v.Bytes, "byte"), plural(v.Signer, "byte")))
	for _, f := range v.Files {
		text := fmt.Sprintf("%s, hash %s, signature %s", told(f.Name), plural(f.Hash, "byte"), plural(f.Signature, "byte"))
		if f.Main {
			text += ", main executable"
		}
		if f.TestSigning {
			text += ", test signing"
		}
		a.printLine("VMP file", text)
	}
}

func (a *app) printChain(chain []inspectedCert) {
	for i, c := range chain {
		fmt.Fprintf(a.out, "\ncertificate %d, %s, fingerprint %s\n", i+1, plural(c.Bytes, "byte"), orElse(string(c.Fingerprint), "none"))
		a.printCertificate(c)
	}
}

func (a *app) printCertificate(c inspectedCert) {
	a.printLine("type", orDefault(c.Type, "0 (ROOT)"))
	a.printSerial("serial number", c.Serial, c.SerialFingerprint)
	printNumber(a, "system id", c.SystemID)
	if c.TestDevice {
		a.printLine("test device", "yes")
	}
	a.printTold("provider id", c.Provider)
	a.printLine("service types", strings.Join(c.Services, ", "))
	a.printTime("created", c.Created)
	if c.Expires == nil || c.Expires.Unix == 0 {
		a.printLine("expires", "never")
	} else {
		a.printTime("expires", c.Expires)
	}
	a.printKey("public key", c.Key)
	a.printKey("encryption key", c.EncryptionKey)
	a.printBytes("root of trust id", c.RootOfTrust)
	a.printLine("hash algorithm", c.Hash)
	text := plural(c.Signature, "byte")
	switch {
	case c.SignatureVerifies == nil:
	case *c.SignatureVerifies:
		text += ", verifies under " + c.Under
	default:
		text += ", does not verify under " + c.Under
	}
	a.printLine("signature", text)
}

func (a *app) printKey(name string, k *inspectedKeyInfo) {
	if k == nil {
		return
	}
	text := fingerprinted(k.Bytes, k.Fingerprint)
	if k.Bits > 0 {
		text = fmt.Sprintf("RSA, %d bits, ", k.Bits) + text
	} else {
		text += ", no PKCS#1 key"
	}
	if k.Algorithm != "" {
		text += ", algorithm " + k.Algorithm
	}
	a.printLine(name, text)
}
