package database

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"

	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/tenant"
)

// The names of databases. A tenant's ID begins with a letter or digit, so no
// home's name goes on with an underscore after the prefix, as the others do.

func (c *config) homeName(id tenant.ID) string   { return pghome.Name(c.prefix, id) }
func (c *config) unfinished(id tenant.ID) string { return pghome.Name(c.prefix+"_new_", id) }
func (c *config) templateName() string           { return c.prefix + "_template" }
func (c *config) newTemplateName() string        { return c.prefix + "_template_new" }

// The comments that tell what a database is.

func homeMark(id tenant.ID) string    { return "tenancy: home of tenant " + string(id) }
func removedMark(id tenant.ID) string { return "tenancy: removed home of tenant " + string(id) }
func templateMark(sum string) string  { return "tenancy: template " + sum }

// layout is part of a template's sum, and changes with what this package itself
// does to a template.
const layout = "1"

// sum identifies what a template is made of: the migrations, whom the rights are
// for, and the layout.
func (c *config) sum(login string) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s %q\n", layout, login)
	if c.migrations == nil {
		return hex.EncodeToString(h.Sum(nil)), nil
	}
	files, err := fs.Glob(c.migrations, "*.sql") // sorted
	if err != nil {
		return "", err
	}
	for _, name := range files {
		if err := addFile(h, c.migrations, name); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func addFile(w io.Writer, fsys fs.FS, name string) error {
	content, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%q %d\n%s", name, len(content), content)
	return err
}
