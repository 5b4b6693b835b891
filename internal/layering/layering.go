package layering

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// cores are the packages at the top that hosts import.
var cores = []string{"tenant", "isolation", "quota", "branding", "billing", "authn"}

// light are the modules that a core may link.
var light = []string{
	"github.com/hashicorp/golang-lru/v2",
	"github.com/shopspring/decimal",
	"golang.org/x/sync",
	"golang.org/x/time",
}

// idna turns international host names into ASCII. The package tenant may import
// it, and so every core links it and what it needs in turn.
const idna = "golang.org/x/net/idna"

var idnaNeeds = []string{
	"golang.org/x/text/secure/bidirule",
	"golang.org/x/text/transform",
	"golang.org/x/text/unicode/bidi",
	"golang.org/x/text/unicode/norm",
}

// topLevel is all that may lie at the module's root.
var topLevel = append([]string{
	"examples", "docs", "internal",
	"go.mod", "go.sum", "doc.go", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
	"Makefile", ".ci", ".golangci.yml", ".gitignore", ".gitattributes", ".editorconfig",
}, cores...)

// CheckTopLevel returns a sentence for each name that does not belong at the
// module's root.
func CheckTopLevel(names []string) []string {
	var problems []string
	for _, name := range names {
		if !slices.Contains(topLevel, name) {
			problems = append(problems, name+" does not belong at the top level")
		}
	}
	return problems
}

// Check returns a sentence for each breach of the rules, sorted.
func (g *Graph) Check() []string {
	var problems []string
	for _, p := range g.packages {
		rel, own := g.relative(p.ImportPath)
		if !own {
			continue
		}
		if slices.Contains(cores, rel) {
			problems = append(problems, g.checkLinks(p)...)
		}
		for _, imported := range p.Imports {
			if why := g.checkImport(rel, imported); why != "" {
				problems = append(problems, fmt.Sprintf("%s imports %s: %s", rel, imported, why))
			}
		}
	}
	slices.Sort(problems)
	return problems
}

// relative returns an import path below the module, and whether it lies there.
// The module's root is ".".
func (g *Graph) relative(importPath string) (rel string, own bool) {
	if importPath == g.module {
		return ".", true
	}
	return strings.CutPrefix(importPath, g.module+"/")
}

// checkLinks finds what a core links, directly or not, and may not.
func (g *Graph) checkLinks(core Package) []string {
	via := g.links(core.ImportPath)
	var problems []string
	for _, linked := range slices.Sorted(maps.Keys(via)) {
		if !g.mayLink(linked) {
			problems = append(problems, fmt.Sprintf("%s links %s", core.ImportPath, chain(via, linked)))
		}
	}
	return problems
}

// links finds every package that start links, each with one that imports it.
func (g *Graph) links(start string) map[string]string {
	via := make(map[string]string)
	queue := []string{start}
	for len(queue) > 0 {
		importer := queue[0]
		queue = queue[1:]
		for _, imported := range g.packages[importer].Imports {
			if _, seen := via[imported]; !seen && imported != start {
				via[imported] = importer
				queue = append(queue, imported)
			}
		}
	}
	return via
}

// chain tells how a core comes to link a package.
func chain(via map[string]string, linked string) string {
	text := linked
	for importer, found := via[linked]; found; importer, found = via[importer] {
		if _, further := via[importer]; further {
			text += ", through " + importer
		}
	}
	return text
}

// mayLink reports whether a core may link a package. The module's own are judged
// import by import.
func (g *Graph) mayLink(linked string) bool {
	if _, own := g.relative(linked); own || g.standard(linked) {
		return true
	}
	if linked == idna || slices.Contains(idnaNeeds, linked) {
		return true
	}
	return slices.ContainsFunc(light, func(module string) bool { return within(linked, module) })
}

// standard reports whether a package is the standard library's. "C" and "unsafe"
// have no files of their own.
func (g *Graph) standard(importPath string) bool {
	return importPath == "C" || importPath == "unsafe" || g.packages[importPath].Standard
}

// checkImport says why the package at rel may not import another, or "".
func (g *Graph) checkImport(rel, imported string) string {
	target, own := g.relative(imported)
	switch {
	case forTests(imported) && !isTestHelper(rel) && !forReaders(target):
		return "only tests and test helpers may"
	case own:
		return checkArrow(rel, target)
	case imported == idna && rel != "tenant" && slices.Contains(cores, rel):
		return "of the cores only tenant may"
	default:
		return ""
	}
}

// forTests reports whether an import belongs in tests.
func forTests(imported string) bool {
	return within(imported, "testing") || within(imported, "github.com/stretchr/testify") ||
		isTestHelper(imported) && strings.Contains(imported, ".") // not net/http/httptest and its like
}

// isTestHelper reports whether a package is by its name a help for tests.
func isTestHelper(importPath string) bool { return strings.HasSuffix(path.Base(importPath), "test") }

// forReaders reports whether a package of this module is there to be read and
// run. Its name says nothing of tests: examples/saas/selftest is a program's part.
func forReaders(rel string) bool { return within(rel, "examples") || within(rel, "docs") }

// checkArrow says why the package at from may not import the one at to, both of
// this module, or "".
func checkArrow(from, to string) string {
	fromTop, _, below := strings.Cut(from, "/")
	toTop, _, _ := strings.Cut(to, "/")
	switch {
	case forReaders(from):
		return ""
	case forReaders(to):
		return "examples and docs are imported by nobody"
	case toTop == "internal":
		return ""
	case fromTop == "internal":
		return "internal packages import internal ones alone"
	case from == ".":
		return "the root package holds documentation alone"
	case fromTop == toTop:
		return checkOwnTree(from, to, below)
	case to == "tenant":
		return ""
	case to == "tenant/admin" && below && path.Base(from) == fromTop+"admin":
		return "" // a panel of the console
	default:
		return "of another field only tenant may be imported"
	}
}

// checkOwnTree says why a package may not import another of its own field, or "".
func checkOwnTree(from, to string, below bool) string {
	if below || within(to, from+"/internal") {
		return ""
	}
	return "a core does not import what lies below it"
}

// within reports whether an import path is root or lies below it.
func within(importPath, root string) bool {
	return importPath == root || strings.HasPrefix(importPath, root+"/")
}
