package loadtest

import (
	"errors"
	"fmt"
	"time"

	"keyflow/drm/nearest"
)

// CheckObjectives reports objectives that the run cannot decide whatever the server does: of a share that it does not have,
// or by windows that do not fit. The plan and the warm-up must be valid.
func (c Config) CheckObjectives() error {
	var errs []error
	for i, s := range c.SLOs {
		if s.text == "" {
			errs = append(errs, fmt.Errorf("SLO %d is empty", i))
			continue
		}
		if problem := c.undecidable(s); problem != "" {
			errs = append(errs, fmt.Errorf("SLO %s: %s", s.text, problem))
		}
	}
	return errors.Join(errs...)
}

// undecidable returns why the run cannot decide an objective, or "".
func (c Config) undecidable(s SLO) (problem string) {
	if s.share != "" {
		if problem = c.unknownShare(s.share); problem != "" {
			return problem
		}
	}
	length, seconds := int(s.window/time.Second), firstSecond(c.Plan.Duration)-firstSecond(c.WarmUp)
	if 2*seconds < length {
		return fmt.Sprintf("%d whole seconds are measured, less than half a window", seconds)
	}
	return ""
}

// unknownShare returns what is wrong with the name of a share, or "". What was meant may as well be an operation.
func (c Config) unknownShare(name string) (problem string) {
	names := kinds()
	for _, share := range c.Shares {
		names = append(names, share.Profile.ID, string(share.Profile.DRM))
		if name != share.Profile.ID && name != string(share.Profile.DRM) {
			continue
		}
		if len(c.Shares) == 1 {
			return fmt.Sprintf("%s has all requests of the run: leave the name out", name)
		}
		return ""
	}
	return fmt.Sprintf("unknown operation or share %q: %s", name, nearest.Hint(name, names))
}
