package fakes

import (
	"slices"
	"sync"
	"sync/atomic"

	"keyflow/drm"
)

// board holds the faults that are set and counts what they did. It is safe for concurrent use; requests read it without
// a lock.
type board struct {
	mu        sync.Mutex // serializes changes
	set       atomic.Pointer[[]*armed]
	exercised map[string]*atomic.Uint64 // by name, made once
}

// armed is a setting that is on.
type armed struct {
	Setting
	system drm.System   // of the fault, "" for every one
	seen   atomic.Int64 // requests in scope
	turns  atomic.Int64 // of a fault that acts every other time: how often it could have
}

func newBoard() *board {
	b := &board{exercised: make(map[string]*atomic.Uint64)}
	for _, n := range names() {
		b.exercised[n] = new(atomic.Uint64)
	}
	b.set.Store(new([]*armed))
	return b
}

// add turns faults on beside those that are set, or in their place. It changes nothing if a setting isn't valid.
func (b *board) add(settings []Setting, replace bool) error {
	if err := validateAll(settings); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	known := Catalogue()
	var set []*armed
	if !replace {
		set = slices.Clone(*b.set.Load())
	}
	for _, s := range settings {
		if s.KID != nil {
			kid := *s.KID
			s.KID = &kid
		}
		i := slices.IndexFunc(known, func(f Fault) bool { return f.Name == s.Name })
		set = append(set, &armed{Setting: s, system: known[i].System}) // the setting is valid: there is one
	}
	b.set.Store(&set)
	return nil
}

// has reports whether the fault is set, for any request.
func (b *board) has(name string) bool {
	return slices.ContainsFunc(*b.set.Load(), func(a *armed) bool { return a.Name == name })
}

func (b *board) settings() []Setting {
	set := *b.set.Load()
	out := make([]Setting, len(set))
	for i, a := range set {
		out[i] = a.Setting
	}
	return out
}

// covers reports whether a request is one of the fault's system, and in the setting's scope.
func (a *armed) covers(system drm.System, operation drm.Kind, kids []drm.KID) bool {
	return (a.system == "" || a.system == system) && (a.Operation == "" || a.Operation == operation) &&
		(a.KID == nil || slices.Contains(kids, *a.KID))
}

// strikes reports whether the fault acts on the nth request in scope.
func (a *armed) strikes(n int64) bool {
	switch {
	case a.Nth > 0:
		return n == int64(a.Nth)
	case a.Every > 0:
		return n%int64(a.Every) == 0
	}
	return true
}

// match counts the request for every setting that has it in scope and returns those that are on for it.
func (b *board) match(system drm.System, operation drm.Kind, kids []drm.KID) []*armed {
	var on []*armed
	for _, a := range *b.set.Load() {
		if !a.covers(system, operation, kids) {
			continue
		}
		if a.strikes(a.seen.Add(1)) {
			on = append(on, a)
		}
	}
	return on
}

// count returns on how many requests the fault has acted.
func (b *board) count(name string) uint64 {
	if n, ok := b.exercised[name]; ok {
		return n.Load()
	}
	return 0
}
