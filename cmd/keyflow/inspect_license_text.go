package main

import (
	"fmt"
	"time"
)

func (a *app) printLicense(l *inspectedLicense) {
	if l.KID != nil {
		a.printLine("KID", l.KID.String())
	}
	a.printLine("Rights ID", l.RightsID)
	a.printLine("key type", l.KeyType)
	a.printLine("cipher type", l.CipherType)
	a.printLine("form", l.Form)
	a.printBytes("encrypted key", l.EncryptedKey)
	a.printLine("device key", l.DeviceKey)
	if l.Auxiliary > 0 {
		a.printLine("auxiliary keys", fmt.Sprint(l.Auxiliary))
	}
	if l.Root != nil {
		a.printLine("root KID", l.Root.String())
	}
	if l.Policy != nil {
		a.printPolicy(l.Policy)
	}
	for _, o := range l.Unread {
		text := "type " + o.Type
		if o.Name != "" {
			text += " (" + o.Name + ")"
		}
		a.printLine("not read", fmt.Sprintf("%s, flags %s, %d bytes", text, o.Flags, o.Bytes))
	}
	a.printLine("problem", l.Problem)
}

func (a *app) printPolicy(p *inspectedPolicy) {
	if p.Play != nil {
		a.printLine("right to play", yesNo(*p.Play))
	}
	a.printPersistence(p)
	printNumber(a, "security level", p.SecurityLevel)
	if e := p.Expiration; e != nil {
		a.printLine("begins", boundText(e.Begin))
		a.printLine("ends", boundText(e.End))
	}
	a.printDate("issued", p.Issued)
	a.printSeconds("after first play", p.FirstPlay)
	a.printSeconds("grace period", p.GracePeriod)
	a.printDate("removal date", p.RemovalDate)
	if p.RealTime {
		a.printLine("real-time expiry", "yes: it ends during playback too")
	}
	if o := p.Output; o != nil {
		a.printLine("output protection", fmt.Sprintf("compressed video %d, uncompressed video %d, analog video %d, compressed audio %d, uncompressed audio %d",
			o.CompressedVideo, o.UncompressedVideo, o.AnalogVideo, o.CompressedAudio, o.UncompressedAudio))
	}
	a.printItems("analog video", p.AnalogVideo)
	a.printItems("digital audio", p.DigitalAudio)
	a.printItems("digital video", p.DigitalVideo)
	a.printItems("play enabler", p.PlayEnablers)
	a.printItems("copy enabler", p.CopyEnablers)
	printNumber(a, "move enabler", p.MoveEnabler)
	printNumber(a, "copy count", p.CopyCount)
	printNumber(a, "revocation version", p.Revocation)
	printNumber(a, "embedding", p.Embedding)
	printNumber(a, "source id", p.SourceID)
	if d := p.Domain; d != nil {
		a.printLine("domain", fmt.Sprintf("account %s, revision %d", d.Account, d.Revision))
	}
	a.printLine("metering id", p.MeteringID)
	a.printLine("secure stop", p.SecureStop)
	for _, m := range p.Metadata {
		a.printLine("policy metadata", fmt.Sprintf("%s, %d bytes", m.ID, m.Bytes))
	}
}

// printPersistence says where the license may be kept: without settings it may be stored (sheet playready.md §8.1).
func (a *app) printPersistence(p *inspectedPolicy) {
	if p.CannotPersist == nil {
		return
	}
	where, settings := "may be stored", "no settings"
	if *p.CannotPersist {
		where = "in memory only"
	}
	if p.Settings != nil {
		settings = fmt.Sprintf("settings 0x%04x", *p.Settings)
	}
	a.printLine("persistence", where+" ("+settings+")")
}

func (a *app) printItems(name string, items []inspectedItem) {
	for _, i := range items {
		text := i.ID.String()
		if i.Name != "" {
			text += " (" + i.Name + ")"
		}
		if i.Data != "" {
			text += ", data " + i.Data
		}
		if i.Bytes > maxItemData {
			text += fmt.Sprintf(" … (%d bytes)", i.Bytes)
		}
		if i.Means != "" {
			text += ": " + i.Means
		}
		a.printLine(name, text)
	}
}

func printNumber[N int | uint16 | uint32](a *app, name string, n *N) {
	if n != nil {
		a.printLine(name, fmt.Sprint(*n))
	}
}

func (a *app) printDate(name string, t *time.Time) {
	if t != nil {
		a.printLine(name, t.Format(time.RFC3339))
	}
}

func (a *app) printSeconds(name string, n *int64) {
	if n != nil {
		a.printLine(name, (time.Duration(*n) * time.Second).String())
	}
}

func boundText(t *time.Time) string {
	if t == nil {
		return "no bound"
	}
	return t.Format(time.RFC3339)
}
