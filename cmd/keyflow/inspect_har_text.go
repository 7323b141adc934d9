package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

func (a *app) printArchive(v inspectedArchive) {
	fmt.Fprintf(a.out, "%s: %s, %s, %d of license services\n", v.Name, v.Kind, plural(v.Entries, "entry"), len(v.Exchanges)+v.More)
	for _, x := range v.Exchanges {
		a.printExchange(x, false)
	}
	if v.More > 0 {
		fmt.Fprintf(a.out, "\n%d more exchanges are not shown\n", v.More)
	}
	if v.Others > 0 {
		fmt.Fprintf(a.out, "\n%s, not of a license service as far as their bytes tell\n", plural(v.Others, "other entry"))
	}
	if v.Lost > 0 {
		fmt.Fprintf(a.out, "note: of %d of them the archive does not hold the request's body: save it with content\n", v.Lost)
	}
	for _, p := range v.Problems {
		fmt.Fprintf(a.out, "\nproblem: %s\n", p)
	}
}

// printExchange prints an exchange as a block: in short with header fields by name alone.
func (a *app) printExchange(x inspectedExchange, full bool) {
	fmt.Fprintf(a.out, "\n[%d] %s: %s %s\n", x.Index, x.Kind, told(x.Method), x.URL)
	if x.Started != nil {
		a.printLine("time", fmt.Sprintf("%s, %s", x.Started.Format("2006-01-02T15:04:05.000Z07:00"), time.Duration(x.Took*float64(time.Millisecond)).Round(time.Microsecond)))
	}
	a.printFields("request header", x.RequestHeaders, full, x.Kind)
	a.printBody("request", x.Request)
	status := fmt.Sprint(x.Status)
	if text := http.StatusText(x.Status); text != "" {
		status += " " + text
	}
	if x.Status == 0 {
		status = "none: the browser got no answer, or did not show it to the page"
	}
	if x.Failure != "" {
		status += ", " + told(x.Failure)
	}
	a.printLine("status", status)
	a.printLine("leads to", x.Redirect)
	a.printFields("answer header", x.AnswerHeaders, full, x.Kind)
	a.printBody("answer", x.Answer)
}

// printFields prints header fields with their values, or the names alone; of a preflight its questions and answers always.
func (a *app) printFields(name string, fields []inspectedField, full bool, kind string) {
	var names []string
	for _, f := range fields {
		cors := kind == kindPreflight && strings.HasPrefix(strings.ToLower(f.Name), "access-control-")
		switch {
		case !full && !cors:
			names = append(names, told(f.Name))
		case f.Hidden > 0:
			a.printLine(name, fmt.Sprintf("%s, %s, not shown", told(f.Name), plural(f.Hidden, "byte")))
		default:
			a.printLine(name, told(f.Name)+": "+told(f.Value))
		}
	}
	if len(names) > 0 {
		a.printLine(name+"s", strings.Join(names, ", "))
	}
}

func (a *app) printBody(name string, b *inspectedBody) {
	if b == nil {
		a.printLine(name, "no body")
		return
	}
	var parts []string
	if b.Type != "" {
		parts = append(parts, told(b.Type))
	}
	if b.Bytes > 0 {
		parts = append(parts, plural(b.Bytes, "byte"))
	}
	text := strings.Join(parts, ", ")
	if b.Summary != "" {
		text += ": " + b.Summary
	}
	a.printLine(name, text)
	if b.Lost != "" {
		a.printLine(name+" is lost", b.Lost)
	}
}

// printEntry prints one exchange in full, with its messages.
func (a *app) printEntry(archive string, x inspectedExchange) {
	fmt.Fprintf(a.out, "%s: %s, entry %d\n", archive, kindArchive, x.Index)
	a.printExchange(x, true)
	for _, part := range []struct {
		name string
		body *inspectedBody
	}{{"request", x.Request}, {"answer", x.Answer}} {
		if part.body != nil && part.body.Message != nil {
			fmt.Fprintln(a.out)
			part.body.Message.Name = part.name
			a.printMessage(part.body.Message)
		}
	}
}
