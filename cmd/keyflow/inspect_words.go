package main

import (
	"fmt"
	"strconv"
	"strings"
)

// seconds returns a duration in seconds and in words.
func seconds(n int64) string {
	switch {
	case n == 0:
		return "0 s (no limit)"
	case n < 0:
		return fmt.Sprintf("%d s (negative)", n)
	}
	return fmt.Sprintf("%d s (%s)", n, words(n))
}

// words returns a positive number of seconds as days, hours, minutes and seconds.
func words(n int64) string {
	var parts []string
	for _, unit := range []struct {
		name    string
		seconds int64
	}{{"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}} {
		count := n / unit.seconds
		n %= unit.seconds
		switch {
		case count == 1:
			parts = append(parts, "1 "+unit.name)
		case count > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", count, unit.name))
		}
	}
	return strings.Join(parts, " ")
}

// plural returns a number and its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		noun = stem + "ie"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// ascii returns a stranger's text for a terminal, with what is not printable ASCII escaped.
func ascii(s string) string {
	quoted := strconv.QuoteToASCII(s)
	return quoted[1 : len(quoted)-1]
}
