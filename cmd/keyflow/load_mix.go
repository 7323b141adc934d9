package main

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keyflow/drm"
	"keyflow/drm/nearest"
	"keyflow/drm/provider"
	"keyflow/loadtest"
)

// mixFlags say how the requests of each profile are divided further. Their weights multiply.
type mixFlags struct {
	assets []string
	kinds  []string
	bad    string

	// As read:
	assetWeights, kindWeights []loadtest.Weight // nil where the flag is not given
	badShare                  *big.Rat          // of the license requests
}

func (f *mixFlags) register(c *cobra.Command) {
	s := c.Flags()
	s.StringArrayVar(&f.assets, "mix-asset", nil, "shares of the assets by `NAME=WEIGHT,...` (default: all in turn)")
	s.StringArrayVar(&f.kinds, "mix-kind", nil, "shares of license, certificate and renewal by `KIND=WEIGHT,...`, or of one profile or system by NAME:KIND=WEIGHT (default: licenses only)")
	s.StringVar(&f.bad, "bad", "", "`N%` of the license requests have a broken signature and must be refused")
}

// given reports whether any of the flags is.
func (f *mixFlags) given() bool { return f.assets != nil || f.kinds != nil || f.bad != "" }

// kinds that a mix may have, in the order in which a report tells them.
var mixKinds = []string{string(drm.KindLicense), string(drm.KindCertificate), string(drm.KindRenewal)}

const (
	assetHint = "for example --mix-asset cenc-1key=3,cenc-3key=1; keyflow list assets shows the embedded ones"
	kindHint  = "for example --mix-kind license=8,certificate=1, or --mix-kind license=8,widevine:certificate=1 for one system"
	badHint   = "for example --bad 5%"
)

// leaves divides the streams as the flags say: by asset, kind, and good and bad license requests. Certificates are of no asset.
// Without the flags the streams stay what they are.
func (f *loadFlags) leaves(streams []*stream) ([]*stream, error) {
	if !f.parts.given() {
		return streams, nil
	}
	if err := f.parts.knowAssets(streams); err != nil {
		return nil, err
	}
	kinds, err := f.parts.kindsOf(streams)
	if err != nil {
		return nil, err
	}
	var all []*stream
	var shares []*big.Rat
	for i, st := range streams {
		for _, k := range kinds[i] {
			for _, part := range st.parts(drm.Kind(k.Name), f.parts.assetWeights, f.parts.badShare) {
				if f.parts.kinds == nil && f.parts.bad == "" {
					part.stream.kind = "" // all are licenses: there is nothing to tell apart
				}
				share := new(big.Rat).Mul(big.NewRat(st.weight*k.Weight, sum(kinds[i])), part.share)
				all, shares = append(all, part.stream), append(shares, share)
			}
		}
	}
	if f.parts.bad != "" && !slices.ContainsFunc(all, func(st *stream) bool { return st.bad }) {
		return nil, usage(errors.New("--bad: the run has no license requests"), "leave out --bad, or give licenses a weight with --mix-kind")
	}
	for i, w := range wholeNumbers(shares) {
		if !w.IsInt64() {
			return nil, usage(errors.New("the shares of the mix are too fine"), coarserHint)
		}
		all[i].weight = w.Int64()
	}
	return all, nil
}

const coarserHint = "coarser weights: all shares together are told in steps of 1/1000, for example --mix widevine=3,playready=1 --mix-kind license=9,certificate=1 --bad 10%"

// read reads the flags, as far as that can be done without knowing profiles and assets.
func (f *mixFlags) read(verify loadtest.Verify) error {
	var err error
	if f.assetWeights, err = readWeights("--mix-asset", f.assets, assetHint); err != nil {
		return err
	}
	if f.kindWeights, err = readWeights("--mix-kind", f.kinds, kindHint); err != nil {
		return err
	}
	for _, w := range f.kindWeights {
		if _, kind := whoseKind(w); !slices.Contains(mixKinds, kind) {
			return usage(fmt.Errorf("--mix-kind %s: unknown kind %q: %s", strings.Join(f.kinds, ","), kind, nearest.Hint(kind, mixKinds)), kindHint)
		}
	}
	f.badShare = new(big.Rat)
	if f.bad == "" {
		return nil
	}
	parts, whole, err := loadtest.ParsePercent(f.bad)
	if err != nil {
		return usage(fmt.Errorf("--bad: %w", err), badHint)
	}
	if verify == loadtest.VerifyNone {
		return usage(errors.New("--bad with --verify none: nobody would notice that a bad request is granted"), "for example --verify 1%")
	}
	f.badShare.SetFrac64(parts, whole)
	return nil
}

// readWeights reads the weights of a flag, nil if it is not given.
func readWeights(flag string, texts []string, hint string) ([]loadtest.Weight, error) {
	if texts == nil {
		return nil, nil
	}
	weights, err := loadtest.ParseWeights(strings.Join(texts, ","))
	if err != nil {
		return nil, usage(fmt.Errorf("%s: %w", flag, err), hint)
	}
	return weights, nil
}

// whoseKind splits KIND or NAME:KIND; who is "" for all.
func whoseKind(w loadtest.Weight) (who, kind string) {
	if who, kind, qualified := strings.Cut(w.Name, ":"); qualified {
		return who, kind
	}
	return "", w.Name
}

// part is a leaf and its share of the requests of one kind.
type part struct {
	stream *stream
	share  *big.Rat
}

// parts divides the stream's requests of a kind.
func (st *stream) parts(kind drm.Kind, assets []loadtest.Weight, bad *big.Rat) []part {
	leaf := func(share *big.Rat) part {
		own := *st
		own.of, own.kind = st, kind
		return part{&own, share}
	}
	if kind == drm.KindCertificate {
		return []part{leaf(big.NewRat(1, 1))}
	}
	if assets == nil {
		assets = []loadtest.Weight{{Weight: 1}}
	}
	var all []part
	for _, a := range assets {
		share := big.NewRat(a.Weight, sum(assets))
		spoilt := new(big.Rat)
		if kind == drm.KindLicense {
			spoilt.Mul(share, bad)
		}
		for _, p := range []part{leaf(new(big.Rat).Sub(share, spoilt)), leaf(spoilt)} {
			if p.share.Sign() == 0 {
				continue
			}
			p.stream.bad = p.share == spoilt
			if a.Name != "" {
				p.stream.asset = a.Name
				p.stream.targets = p.stream.targetsOf(a.Name)
			}
			all = append(all, p)
		}
	}
	return all
}

// leaf names the stream: its profile, and what tells it apart from the profile's other leaves.
func (st *stream) leaf() string {
	name := st.profile.ID
	if st.kind != "" {
		name += ", " + loadtest.OperationName(st.kind, st.bad)
	}
	if st.asset != "" {
		name += ", " + st.asset
	}
	return name
}

// profilesOf returns how many profiles the streams are for.
func profilesOf(streams []*stream) int {
	profiles := map[*provider.Profile]bool{}
	for _, st := range streams {
		profiles[st.profile] = true
	}
	return len(profiles)
}

func sum(weights []loadtest.Weight) int64 {
	var n int64
	for _, w := range weights {
		n += w.Weight
	}
	return n
}

// wholeNumbers returns the smallest whole numbers that are to each other like the shares.
func wholeNumbers(shares []*big.Rat) []*big.Int {
	multiple, divisor := big.NewInt(1), new(big.Int)
	for _, s := range shares {
		multiple.Mul(multiple, new(big.Int).Div(s.Denom(), new(big.Int).GCD(nil, nil, multiple, s.Denom())))
	}
	whole := make([]*big.Int, len(shares))
	for i, s := range shares {
		whole[i] = new(big.Int).Div(new(big.Int).Mul(s.Num(), multiple), s.Denom())
		divisor.GCD(nil, nil, divisor, whole[i])
	}
	for _, w := range whole {
		w.Div(w, divisor)
	}
	return whole
}

// knowAssets refuses weights of assets that are not those of the run.
func (f *mixFlags) knowAssets(streams []*stream) error {
	if f.assetWeights == nil {
		return nil
	}
	text := strings.Join(f.assets, ",")
	var names []string
	for _, t := range streams[0].targets {
		names = append(names, t.Asset.Name)
	}
	for _, w := range f.assetWeights {
		if !slices.Contains(names, w.Name) {
			return usage(fmt.Errorf("--mix-asset %s: unknown asset %q: %s", text, w.Name, nearest.Hint(w.Name, names)), assetHint)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(f.assetWeights, func(w loadtest.Weight) bool { return w.Name == name }) {
			return usage(fmt.Errorf("--mix-asset %s: %s has no weight", text, name), fmt.Sprintf("--mix-asset %s,%s=1, or name the assets of the run with --asset", text, name))
		}
	}
	return nil
}

// kindsOf returns the weights of each stream: those for all and its own; licenses only where there are none.
func (f *mixFlags) kindsOf(streams []*stream) ([][]loadtest.Weight, error) {
	all := make([][]loadtest.Weight, len(streams))
	for _, w := range f.kindWeights {
		if err := place(all, streams, w); err != nil {
			return nil, usage(fmt.Errorf("--mix-kind %s: %w", strings.Join(f.kinds, ","), err), kindHint)
		}
	}
	for i := range all {
		if all[i] == nil {
			all[i] = []loadtest.Weight{{Name: string(drm.KindLicense), Weight: 1}}
		}
		slices.SortFunc(all[i], func(a, b loadtest.Weight) int { return slices.Index(mixKinds, a.Name) - slices.Index(mixKinds, b.Name) })
	}
	return all, nil
}

// place gives the weight of KIND or NAME:KIND to the streams that it is for.
func place(all [][]loadtest.Weight, streams []*stream, w loadtest.Weight) error {
	who, kind := whoseKind(w)
	for i, st := range streams {
		if who != "" {
			own, err := find(streams, who)
			if err != nil {
				return err
			}
			if own != st {
				continue
			}
		}
		if slices.ContainsFunc(all[i], func(o loadtest.Weight) bool { return o.Name == kind }) {
			return fmt.Errorf("%s has two weights for %s", st.name(), kind)
		}
		if err := st.has(drm.Kind(kind)); err != nil {
			return err
		}
		all[i] = append(all[i], loadtest.Weight{Name: kind, Weight: w.Weight})
	}
	return nil
}

// has returns why there are no requests of a kind for the stream's profile, nil if there are.
func (st *stream) has(kind drm.Kind) error {
	p := st.profile
	switch mode := p.Certificate.Mode; {
	case kind == drm.KindLicense:
	case p.DRM == drm.PlayReady && kind == drm.KindCertificate:
		return fmt.Errorf("PlayReady has no service certificates, and %s is for it", p.ID)
	case p.DRM == drm.PlayReady:
		return fmt.Errorf("PlayReady has no renewals, and %s is for it", p.ID)
	case kind == drm.KindRenewal:
	case mode == provider.CertificateEmbedded:
		return fmt.Errorf("the service certificate of %s is a file of the profile (certificate.mode %s): nobody asks for it", p.ID, mode)
	case mode == "none" || mode == "unsupported" || p.Lacks(provider.CapabilityCertificate):
		return fmt.Errorf("the profile %s says that there is no service certificate to ask for", p.ID)
	}
	return nil
}
