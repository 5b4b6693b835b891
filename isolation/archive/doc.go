// Package archive takes one tenant out of its home, puts it into another, and moves
// it while it works.
//
//	archiver, err := archive.New(strategy, archive.Tables("orders", "items"))
//	manifest, err := archiver.Export(ctx, acme, file)
package archive
