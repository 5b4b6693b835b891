// Package files keeps files for each tenant, so that no name leads from one tenant to
// another.
//
//	disk, err := files.NewDisk("/var/lib/app/files", files.MaxFileSize(100<<20), files.Observe(quota))
//	info, err := disk.Put(ctx, "reports/2026-11.pdf", r.Body)
//	page, err := disk.List(ctx, files.Query{Prefix: "reports/"})
//
// The tenant is the context's. A context without one is refused with tenant.ErrNoTenant
// before a byte is read; the platform's own is, too.
//
// # Names
//
// A name is made of segments with slashes between, as in an object store; there are no
// directories to make. [ValidateName] says what is refused: whatever leads upwards or to
// the top, backslashes, colons, control characters, names that Windows reserves, dots and
// spaces at the end, text that is not in Unicode's form NFC. Upper and lower case are
// different names, on disks that do not tell them apart, too: [Disk] writes a name's
// letters, digits, hyphens and underscores as they are, and encodes the rest. A file and
// a prefix may have the same name.
//
// # Durability
//
// What [Disk] has reported as written is on disk, and survives a crash. A file is
// written aside and then takes its name in one step, so that readers and crashes find
// the old content or the new, never half of it. Who reads goes on reading what they
// opened. What a killed writer left aside is removed by [Disk.Sweep]; call it at start
// and now and then.
//
// # Accounting
//
// An [Observer] is asked before bytes are written, and told by how much a tenant's files
// grew or shrank. In processes that share a directory, the sum is exact as long as none
// is killed between the two; [Disk.Reconcile] counts anew.
//
// # Other stores
//
// [Store] fits object stores. filestest.TestStore checks an implementation.
package files
