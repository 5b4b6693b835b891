package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// config is the platform's configuration file. Paths in it are relative to its folder,
// and $NAME stands for a variable of the environment, so that no password is in it.
type config struct {
	Control    control      `json:"control"`
	Secrets    string       `json:"secrets"`              // folder of the keys and passwords
	KeyTTL     string       `json:"key_ttl"`              // how long a process relies on keys that it read: the same for all
	Migrations string       `json:"migrations,omitempty"` // folder; those of the program if empty
	Default    string       `json:"default_cell"`         // where provision puts tenants
	Cells      []cellConfig `json:"cells"`

	dir string // of the file
}

// control is the platform's own database, with the registry, the placements, the ledger
// of migrations, the journal of moves and the wrapped keys: a SQLite file, or a database
// on a PostgreSQL server.
type control struct {
	File     string `json:"file,omitempty"`
	Server   string `json:"server,omitempty"`   // administrator's postgres:// URL
	Database string `json:"database,omitempty"` // on it, made by init
}

// cellConfig is a place for tenants: a strategy on a server.
type cellConfig struct {
	Name     string `json:"name"`
	Strategy string `json:"strategy"` // row, schema, database or sqlite
	Region   string `json:"region,omitempty"`
	Server   string `json:"server,omitempty"`   // administrator's postgres:// URL
	Database string `json:"database,omitempty"` // on it, made by init; under database, the one in which processes take turns
	Role     string `json:"role,omitempty"`     // that the tenants' statements run as
	Prefix   string `json:"prefix,omitempty"`   // of the names of tenants' databases
	Folder   string `json:"folder,omitempty"`   // of SQLite files
}

func readConfig(path string, env func(string) string) (config, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return config{}, usagef("there is no %s: run operator init, or name another with -config", path)
	}
	if err != nil {
		return config{}, err
	}
	var c config
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return config{}, usagef("%s: %v", path, err)
	}
	c.dir = filepath.Dir(path)
	missing := c.expand(env)
	switch {
	case len(missing) > 0:
		slices.Sort(missing)
		return config{}, usagef("%s wants %s in the environment", path, strings.Join(slices.Compact(missing), ", "))
	case c.Control == control{} || c.Secrets == "" || len(c.Cells) == 0:
		return config{}, usagef("%s: want control, secrets and cells", path)
	}
	return c, nil
}

// expand puts the environment's values in place of their names, and returns those that
// it lacks.
func (c *config) expand(env func(string) string) (missing []string) {
	value := func(name string) string {
		v := env(name)
		if v == "" {
			missing = append(missing, name)
		}
		return v
	}
	for _, text := range c.texts() {
		*text = os.Expand(*text, value)
	}
	return missing
}

func (c *config) texts() []*string {
	texts := []*string{&c.Control.File, &c.Control.Server, &c.Secrets, &c.Migrations}
	for i := range c.Cells {
		texts = append(texts, &c.Cells[i].Server, &c.Cells[i].Folder)
	}
	return texts
}

// write makes the file. It never writes over one.
func (c config) write(path string) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	return errors.Join(err, file.Close())
}

// path returns a path of the configuration as the process finds it.
func (c config) path(name ...string) string {
	joined := filepath.Join(name...)
	if filepath.IsAbs(joined) {
		return joined
	}
	return filepath.Join(c.dir, joined)
}

// secret returns the path of a file in the folder of secrets.
func (c config) secret(name string) string { return c.path(c.Secrets, name) }

// sqliteFile returns the DSN of a SQLite database in which writers wait for each other,
// and readers for nobody. What is deleted is overwritten: there are keys in it.
func sqliteFile(path string) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("control database: %w", err)
	}
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(full)}
	return file.String() + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=secure_delete(1)", nil
}
