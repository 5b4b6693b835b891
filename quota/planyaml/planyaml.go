package planyaml

import (
	"github.com/tenancy-go/tenancy/quota"
)

// Parse reads a catalog in YAML, as [quota.ParseCatalog] reads one in JSON. Errors are
// a [quota.FieldError].
func Parse(data []byte) (*quota.Catalog, error) {
	root, err := parse(data)
	if err != nil {
		return nil, err
	}
	document, err := root.document()
	if err != nil {
		return nil, err
	}
	catalog, err := quota.NewCatalog(document)
	if err != nil {
		return nil, root.locate(err)
	}
	return catalog, nil
}

// Document reads a part of a plan in YAML, such as an override's Patch, as
// [quota.ParseDocument] reads one in JSON. Whether a plan may have such fields is for
// others to say. Errors are a [quota.FieldError].
func Document(data []byte) (quota.Document, error) {
	root, err := parse(data)
	if err != nil {
		return nil, err
	}
	return root.document()
}
