package reports

import (
	"fmt"
	"strings"
)

// name tells the share apart from the others of its run: profile, and operation and asset where the mix has several.
func (s Share) name() string { return joined(s.Profile, s.Operation, s.Asset) }

// subject is the name without the operation, beside which it stands.
func (s Share) subject() string { return joined(s.Profile, s.Asset) }

// whose names the share that a sample is of, "" in a run that is no mix.
func (s Sample) whose() string { return joined(s.Profile, s.Operation, s.Asset) }

// joined lists the words that are not empty.
func joined(words ...string) string {
	var kept []string
	for _, w := range words {
		if w != "" {
			kept = append(kept, w)
		}
	}
	return strings.Join(kept, ", ")
}

// String tells in one sentence what was sent beside the plan.
func (p Prepared) String() string {
	text := fmt.Sprintf("beside the plan %s for %s to renew", plural(int(p.Requests), "license request", "license requests"), plural(int(p.Sessions), "session", "sessions"))
	if p.Replaced > 0 {
		text += fmt.Sprintf(", %s replaced", count(p.Replaced))
	}
	if p.Failed > 0 {
		text += fmt.Sprintf(", %s failed", count(p.Failed))
	}
	return text
}
