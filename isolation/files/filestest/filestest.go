package filestest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/tenancy-go/tenancy/isolation/files"
	"github.com/tenancy-go/tenancy/tenant"
)

// maxSize is the MaxFileSize of the stores under test.
const maxSize = 1 << 20

// TestStore checks a store, one subtest for each clause. newStore returns an empty one
// with opts.
func TestStore(t *testing.T, newStore func(t *testing.T, opts ...files.Option) files.Store) {
	for _, c := range clauses {
		t.Run(c.name, func(t *testing.T) {
			s := newSuite(func(opts ...files.Option) files.Store { return newStore(t, opts...) })
			if err := c.run(t.Context(), s); err != nil {
				t.Error(err)
			}
		})
	}
}

// Check is [TestStore] without a test: it returns the names of the clauses that do not
// hold. Use it to see that a store which is wrong on purpose is caught.
func Check(ctx context.Context, newStore func(opts ...files.Option) files.Store) []string {
	var broken []string
	for _, c := range clauses {
		if c.run(ctx, newSuite(newStore)) != nil {
			broken = append(broken, c.name)
		}
	}
	return broken
}

type clause struct {
	name  string
	check func(ctx context.Context, s *suite) error
}

// run checks c, and that the ledger agrees with the files afterwards.
func (c clause) run(ctx context.Context, s *suite) error {
	if err := c.check(ctx, s); err != nil {
		return err
	}
	for _, id := range []tenant.ID{"a", "b"} {
		u, err := s.Usage(as(ctx, id))
		if err != nil {
			return err
		}
		if used, reserved := s.ledger.Used(id); used != u.Bytes || reserved != 0 {
			return fmt.Errorf("tenant %s: files of %d bytes, accounted for as %d and %d reserved", id, u.Bytes, used, reserved)
		}
	}
	return nil
}

var clauses = []clause{
	{"what was put is read back", checkPut},
	{"content in odd pieces is put whole", checkPieces},
	{"a put that fails leaves what was there", checkFailedPut},
	{"of many that put an absent file one succeeds", checkAbsent},
	{"a file that is open does not change", checkOpen},
	{"files are read from anywhere", checkSeek},
	{"what was deleted is gone", checkDelete},
	{"a copy is a file of its own", checkCopy},
	{"a renamed file has one name", checkRename},
	{"a list is complete, in order, and by prefix", checkList},
	{"pages stay true while others change files", checkPages},
	{"a file and a prefix may have one name", checkPrefix},
	{"names that differ are different files", checkNames},
	{"names that break a rule are refused", checkBadNames},
	{"nothing works without a tenant", checkNoTenant},
	{"no artefact of a tenant works at another", checkArtefacts},
	{"all of a tenant's files go, and no others", checkDeleteAll},
	{"what passes the limit is refused", checkLimit},
	{"readers see old or new content, never a mixture", checkAtomic},
	{"accounts are exact under concurrency", checkAccounts},
	{"a context that has ended is its error", checkContext},
}

type suite struct {
	files.Store
	ledger *Ledger
}

func newSuite(newStore func(opts ...files.Option) files.Store) *suite {
	ledger := NewLedger(1 << 40)
	return &suite{newStore(files.MaxFileSize(maxSize), files.Observe(ledger)), ledger}
}

func as(ctx context.Context, id tenant.ID) context.Context {
	return tenant.NewContext(ctx, tenant.Tenant{ID: id})
}

func (s *suite) put(ctx context.Context, name, content string) error {
	info, err := s.Put(ctx, name, strings.NewReader(content))
	if err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return describes(info, name, content)
}

// describes wants info to be that of a file.
func describes(info files.Info, name, content string) error {
	sum := sha256.Sum256([]byte(content))
	want := files.Info{Name: name, Size: int64(len(content)), ModTime: info.ModTime, ETag: hex.EncodeToString(sum[:])}
	if info != want || info.ModTime.IsZero() {
		return fmt.Errorf("%s: got %+v, want %+v and a time", name, info, want)
	}
	return nil
}

// holds wants a file to be there, to the last byte.
func (s *suite) holds(ctx context.Context, name, content string) error {
	f, err := s.Open(ctx, name)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	got, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if string(got) != content {
		return fmt.Errorf("%s: read %d bytes, want other %d", name, len(got), len(content))
	}
	info, err := s.Stat(ctx, name)
	if err != nil {
		return fmt.Errorf("stat %s: %w", name, err)
	}
	return errors.Join(describes(info, name, content), describes(f.Info, name, content))
}

// lacks wants no file to be there.
func (s *suite) lacks(ctx context.Context, name string) error {
	_, stat := s.Stat(ctx, name)
	f, open := s.Open(ctx, name)
	if open == nil {
		_ = f.Close() // it should not be there
	}
	_, copied := s.Copy(ctx, name, "elsewhere")
	_, renamed := s.Rename(ctx, name, "elsewhere")
	for what, err := range map[string]error{"stat": stat, "open": open, "copy": copied, "rename": renamed, "delete": s.Delete(ctx, name)} {
		if err := fails(what+" "+name, err, files.ErrNotFound); err != nil {
			return err
		}
	}
	return nil
}

// fails wants err to be of the class want.
func fails(what string, err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("%s: got error %s, want %w", what, fmt.Sprint(err), want)
	}
	return nil
}

// inOrder runs steps until one fails.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// names lists by pages of limit.
func (s *suite) names(ctx context.Context, prefix string, limit int) ([]string, error) {
	var names []string
	q := files.Query{Prefix: prefix, Limit: limit}
	for {
		page, err := s.List(ctx, q)
		if err != nil {
			return nil, err
		}
		if len(page.Files) > limit {
			return nil, fmt.Errorf("a page of %d, want at most %d", len(page.Files), limit)
		}
		for _, info := range page.Files {
			names = append(names, info.Name)
		}
		if page.Next == "" {
			return names, nil
		}
		q.Cursor = page.Next
	}
}

func (s *suite) lists(ctx context.Context, prefix string, limit int, want ...string) error {
	got, err := s.names(ctx, prefix, limit)
	if err == nil && !slices.Equal(got, want) {
		err = fmt.Errorf("prefix %q: listed %q, want %q", prefix, got, want)
	}
	return err
}

func checkPut(ctx context.Context, s *suite) error {
	a := as(ctx, "a")
	return inOrder(
		func() error { return s.lacks(a, "one") },
		func() error { return s.put(a, "one", "first") },
		func() error { return s.holds(a, "one", "first") },
		func() error { return s.put(a, "one", "a longer second") },
		func() error { return s.holds(a, "one", "a longer second") },
		func() error { return s.put(a, "deep/er/one", "") },
		func() error { return s.holds(a, "deep/er/one", "") },
		func() error { return s.put(a, "one", strings.Repeat("x", maxSize)) },
		func() error { return s.holds(a, "one", strings.Repeat("x", maxSize)) },
	)
}

func checkPieces(ctx context.Context, s *suite) error {
	a := as(ctx, "a")
	content := strings.Repeat("0123456789", 60_000)
	for name, r := range map[string]io.Reader{
		"one-byte": iotest.OneByteReader(strings.NewReader(content[:5000])),
		"half":     iotest.HalfReader(strings.NewReader(content)),
		"data-err": iotest.DataErrReader(strings.NewReader(content)),
	} {
		want := content
		if name == "one-byte" {
			want = content[:5000]
		}
		if _, err := s.Put(a, name, r); err != nil {
			return err
		}
		if err := s.holds(a, name, want); err != nil {
			return err
		}
	}
	return nil
}

var errReader = errors.New("filestest: reader failed")

func checkFailedPut(ctx context.Context, s *suite) error {
	a := as(ctx, "a")
	if err := s.put(a, "one", "first"); err != nil {
		return err
	}
	failing := func(n int) io.Reader {
		return io.MultiReader(bytes.NewReader(make([]byte, n)), iotest.ErrReader(errReader))
	}
	for _, name := range []string{"one", "new/two"} {
		for _, n := range []int{0, 100, 700_000} {
			_, err := s.Put(a, name, failing(n))
			if err := fails("a reader that fails", err, errReader); err != nil {
				return err
			}
		}
		_, err := s.Put(a, name, strings.NewReader("short"), files.WithSize(6))
		if err := fails("content that is too short", err, files.ErrSize); err != nil {
			return err
		}
		_, err = s.Put(a, name, strings.NewReader("longer"), files.WithSize(5))
		if err := fails("content that is too long", err, files.ErrSize); err != nil {
			return err
		}
	}
	if _, err := s.Put(a, "three", strings.NewReader("right"), files.WithSize(5)); err != nil {
		return err
	}
	if err := s.lists(a, "", 10, "one", "three"); err != nil {
		return err
	}
	return s.holds(a, "one", "first")
}

func checkAbsent(ctx context.Context, s *suite) error {
	a := as(ctx, "a")
	var wins atomic.Int64
	var won atomic.Pointer[string]
	err := together(8, func(i int) error {
		content := fmt.Sprintf("by %d", i)
		_, err := s.Put(a, "dir/one", strings.NewReader(content), files.IfAbsent())
		if err == nil {
			wins.Add(1)
			won.Store(&content)
			return nil
		}
		return fails("a put that lost", err, files.ErrExists)
	})
	if err != nil {
		return err
	}
	if wins.Load() != 1 {
		return fmt.Errorf("%d of 8 puts of an absent file succeeded", wins.Load())
	}
	return s.holds(a, "dir/one", *won.Load())
}

// together runs do n times at once.
func together(n int, do func(i int) error) error {
	errs := make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { errs[i] = do(i) })
	}
	group.Wait()
	return errors.Join(errs...)
}

func checkOpen(ctx context.Context, s *suite) error {
	a := as(ctx, "a")
	old := strings.Repeat("old", 100_000)
	if err := s.put(a, "one", old); err != nil {
		return err
	}
	for _, change := range []func() error{
		func() error { return s.put(a, "one", "new") },
		func() error { return s.Delete(a, "one") },
		func() error { return s.DeleteAll(a) },
	} {
		if err := s.put(a, "one", old); err != nil {
			return err
		}
		f, err := s.Open(a, "one")
		if err != nil {
			return err
		}
		if err := change(); err != nil {
			return err
		}
		got, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if string(got) != old {
			return errors.New("what was open has changed")
		}
	}
	return nil
}

func checkSeek(ctx context.Context, s *suite) error {
	a := as(ctx, "a")
	if err := s.put(a, "one", "0123456789"); err != nil {
		return err
	}
	f, err := s.Open(a, "one")
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	for _, at := range []struct {
		offset int64
		whence int
		want   string
	}{{4, io.SeekStart, "456789"}, {-2, io.SeekEnd, "89"}, {0, io.SeekStart, "0123456789"}, {-1, io.SeekCurrent, "9"}, {5, io.SeekEnd, ""}} {
		if _, err := f.Seek(at.offset, at.whence); err != nil {
			return err
		}
		got, err := io.ReadAll(f)
		if err != nil || string(got) != at.want {
			return fmt.Errorf("after Seek(%d, %d): read %q, want %q, %w", at.offset, at.whence, got, at.want, err)
		}
	}
	return nil
}

func checkDelete(ctx context.Context, s *suite) error {
	a := as(ctx, "a")
	return inOrder(
		func() error { return s.put(a, "d/one", "1") },
		func() error { return s.put(a, "d/two", "2") },
		func() error { return s.Delete(a, "d/one") },
		func() error { return s.lacks(a, "d/one") },
		func() error { return s.holds(a, "d/two", "2") },
		func() error { return s.Delete(a, "d/two") },
		func() error { return s.lists(a, "", 10) },
		func() error { return s.put(a, "d", "now a file") },
		func() error { return s.holds(a, "d", "now a file") },
	)
}

func checkCopy(ctx context.Context, s *suite) error {
	a := as(ctx, "a")
	copies := func(from, to string) func() error {
		return func() error { _, err := s.Copy(a, from, to); return err }
	}
	return inOrder(
		func() error { return s.put(a, "one", "1") },
		func() error { return s.put(a, "old", "to be replaced") },
		copies("one", "d/two"),
		copies("one", "old"),
		copies("one", "one"),
		func() error { return s.put(a, "one", "changed") },
		func() error { return s.holds(a, "d/two", "1") },
		func() error { return s.holds(a, "old", "1") },
		func() error { return s.holds(a, "one", "changed") },
		func() error { return s.lists(a, "", 10, "d/two", "old", "one") },
	)
}

func checkRename(ctx context.Context, s *suite) error {
	a := as(ctx, "a")
	renames := func(from, to, content string) func() error {
		return func() error {
			info, err := s.Rename(a, from, to)
			if err != nil {
				return err
			}
			return describes(info, to, content)
		}
	}
	return inOrder(
		func() error { return s.put(a, "d/one", "1") },
		func() error { return s.put(a, "two", "to be replaced") },
		renames("d/one", "two", "1"),
		func() error { return s.lists(a, "", 10, "two") },
		renames("two", "two", "1"),
		renames("two", "two/below", "1"),
		renames("two/below", "two", "1"),
		func() error { return s.holds(a, "two", "1") },
		func() error { return s.lists(a, "", 10, "two") },
	)
}

func checkList(ctx context.Context, s *suite) error {
	a := as(ctx, "a")
	all := []string{"A", "a", "a-b", "a/b", "a/b/c", "a/c", "a.txt", "a0", "b/" + strings.Repeat("long", 60), "B/x", "é", "zebra", "b b/c", "a%2f"}
	for _, name := range all {
		if err := s.put(a, name, name); err != nil {
			return err
		}
	}
	slices.Sort(all)
	for _, prefix := range []string{"", "a", "a/", "a/b", "b", "é", "B/", "none", "a/b/c/d"} {
		var want []string
		for _, name := range all {
			if strings.HasPrefix(name, prefix) {
				want = append(want, name)
			}
		}
		for _, limit := range []int{1, 3, 100} {
			if err := s.lists(a, prefix, limit, want...); err != nil {
				return err
			}
		}
	}
	for _, q := range []files.Query{{Limit: -1}, {Limit: files.MaxLimit + 1}, {Cursor: "?"}, {Cursor: "bm9uc2Vuc2U"}} {
		_, err := s.List(a, q)
		if err := fails(fmt.Sprintf("query %+v", q), err, files.ErrQuery); err != nil {
			return err
		}
	}
	return nil
}

func checkPages(ctx context.Context, s *suite) error {
	a := as(ctx, "a")
	var stay []string
	for i := range 30 {
		name := fmt.Sprintf("%02d/stays", i)
		stay = append(stay, name)
		if err := s.put(a, name, "x"); err != nil {
			return err
		}
	}
	q := files.Query{Limit: 4}
	var seen []string
	for i := 0; ; i++ {
		page, err := s.List(a, q)
		if err != nil {
			return err
		}
		for _, info := range page.Files {
			if strings.HasSuffix(info.Name, "/stays") {
				seen = append(seen, info.Name)
			}
		}
		if page.Next == "" {
			break
		}
		q.Cursor = page.Next
		last := page.Files[len(page.Files)-1].Name
		if err := errors.Join(s.put(a, last+"-before", "x"), s.put(a, fmt.Sprintf("%02d/comes", (i*7)%30), "x")); err != nil {
			return err
		}
	}
	if !slices.Equal(seen, stay) {
		return fmt.Errorf("read %q page by page, want %q", seen, stay)
	}
	return nil
}

func checkPrefix(ctx context.Context, s *suite) error {
	a := as(ctx, "a")
	return inOrder(
		func() error { return s.put(a, "x", "file") },
		func() error { return s.put(a, "x/y", "below") },
		func() error { return s.put(a, "x/y/z", "further below") },
		func() error { return s.holds(a, "x", "file") },
		func() error { return s.holds(a, "x/y", "below") },
		func() error { return s.Delete(a, "x") },
		func() error { return s.holds(a, "x/y/z", "further below") },
		func() error { return s.lists(a, "", 10, "x/y", "x/y/z") },
	)
}

func checkNames(ctx context.Context, s *suite) error {
	a := as(ctx, "a")
	long := strings.Repeat("n", 254)
	names := []string{
		"readme", "README", "Readme", "readme=", "readme+", "readme~", "readme%", "readme%3d", ".readme", "-readme", "re.adme",
		"re/adme", "straße", "strasse", "ÅNGSTRÖM", "ångström", "日本語/ファイル.txt", "😀", "a?b*c<d>e|f\"g", "new", "files", ".trash", "t-b",
		long + "x", long + "y", strings.Repeat(long+"/", 3) + "z", "con-artist", "null", "com10", "lock", "~", "%", "=", "+",
	}
	for _, name := range names {
		if err := s.put(a, name, "content of "+name); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := s.holds(a, name, "content of "+name); err != nil {
			return err
		}
	}
	slices.Sort(names)
	return s.lists(a, "", 7, names...)
}

// badNames are names that every store refuses.
var badNames = []string{
	"", ".", "..", "/", "a/", "/a", "/etc/passwd", "a//b", "a/./b", "a/../b", "../b", "../t-b/files/x=", "a/..", "..\\b", "a\\b", "C:\\x", "c:x", "a:b",
	"a\x00b", "a\nb", "a\x7fb", "nul", "NUL", "con.txt", "aux", "x/Com1", "lpt9.tar.gz", "COM¹", "conin$", "a.", "a ", " a", "a./b", "x/b. ", "...",
	"e\u0301", "\u212b", "\xff", "a\xc0\xafb", "abc\u202etxt.exe", "\u2066x", "a\u0085b", strings.Repeat("n", 256), strings.Repeat("n/", 600) + "n",
}

func checkBadNames(ctx context.Context, s *suite) error {
	a := as(ctx, "a")
	if err := s.put(a, "good", "good"); err != nil {
		return err
	}
	for _, name := range badNames {
		_, put := s.Put(a, name, strings.NewReader("x"))
		_, open := s.Open(a, name)
		_, stat := s.Stat(a, name)
		_, copyTo := s.Copy(a, "good", name)
		_, copyFrom := s.Copy(a, name, "good")
		_, renameTo := s.Rename(a, "good", name)
		_, renameFrom := s.Rename(a, name, "good")
		for what, err := range map[string]error{
			"put": put, "open": open, "stat": stat, "delete": s.Delete(a, name),
			"copy to": copyTo, "copy from": copyFrom, "rename to": renameTo, "rename from": renameFrom,
		} {
			if err := fails(fmt.Sprintf("%s %q", what, name), err, files.ErrName); err != nil {
				return err
			}
		}
	}
	return errors.Join(s.lists(a, "", 10, "good"), s.holds(a, "good", "good"))
}

// untouched fails the clause if it is read.
type untouched struct{ read atomic.Bool }

func (r *untouched) Read([]byte) (int, error) {
	r.read.Store(true)
	return 0, io.EOF
}

func checkNoTenant(ctx context.Context, s *suite) error {
	if err := s.put(as(ctx, "a"), "one", "1"); err != nil {
		return err
	}
	for _, none := range []context.Context{ctx, tenant.System(ctx, "filestest")} {
		var r untouched
		_, put := s.Put(none, "one", &r)
		_, open := s.Open(none, "one")
		_, stat := s.Stat(none, "one")
		_, copied := s.Copy(none, "one", "two")
		_, renamed := s.Rename(none, "one", "two")
		_, list := s.List(none, files.Query{})
		_, usage := s.Usage(none)
		for what, err := range map[string]error{
			"put": put, "open": open, "stat": stat, "copy": copied, "rename": renamed, "list": list, "usage": usage,
			"delete": s.Delete(none, "one"), "delete all": s.DeleteAll(none),
		} {
			if err := fails(what, err, tenant.ErrNoTenant); err != nil {
				return err
			}
		}
		if r.read.Load() {
			return errors.New("content was read without a tenant")
		}
	}
	return s.holds(as(ctx, "a"), "one", "1")
}

// checkArtefacts tries all that a knows at b: names, entity tags, cursors.
func checkArtefacts(ctx context.Context, s *suite) error {
	a, b := as(ctx, "a"), as(ctx, "b")
	for i := range 6 {
		if err := s.put(a, fmt.Sprintf("secret/%d", i), "of a"); err != nil {
			return err
		}
	}
	page, err := s.List(a, files.Query{Limit: 2})
	if err != nil {
		return err
	}
	for _, info := range page.Files {
		for _, name := range []string{info.Name, info.ETag, "t-a/" + info.Name, "a/" + info.Name} {
			if err := s.lacks(b, name); err != nil {
				return err
			}
		}
	}
	if err := s.lists(b, "", 10); err != nil {
		return err
	}
	_, err = s.List(b, files.Query{Cursor: page.Next})
	if err := fails("a foreign cursor", err, files.ErrQuery); err != nil {
		return err
	}
	if u, err := s.Usage(b); err != nil || u != (files.Usage{}) {
		return fmt.Errorf("b uses %+v, %w", u, err)
	}
	// The same names are each tenant's own.
	err = inOrder(
		func() error { return s.put(b, "secret/1", "of b") },
		func() error { return s.Delete(a, "secret/0") },
		func() error { return s.lists(b, "", 10, "secret/1") },
		func() error { return s.holds(a, "secret/1", "of a") },
		func() error { return s.holds(b, "secret/1", "of b") },
		func() error { return s.Delete(b, "secret/1") },
		func() error { return s.holds(a, "secret/1", "of a") },
	)
	return err
}

func checkDeleteAll(ctx context.Context, s *suite) error {
	a, b := as(ctx, "a"), as(ctx, "b")
	for _, c := range []context.Context{a, b} {
		if err := errors.Join(s.put(c, "d/one", "1"), s.put(c, "two", "2")); err != nil {
			return err
		}
	}
	return inOrder(
		func() error { return s.DeleteAll(a) },
		func() error { return s.lacks(a, "d/one") },
		func() error { return s.lists(a, "", 10) },
		func() error { return s.DeleteAll(a) },
		func() error { return s.lists(b, "", 10, "d/one", "two") },
		func() error { return s.put(a, "two", "anew") },
		func() error { return s.lists(a, "", 10, "two") },
	)
}

func checkLimit(ctx context.Context, s *suite) error {
	a, b := as(ctx, "a"), as(ctx, "b")
	_, err := s.Put(a, "big", bytes.NewReader(make([]byte, maxSize+1)))
	if err := fails("a file that is too large", err, files.ErrTooLarge); err != nil {
		return err
	}
	var r untouched
	_, err = s.Put(a, "big", &r, files.WithSize(maxSize+1))
	if err := fails("a file that says it is too large", err, files.ErrTooLarge); err != nil || r.read.Load() {
		return errors.Join(err, errors.New("it was read"))
	}
	s.ledger.Limit = 10
	err = inOrder(
		func() error { return s.put(a, "one", "0123456789") },
		func() error { return s.put(b, "one", "0123456789") }, // has room of its own
		func() error {
			_, err := s.Put(a, "two", strings.NewReader("x"))
			return fails("a byte too many", err, ErrFull)
		},
		func() error { _, err := s.Copy(a, "one", "two"); return fails("a copy too many", err, ErrFull) },
		func() error { return s.Delete(a, "one") },
		func() error { return s.put(a, "two", "012345678") },
		func() error { return s.put(a, "three", "x") },
	)
	if err != nil {
		return err
	}
	return s.lists(a, "", 10, "three", "two")
}

func checkAtomic(ctx context.Context, s *suite) error {
	a := as(ctx, "a")
	content := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 1000+i) }
	if err := s.put(a, "one", content(0)); err != nil {
		return err
	}
	var done atomic.Bool
	return together(4, func(i int) error {
		if i == 0 {
			defer done.Store(true)
			for n := range 40 {
				if err := s.put(a, "one", content(n)); err != nil {
					return err
				}
			}
			return nil
		}
		for !done.Load() {
			f, err := s.Open(a, "one")
			if err != nil {
				return err
			}
			got, err := io.ReadAll(f)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			if err := describes(f.Info, "one", string(got)); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkAccounts lets two tenants change a few files in every way at once; run compares.
func checkAccounts(ctx context.Context, s *suite) error {
	return together(6, func(i int) error {
		in := as(ctx, []tenant.ID{"a", "b"}[i%2])
		random := rand.New(rand.NewPCG(uint64(i), 0)) //nolint:gosec // not for secrets
		name := func() string { return fmt.Sprintf("d%d/f", random.IntN(4)) }
		for range 60 {
			var err error
			switch random.IntN(8) {
			case 0:
				err = s.Delete(in, name())
			case 1:
				_, err = s.Rename(in, name(), name())
			case 2:
				_, err = s.Copy(in, name(), name())
			case 3:
				if random.IntN(10) == 0 {
					err = s.DeleteAll(in)
				}
			case 4:
				_, err = s.Put(in, name(), strings.NewReader("x"), files.IfAbsent())
			default:
				_, err = s.Put(in, name(), bytes.NewReader(make([]byte, random.IntN(5000))))
			}
			if err != nil && !errors.Is(err, files.ErrNotFound) && !errors.Is(err, files.ErrExists) && !errors.Is(err, files.ErrGone) {
				return err
			}
		}
		return nil
	})
}

func checkContext(ctx context.Context, s *suite) error {
	a := as(ctx, "a")
	if err := s.put(a, "one", "1"); err != nil {
		return err
	}
	ended, cancel := context.WithCancel(a)
	cancel()
	_, put := s.Put(ended, "one", strings.NewReader("2"))
	_, open := s.Open(ended, "one")
	_, stat := s.Stat(ended, "one")
	_, copied := s.Copy(ended, "one", "two")
	_, renamed := s.Rename(ended, "one", "two")
	_, list := s.List(ended, files.Query{})
	for what, err := range map[string]error{
		"put": put, "open": open, "stat": stat, "copy": copied, "rename": renamed, "list": list, "delete": s.Delete(ended, "one"), "delete all": s.DeleteAll(ended),
	} {
		if err := fails(what, err, context.Canceled); err != nil {
			return err
		}
	}
	middle, stop := context.WithCancel(a)
	_, err := s.Put(middle, "one", io.MultiReader(strings.NewReader("2"), stopper(stop), bytes.NewReader(make([]byte, 700_000))))
	if err := fails("a context that ends on the way", err, context.Canceled); err != nil {
		return err
	}
	return s.holds(a, "one", "1")
}

// stopper is an empty reader that calls itself.
type stopper func()

func (s stopper) Read([]byte) (int, error) {
	s()
	return 0, io.EOF
}
