package envelope

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A key file is lines of text:
//
//	# wrapping keys of envelope; the last one wraps
//	2025-06 base64
//	2026-11 base64
//
// Keys are added at the end and become the current one by MakeCurrent, which moves
// them there.
const keyFileHead = "# wrapping keys of envelope; the last one wraps\n"

const maxKeyFile = 1 << 20

// namedKey is a line of a key file.
type namedKey struct {
	id  string
	key *secret
}

// OpenKeyring reads a keyring from a file that [CreateKeyFile] made. A file that
// anyone but its owner can read or write is refused with [ErrPermissions]. A change
// of the file is seen by those who open it afterwards.
func OpenKeyring(path string) (*Keyring, error) {
	keys, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	defer wipe(keys)
	byID := make(map[string][]byte, len(keys))
	for _, k := range keys {
		byID[k.id] = k.key[:]
	}
	return NewKeyring(keys[len(keys)-1].id, byID)
}

// CreateKeyFile makes a file with one random wrapping key, readable by its owner
// alone. It never writes over a file. An empty id stands for today's date.
func CreateKeyFile(path, id string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("envelope: %w: %s", fs.ErrExist, path)
	}
	return changeKeyFile(path, func(keys []namedKey) ([]namedKey, error) {
		if keys != nil {
			return nil, fmt.Errorf("envelope: %w: %s", fs.ErrExist, path)
		}
		return addKey(nil, id)
	})
}

// AddKey adds a random wrapping key to a key file, for unwrapping at first: where
// several processes share keys, each has to know a key before one of them wraps
// with it. [MakeCurrent] does the rest.
func AddKey(path, id string) error {
	return changeKeyFile(path, func(keys []namedKey) ([]namedKey, error) {
		keys, err := addKey(keys, id)
		if n := len(keys); err == nil && n > 1 {
			keys[n-1], keys[n-2] = keys[n-2], keys[n-1]
		}
		return keys, err
	})
}

// MakeCurrent makes a wrapping key of the file the one that wraps.
func MakeCurrent(path, id string) error {
	return changeKeyFile(path, func(keys []namedKey) ([]namedKey, error) {
		i, err := find(keys, id)
		if err != nil {
			return nil, err
		}
		k := keys[i]
		return append(slices.Delete(keys, i, i+1), k), nil
	})
}

// RemoveKey destroys a wrapping key of the file. What it still wraps is lost:
// [Keys.WrappingKeys] tells. The current one is not removed.
func RemoveKey(path, id string) error {
	return changeKeyFile(path, func(keys []namedKey) ([]namedKey, error) {
		i, err := find(keys, id)
		if err != nil {
			return nil, err
		}
		if i == len(keys)-1 {
			return nil, fmt.Errorf("envelope: wrapping key %q is the current one; make another current first", id)
		}
		return slices.Delete(keys, i, i+1), nil
	})
}

func addKey(keys []namedKey, id string) ([]namedKey, error) {
	if id == "" {
		id = time.Now().UTC().Format(time.DateOnly)
	}
	if err := checkKeyID(id); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(keys, func(k namedKey) bool { return k.id == id }) {
		return nil, fmt.Errorf("envelope: there is a wrapping key %q already", id)
	}
	var key secret
	_, _ = rand.Read(key[:]) // never fails: crypto/rand ends the program instead
	return append(keys, namedKey{id, &key}), nil
}

func find(keys []namedKey, id string) (int, error) {
	i := slices.IndexFunc(keys, func(k namedKey) bool { return k.id == id })
	if i < 0 {
		return 0, fmt.Errorf("%w: %.130q", ErrUnknownKey, id)
	}
	return i, nil
}

func wipe(keys []namedKey) {
	for _, k := range keys {
		clear(k.key[:])
	}
}

// changeKeyFile replaces a key file by what change makes of its keys: nil if there
// is no file. Others see the old file or the new one, whole. One process does so at
// a time.
func changeKeyFile(path string, change func([]namedKey) ([]namedKey, error)) (err error) {
	lock := path + ".lock"
	f, err := os.OpenFile(lock, os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("envelope: another process changes the key file, or died while it did; then remove %s", lock)
	}
	if err != nil {
		return fmt.Errorf("envelope: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(lock)) }()

	keys, err := readKeyFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer func() { wipe(keys) }()
	changed, err := change(slices.Clone(keys))
	if err != nil {
		return err
	}
	keys = changed
	text := formatKeyFile(keys)
	defer clear(text)
	return writeFile(path, text)
}

// writeFile writes a file of the owner's alone, to disk, and puts it in the place
// of the one at path in one step.
func writeFile(path string, text []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("envelope: %w", err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("envelope: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return syncDir(dir)
}

// syncDir makes a new name in a directory outlive a loss of power. Some systems
// cannot, and need not.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the directory of the host's own file
	if err != nil {
		return fmt.Errorf("envelope: %w", err)
	}
	_ = d.Sync()
	return d.Close()
}

func readKeyFile(path string) ([]namedKey, error) {
	text, err := readPrivate(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	keys, err := parseKeyFile(text)
	if err != nil {
		return nil, fmt.Errorf("envelope: key file %s: %w", path, err)
	}
	return keys, nil
}

// readPrivate reads a file if it is its owner's alone.
func readPrivate(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the host's own file
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	defer f.Close()
	info, err := f.Stat() // of what was opened, not of what may be at path by now
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	if err := checkPrivate(path, info); err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("envelope: %s is %d bytes long; want %d at most", path, info.Size(), limit)
	}
	text := make([]byte, info.Size())
	if _, err := io.ReadFull(f, text); err != nil {
		return nil, fmt.Errorf("envelope: %s: %w", path, err)
	}
	return text, nil
}

func checkPrivate(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("envelope: %s is no regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 && permissionsCount {
		return fmt.Errorf("%w: %s has mode %04o", ErrPermissions, path, info.Mode().Perm())
	}
	return nil
}

func formatKeyFile(keys []namedKey) []byte {
	text := make([]byte, 0, len(keyFileHead)+len(keys)*(maxKeyID+2+44))
	text = append(text, keyFileHead...)
	for _, k := range keys {
		text = append(append(text, k.id...), ' ')
		text = base64.StdEncoding.AppendEncode(text, k.key[:])
		text = append(text, '\n')
	}
	return text
}

func parseKeyFile(text []byte) ([]namedKey, error) {
	var keys []namedKey
	for n, line := range bytes.Split(text, []byte{'\n'}) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		id, encoded, _ := bytes.Cut(line, []byte{' '})
		key, err := parseSecret(bytes.TrimSpace(encoded))
		if err == nil {
			err = checkKeyID(string(id))
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		if slices.ContainsFunc(keys, func(k namedKey) bool { return k.id == string(id) }) {
			return nil, fmt.Errorf("line %d: its ID is there twice", n+1)
		}
		keys = append(keys, namedKey{string(id), key})
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key in it")
	}
	return keys, nil
}
