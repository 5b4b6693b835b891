package envelope

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// FileJournal is a [Journal] in a file that only grows, one line of JSON for each
// tombstone. Several processes of one machine may share it. Keep it where backups
// of the store do not reach.
type FileJournal struct {
	mu         sync.Mutex // guards all below
	file       *os.File
	read       int64 // how much of the file is in tombstones
	tombstones map[tenant.ID]Tombstone
}

var _ Journal = (*FileJournal)(nil)

// entry is a line of the file.
type entry struct {
	Tenant tenant.ID `json:"tenant"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// maxEntry bounds a line.
const maxEntry = 64 << 10

// OpenFileJournal opens the journal at path, and makes it if it is not there. Close
// it in the end.
func OpenFileJournal(path string) (*FileJournal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600) //nolint:gosec // the host's own file
	if err != nil {
		return nil, fmt.Errorf("envelope: journal: %w", err)
	}
	j := &FileJournal{file: f, tombstones: make(map[tenant.ID]Tombstone)}
	j.mu.Lock()
	defer j.mu.Unlock()
	err = j.catchUp()
	if err == nil && j.read == 0 {
		err = syncDir(filepath.Dir(path)) // it may have been made just now
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return j, nil
}

// Close closes the file.
func (j *FileJournal) Close() error { return j.file.Close() }

// Shred implements [Journal]. There are no keys here to destroy.
func (j *FileJournal) Shred(ctx context.Context, t Tombstone) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.Tenant.Validate(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.catchUp(); err != nil {
		return err
	}
	if _, gone := j.tombstones[t.Tenant]; gone {
		return nil
	}
	line, err := json.Marshal(entry{t.Tenant, stamp(t.At), t.Reason})
	if err != nil || len(line) > maxEntry {
		return fmt.Errorf("envelope: journal: tombstone of %s does not fit into a line: %w", t.Tenant, err)
	}
	// One write, so that lines of several processes do not mix. The first newline
	// ends what a process may have left when it died.
	if _, err := j.file.Write(append(append([]byte{'\n'}, line...), '\n')); err != nil {
		return fmt.Errorf("envelope: journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("envelope: journal: %w", err)
	}
	if err := j.catchUp(); err != nil {
		return err
	}
	if _, gone := j.tombstones[t.Tenant]; !gone {
		return fmt.Errorf("envelope: journal: the tombstone of %s was written and is not there", t.Tenant)
	}
	return nil
}

// Tombstone implements [Journal].
func (j *FileJournal) Tombstone(ctx context.Context, id tenant.ID) (Tombstone, bool, error) {
	if err := ctx.Err(); err != nil {
		return Tombstone{}, false, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.catchUp(); err != nil {
		return Tombstone{}, false, err
	}
	t, gone := j.tombstones[id]
	return t, gone, nil
}

// Tombstones implements [Journal].
func (j *FileJournal) Tombstones(ctx context.Context, after tenant.ID, limit int) ([]Tombstone, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.catchUp(); err != nil {
		return nil, err
	}
	return page(j.tombstones, after, limit), nil
}

// catchUp reads what was appended to the file, by whatever process.
func (j *FileJournal) catchUp() error {
	info, err := j.file.Stat()
	if err != nil {
		return fmt.Errorf("envelope: journal: %w", err)
	}
	switch {
	case info.Size() == j.read:
		return nil
	case info.Size() < j.read:
		return fmt.Errorf("envelope: journal %s has become shorter; was an old copy put in its place?", j.file.Name())
	}
	tail := make([]byte, info.Size()-j.read)
	if _, err := io.ReadFull(io.NewSectionReader(j.file, j.read, int64(len(tail))), tail); err != nil {
		return fmt.Errorf("envelope: journal: %w", err)
	}
	n, found, err := parseJournal(tail)
	if err != nil {
		return fmt.Errorf("envelope: journal %s, after byte %d: %w", j.file.Name(), j.read, err)
	}
	for id, t := range found {
		if _, gone := j.tombstones[id]; !gone {
			j.tombstones[id] = t
		}
	}
	j.read += int64(n)
	return nil
}

// parseJournal reads whole lines, and tells how long they are. A line that breaks
// off is not counted: it may still be being written. One that another line follows was
// left by a process that died; nobody was told that it was done.
func parseJournal(text []byte) (n int, found map[tenant.ID]Tombstone, err error) {
	found = make(map[tenant.ID]Tombstone)
	for {
		line, _, whole := bytes.Cut(text[n:], []byte{'\n'})
		if !whole {
			return n, found, nil
		}
		n += len(line) + 1
		if len(line) == 0 {
			continue
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			if torn(line) {
				continue
			}
			return 0, nil, fmt.Errorf("a line is no tombstone: %w", err)
		}
		if err := e.Tenant.Validate(); err != nil {
			return 0, nil, fmt.Errorf("a line is no tombstone: %w", err)
		}
		if _, twice := found[e.Tenant]; !twice {
			found[e.Tenant] = Tombstone{Tenant: e.Tenant, At: stamp(e.At), Reason: e.Reason}
		}
	}
}

// torn reports whether line is the beginning of an entry.
func torn(line []byte) bool {
	const start = `{"tenant":"`
	return bytes.HasPrefix(line, []byte(start[:min(len(start), len(line))])) && !bytes.HasSuffix(line, []byte{'}'})
}
