package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/tenancy-go/tenancy/internal/servertest"
)

// errMissing reports that this machine has no PostgreSQL server.
var errMissing = errors.New("pgtest: no PostgreSQL server is installed (looked for initdb and postgres in PATH and below " +
	debianRoot + "): install it, on Debian with apt-get install postgresql, or run make servers")

// debianRoot is where Debian keeps its servers: debianRoot/VERSION/bin.
const debianRoot = "/usr/lib/postgresql"

// installation is a directory that has both initdb and postgres.
type installation struct{ bin string }

// find returns the installation to use: of PATH, else the newest below root.
// Its error is errMissing.
func find(root string) (installation, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			path = resolved
		}
		if bin := filepath.Dir(path); complete(bin) {
			return installation{bin: bin}, nil
		}
	}
	for _, bin := range newestFirst(root) {
		if complete(bin) {
			return installation{bin: bin}, nil
		}
	}
	return installation{}, errMissing
}

// newestFirst lists root/VERSION/bin with the highest version first.
func newestFirst(root string) []string {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil
	}
	var versions []int
	for _, entry := range entries {
		if version, err := strconv.Atoi(entry.Name()); err == nil {
			versions = append(versions, version)
		}
	}
	slices.Sort(versions)
	slices.Reverse(versions)
	bins := make([]string, 0, len(versions))
	for _, version := range versions {
		bins = append(bins, filepath.Join(root, strconv.Itoa(version), "bin"))
	}
	return bins
}

// complete reports whether bin has all the programs that this package runs.
func complete(bin string) bool {
	for _, program := range []string{"initdb", "postgres"} {
		if info, err := os.Stat(filepath.Join(bin, program)); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// required reports whether a missing installation fails a test. Otherwise the
// test is skipped.
func required() bool {
	return servertest.Required()
}

// workspace makes the directory of one server, owned by the user who runs it,
// below the first temporary directory that this user may enter.
func workspace(user *account) (string, error) {
	for _, parent := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		if user != nil && !enterable(parent) {
			continue
		}
		sweep(parent)
		dir, err := os.MkdirTemp(parent, workspacePrefix)
		if err != nil {
			continue
		}
		if user != nil {
			if err := os.Chown(dir, user.UID, user.GID); err != nil {
				return "", errors.Join(fmt.Errorf("pgtest: %w", err), os.RemoveAll(dir))
			}
		}
		return dir, nil
	}
	return "", fmt.Errorf("pgtest: no temporary directory that the server's user may enter (tried %s, /tmp, /var/tmp)", os.TempDir())
}

// enterable reports whether every user may enter dir and all above it.
func enterable(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() || info.Mode()&0o001 == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}
