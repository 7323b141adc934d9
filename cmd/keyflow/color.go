package main

import "keyflow/reports"

// The SGR codes of what is told in colour: those that every terminal has, so that its theme decides.
const (
	sgrBold   = "1"
	sgrDim    = "2"
	sgrRed    = "31"
	sgrGreen  = "32"
	sgrYellow = "33"
)

// paint colours a text if that is wanted; a code of "" has no colour.
func paint(color bool, code, text string) string {
	if !color || code == "" {
		return text
	}
	return reports.Paint(text, code)
}
