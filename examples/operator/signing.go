package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tenancy-go/tenancy/isolation/row"
)

// signingKey is a key that signs the tenants of sealed sessions, under row isolation.
type signingKey struct {
	key    row.Key
	secret []byte
}

func newSigningKey(id string) (signingKey, error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	key, err := row.NewKey(id, secret)
	return signingKey{key, secret}, err
}

// readSigningKeys reads a file of keys, one on a line: its ID, and its bytes in base64.
// The first one signs. There is at least one.
func readSigningKeys(path string) ([]signingKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("signing keys: %w", err)
	}
	var keys []signingKey
	for n, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		id, encoded, _ := strings.Cut(line, " ")
		secret, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("signing keys: %s, line %d: not in base64", path, n+1)
		}
		key, err := row.NewKey(id, secret)
		if err != nil {
			return nil, fmt.Errorf("signing keys: %s, line %d: %w", path, n+1, err)
		}
		keys = append(keys, signingKey{key, secret})
	}
	return keys, nil
}

// writeSigningKeys replaces the file as a whole, or not at all.
func writeSigningKeys(path string, keys []signingKey) error {
	var text bytes.Buffer
	for _, k := range keys {
		fmt.Fprintf(&text, "%s %s\n", k.key.ID(), base64.StdEncoding.EncodeToString(k.secret))
	}
	return replaceFile(path, func(file *os.File) error {
		_, err := file.Write(text.Bytes())
		return err
	})
}

// replaceFile has write fill a file that only the owner reads, and then puts it in the
// place of path: whoever reads it finds the old file or the new one, whole.
func replaceFile(path string, write func(*os.File) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".unfinished-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// wrappingIDs returns the IDs of the wrapping keys in a file of package envelope, and
// that of the one that wraps.
func wrappingIDs(path string) (ids []string, current string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	for line := range strings.Lines(string(text)) {
		id, _, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && !strings.HasPrefix(line, "#") {
			ids, current = append(ids, id), id // the last one wraps
		}
	}
	if current == "" {
		return nil, "", fmt.Errorf("%s: no keys", path)
	}
	return ids, current, nil
}
