package layering

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Package is what go list says of a package.
type Package struct {
	ImportPath string
	Standard   bool     // part of the standard library
	Imports    []string // by files that are not tests
	Module     *struct{ Path string }
}

// Graph is a module's packages with all that they link.
type Graph struct {
	module   string
	packages map[string]Package
}

// Load lists the packages of the module in dir and all their dependencies.
func Load(ctx context.Context, dir string) (*Graph, error) {
	module, err := command(ctx, dir, "go", "list", "-m")
	if err != nil {
		return nil, err
	}
	listing, err := command(ctx, dir, "go", "list", "-e", "-deps", "-json=ImportPath,Standard,Imports,Module", "./...")
	if err != nil {
		return nil, err
	}
	graph := &Graph{module: strings.TrimSpace(string(module)), packages: make(map[string]Package)}
	decoder := json.NewDecoder(bytes.NewReader(listing))
	for {
		var p Package
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return graph, nil
		} else if err != nil {
			return nil, fmt.Errorf("layering: read go list: %w", err)
		}
		graph.packages[p.ImportPath] = p
	}
}

// TopLevel lists what git tracks at the root of the checkout in dir. It is empty
// where there is no checkout, as in the module cache.
func TopLevel(ctx context.Context, dir string) ([]string, error) {
	if _, err := command(ctx, dir, "git", "rev-parse", "--git-dir"); err != nil {
		return nil, nil //nolint:nilerr // no checkout has no files to check
	}
	files, err := command(ctx, dir, "git", "ls-files", "-z")
	if err != nil {
		return nil, err
	}
	var names []string
	seen := make(map[string]bool)
	for file := range strings.SplitSeq(string(files), "\x00") {
		if name, _, _ := strings.Cut(file, "/"); name != "" && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names, nil
}

// command runs a program in dir and returns what it prints.
func command(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("layering: %s %s: %w: %s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return output, nil
}
