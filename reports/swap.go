package reports

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// dirMode is that of a report's directories: a redacted report is for others to read; the umask decides.
const dirMode = 0o755

// create opens a new file to write into.
type create func(path string) (io.WriteCloser, error)

func createFile(path string) (io.WriteCloser, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // a redacted report is for others to read; the umask decides
}

// put writes the files into a new directory beside the place and then swaps it in; it reports whether a report had to
// make way. If it fails, what was there is there still.
func (p site) put(files []rendered, open create) (had bool, err error) {
	work, fresh, err := p.workDir()
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	for _, f := range files {
		if err := putFile(fresh, f, open); err != nil {
			return false, fmt.Errorf("%w; what was there is unchanged", err)
		}
	}
	return p.swap(fresh, filepath.Join(work, "old"))
}

// try does what [site.put] does first, and undoes it.
func (p site) try() error {
	work, _, err := p.workDir()
	if err != nil {
		return err
	}
	return os.RemoveAll(work)
}

// workDir makes a private directory beside the place, on its file system, and in it the directory that is to become
// the report.
func (p site) workDir() (work, fresh string, err error) {
	parent := filepath.Dir(p.dir)
	if err = os.MkdirAll(parent, dirMode); err != nil {
		return "", "", err
	}
	if work, err = os.MkdirTemp(parent, "."+filepath.Base(p.dir)+".new-"); err != nil {
		return "", "", err
	}
	fresh = filepath.Join(work, "report") // MkdirTemp's own directory is closed to others; this one obeys the umask
	if err = os.Mkdir(fresh, dirMode); err != nil {
		return "", "", errors.Join(err, os.RemoveAll(work))
	}
	return work, fresh, nil
}

func putFile(dir string, f rendered, open create) (err error) {
	path := filepath.Join(dir, filepath.FromSlash(f.Name))
	if err = os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return err
	}
	w, err := open(path)
	if err != nil {
		return fmt.Errorf("create %s: %w", f.Name, err)
	}
	_, err = w.Write(f.Data)
	if err = errors.Join(err, w.Close()); err != nil { // a full network disk tells on close
		return fmt.Errorf("write %s: %w", f.Name, err)
	}
	return nil
}

// swap moves the fresh directory to the place. A report that is there goes to .previous, and the one that is there to
// old; had tells that this was so.
func (p site) swap(fresh, old string) (had bool, err error) {
	moves := []move{{fresh, p.dir}}
	if full(p.dir) {
		had = true
		moves = []move{{p.previous, old}, {p.dir, p.previous}, {fresh, p.dir}}
		if _, err := os.Lstat(p.previous); errors.Is(err, fs.ErrNotExist) {
			moves = moves[1:]
		}
	} else if err := os.Remove(p.dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // empty: a rename would not replace it
		return false, err
	}
	for i, m := range moves {
		if err := os.Rename(m.from, m.to); err != nil {
			return false, errors.Join(err, undo(moves[:i]))
		}
	}
	return had, nil
}

type move struct{ from, to string }

// undo takes moves back, the last one first.
func undo(done []move) error {
	var errs []error
	for i := len(done) - 1; i >= 0; i-- {
		errs = append(errs, os.Rename(done[i].to, done[i].from))
	}
	return errors.Join(errs...)
}

// full reports whether dir is a directory that holds something.
func full(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) > 0
}
