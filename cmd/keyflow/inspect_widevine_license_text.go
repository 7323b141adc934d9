package main

import (
	"fmt"
	"strings"
)

func (a *app) printWVLicense(l *inspectedWVLicense) {
	if l.ID != nil {
		a.printLicenseID(l.ID)
	} else if !l.Partly {
		a.printLine("license id", "none")
	}
	a.printTime("license start", l.Start)
	if l.Policy != nil {
		a.printWVPolicy(l.Policy)
	} else if !l.Partly {
		a.printLine("policy", "none: the license does not allow to play")
	}
	a.printLine("protection scheme", l.Scheme)
	a.printLine("VMP status", l.Verification)
	a.printFlag("remote attestation", l.Attested)
	a.printBytes("client token", l.ClientToken)
	a.printTold("SRM requirement", l.SRM)
	a.printBytes("SRM update", l.SRMUpdate)
	for _, g := range l.GroupIDs {
		a.printTold("group id", g)
	}
	if l.KeyContainers == 0 && !l.Partly {
		a.printLine("keys", "none")
	}
}

func (a *app) printKeys(l *inspectedWVLicense) {
	for i, k := range l.Keys {
		fmt.Fprintf(a.out, "\nkey %d\n", i+1)
		a.printKeyBox(k)
	}
	if more := l.KeyContainers - len(l.Keys); more > 0 {
		fmt.Fprintf(a.out, "\n%d more keys are not shown\n", more)
	}
}

func (a *app) printLicenseID(id *inspectedLicenseID) {
	a.printTold("request id", id.RequestID)
	a.printTold("session id", id.SessionID)
	a.printBytes("purchase id", id.PurchaseID)
	a.printLine("license type", orDefault(id.Type, "1 (STREAMING)"))
	if id.Version != nil {
		a.printLine("version", fmt.Sprint(*id.Version))
	}
	a.printBytes("session token", id.SessionToken)
}

// printFlag prints a truth value that is stated.
func (a *app) printFlag(name string, b *bool) {
	if b != nil {
		a.printLine(name, yesNo(*b))
	}
}

func (a *app) printWVPolicy(p *inspectedWVPolicy) {
	if p.CanPlay == nil {
		a.printLine("can play", "not stated, reads as no")
	}
	a.printFlag("can play", p.CanPlay)
	a.printFlag("can persist", p.CanPersist)
	a.printFlag("can renew", p.CanRenew)
	a.printLimit("license duration", p.License)
	a.printLimit("rental duration", p.Rental)
	a.printLimit("playback duration", p.Playback)
	a.printLimit("grace period", p.GracePeriod)
	a.printFlag("soft playback end", p.SoftPlayback)
	a.printFlag("soft rental end", p.SoftRental)
	a.printWords("renewal delay", p.RenewalDelay)
	a.printWords("renewal retry", p.RetryInterval)
	a.printLimit("renewal recovery", p.Recovery)
	a.printLine("renewal URL", p.RenewalURL)
	a.printFlag("renew at start", p.RenewWithUsage)
	a.printFlag("renewal shows id", p.IncludeClientID)
}

// printLimit prints a window in which something is allowed; 0 is without a limit (sheet widevine.md §4.11).
func (a *app) printLimit(name string, n *int64) {
	if n != nil {
		a.printLine(name, seconds(*n))
	}
}

func (a *app) printKeyBox(k inspectedKeyBox) {
	if !k.Partly || k.Type != "" {
		a.printLine("type", orDefault(k.Type, "1 (SIGNING)"))
	}
	switch {
	case k.KID != nil:
		a.printLine("KID", k.KID.String())
	case k.OddID != "":
		a.printLine("id, no KID", k.OddID)
	default:
		a.printLine("KID", "none")
	}
	a.printTold("track label", k.Track)
	a.printLine("security level", k.Level)
	a.printBytes("IV", k.IV)
	if k.Key > 0 {
		text := fingerprinted(k.Key, k.Fingerprint)
		if k.Means != "" {
			text += ", " + k.Means
		}
		a.printLine("wrapped key", text)
	}
	a.printProtection("required output", k.Required)
	a.printProtection("requested output", k.Requested)
	for _, c := range k.Constraints {
		text := "any resolution"
		switch {
		case c.Min != nil && c.Max != nil:
			text = fmt.Sprintf("%d to %d pixels", *c.Min, *c.Max)
		case c.Min != nil:
			text = fmt.Sprintf("%d pixels or more", *c.Min)
		case c.Max != nil:
			text = fmt.Sprintf("at most %d pixels", *c.Max)
		}
		if c.Required != nil {
			text += ": " + protectionText(c.Required)
		}
		a.printLine("constraint", text)
	}
	if c := k.Control; c != nil {
		a.printLine("key control", fmt.Sprintf("block %s, IV %s", plural(c.Block, "byte"), plural(c.IV, "byte")))
	}
	a.printLine("permissions", strings.Join(k.Permissions, ", "))
	a.printFlag("usage table", k.AntiRollback)
	for _, r := range k.Remarks {
		a.printLine("remark", r)
	}
}

func (a *app) printProtection(name string, p *inspectedProtection) {
	if p != nil {
		a.printLine(name, protectionText(p))
	}
}

func protectionText(p *inspectedProtection) string {
	var parts []string
	for _, x := range []struct{ name, value string }{{"HDCP", p.HDCP}, {"CGMS", p.CGMS}, {"SRM rule", p.SRMRule}} {
		if x.value != "" {
			parts = append(parts, x.name+" "+x.value)
		}
	}
	for _, x := range []struct {
		name  string
		value *bool
	}{{"analog output", p.DisableAnalog}, {"digital output", p.DisableDigital}} {
		switch {
		case x.value == nil:
		case *x.value:
			parts = append(parts, x.name+" disabled")
		default:
			parts = append(parts, x.name+" not disabled")
		}
	}
	return orElse(strings.Join(parts, ", "), "nothing stated")
}
