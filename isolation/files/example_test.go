package files_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tenancy-go/tenancy/isolation/files"
	"github.com/tenancy-go/tenancy/tenant"
)

func ExampleDisk() {
	dir, err := os.MkdirTemp("", "files")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	disk, err := files.NewDisk(dir, files.MaxFileSize(1<<20))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = disk.Close() }()

	acme := tenant.NewContext(context.Background(), tenant.Tenant{ID: "acme"})
	globex := tenant.NewContext(context.Background(), tenant.Tenant{ID: "globex"})
	info, err := disk.Put(acme, "reports/2026-11.csv", strings.NewReader("total,42\n"))
	fmt.Println(info.Name, info.Size, info.ETag[:8], err)
	_, err = disk.Open(globex, "reports/2026-11.csv")
	fmt.Println(errors.Is(err, files.ErrNotFound))
	_, err = disk.Open(globex, "../t-acme/reports/2026-11.csv")
	fmt.Println(errors.Is(err, files.ErrName))
	// Output:
	// reports/2026-11.csv 9 ea869043 <nil>
	// true
	// true
}
