package corpus

import (
	"context"
	"sync"
	"sync/atomic"
)

// filledAhead is how many entries each worker may be ahead of the writer.
const filledAhead = 16

// Fill has n entries made by workers side by side, and writes them in the order of their numbers whatever order they are
// made in. It ends with the first error; how many entries were written before the first that is missing is told by
// [Writer.Entries]. mint is called with numbers from 0, by several goroutines, and must obey its context.
func (w *Writer) Fill(ctx context.Context, n int64, workers int, mint func(context.Context, int64) (Entry, error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := newFilling(workers * filledAhead)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			if err := f.work(ctx, n, mint); err != nil {
				cancel(err)
			}
		})
	}
	err := f.write(ctx, n, w.Add)
	cancel(err)
	group.Wait()
	return err
}

// filling is a ring with a place for each entry that may be made ahead.
type filling struct {
	room chan struct{} // one for each entry that was begun and is not written
	ring []chan Entry  // entry i waits at i modulo the length
	next atomic.Int64
}

func newFilling(places int) *filling {
	f := &filling{room: make(chan struct{}, places), ring: make([]chan Entry, places)}
	for i := range f.ring {
		f.ring[i] = make(chan Entry, 1)
	}
	return f
}

func (f *filling) place(i int64) chan Entry { return f.ring[i%int64(len(f.ring))] }

// work makes entries until there are n, each only when the one a round before it has been written.
func (f *filling) work(ctx context.Context, n int64, mint func(context.Context, int64) (Entry, error)) error {
	for {
		select {
		case f.room <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		i := f.next.Add(1) - 1
		if i >= n {
			return nil
		}
		e, err := mint(ctx, i)
		if err != nil {
			return err
		}
		f.place(i) <- e // it is free
	}
}

func (f *filling) write(ctx context.Context, n int64, add func(Entry) error) error {
	for i := range n {
		select {
		case e := <-f.place(i):
			if err := add(e); err != nil {
				return err
			}
			<-f.room
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
