package loadtest

// destination is an endpoint, and what the shares weigh that go there.
type destination struct {
	lane     *lane
	endpoint endpoint
	weight   int64
}

// destinations returns where the first request of each share goes. Shares without a request, or of a run that is halted
// before they have one, go nowhere.
func (r *run) destinations() []destination {
	var all []destination
next:
	for share, weight := range r.mix.weights {
		target := r.minter.target(share)
		if target == nil {
			continue
		}
		d := destination{r.lanes[share], endpointOf(target), weight}
		for i := range all {
			if all[i].lane == d.lane && all[i].endpoint == d.endpoint {
				all[i].weight += d.weight
				continue next
			}
		}
		all = append(all, d)
	}
	return all
}

// reach opens the connections: together as many as there are workers, to each destination as many as fall to it, but one
// at least. The first to each tells whether there is anybody to answer.
func (r *run) reach() error {
	all := r.destinations()
	if len(all) == 0 {
		return nil
	}
	weights := make([]int64, len(all))
	for i, d := range all {
		weights[i] = d.weight
		if _, err := d.lane.pool.warm(r.halt.soft, d.endpoint, 1); err != nil && !r.halt.halted() {
			r.halt.stop(NotSentUnreachable)
			return &UnreachableError{Address: d.endpoint.address, Class: transportFailure(err).class, Err: err}
		}
	}
	if r.config.NewConnections {
		for _, d := range all { // those that showed that somebody answers: the first request must not find one open
			d.lane.pool.close()
		}
		return nil
	}
	mix, err := NewMix(weights...)
	if err != nil {
		return err
	}
	for i, n := range mix.divide(int64(r.config.Workers)) {
		// Fewer than wanted is no error: the transport dials again when it needs one, and what fails then is counted.
		_, _ = all[i].lane.pool.warm(r.halt.soft, all[i].endpoint, int(n-1))
	}
	return nil
}
