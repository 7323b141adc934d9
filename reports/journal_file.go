package reports

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"keyflow/drm/secret"
)

// journalSuffix names the journal of a run that goes on: DIR.journal beside the DIR of its report.
const journalSuffix = ".journal"

// JournalPath returns where the journal of a run is whose report goes to dir.
func JournalPath(dir string) string { return filepath.Clean(dir) + journalSuffix }

// IsJournal reports whether the file at path begins like a journal of any version.
func IsJournal(path string) bool { return begins(path, JournalSchema) }

// Journal is the file into which a run is streamed. It is removed when the run's report has been written, and stays if the
// process ends without one.
type Journal struct {
	*JournalWriter
	Path string
	// Kept is where the journal of an earlier run went that had ended without a report, "" if there was none.
	Kept string

	file *os.File
}

// CreateJournal begins the journal of a run whose report is to go to dir. A journal that is there is kept under another
// name; anything else is refused with [ErrForeign].
func CreateJournal(dir string, h JournalHead, vault *secret.Vault) (*Journal, error) {
	j := &Journal{Path: JournalPath(dir)}
	if err := j.create(h, vault); err != nil {
		return nil, fmt.Errorf("begin the journal %s: %w", j.Path, err)
	}
	return j, nil
}

func (j *Journal) create(h JournalHead, vault *secret.Vault) (err error) {
	if err = os.MkdirAll(filepath.Dir(j.Path), dirMode); err != nil {
		return err
	}
	if j.Kept, err = makeWay(j.Path); err != nil {
		return err
	}
	j.file, err = os.OpenFile(j.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o644) //nolint:gosec // redacted as a report is; the umask decides
	if err != nil {
		return err
	}
	if j.JournalWriter, err = NewJournalWriter(j.file, h, vault); err != nil {
		return errors.Join(err, j.Remove())
	}
	return nil
}

// Close ends the journal and leaves it where it is.
func (j *Journal) Close() error { return j.file.Close() }

// Remove ends the journal and removes it, unless another run has taken its place.
func (j *Journal) Remove() error {
	own, err := j.file.Stat()
	err = errors.Join(err, j.file.Close())
	if err != nil {
		return err
	}
	there, err := os.Lstat(j.Path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(own, there) {
		return nil
	}
	return errors.Join(err, os.Remove(j.Path))
}

// makeWay renames a journal after the time of its last line. An empty one has nothing to keep.
func makeWay(path string) (kept string, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > 0 && !IsJournal(path) {
		return "", ErrForeign
	}
	if info.Size() == 0 {
		return "", os.Remove(path)
	}
	name := path + "-" + info.ModTime().UTC().Format("20060102T150405Z")
	kept = name
	for n := 2; ; n++ {
		if _, err := os.Lstat(kept); errors.Is(err, fs.ErrNotExist) {
			return kept, os.Rename(path, kept)
		} else if err != nil {
			return "", err
		}
		kept = fmt.Sprintf("%s-%d", name, n)
	}
}
