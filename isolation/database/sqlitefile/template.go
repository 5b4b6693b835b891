package sqlitefile

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

const templateFile = workDir + "/template.db"

// template is the content of a new home. The strategy's lock guards it. It is
// kept in memory, where nobody can change it.
type template struct {
	content []byte
	source  [sha256.Size]byte // of the migrations that made it
}

// current returns the template of the migrations as they are now.
func (t *template) current(ctx context.Context, s *Strategy) ([]byte, error) {
	source, err := digest(s.migrations)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	if t.content != nil && t.source == source {
		return t.content, nil
	}
	content, err := s.buildTemplate(ctx)
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	t.content, t.source = content, source
	return content, nil
}

// buildTemplate migrates an empty file and returns its content.
func (s *Strategy) buildTemplate(ctx context.Context) (content []byte, err error) {
	f, err := s.dir.OpenFile(templateFile, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.sweep()) }()
	if err := f.Close(); err != nil {
		return nil, err
	}
	if err := s.migrate(ctx, s.dir.path(templateFile)); err != nil {
		return nil, err
	}
	// SQLite removes the log when the last connection closes, with all of it in
	// the file. If it did not, the file is not whole.
	if _, err := s.dir.Lstat(templateFile + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(errors.New("its write-ahead log could not be written back"), err)
	}
	return s.dir.ReadFile(templateFile)
}

// digest returns what tells one set of migrations from another.
func digest(fsys fs.FS) (sum [sha256.Size]byte, err error) {
	if fsys == nil {
		return sum, nil
	}
	names, err := fs.Glob(fsys, "*")
	if err != nil {
		return sum, err
	}
	hash := sha256.New()
	for _, name := range names {
		content, err := fs.ReadFile(fsys, name)
		if err != nil {
			if info, statErr := fs.Stat(fsys, name); statErr == nil && info.IsDir() {
				continue
			}
			return sum, err
		}
		for _, part := range [][]byte{[]byte(name), content} {
			hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
			hash.Write(part)
		}
	}
	return [sha256.Size]byte(hash.Sum(nil)), nil
}
