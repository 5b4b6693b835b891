// Package planyaml reads plans that are written in YAML.
//
//	catalog, err := planyaml.Parse(plansYAML)
//	enforcer, err := quota.New(quota.NewMemorySource(catalog))
//
// What may stand in a catalog, [quota.Catalog] and [quota.Plan] say. The same
// document in YAML and in JSON makes the same plans. Errors are a [quota.FieldError]
// whose Reason begins with the line: the field's, or about where the text is no YAML.
//
// # One reading
//
// Versions of YAML, and readers of it, differ. What JSON has is read as in JSON, and
// everything else that some take for a text and others for something else is refused
// with the line, until it is quoted or written plainly:
//
//   - Numbers are those of JSON: 1000, 0.5, 1e3. Refused are 1_000, 0777, 0x1F, 0o17,
//     0b11, +1, .5, 1:30, .inf and .nan, and whole numbers beyond 2^53.
//   - true and false, also as True or TRUE, are booleans. Refused are yes, no, on, off,
//     y and n.
//   - null and ~ are null, which takes away what the defaults have. Refused is a value
//     that is not there at all, as when everything below a name is a comment: write {}
//     for nothing of its own, or null.
//   - Dates and times are refused. Durations and sizes, such as 5m and 10GiB, are texts.
//   - Names must be texts: 1 and true must be quoted.
//
// Refused are, too, names that are there twice, several documents, anchors and aliases
// (what plans share belongs in the defaults), merge keys, tags other than those of the
// core schema (!!str, !!int, !!float, !!bool, !!null, !!map, !!seq), more than 16
// levels, and more than 1 MiB.
package planyaml
